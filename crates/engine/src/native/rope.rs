//! Rotary positions: transformers' frequencies (default and YaRN) and interleaved MRoPE.

use serde_json::Value;

/// Frequencies of the text model's rotary embedding and how they are shared between time, height and width.
#[derive(Debug, Clone, PartialEq)]
pub struct Frequencies {
    /// `head_dim / 2` inverse frequencies, radians per position.
    pub inverse: Vec<f32>,
    /// Which axis turns each pair: 0 time, 1 height, 2 width (transformers' `recomposition_frequencies`).
    pub axis: Vec<u8>,
    /// Factor of cosines and sines (YaRN's attention factor).
    pub scale: f32,
}

impl Frequencies {
    /// Reads `rope_scaling`, `rope_parameters` and `rope_theta` of a `text_config`.
    ///
    /// # Errors
    /// One sentence that names what is not known.
    pub fn new(text: &Value, head_dim: usize, context: usize) -> Result<Self, String> {
        let parameters = ["rope_parameters", "rope_scaling"].iter().find_map(|k| text.get(k).filter(|v| v.is_object()));
        let get = |key: &str| parameters.and_then(|p| p.get(key)).filter(|v| !v.is_null());
        let number = |key: &str| get(key).and_then(Value::as_f64);
        let theta =
            number("rope_theta").or_else(|| text.get("rope_theta").and_then(Value::as_f64)).unwrap_or(500_000.0);
        let kind = get("rope_type").or_else(|| get("type")).and_then(Value::as_str).unwrap_or("default");
        let base = periods(theta, head_dim);
        let (inverse, scale) = match kind {
            "default" | "mrope" => (base.iter().map(|p| 1.0 / p).collect(), 1.0),
            "yarn" => {
                let original = number("original_max_position_embeddings").unwrap_or(context as f64);
                Yarn {
                    factor: number("factor").unwrap_or(context as f64 / original),
                    attention: number("attention_factor"),
                    mscale: number("mscale").unwrap_or(0.0),
                    mscale_all_dim: number("mscale_all_dim").unwrap_or(0.0),
                    beta_fast: number("beta_fast").filter(|b| *b != 0.0).unwrap_or(32.0),
                    beta_slow: number("beta_slow").filter(|b| *b != 0.0).unwrap_or(1.0),
                    truncate: get("truncate").and_then(Value::as_bool).unwrap_or(true),
                    original,
                }
                .apply(&base, theta, head_dim)?
            }
            other => return Err(format!("config.json: rope type '{other}' is not known; default and yarn are")),
        };
        let section = get("mrope_section").and_then(Value::as_array);
        let section: Vec<usize> = match section {
            Some(list) => list.iter().filter_map(|v| usize::try_from(v.as_u64()?).ok()).collect(),
            None => vec![24, 20, 20],
        };
        let [_, height, width] = section.as_slice() else {
            return Err("config.json: mrope_section must have three numbers".into());
        };
        let axis = (0..head_dim / 2).map(|i| match i % 3 {
            1 if i < height * 3 => 1,
            2 if i < width * 3 => 2,
            _ => 0,
        });
        Ok(Self { axis: axis.collect(), inverse, scale })
    }

    /// Cosines and sines of rows at `positions` (time, height, width): each rows x `head_dim / 2`, appended.
    /// Products and angles are f32 as in `Qwen3VLTextRotaryEmbedding.forward`.
    pub fn tables(&self, positions: impl Iterator<Item = [u32; 3]>, cos: &mut Vec<f32>, sin: &mut Vec<f32>) {
        for [t, h, w] in positions {
            for (frequency, axis) in self.inverse.iter().zip(&self.axis) {
                let position = match axis {
                    0 => t,
                    1 => h,
                    _ => w,
                };
                let (s, c) = (position as f32 * frequency).sin_cos();
                cos.push(c * self.scale);
                sin.push(s * self.scale);
            }
        }
    }
}

/// `theta^(2i / dim)`, computed as torch does: the power in f32.
#[must_use]
pub fn periods(theta: f64, dim: usize) -> Vec<f32> {
    (0..dim / 2).map(|i| (theta as f32).powf((2 * i) as f32 / dim as f32)).collect()
}

/// transformers' `_compute_yarn_parameters`.
struct Yarn {
    factor: f64,
    attention: Option<f64>,
    mscale: f64,
    mscale_all_dim: f64,
    beta_fast: f64,
    beta_slow: f64,
    truncate: bool,
    original: f64,
}

impl Yarn {
    fn apply(&self, periods: &[f32], theta: f64, dim: usize) -> Result<(Vec<f32>, f32), String> {
        if !(self.factor > 0.0 && self.original > 0.0 && theta > 1.0) {
            return Err("config.json: YaRN needs a positive factor and original_max_position_embeddings".into());
        }
        let mscale = |m: f64| if self.factor <= 1.0 { 1.0 } else { 0.1 * m * self.factor.ln() + 1.0 };
        let attention = self.attention.unwrap_or_else(|| {
            if self.mscale != 0.0 && self.mscale_all_dim != 0.0 {
                mscale(self.mscale) / mscale(self.mscale_all_dim)
            } else {
                mscale(1.0)
            }
        });
        let d = dim as f64;
        let dimension =
            |rotations: f64| d * (self.original / (rotations * 2.0 * std::f64::consts::PI)).ln() / (2.0 * theta.ln());
        let (mut low, mut high) = (dimension(self.beta_fast), dimension(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        (low, high) = (low.max(0.0), high.min(d - 1.0));
        if low == high {
            high += 0.001;
        }
        let blend = periods.iter().enumerate().map(|(i, period)| {
            let ramp = ((i as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
            let keep = 1.0 - ramp;
            1.0 / (self.factor as f32 * period) * (1.0 - keep) + 1.0 / period * keep
        });
        Ok((blend.collect(), attention as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn axes_are_interleaved_and_the_rest_is_time() {
        let f = Frequencies::new(&json!({"rope_theta": 5e6, "rope_scaling": {"mrope_section": [24, 20, 20]}}), 128, 1)
            .unwrap();
        let of = |a: u8| f.axis.iter().filter(|x| **x == a).count();
        assert_eq!((of(0), of(1), of(2)), (24, 20, 20));
        assert_eq!(f.axis.get(..6), Some([0, 1, 2, 0, 1, 2].as_slice()));
        assert_eq!(f.axis.get(58..64), Some([1, 2, 0, 0, 0, 0].as_slice()));
    }

    /// `tests/data/yarn.py` made the numbers with transformers.
    #[test]
    fn yarn_is_transformers() {
        let all: Vec<Value> = serde_json::from_str(include_str!("../../tests/data/yarn.json")).unwrap();
        assert_eq!(all.len(), 3);
        for case in all {
            let text = json!({"rope_theta": 5e6, "rope_scaling": case["rope"]});
            let f = Frequencies::new(&text, 128, case["context"].as_u64().unwrap() as usize).unwrap();
            assert!((f64::from(f.scale) - case["scale"].as_f64().unwrap()).abs() < 1e-6);
            let wanted = case["inverse"].as_array().unwrap();
            assert_eq!(wanted.len(), f.inverse.len());
            for (got, wanted) in f.inverse.iter().zip(wanted) {
                let wanted = wanted.as_f64().unwrap();
                assert!((f64::from(*got) - wanted).abs() <= 3e-7 * wanted, "{got} {wanted}");
            }
        }
    }
}
