//! AVIF and HEIC, decoded by libheif's own program in a child process, which gives a PNG: alpha, 16 bits and the ICC profile
//! come with it, and the picture was turned as its boxes say (its EXIF says so once more, and is left out).

use std::{ffi::OsString, path::Path, sync::Arc};

use image::ImageFormat;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    MediaError,
    child::{self, Limits},
    decode::{self, Format},
    heif,
    resolver::{Encoded, Resolver, blocking, kept},
    temp::PngOutlet,
};

/// What a PNG may have beside its pixels: profiles, and zlib's overhead.
const BESIDE: usize = 8 << 20;

impl Resolver {
    /// A turn at the child processes, for a picture that needs one: waited for before any memory, as clips and PDFs do.
    ///
    /// # Errors
    /// [`MediaError::NotInstalled`], [`MediaError::Busy`].
    pub(crate) async fn child_for(&self, encoded: &Encoded) -> Result<Option<OwnedSemaphorePermit>, MediaError> {
        if !matches!(encoded.header.format, Format::Heif(_)) {
            return Ok(None);
        }
        self.tools.heif.path()?;
        self.budget.wait_for_child().await.map(Some)
    }

    /// The picture as what is decoded here; its hash stays that of what came.
    ///
    /// # Errors
    /// [`MediaError`].
    pub(crate) async fn unpacked(
        &self,
        encoded: Encoded,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Encoded, MediaError> {
        let Encoded { bytes, hash, header } = &encoded;
        let (Format::Heif(name), Some(_turn)) = (header.format, turn) else { return Ok(encoded) };
        let (source, pixels) = (Arc::clone(bytes), self.config.image_pixels);
        let outlet = || PngOutlet::new().map_err(|_| MediaError::Busy);
        let open = move || Ok((kept(&heif::alone(&source, name)?)?, outlet()?, heif::read(&source, pixels)?));
        let (file, png, told) = blocking(open).await?;
        let program = self.tools.heif.path()?;
        let time = self.config.decode_timeout;
        let limits = Limits { memory: self.config.child_memory, cpu: time };
        let area = header.width as usize * header.height as usize;
        let most = area * usize::from(header.pixel_bytes) * 101 / 100 + BESIDE;
        let arguments = arguments(program, file.path(), png.path());
        let done = child::run(program, &arguments, limits, most, Instant::now() + time).await?;
        if !done.ok || done.out.is_empty() {
            tracing::debug!("heif-convert: {}", done.complaints);
            return Err(MediaError::Damaged);
        }
        let (out, hash) = (Arc::new(done.out), *hash);
        blocking(move || {
            let header = decode::header(&out, pixels)?;
            let sides = |w: u32, h: u32| (w.min(h), w.max(h));
            let (short, long) = sides(header.width, header.height);
            let (shorter, longer) = sides(told.width, told.height);
            // Perhaps turned, and never more than the boxes said: the budget was asked for as much.
            let fits = if told.cut { short <= shorter && long <= longer } else { (short, long) == (shorter, longer) };
            if !fits || header.format != Format::Plain(ImageFormat::Png) {
                return Err(MediaError::Damaged);
            }
            Ok(Encoded { bytes: out, hash, header: decode::Header { format: Format::Unpacked, ..header } })
        })
        .await
    }
}

fn arguments(program: &Path, from: &Path, to: &Path) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["--quiet".into()];
    if program.file_stem().is_some_and(|name| name == "heif-dec") {
        // It is read at once; packing takes four fifths of the time. Older versions have no such option.
        all.extend(["--png-compression-level", "1"].map(OsString::from));
    }
    all.extend([from.into(), to.into()]);
    all
}
