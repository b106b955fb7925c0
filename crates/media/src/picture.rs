//! Pixels as a model sees them: bounded, upright, opaque RGB, already resized by the model's own rule.

use std::sync::Arc;

use sha2::{Digest, Sha256};

/// SHA-256 of the pixels and their size: the key of every cache that a picture can hit
/// (fetched bytes, resized pixels, the engine's embedding cache, the KV prefix index).
pub type ContentHash = [u8; 32];

/// How a model family cuts a picture into tokens (transformers' `preprocessor_config.json`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisionSpec {
    /// Side of one patch in pixels (`patch_size`, 16 for Qwen3-VL).
    pub patch_size: u32,
    /// Patches merged per side into one token (`merge_size`, 2 for Qwen3-VL).
    pub merge_size: u32,
    /// Frames per temporal patch (`temporal_patch_size`, 2 for Qwen3-VL).
    pub temporal_patch_size: u32,
    /// Smallest area in pixels after resizing (`size.shortest_edge`; an area in spite of its name).
    pub min_pixels: u64,
    /// Largest area in pixels after resizing (`size.longest_edge`).
    pub max_pixels: u64,
    /// Per-channel mean of the normalisation, on the 0..1 scale.
    pub mean: [f32; 3],
    /// Per-channel standard deviation of the normalisation, on the 0..1 scale.
    pub std: [f32; 3],
    /// How clips are sampled and sized.
    pub video: VideoSpec,
}

/// How a model family samples a clip's frames and sizes them (transformers' `video_preprocessor_config.json`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoSpec {
    /// Frames taken of each second (`fps`).
    pub fps: f64,
    /// Fewest frames of a clip that has as many (`min_frames`).
    pub min_frames: u32,
    /// Most frames (`max_frames`).
    pub max_frames: u32,
    /// Smallest number of pixels of all frames together (`size.shortest_edge`).
    pub min_pixels: u64,
    /// Largest number of pixels of all frames together (`size.longest_edge`).
    pub max_pixels: u64,
}

impl VideoSpec {
    /// Qwen3-VL's own values: 2 frames a second, 4 to 768 frames, 4,096 to 25,165,824 pixels in all.
    pub const QWEN3_VL: Self =
        Self { fps: 2.0, min_frames: 4, max_frames: 768, min_pixels: 4096, max_pixels: 25_165_824 };

    /// Reads a `video_preprocessor_config.json`; what it leaves out is Qwen3-VL's own.
    #[must_use]
    pub fn from_preprocessor(config: &serde_json::Value) -> Self {
        let d = Self::QWEN3_VL;
        let number = |path: &str| config.pointer(path).and_then(serde_json::Value::as_u64).filter(|n| *n > 0);
        let frames = |path: &str, default: u32| number(path).and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
        let fps = config.get("fps").and_then(serde_json::Value::as_f64).filter(|f| f.is_finite() && *f > 0.0);
        Self {
            fps: fps.unwrap_or(d.fps),
            min_frames: frames("/min_frames", d.min_frames),
            max_frames: frames("/max_frames", d.max_frames),
            min_pixels: number("/size/shortest_edge").unwrap_or(d.min_pixels),
            max_pixels: number("/size/longest_edge").unwrap_or(d.max_pixels),
        }
    }
}

impl VisionSpec {
    /// Qwen3-VL's own values: patch 16, merge 2, 65,536 to 16,777,216 pixels, mean and std 0.5.
    pub const QWEN3_VL: Self = Self {
        patch_size: 16,
        merge_size: 2,
        temporal_patch_size: 2,
        min_pixels: 65_536,
        max_pixels: 16_777_216,
        mean: [0.5; 3],
        std: [0.5; 3],
        video: VideoSpec::QWEN3_VL,
    };

    /// Pixels per side of one token (`patch_size * merge_size`, 32 for Qwen3-VL).
    #[must_use]
    pub const fn factor(&self) -> u32 {
        self.patch_size * self.merge_size
    }
}

