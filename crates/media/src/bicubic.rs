//! torchvision's bicubic filter with antialiasing on 8-bit pixels, bit for bit.
//!
//! transformers' image processor resizes the 8-bit tensor itself, so the model was trained on what ATen's 8-bit path
//! gives (`upsample_avx_bilinear_bicubic_uint8` in `aten/src/ATen/native/cpu/UpSampleKernelAVXAntialias.h`): rows
//! first, rounded to 8 bits, then columns; weights of 16 bits with a precision chosen per direction. Pillow's weights
//! have 22 bits, and libraries that follow it differ from torchvision by a few of 255.

use image::RgbImage;

/// Taps of the unscaled filter (`interp_size`).
const TAPS: f64 = 4.0;

/// `height * width * 3` bytes of RGB. A side of 0 gives no bytes.
#[must_use]
pub fn resize(picture: RgbImage, height: u32, width: u32) -> Vec<u8> {
    let (w, h) = picture.dimensions();
    let mut pixels = picture.into_raw();
    if w != width {
        pixels = rows(&pixels, w as usize, &Filter::new(w, width));
    }
    if h != height {
        pixels = columns(&pixels, width as usize * 3, &Filter::new(h, height));
    }
    pixels
}

/// The weights of one direction.
struct Filter {
    /// For each output: the first input, and where its weights lie in `weights`.
    spans: Vec<(usize, std::ops::Range<usize>)>,
    /// Fixed point, `precision` bits behind the point; they fit 16 bits.
    weights: Vec<i32>,
    precision: u32,
}

impl Filter {
    /// ATen's `_compute_index_ranges_int16_weights` with `align_corners=False` and `antialias=True`.
    fn new(input: u32, output: u32) -> Self {
        let scale = f64::from(input) / f64::from(output.max(1));
        let support = TAPS * 0.5 * scale.max(1.0);
        let inverse = if scale >= 1.0 { 1.0 / scale } else { 1.0 };
        let mut exact = Vec::new();
        let mut spans = Vec::with_capacity(output as usize);
        for i in 0..output {
            let center = scale * (f64::from(i) + 0.5);
            // Towards zero, as C converts.
            let first = ((center - support + 0.5) as i64).max(0);
            let end = ((center + support + 0.5) as i64).min(i64::from(input));
            let from = exact.len();
            exact.extend((first..end).map(|j| cubic((j as f64 - center + 0.5) * inverse)));
            let own = exact.get_mut(from..).unwrap_or_default();
            let total: f64 = own.iter().sum();
            if total != 0.0 {
                own.iter_mut().for_each(|w| *w /= total);
            }
            spans.push((usize::try_from(first).unwrap_or(0), from..exact.len()));
        }
        let most = exact.iter().copied().fold(0.0, f64::max);
        // The most bits with which the greatest weight stays below 2^15.
        let precision = (0..22).find(|p| 0.5 + most * f64::from(1u32 << (p + 1)) >= 32_768.0).unwrap_or(22);
        let one = f64::from(1u32 << precision);
        let weights = exact.iter().map(|w| (w * one + 0.5_f64.copysign(*w)) as i32).collect();
        Self { spans, weights, precision }
    }

    fn spans(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.spans.iter().map(|(first, own)| (*first, self.weights.get(own.clone()).unwrap_or_default()))
    }

    /// Half a unit, so that the shift rounds.
    const fn half(&self) -> i32 {
        if self.precision == 0 { 0 } else { 1 << (self.precision - 1) }
    }
}

/// Keys' cubic convolution with a = -0.5 (`HelperInterpCubic::aa_filter`).
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Each row of `width` pixels to as many as the filter has outputs.
fn rows(pixels: &[u8], width: usize, filter: &Filter) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / width.max(1) * filter.spans.len());
    for row in pixels.chunks_exact((width * 3).max(1)) {
        for (first, weights) in filter.spans() {
            let mut sum = [filter.half(); 3];
            let under = row.get(first * 3..).unwrap_or_default();
            for (pixel, weight) in under.chunks_exact(3).zip(weights) {
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += weight * i32::from(*value);
                }
            }
            out.extend(sum.map(|sum| narrow(sum, filter.precision)));
        }
    }
    out
}

/// Rows of `stride` bytes to as many as the filter has outputs.
fn columns(pixels: &[u8], stride: usize, filter: &Filter) -> Vec<u8> {
    let mut out = Vec::with_capacity(stride * filter.spans.len());
    let mut sums = vec![0; stride];
    for (first, weights) in filter.spans() {
        sums.fill(filter.half());
        let under = pixels.get(first * stride..).unwrap_or_default();
        for (row, weight) in under.chunks_exact(stride.max(1)).zip(weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(*value);
            }
        }
        out.extend(sums.iter().map(|sum| narrow(*sum, filter.precision)));
    }
    out
}

/// Fixed point to 8 bits, overshoots cut off.
const fn narrow(sum: i32, precision: u32) -> u8 {
    let value = sum >> precision;
    if value < 0 {
        0
    } else if value > 255 {
        255
    } else {
        value as u8
    }
}
