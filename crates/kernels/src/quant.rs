//! How 32 to 64 numbers along K become small integers and one scale.
// Slices are cut to the block's length before they are indexed.
#![allow(clippy::indexing_slicing)]

use half::bf16;

/// Weights per scale along K, 8-bit. Chosen by measurement, see `crates/kernels/benches/README.md`.
pub const GROUP_Q8: usize = 64;
/// Weights per scale along K, 4-bit.
pub const GROUP_Q4: usize = 32;

/// The smallest bf16 that is at least `x`, for `x >= 0`.
fn bf16_up(x: f32) -> bf16 {
    let bits = x.to_bits();
    bf16::from_bits(((bits >> 16) + u32::from(bits & 0xffff != 0)) as u16)
}

/// 8-bit: `w ~ scale * (q - 128)`. Returns the scale, rounded up to bf16 so that no `q` is clamped.
pub(crate) fn q8(w: &[f32], q: &mut [u8]) -> bf16 {
    let peak = w.iter().fold(0.0f32, |a, x| a.max(x.abs()));
    let scale = bf16_up(peak / 127.0);
    let inverse = if peak > 0.0 && scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
    for (q, w) in q.iter_mut().zip(w) {
        *q = ((w * inverse).round_ties_even().clamp(-127.0, 127.0) as i32 + 128) as u8;
    }
    scale
}

/// 4-bit: `w ~ scale * (q - 8)`, the scale (of either sign) being the best of a few by squared error.
///
/// Sixteen levels reach one step further on one side, so the candidates put the block's peak at -8 or a little inside.
pub(crate) fn q4(w: &[f32], q: &mut [u8]) -> bf16 {
    let peak = w.iter().fold(0.0f32, |a, x| if x.abs() > a.abs() { *x } else { a });
    if peak.abs() < f32::MIN_POSITIVE * 16.0 {
        q.fill(8);
        return bf16::ZERO;
    }
    let level = |x: f32, inverse: f32| (x * inverse).round_ties_even().clamp(-8.0, 7.0);
    let mut best = (f32::INFINITY, bf16::ZERO);
    // In units of the peak, so that no square overflows.
    let unit = 1.0 / peak;
    for steps in [-8.7f32, -8.35, -8.0, -7.7, -7.4, -7.1, -6.8] {
        // The best scale for these integers in the least-squares sense, and then its own integers.
        let (mut xq, mut qq) = (0.0f32, 0.0f32);
        for x in w {
            let l = level(x * unit, steps);
            xq += x * unit * l;
            qq += l * l;
        }
        let scale = bf16::from_f32(xq / qq * peak);
        let s = scale.to_f32() * unit;
        if s == 0.0 {
            continue;
        }
        let inverse = 1.0 / s;
        let error: f32 = w.iter().map(|x| (x * unit - s * level(x * unit, inverse)).powi(2)).sum();
        if error < best.0 {
            best = (error, scale);
        }
    }
    let inverse = if best.1.to_f32() == 0.0 { 0.0 } else { 1.0 / best.1.to_f32() };
    for (q, w) in q.iter_mut().zip(w) {
        *q = (level(*w, inverse) as i32 + 8) as u8;
    }
    best.1
}