/// One picture, ready for the vision tower: `height * width * 3` bytes of RGB, both sides multiples of
/// [`VisionSpec::factor`].
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Row-major RGB, 8 bits a channel, `height * width * 3` bytes.
    pub rgb: Arc<[u8]>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// SHA-256 over size and pixels.
    pub hash: ContentHash,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

impl Picture {
    /// The patch grid `[temporal, height, width]` that transformers calls `image_grid_thw`.
    #[must_use]
    pub fn grid(&self, spec: &VisionSpec) -> [u32; 3] {
        [1, self.height / spec.patch_size, self.width / spec.patch_size]
    }

    /// A picture of `height * width * 3` bytes of RGB, hashed: SHA-256 over width and height (32-bit little endian), then
    /// the pixels.
    #[must_use]
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Self {
        let mut hash = Sha256::new();
        hash.update(width.to_le_bytes());
        hash.update(height.to_le_bytes());
        hash.update(&rgb);
        Self { hash: hash.finalize().into(), rgb: rgb.into(), width, height }
    }

    /// Tokens that this picture costs in the prompt, without the two vision markers around it.
    #[must_use]
    pub fn tokens(&self, spec: &VisionSpec) -> u32 {
        let side = spec.factor();
        (self.height / side) * (self.width / side)
    }
}

/// A clip: frames of one size in temporal order, sampled by the model's own rule, an even number of them
/// (the last is repeated where the sampling gave an odd number, as transformers does).
#[derive(Clone, PartialEq)]
pub struct Clip {
    /// Frames in order; all have the same size.
    pub frames: Vec<Picture>,
    /// Time of each temporal patch (a pair of frames) in seconds: the mean of the pair's times. Not rounded: a stamp's
    /// one decimal depends on all of them.
    pub stamps: Vec<f64>,
    /// SHA-256 over the frames' hashes and the stamps.
    pub hash: ContentHash,
}

impl Clip {
    /// A clip of frames of one size and their times in seconds, as many. An odd last frame is repeated with its time
    /// (`Qwen3VLProcessor._calculate_timestamps`, `Qwen3VLVideoProcessor.patchify`).
    #[must_use]
    pub fn new(mut frames: Vec<Picture>, times: &[f64]) -> Self {
        let mut times = times.to_vec();
        if !frames.len().is_multiple_of(2) {
            frames.extend(frames.last().cloned());
            times.extend(times.last().copied());
        }
        let pairs = times.chunks_exact(2).filter_map(|pair| Some(f64::midpoint(*pair.first()?, *pair.last()?)));
        let stamps: Vec<f64> = pairs.collect();
        let mut hash = Sha256::new();
        frames.iter().for_each(|f| hash.update(f.hash));
        stamps.iter().for_each(|s| hash.update(s.to_bits().to_le_bytes()));
        Self { hash: hash.finalize().into(), frames, stamps }
    }

    /// Tokens that this clip costs in the prompt, without stamps and vision markers.
    #[must_use]
    pub fn tokens(&self, spec: &VisionSpec) -> u32 {
        let one = self.frames.first().map_or(0, |f| f.tokens(spec));
        one.saturating_mul(u32::try_from(self.frames.len().div_ceil(2)).unwrap_or(u32::MAX))
    }
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clip({} frames)", self.frames.len())
    }
}

