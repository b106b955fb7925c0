//! A clip that comes as pictures of its frames.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::{Sampling, finish};
use crate::{
    Clip, FrameSeen, MediaError, Medium, Picture, Resolved, Seen, VisionSpec,
    bicubic::resize,
    decode,
    named::{Kept, Name},
    resolver::{Encoded, Resolver, blocking},
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
    /// none, they follow each other at the rate that `wish` or the model has. Frames with a name are kept under it, if they are
    /// small enough.
    ///
    /// # Errors
    /// [`MediaError`] and the number of the frame that it is about.
    pub async fn frames(
        &self,
        urls: &[&str],
        times: Option<&[f64]>,
        name: Option<Name>,
        spec: &VisionSpec,
        wish: &Sampling,
    ) -> Result<Resolved<Clip>, (usize, MediaError)> {
        let frames = urls.iter().map(|url| Frame::Url(url)).collect();
        let (clip, all) = self.frames_of(frames, times, spec, wish, name.is_some()).await?;
        if let Some(name) = name
            && all.len() == urls.len()
        {
            self.named.keep(name, Kept::Frames { all, times: times.map(<[f64]>::to_vec) });
        }
        Ok(clip)
    }

    /// The clip and, where it is to be kept and is small enough for that, its frames as they came.
    pub(super) async fn frames_of(
        &self,
        urls: Vec<Frame<'_>>,
        times: Option<&[f64]>,
        spec: &VisionSpec,
        wish: &Sampling,
        keep: bool,
    ) -> Result<(Resolved<Clip>, Vec<Arc<Vec<u8>>>), (usize, MediaError)> {
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
            None => {
                (0u32..).zip(&urls).map(|(i, _)| FrameSeen { index: i.into(), time: f64::from(i) / rate }).collect()
            }
            Some(times) if times.len() != urls.len() => {
                return Err(whole(MediaError::Frames("'times' must have one time for each frame.")));
            }
            Some(times) if !times.is_sorted() || times.iter().any(|t| !t.is_finite() || *t < 0.0) => {
                return Err(whole(MediaError::Frames("'times' must be seconds in order.")));
            }
            Some(times) => (0..).zip(times).map(|(index, time)| FrameSeen { index, time: *time }).collect(),
        };
        // A share of what is kept for each, so that no more is held meanwhile.
        let share = if keep { self.config.named_bytes / urls.len() as u64 } else { 0 };
        let mut sizes = Sizes { before: None, count: urls.len(), spec, wish, share };
        let mut urls = (0..).zip(urls);
        let Some((_, first)) = urls.next() else { return Err(whole(MediaError::Empty)) };
        let first = self.frame(first, &mut sizes).await.map_err(|e| (0, e))?;
        // Not a stream of closures: those keep the future from being sent to another thread.
        let each: Vec<_> = urls.map(|(i, url)| self.next(i, url, sizes)).collect();
        let rest: Vec<Taken> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
        let (pictures, encoded): (Vec<_>, Vec<_>) = std::iter::once(first).chain(rest).unzip();
        let seen = Seen { before: sizes.before, frames, ..Seen::new(Medium::Video, "frames") };
        let clip = finish(pictures, seen, spec).map_err(whole)?;
        Ok((clip, encoded.into_iter().flatten().collect()))
    }

    /// A further one, with its number where it fails.
    async fn next(&self, number: usize, frame: Frame<'_>, mut sizes: Sizes<'_>) -> Result<Taken, (usize, MediaError)> {
        self.frame(frame, &mut sizes).await.map_err(|e| (number, e))
    }

    /// One of them, at the size that the first has led to.
    async fn frame(&self, frame: Frame<'_>, sizes: &mut Sizes<'_>) -> Result<Taken, MediaError> {
        let encoded = match frame {
            Frame::Url(url) => self.encoded(url).await?,
            Frame::Kept(bytes) => self.read(bytes).await?,
        };
        let kept = (encoded.bytes.len() as u64 <= sizes.share).then(|| Arc::clone(&encoded.bytes));
        let child = self.child_for(&encoded).await?;
        // Twice the picture for resizing: its size is known within bounds only.
        let permit = self.budget.wait(encoded.header.memory() * 2).await?;
        let Encoded { header, bytes, .. } = self.unpacked(encoded, child).await?;
        let upright = blocking(move || {
            let upright = decode::decode(&bytes, header)?;
            Ok((upright, permit))
        });
        let (upright, permit) = upright.await?;
        let (height, width) = sizes.of(upright.dimensions())?;
        blocking(move || {
            let _permit = permit;
            Ok((Picture::new(width, height, resize(upright, height, width)), kept))
        })
        .await
    }
}

/// Where a frame comes from.
pub enum Frame<'a> {
    Url(&'a str),
    /// Kept under its clip's name.
    Kept(Arc<Vec<u8>>),
}

/// A frame at its size, and as it came where it is to be kept.
type Taken = (Picture, Option<Arc<Vec<u8>>>);

/// The size of all frames.
#[derive(Clone, Copy)]
struct Sizes<'a> {
    /// Width and height of the first, upright.
    before: Option<(u32, u32)>,
    count: usize,
    spec: &'a VisionSpec,
    wish: &'a Sampling,
    /// Bytes of one that are kept, at the most.
    share: u64,
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
