//! Which frames of a clip a model sees, when, and how large: transformers' `Qwen3VLVideoProcessor` in its own arithmetic.

use crate::{MediaError, VideoSpec, resize::fit};

/// A part's wishes for a clip; what is left out is the model's own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// Frames of each second.
    pub fps: Option<f64>,
    /// Frames in all; goes before `fps`.
    pub num_frames: Option<u32>,
    /// Fewest frames, where they are chosen by `fps`.
    pub min_frames: Option<u32>,
    /// Most frames, where they are chosen by `fps`.
    pub max_frames: Option<u32>,
    /// Smallest area of one frame in pixels (DashScope's and qwen-vl-utils' `min_pixels`).
    pub frame_min_pixels: Option<u64>,
    /// Largest area of one frame in pixels (their `max_pixels`).
    pub frame_max_pixels: Option<u64>,
    /// Smallest number of pixels of all frames together (transformers' `size.shortest_edge`).
    pub min_pixels: Option<u64>,
    /// Largest number of pixels of all frames together (`size.longest_edge`, qwen-vl-utils' `total_pixels`).
    pub max_pixels: Option<u64>,
}

impl Sampling {
    /// The frames to take of a clip with `total` frames at `rate` a second (`sample_frames`); `limit` is the most that
    /// may be taken. In order; a frame may come twice where more are asked for than there are. Never empty.
    ///
    /// # Errors
    /// [`MediaError::TooManyFrames`] when more than `limit` are asked for by number.
    pub fn indices(&self, spec: &VideoSpec, total: u64, rate: f64, limit: u32) -> Result<Vec<u64>, MediaError> {
        if [self.num_frames, self.min_frames, self.max_frames].into_iter().flatten().any(|n| n > limit) {
            return Err(MediaError::TooManyFrames(limit));
        }
        let total = total.max(1);
        let count = match self.num_frames {
            Some(count) => u64::from(count),
            None => {
                let fps = self.fps.unwrap_or(spec.fps);
                // Towards zero, as Python's `int`.
                let count = (total as f64 / rate * fps) as u64;
                let min = self.min_frames.unwrap_or(spec.min_frames);
                let max = self.max_frames.unwrap_or(spec.max_frames).min(limit);
                count.max(u64::from(min)).min(u64::from(max)).min(total)
            }
        };
        Ok(spread(total - 1, count.max(1)))
    }

    /// `(height, width)` of each of `frames` frames (`resize` without `cap_pixels_per_frame`, as is its default).
    ///
    /// # Errors
    /// [`MediaError::AspectRatio`] beyond 200 to 1.
    pub fn size(
        &self,
        spec: &VideoSpec,
        factor: u32,
        frames: usize,
        height: u32,
        width: u32,
    ) -> Result<(u32, u32), MediaError> {
        let all = |pixels: Option<u64>| pixels.map(|p| p.saturating_mul(frames as u64));
        let most = self.max_pixels.unwrap_or(spec.max_pixels).min(spec.max_pixels);
        let most = all(self.frame_max_pixels).map_or(most, |p| p.min(most)).max(1);
        let least = self.min_pixels.or(all(self.frame_min_pixels)).unwrap_or(spec.min_pixels);
        smart_resize(frames, height, width, factor, least.min(most), most)
    }
}

/// numpy's `linspace(0, last, count).round()`.
fn spread(last: u64, count: u64) -> Vec<u64> {
    if count <= 1 {
        return vec![0];
    }
    let step = last as f64 / (count - 1) as f64;
    let mut all: Vec<u64> = (0..count).map(|i| (i as f64 * step).round_ties_even() as u64).collect();
    if let Some(end) = all.last_mut() {
        *end = last;
    }
    all
}

/// transformers' `smart_resize` of `video_processing_qwen3_vl`, two frames a temporal patch: the area of all frames
/// together lies within the bounds. Python's rounding (half to even). Returns `(height, width)`.
///
/// # Errors
/// [`MediaError::AspectRatio`] beyond 200 to 1.
pub fn smart_resize(
    frames: usize,
    height: u32,
    width: u32,
    factor: u32,
    min: u64,
    max: u64,
) -> Result<(u32, u32), MediaError> {
    let (n, f) = (frames.max(2) as f64, f64::from(factor));
    let (mut h, mut w) = (f64::from(height), f64::from(width));
    if h < f || w < f {
        let scale = (f / h).max(f / w);
        (h, w) = ((h * scale).trunc(), (w * scale).trunc());
    }
    fit(h, w, (n, (n / 2.0).round_ties_even() * 2.0), factor, (min, max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_of_nothing_has_a_frame_and_no_number_passes_the_limit() {
        let spec = VideoSpec::QWEN3_VL;
        assert_eq!(Sampling::default().indices(&spec, 0, 24.0, 768), Ok(vec![0]));
        let many = |s: Sampling| s.indices(&spec, 10_000_000, 30.0, 768);
        assert_eq!(many(Sampling::default()).unwrap().len(), 768);
        assert_eq!(many(Sampling { fps: Some(1e300), ..Sampling::default() }).unwrap().len(), 768);
        assert_eq!(
            many(Sampling { num_frames: Some(769), ..Sampling::default() }),
            Err(MediaError::TooManyFrames(768))
        );
        assert_eq!(many(Sampling { num_frames: Some(0), ..Sampling::default() }), Ok(vec![0]));
    }

    #[test]
    fn bounds_of_one_frame_narrow_those_of_all() {
        let small = Sampling { frame_max_pixels: Some(100 * 100), ..Sampling::default() };
        let (h, w) = small.size(&VideoSpec::QWEN3_VL, 32, 4, 720, 1280).unwrap();
        assert!(h * w <= 10_000, "{h}x{w}");
        let wide = Sampling { max_pixels: Some(u64::MAX), min_pixels: Some(u64::MAX), ..Sampling::default() };
        let (h, w) = wide.size(&VideoSpec::QWEN3_VL, 32, 768, 720, 1280).unwrap();
        assert!(u64::from(h) * u64::from(w) * 768 <= 26_000_000, "{h}x{w}");
    }
}
