//! From a URL to bytes, and from an `image_url` to a [`Picture`]: fetch or decode the URL, decode the picture within a
//! memory budget, resize it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use image::{ImageFormat, RgbImage};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use crate::{
    ContentHash, Detail, FileBytes, MediaConfig, MediaError, Medium, Picture, Resolved, Seen, Sizing, VisionSpec,
    bicubic::resize,
    budget::Budget,
    counts::{Counters, Counts, count},
    data_url,
    decode::{self, Format, Header},
    fetch::Fetcher,
    folders::Folders,
    foreign::is_svg,
    named::{Kept, Name, Named},
    resize::smart_resize,
    temp::TempFile,
    tools::Tools,
};

/// Where a picture comes from.
#[derive(Debug, Clone, Copy)]
pub struct ImageSource<'a> {
    /// A `data:`, `http(s)` or (where folders are listed) `file:` URL.
    pub url: &'a str,
}

/// Bytes to pixels; a seam, so that a test can let it panic.
pub type Decoder = fn(&[u8], Header) -> Result<RgbImage, MediaError>;

/// A resized picture is known by the hash of its encoded bytes, its height and width (before the EXIF orientation), and whether
/// it may have been decoded at a part of its size.
type Key = (ContentHash, u32, u32, bool);

/// Takes parts in, for the whole process: one memory budget, one cache.
#[derive(Debug)]
pub struct Resolver {
    pub(crate) config: MediaConfig,
    pub(crate) tools: Tools,
    fetcher: Fetcher,
    pub(crate) budget: Budget,
    resized: Cache<Key, Upright>,
    pub(crate) named: Named,
    /// Drawings, by the hash of what was drawn.
    pub(crate) drawings: Named,
    folders: Folders,
    counters: Arc<Counters>,
    decoder: Decoder,
}

/// A resized picture, and its width and height before, upright.
type Upright = (Picture, (u32, u32));

/// A picture of which only the header was read.
pub struct Encoded {
    pub bytes: Arc<Vec<u8>>,
    pub hash: ContentHash,
    pub header: Header,
}

impl Encoded {
    pub fn read(bytes: Arc<Vec<u8>>, pixels: u64) -> Result<Self, MediaError> {
        let header = decode::header(&bytes, pixels)?;
        Ok(Self { hash: Sha256::digest(bytes.as_slice()).into(), header, bytes })
    }
}

impl Resolver {
    /// A resolver with an empty cache.
    ///
    /// # Errors
    /// [`MediaError::Config`].
    pub fn new(config: MediaConfig) -> Result<Self, MediaError> {
        let resized = Cache::builder()
            .max_capacity(config.cache_bytes)
            .weigher(|_, (p, _): &Upright| u32::try_from(p.rgb.len()).unwrap_or(u32::MAX))
            .build();
        let counters = Arc::<Counters>::default();
        Ok(Self {
            tools: Tools::find(config.tools.as_deref()),
            fetcher: Fetcher::new(&config, Arc::clone(&counters))?,
            budget: Budget::new(&config),
            named: Named::new(config.named_bytes),
            drawings: Named::new(config.cache_bytes / 4),
            folders: Folders::new(&config.folders)?,
            config,
            resized,
            counters,
            decoder: decode::decode,
        })
    }

    /// The same with another decoder, for tests.
    #[cfg(test)]
    pub(crate) fn with_decoder(mut self, decoder: Decoder) -> Self {
        self.decoder = decoder;
        self
    }

    /// Bytes of the pictures that are kept.
    #[cfg(test)]
    pub(crate) fn kept_pixel_bytes(&self) -> u64 {
        self.resized.run_pending_tasks();
        self.resized.weighted_size()
    }

