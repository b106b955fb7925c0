//! The model's own sizes.

use crate::{MediaError, VisionSpec};

/// How much of a picture the client wants the model to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// At most 256 tokens.
    Low,
    /// The model's own maximum.
    High,
    /// At most 1280 tokens.
    #[default]
    Auto,
}

/// A part's wishes; they narrow the model's own bounds and never widen them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizing {
    /// OpenAI's `detail`.
    pub detail: Detail,
    /// Smallest area in pixels (vLLM's `min_pixels`).
    pub min_pixels: Option<u64>,
    /// Largest area in pixels (vLLM's `max_pixels`).
    pub max_pixels: Option<u64>,
}

impl Sizing {
    /// The area bounds that apply for a model.
    #[must_use]
    pub fn bounds(&self, spec: &VisionSpec) -> (u64, u64) {
        let token = u64::from(spec.factor()).pow(2);
        let tokens = match self.detail {
            Detail::Low => Some(256),
            Detail::Auto => Some(1280),
            Detail::High => None,
        };
        let most = self.max_pixels.or(tokens.map(|t| t * token)).unwrap_or(spec.max_pixels);
        let most = most.clamp(spec.min_pixels, spec.max_pixels.max(spec.min_pixels));
        (self.min_pixels.unwrap_or(spec.min_pixels).clamp(spec.min_pixels, most), most)
    }
}

/// transformers' `smart_resize` (image_processing_qwen2_vl): both sides multiples of `factor`, the area within the
/// bounds, the aspect ratio kept as far as that goes. Python's rounding (half to even). Returns `(height, width)`.
///
/// # Errors
/// [`MediaError::AspectRatio`] beyond 200 to 1.
pub fn smart_resize(height: u32, width: u32, factor: u32, min: u64, max: u64) -> Result<(u32, u32), MediaError> {
    fit(f64::from(height), f64::from(width), (1.0, 1.0), factor, (min, max))
}

/// What the rules of pictures and of clips share: `frames` are those that there are and those that are counted, and the bounds
/// are of the area of all of them. Returns `(height, width)`.
///
/// # Errors
/// [`MediaError::AspectRatio`] beyond 200 to 1.
pub fn fit(
    h: f64,
    w: f64,
    (frames, counted): (f64, f64),
    factor: u32,
    (min, max): (u64, u64),
) -> Result<(u32, u32), MediaError> {
    if h.max(w) / h.min(w) > 200.0 {
        return Err(MediaError::AspectRatio);
    }
    let (f, min, max) = (f64::from(factor), min as f64, max as f64);
    let (mut h_bar, mut w_bar) = ((h / f).round_ties_even() * f, (w / f).round_ties_even() * f);
    if counted * h_bar * w_bar > max {
        let beta = (frames * h * w / max).sqrt();
        h_bar = ((h / beta / f).floor() * f).max(f);
        w_bar = ((w / beta / f).floor() * f).max(f);
    } else if counted * h_bar * w_bar < min {
        let beta = (min / (frames * h * w)).sqrt();
        h_bar = (h * beta / f).ceil() * f;
        w_bar = (w * beta / f).ceil() * f;
    }
    Ok((h_bar as u32, w_bar as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_transformers_own() {
        let real = |h, w| smart_resize(h, w, 32, 65_536, 16_777_216);
        // Made with transformers.models.qwen2_vl.image_processing_qwen2_vl.smart_resize (5.23).
        assert_eq!(real(480, 640), Ok((480, 640)));
        assert_eq!(real(131, 97), Ok((320, 224)));
        assert_eq!(real(200, 1500), Ok((192, 1504)));
        assert_eq!(real(20, 20), Ok((256, 256)));
        assert_eq!(real(1, 1), Ok((256, 256)));
        assert_eq!(real(6000, 8000), Ok((3520, 4704)));
        assert_eq!(real(1, 201), Err(MediaError::AspectRatio));
    }

    #[test]
    fn detail_narrows_the_models_bounds() {
        let bounds = |detail| Sizing { detail, ..Sizing::default() }.bounds(&VisionSpec::QWEN3_VL);
        assert_eq!(bounds(Detail::Low), (65_536, 262_144));
        assert_eq!(bounds(Detail::Auto), (65_536, 1_310_720));
        assert_eq!(bounds(Detail::High), (65_536, 16_777_216));
        let wide = Sizing { min_pixels: Some(1), max_pixels: Some(u64::MAX), detail: Detail::Low };
        assert_eq!(wide.bounds(&VisionSpec::QWEN3_VL), (65_536, 16_777_216));
    }
}