impl VisionSpec {
    /// Reads a `preprocessor_config.json`; what it leaves out, or holds in another shape, is Qwen3-VL's own. `min_pixels`
    /// and `max_pixels` go before `size`, as in transformers (`Qwen2VLImageProcessor.__init__`).
    #[must_use]
    pub fn from_preprocessor(config: &serde_json::Value) -> Self {
        let d = Self::QWEN3_VL;
        let number = |path: &str| config.pointer(path).and_then(serde_json::Value::as_u64);
        let area = |path: &str| number(path).filter(|n| *n > 0);
        let side = |path: &str, default: u32| {
            number(path).and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=1024).contains(n)).unwrap_or(default)
        };
        let three = |key: &str, default: [f32; 3]| {
            let list = config.get(key).and_then(serde_json::Value::as_array)?;
            let values: Vec<f32> = list.iter().filter_map(|v| v.as_f64().map(|n| n as f32)).collect();
            Some(<[f32; 3]>::try_from(values).unwrap_or(default))
        };
        Self {
            patch_size: side("/patch_size", d.patch_size),
            merge_size: side("/merge_size", d.merge_size),
            temporal_patch_size: side("/temporal_patch_size", d.temporal_patch_size),
            min_pixels: area("/min_pixels").or_else(|| area("/size/shortest_edge")).unwrap_or(d.min_pixels),
            max_pixels: area("/max_pixels").or_else(|| area("/size/longest_edge")).unwrap_or(d.max_pixels),
            mean: three("image_mean", d.mean).unwrap_or(d.mean),
            std: three("image_std", d.std).unwrap_or(d.std),
            video: d.video,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preprocessor_config_is_read() {
        let qwen3 = serde_json::json!({
            "size": {"longest_edge": 16777216, "shortest_edge": 65536}, "patch_size": 16, "temporal_patch_size": 2,
            "merge_size": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]
        });
        assert_eq!(VisionSpec::from_preprocessor(&qwen3), VisionSpec::QWEN3_VL);
        assert_eq!(VisionSpec::from_preprocessor(&serde_json::json!(null)), VisionSpec::QWEN3_VL);
        let old = serde_json::json!({"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "image_mean": [0.48, 0.45, 0.4]});
        let spec = VisionSpec::from_preprocessor(&old);
        assert_eq!((spec.min_pixels, spec.max_pixels, spec.factor()), (3136, 12_845_056, 28));
        assert_eq!((spec.mean, spec.std), ([0.48, 0.45, 0.4], [0.5; 3]));
        let odd =
            serde_json::json!({"patch_size": 0, "merge_size": 1e9, "size": {"shortest_edge": 0}, "image_std": [1]});
        assert_eq!(VisionSpec::from_preprocessor(&odd), VisionSpec::QWEN3_VL);
    }

    #[test]
    fn a_video_preprocessor_config_is_read() {
        let tiny = serde_json::json!({"size": {"longest_edge": 1_048_576, "shortest_edge": 4096}, "fps": 1.5, "max_frames": 32});
        let spec = VideoSpec::from_preprocessor(&tiny);
        assert_eq!(spec, VideoSpec { fps: 1.5, max_frames: 32, max_pixels: 1_048_576, ..VideoSpec::QWEN3_VL });
        assert_eq!(VideoSpec::from_preprocessor(&serde_json::json!(null)), VideoSpec::QWEN3_VL);
        assert_eq!(VideoSpec::from_preprocessor(&serde_json::json!({"fps": 0})), VideoSpec::QWEN3_VL);
    }

    #[test]
    fn an_odd_last_frame_is_repeated() {
        let frame = |n| Picture::new(1, 1, vec![n; 3]);
        let clip = Clip::new(vec![frame(1), frame(2), frame(3)], &[0.0, 0.5, 1.25]);
        assert_eq!(clip.stamps, [0.25, 1.25]);
        assert_eq!(clip.frames, [frame(1), frame(2), frame(3), frame(3)]);
        assert_ne!(clip.hash, Clip::new(clip.frames.clone(), &[0.0, 0.5, 1.25, 1.5]).hash);
    }

    #[test]
    fn the_hash_knows_the_shape() {
        let (wide, high) = (Picture::new(2, 1, vec![7; 6]), Picture::new(1, 2, vec![7; 6]));
        assert_ne!(wide.hash, high.hash);
        assert_eq!(wide, Picture::new(2, 1, vec![7; 6]));
    }
}
