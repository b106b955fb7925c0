//! A clip that comes as pictures of its frames.

use futures::{StreamExt, TryStreamExt, stream};

use super::{Sampling, finish};
use crate::{
    Clip, FrameSeen, MediaError, Medium, Picture, Resolved, Seen, VisionSpec,
    bicubic::resize,
    decode,
    resolver::{Resolver, blocking},
};

/// Frames that are fetched and decoded at once.
const AT_ONCE: usize = 4;

/// The JPEGs of a `data:video/jpeg;base64,` URL (vLLM's form of a list of frames).
pub fn listed(url: &str) -> Option<impl Iterator<Item = &str>> {
    const HEAD: &str = "data:video/jpeg;base64,";
    let (head, list) = url.split_at_checked(HEAD.len())?;
    head.eq_ignore_ascii_case(HEAD).then(|| list.split(',').map(str::trim).filter(|one| !one.is_empty()))
}

impl Resolver {
    /// A clip whose frames are given as pictures, all taken as they are. `times` are theirs in seconds; where there are
    /// none, they follow each other at the rate that `wish` or the model has.
    ///
    /// # Errors
    /// [`MediaError`] and the number of the frame that it is about.
    pub async fn frames(
        &self,
        urls: &[&str],
        times: Option<&[f64]>,
        spec: &VisionSpec,
        wish: &Sampling,
    ) -> Result<Resolved<Clip>, (usize, MediaError)> {
        let whole = |error: MediaError| (0, error.of(Medium::Video));
        if urls.is_empty() {
            return Err(whole(MediaError::Empty));
        }
        let limit = self.config.video_frames;
        if urls.len() > limit as usize {
            return Err((limit as usize, MediaError::TooManyFrames(limit).of(Medium::Video)));
        }
        let rate = wish.fps.unwrap_or(spec.video.fps);
        let frames: Vec<FrameSeen> = match times {
            None => (0u32..).zip(urls).map(|(i, _)| FrameSeen { index: i.into(), time: f64::from(i) / rate }).collect(),
            Some(times) if times.len() != urls.len() => {
                return Err(whole(MediaError::Frames("'times' must have one time for each frame.")));
            }
            Some(times) if !times.is_sorted() || times.iter().any(|t| !t.is_finite() || *t < 0.0) => {
                return Err(whole(MediaError::Frames("'times' must be seconds in order.")));
            }
            Some(times) => (0..).zip(times).map(|(index, time)| FrameSeen { index, time: *time }).collect(),
        };
        let mut sizes = Sizes { before: None, count: urls.len(), spec, wish };
        let first = urls.first().copied().unwrap_or_default();
        let first = self.frame(first, &mut sizes).await.map_err(|e| (0, e))?;
        let rest: Vec<Picture> = stream::iter(urls.iter().enumerate().skip(1))
            .map(|(i, url)| {
                let mut sizes = sizes;
                async move { self.frame(url, &mut sizes).await.map_err(|e| (i, e)) }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let pictures = std::iter::once(first).chain(rest).collect();
        let seen = Seen { before: sizes.before, frames, ..Seen::new(Medium::Video, "frames") };
        finish(pictures, seen, spec).map_err(whole)
    }

    /// One of them, at the size that the first has led to.
    async fn frame(&self, url: &str, sizes: &mut Sizes<'_>) -> Result<Picture, MediaError> {
        let encoded = self.encoded(url).await?;
        let (header, bytes) = (encoded.header, encoded.bytes);
        // Twice the picture for resizing: its size is known within bounds only.
        let permit = self.budget.wait(header.memory() * 2).await?;
        let upright = blocking(move || {
            let upright = decode::decode(&bytes, header)?;
            Ok((upright, permit))
        });
        let (upright, permit) = upright.await?;
        let (height, width) = sizes.of(upright.dimensions())?;
        blocking(move || {
            let _permit = permit;
            Ok(Picture::new(width, height, resize(upright, height, width)))
        })
        .await
    }
}

/// The size of all frames.
#[derive(Clone, Copy)]
struct Sizes<'a> {
    /// Width and height of the first, upright.
    before: Option<(u32, u32)>,
    count: usize,
    spec: &'a VisionSpec,
    wish: &'a Sampling,
}

impl Sizes<'_> {
    /// `(height, width)` for a frame of this width and height.
    fn of(&mut self, (width, height): (u32, u32)) -> Result<(u32, u32), MediaError> {
        if *self.before.get_or_insert((width, height)) != (width, height) {
            let error = MediaError::Frames("all its frames must have the size of the first.");
            return Err(error.of(Medium::Video));
        }
        self.wish.size(&self.spec.video, self.spec.factor(), self.count, height, width)
    }
}
