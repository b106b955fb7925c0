//! From an `image_url` to a [`Picture`]: fetch or decode the URL, decode the picture within a memory budget, resize it.

use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use crate::{
    ContentHash, MediaConfig, MediaError, Picture, Sizing, VisionSpec,
    bicubic::resize,
    budget::Budget,
    data_url,
    decode::{self, Header},
    fetch::Fetcher,
    resize::smart_resize,
};

/// Where a picture comes from.
#[derive(Debug, Clone, Copy)]
pub struct ImageSource<'a> {
    /// A `data:` or `http(s)` URL.
    pub url: &'a str,
}

/// A resized picture is known by the hash of its encoded bytes and its height and width (before the EXIF orientation).
type Key = (ContentHash, u32, u32);

/// Takes pictures in, for the whole process: one memory budget, one cache.
#[derive(Debug)]
pub struct Resolver {
    image_bytes: usize,
    image_pixels: u64,
    fetcher: Fetcher,
    budget: Budget,
    resized: Cache<Key, Picture>,
}

/// A picture of which only the header was read.
struct Encoded {
    bytes: Vec<u8>,
    hash: ContentHash,
    header: Header,
}

impl Resolver {
    /// A resolver with an empty cache.
    ///
    /// # Errors
    /// [`MediaError::Config`].
    pub fn new(config: MediaConfig) -> Result<Self, MediaError> {
        let resized = Cache::builder()
            .max_capacity(config.cache_bytes)
            .weigher(|_, p: &Picture| u32::try_from(p.rgb.len()).unwrap_or(u32::MAX))
            .build();
        Ok(Self {
            image_bytes: config.image_bytes,
            image_pixels: config.image_pixels,
            fetcher: Fetcher::new(&config)?,
            budget: Budget::new(&config),
            resized,
        })
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
    ) -> Result<Picture, MediaError> {
        let encoded = self.encoded(source.url.trim()).await?;
        self.sized(encoded, spec, sizing).await
    }

    /// The same of a picture's encoded bytes, where they are here already.
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn image_bytes(&self, bytes: Vec<u8>, spec: &VisionSpec, sizing: &Sizing) -> Result<Picture, MediaError> {
        let (limit, pixels) = (self.image_bytes, self.image_pixels);
        if bytes.len() > limit {
            return Err(MediaError::FileTooLarge(limit >> 20));
        }
        let encoded = blocking(move || encoded(bytes, pixels)).await?;
        self.sized(encoded, spec, sizing).await
    }

    /// Bytes of one encoded picture, at the most.
    #[must_use]
    pub const fn image_limit(&self) -> usize {
        self.image_bytes
    }

    async fn sized(&self, encoded: Encoded, spec: &VisionSpec, sizing: &Sizing) -> Result<Picture, MediaError> {
        let (min, max) = sizing.bounds(spec);
        let factor = spec.factor();
        let Header { width, height, .. } = encoded.header;
        let (rows, columns) = smart_resize(height, width, factor, min, max)?;
        let key = (encoded.hash, rows, columns);
        if let Some(hit) = self.resized.get(&key) {
            return Ok(hit);
        }
        // What resizing holds: the result twice (its bytes become an `Arc`) and the pass between.
        let between = u64::from(height.max(width)) * u64::from(rows.max(columns));
        let target = 3 * (2 * u64::from(rows) * u64::from(columns) + between);
        let permit = self.budget.wait(encoded.header.memory() + target).await?;
        let cache = self.resized.clone();
        blocking(move || {
            let _permit = permit;
            if let Some(hit) = cache.get(&key) {
                return Ok(hit);
            }
            let upright = decode::decode(&encoded.bytes, encoded.header)?;
            drop(encoded);
            let (height, width) = smart_resize(upright.height(), upright.width(), factor, min, max)?;
            let picture = Picture::new(width, height, resize(upright, height, width));
            cache.insert(key, picture.clone());
            Ok(picture)
        })
        .await
    }

    /// The bytes behind a URL, hashed, with what their header says.
    async fn encoded(&self, url: &str) -> Result<Encoded, MediaError> {
        let (limit, pixels) = (self.image_bytes, self.image_pixels);
        let read = move |bytes| encoded(bytes, pixels);
        match url.split_at_checked(5) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("data:") => {
                data_url::within(rest, limit)?;
                let rest = rest.to_owned();
                blocking(move || read(data_url::decode(&rest, limit)?)).await
            }
            _ => {
                let bytes = self.fetcher.get(url).await?;
                blocking(move || read(bytes)).await
            }
        }
    }
}

fn encoded(bytes: Vec<u8>, pixels: u64) -> Result<Encoded, MediaError> {
    let header = decode::header(&bytes, pixels)?;
    Ok(Encoded { hash: Sha256::digest(&bytes).into(), header, bytes })
}

/// Work that would hold up the other requests of this thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    spawn_blocking(work).await.unwrap_or(Err(MediaError::Damaged))
}
