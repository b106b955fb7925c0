//! From an `image_url` to a [`Picture`]: fetch or decode the URL, decode the picture within a memory budget, resize it.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::{
    ContentHash, MediaConfig, MediaError, Picture, Sizing, VisionSpec, data_url, decode,
    fetch::Fetcher,
    resize::{resize, smart_resize},
};

/// Memory is budgeted in units of this many bytes.
const UNIT: u64 = 1 << 20;

/// Where a picture comes from.
#[derive(Debug, Clone, Copy)]
pub struct ImageSource<'a> {
    /// A `data:` or `http(s)` URL.
    pub url: &'a str,
}

/// Takes pictures in, for the whole process: one memory budget, one cache.
#[derive(Debug)]
pub struct Resolver {
    config: MediaConfig,
    fetcher: Fetcher,
    memory: Arc<Semaphore>,
    /// Resized pictures by the hash of the encoded bytes and the size.
    resized: Cache<(ContentHash, u32, u32), Picture>,
}

impl Resolver {
    /// # Errors
    /// [`MediaError::Config`].
    pub fn new(config: MediaConfig) -> Result<Self, MediaError> {
        let resized = Cache::builder()
            .max_capacity(config.cache_bytes)
            .weigher(|_, p: &Picture| u32::try_from(p.rgb.len()).unwrap_or(u32::MAX))
            .build();
        let units = (config.decode_memory as u64 / UNIT).max(1) as usize;
        Ok(Self { fetcher: Fetcher::new(&config)?, memory: Arc::new(Semaphore::new(units)), resized, config })
    }

    /// One picture at the size that the model sees.
    ///
    /// # Errors
    /// [`MediaError`], with a message that is safe to show.
    pub async fn image(&self, source: ImageSource<'_>, spec: &VisionSpec, sizing: &Sizing) -> Result<Picture, MediaError> {
        let url = source.url.trim();
        let bytes = match url.get(..5) {
            Some(scheme) if scheme.eq_ignore_ascii_case("data:") => {
                data_url::decode(url.get(5..).unwrap_or_default(), self.config.image_bytes)?
            }
            _ => self.fetcher.get(url).await?,
        };
        let header = decode::header(&bytes, self.config.image_pixels)?;
        let hash: ContentHash = Sha256::digest(&bytes).into();
        let (min, max) = sizing.bounds(spec);
        let factor = spec.factor();
        let units = header.memory().div_ceil(UNIT).min(self.config.decode_memory as u64 / UNIT).max(1);
        let permit = Arc::clone(&self.memory).acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX));
        let permit = within(self.config.decode_wait, permit).await?;
        let cache = self.resized.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let as_stored = smart_resize(header.height, header.width, factor, min, max)?;
            if let Some(hit) = cache.get(&(hash, as_stored.0, as_stored.1)) {
                return Ok(hit);
            }
            let picture = decode::decode(&bytes, header)?;
            let (height, width) = smart_resize(picture.height(), picture.width(), factor, min, max)?;
            let rgb = resize(picture, height, width)?;
            let picture = Picture { hash: pixel_hash(width, height, &rgb), rgb: rgb.into(), width, height };
            cache.insert((hash, as_stored.0, as_stored.1), picture.clone());
            Ok(picture)
        });
        work.await.unwrap_or(Err(MediaError::Damaged))
    }
}

async fn within<T, E>(time: Duration, work: impl Future<Output = Result<T, E>>) -> Result<T, MediaError> {
    match tokio::time::timeout(time, work).await {
        Ok(Ok(done)) => Ok(done),
        _ => Err(MediaError::Busy),
    }
}

fn pixel_hash(width: u32, height: u32, rgb: &[u8]) -> ContentHash {
    let mut hash = Sha256::new();
    hash.update(width.to_le_bytes());
    hash.update(height.to_le_bytes());
    hash.update(rgb);
    hash.finalize().into()
}