    /// What was done since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.read(self.budget.free())
    }

    /// Bytes that one document may have.
    #[must_use]
    pub const fn document_bytes(&self) -> usize {
        self.config.document_bytes
    }

    /// What reads clips and PDFs here.
    #[must_use]
    pub const fn tools(&self) -> &Tools {
        &self.tools
    }

    /// One picture at the size that the model sees: sides that are multiples of [`VisionSpec::factor`], an area within
    /// [`Sizing::bounds`]. Dropping the future leaves at most a decoder that is already at work.
    ///
    /// # Errors
    /// [`MediaError`], with a message that is safe to show.
    pub async fn image(
        &self,
        source: ImageSource<'_>,
        spec: &VisionSpec,
        sizing: &Sizing,
    ) -> Result<Resolved<Picture>, MediaError> {
        let encoded = self.encoded(source.url.trim()).await?;
        self.shown(encoded, spec, sizing).await
    }

    /// The same of a picture's encoded bytes, where they are here already.
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn image_bytes(
        &self,
        bytes: Vec<u8>,
        spec: &VisionSpec,
        sizing: &Sizing,
    ) -> Result<Resolved<Picture>, MediaError> {
        let limit = self.config.image_bytes;
        if bytes.len() > limit {
            return Err(MediaError::FileTooLarge(limit >> 20));
        }
        let encoded = self.read(Arc::new(bytes)).await?;
        self.shown(encoded, spec, sizing).await
    }

    /// Bytes of one encoded picture, at the most.
    #[must_use]
    pub const fn image_limit(&self) -> usize {
        self.config.image_bytes
    }

    /// A picture that has a name: with a URL it is taken from there and kept under the name, without one it must be known.
    ///
    /// # Errors
    /// [`MediaError::UnknownName`], and as [`Self::image`].
    pub async fn named_image(
        &self,
        name: Name,
        url: Option<&str>,
        spec: &VisionSpec,
        sizing: &Sizing,
    ) -> Result<Resolved<Picture>, MediaError> {
        let Some(url) = url else {
            let bytes = self.named.one(name).ok_or(MediaError::UnknownName)?;
            let pixels = self.config.image_pixels;
            // A drawing is kept as it was drawn.
            let encoded = blocking(move || Encoded::read(bytes, pixels)).await?;
            return self.shown(encoded, spec, sizing).await;
        };
        let encoded = self.encoded(url.trim()).await?;
        let bytes = Arc::clone(&encoded.bytes);
        let shown = self.shown(encoded, spec, sizing).await?;
        self.named.keep(name, Kept::One(bytes));
        Ok(shown)
    }

    /// A document that has this name.
    ///
    /// # Errors
    /// [`MediaError::UnknownName`].
    pub fn named_file(&self, name: Name) -> Result<FileBytes, MediaError> {
        match self.named.get(name) {
            Some(Kept::File(file)) => Ok(FileBytes::clone(&file)),
            _ => Err(MediaError::UnknownName.of(Medium::File)),
        }
    }

    /// Keeps a document under a name.
    pub fn name_file(&self, name: Name, file: FileBytes) {
        self.named.keep(name, Kept::File(Arc::new(file)));
    }

    /// A picture at the size that the model sees.
    pub(crate) async fn shown(
        &self,
        encoded: Encoded,
        spec: &VisionSpec,
        sizing: &Sizing,
    ) -> Result<Resolved<Picture>, MediaError> {
        let (spec, (min, max)) = (*spec, sizing.bounds(spec));
        let factor = spec.factor();
        let Header { width, height, .. } = encoded.header;
        let (rows, columns) = smart_resize(height, width, factor, min, max)?;
        // Whoever asks for little detail gets it sooner, in other pixels than transformers would show the model.
        let sooner = sizing.detail == Detail::Low
            && encoded.header.format == Format::Plain(ImageFormat::Jpeg)
            && 2 * rows <= height
            && 2 * columns <= width;
        let key = (encoded.hash, rows, columns, sooner);
        let seen = Seen::new(Medium::Image, decode::name(encoded.header.format));
        let told = move |(picture, before): Upright, cached: bool| {
            let mut seen = seen.clone();
            seen.before = Some(before);
            seen.after = Some((picture.width, picture.height));
            seen.tokens = picture.tokens(&spec);
            seen.cached = cached;
            Resolved { what: picture, seen }
        };
        if let Some(hit) = self.resized.get(&key) {
            count(&self.counters.pixel_hits);
            return Ok(told(hit, true));
        }
        let child = self.child_for(&encoded).await?;
        // What resizing holds: the result twice (its bytes become an `Arc`) and the pass between.
        let between = u64::from(height.max(width)) * u64::from(rows.max(columns));
        let target = 3 * (2 * u64::from(rows) * u64::from(columns) + between);
        let permit =
            self.budget.wait(encoded.header.memory() + target).await.inspect_err(|_| count(&self.counters.busy))?;
        if let Some(hit) = self.resized.get(&key) {
            count(&self.counters.pixel_hits);
            return Ok(told(hit, true));
        }
        let encoded = self.unpacked(encoded, child).await?;
        let (cache, counters, decoder) = (self.resized.clone(), Arc::clone(&self.counters), self.decoder);
        let work = blocking(move || {
            let _permit = permit;
            if let Some(hit) = cache.get(&key) {
                count(&counters.pixel_hits);
                return Ok(told(hit, true));
            }
            count(&counters.decodes);
            let whole = || decoder(&encoded.bytes, encoded.header).map(|upright| (upright.dimensions(), upright));
            let part = || if sooner { decode::shrunk(&encoded.bytes, encoded.header, (columns, rows)) } else { None };
            let upright = catch_unwind(AssertUnwindSafe(|| part().map_or_else(whole, Ok)));
            let (before, upright) = upright.unwrap_or_else(|_| {
                count(&counters.panics);
                Err(MediaError::Damaged)
            })?;
            drop(encoded);
            let (height, width) = smart_resize(before.1, before.0, factor, min, max)?;
            let picture = Picture::new(width, height, resize(upright, height, width));
            cache.insert(key, (picture.clone(), before));
            Ok(told((picture, before), false))
        });
        // The decoder goes on to its end, and holds its share of the budget until then.
        tokio::time::timeout(self.config.decode_timeout, work).await.unwrap_or(Err(MediaError::TooSlow))
    }

    /// The bytes behind a URL, hashed, with what their header says.
    pub(crate) async fn encoded(&self, url: &str) -> Result<Encoded, MediaError> {
        let limit = self.config.image_bytes;
        let bytes = Arc::new(self.bytes(url, Medium::Image, limit).await?);
        self.read(bytes).await
    }

    /// What a picture's header says, drawn first where it is a drawing.
    pub(crate) async fn read(&self, bytes: Arc<Vec<u8>>) -> Result<Encoded, MediaError> {
        if is_svg(&bytes) {
            return self.drawn(bytes).await;
        }
        let pixels = self.config.image_pixels;
        blocking(move || Encoded::read(bytes, pixels)).await
    }

    /// The bytes behind a `data:`, `http(s)` or `file:` URL, at most `limit`.
    ///
    /// # Errors
    /// [`MediaError`] of this medium.
    pub async fn bytes(&self, url: &str, medium: Medium, limit: usize) -> Result<Vec<u8>, MediaError> {
        let bytes = match data(url) {
            Some(rest) => {
                data_url::within(rest, limit).map_err(|e| e.of(medium))?;
                let rest = rest.to_owned();
                blocking(move || data_url::decode(&rest, limit)).await
            }
            None if self.is_file(url) => {
                let (folders, url) = (self.folders.clone(), url.to_owned());
                blocking(move || folders.read(&url, limit)).await
            }
            None => self.fetcher.get(url, medium, limit).await,
        };
        bytes.map_err(|e| e.of(medium))
    }

    /// Whether it names a file; where no folder is listed, the guard refuses it as any other scheme.
    fn is_file(&self, url: &str) -> bool {
        let file = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"));
        file && !self.folders.is_empty()
    }

    /// The same in a file, and its first bytes.
    pub(crate) async fn file(
        &self,
        url: &str,
        medium: Medium,
        limit: usize,
    ) -> Result<(TempFile, Vec<u8>), MediaError> {
        if data(url).is_some() || self.is_file(url) {
            let bytes = self.bytes(url, medium, limit).await?;
            return blocking(move || Ok((kept(&bytes)?, head(&bytes)))).await;
        }
        let (mut file, mut first) = (kept(&[])?, Vec::new());
        let mut sink = |chunk: &[u8]| {
            first.extend_from_slice(chunk.get(..(HEAD - first.len()).min(chunk.len())).unwrap_or_default());
            file.append(chunk)
        };
        self.fetcher.get_into(url, medium, limit, &mut sink).await?;
        Ok((file, first))
    }
}

/// First bytes that say what a file is.
const HEAD: usize = 512;

/// These of a whole file.
pub fn head(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..HEAD.min(bytes.len())).unwrap_or_default().to_vec()
}

/// Bytes in a file of their own.
pub fn kept(bytes: &[u8]) -> Result<TempFile, MediaError> {
    let file = TempFile::new().and_then(|mut file| file.append(bytes).map(|()| file));
    file.map_err(|error| {
        tracing::warn!("no room in the temporary folder: {error}");
        MediaError::Busy
    })
}

/// What follows `data:`.
fn data(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_at_checked(5)?;
    scheme.eq_ignore_ascii_case("data:").then_some(rest)
}

/// Work that would hold up the other requests of this thread.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    spawn_blocking(work).await.unwrap_or(Err(MediaError::Damaged))
}
