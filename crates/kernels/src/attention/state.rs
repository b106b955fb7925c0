//! The state of a row: peak of its scores so far, sum of its weights, and the weighted sum of values.
// Offsets are below `state_len`.
#![allow(clippy::indexing_slicing)]

use super::kv::KvLayout;
use crate::simd::{Kernel, Simd, exp};

/// Floats of one row's state.
pub(super) fn state_len(layout: &KvLayout) -> usize {
    layout.padded_dim() + 16
}
/// Turns one row of scores into weights: `exp(score - peak)` for the first `seen` tokens, zero up to whole vectors behind
/// `tokens`. Updates peak and sum. Return: what earlier weighted values are to be multiplied by.
#[inline(always)]
pub(super) unsafe fn softmax<S: Simd>(scores: *mut f32, seen: usize, tokens: usize, state: *mut f32) -> f32 {
    // SAFETY: `scores` has a chunk, `state` a state.
    unsafe {
        let width = tokens.next_multiple_of(16);
        for t in seen..width {
            scores.add(t).write(f32::NEG_INFINITY);
        }
        if seen == 0 {
            std::ptr::write_bytes(scores, 0, width);
            return 1.0;
        }
        let mut peak = S::splat(f32::NEG_INFINITY);
        for t in (0..width).step_by(S::LANES) {
            peak = S::max(S::load(scores.add(t)), peak);
        }
        let (before, top) = (state.read(), S::max_lane(peak));
        let peak = if top > before { top } else { before };
        let peaks = S::splat(peak);
        let mut sum = S::splat(0.0);
        for t in (0..width).step_by(S::LANES) {
            let p = exp::<S>(S::sub(S::load(scores.add(t)), peaks));
            sum = S::add(sum, p);
            S::store(scores.add(t), p);
        }
        let fade = if before == f32::NEG_INFINITY { 0.0 } else { one_exp::<S>(before - peak) };
        state.write(peak);
        state.add(1).write(state.add(1).read() * fade + S::sum(sum));
        fade
    }
}

/// Weights of two tokens as one pair, in the place of the even one; no weight is NaN.
#[inline(always)]
pub(super) unsafe fn round_to_pairs(weights: *mut f32, tokens: usize) {
    for i in 0..tokens.div_ceil(2) {
        // SAFETY: a chunk of weights, of which softmax has filled whole vectors.
        unsafe {
            let at = weights.add(i * 2).cast::<u64>();
            let both = at.read_unaligned();
            // To the nearest, ties to even, in each half.
            let rounded = both.wrapping_add(0x0000_7fff_0000_7fff).wrapping_add(both >> 16 & 0x0000_0001_0000_0001);
            at.write_unaligned(rounded >> 16 & 0xffff | rounded >> 32 & 0xffff_0000);
        }
    }
}

#[inline(always)]
unsafe fn one_exp<S: Simd>(x: f32) -> f32 {
    // SAFETY: registers only; all lanes are equal.
    unsafe { S::max_lane(exp::<S>(S::splat(x))) }
}

/// Adds the state of a later split to that of the earlier ones.
///
/// # Safety
/// Both have a state for `padded` numbers.
#[inline(always)]
pub(super) unsafe fn merge<S: Simd>(total: *mut f32, split: *const f32, padded: usize) {
    // SAFETY: as above.
    unsafe {
        let (a, b) = (total.read(), split.read());
        if b == f32::NEG_INFINITY {
            return;
        }
        let peak = if a > b { a } else { b };
        let (fa, fb) = (one_exp::<S>(a - peak), one_exp::<S>(b - peak));
        total.write(peak);
        total.add(1).write(total.add(1).read() * fa + split.add(1).read() * fb);
        let (fa, fb) = (S::splat(fa), S::splat(fb));
        for i in (0..padded).step_by(S::LANES) {
            let at = total.add(16 + i);
            S::store(at, S::fma(S::load(split.add(16 + i)), fb, S::mul(S::load(at), fa)));
        }
    }
}

/// Writes the finished row.
///
/// # Safety
/// `state` has a state, `out` `dim` floats.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd>(state: *const f32, out: *mut f32, dim: usize) {
    // SAFETY: as above.
    unsafe {
        let inverse = S::splat(1.0 / state.add(1).read());
        let mut i = 0;
        while i < dim {
            let len = S::LANES.min(dim - i);
            S::store_part(out.add(i), len, S::mul(S::load(state.add(16 + i)), inverse));
            i += S::LANES;
        }
    }
}

/// [`merge`] for each of `rows` rows.
pub(super) struct Merge {
    pub total: *mut f32,
    pub split: *const f32,
    pub rows: usize,
    pub state: usize,
    pub padded: usize,
}

impl Kernel for Merge {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for r in 0..self.rows {
            // SAFETY: `rows` states on both sides.
            unsafe { merge::<S>(self.total.add(r * self.state), self.split.add(r * self.state), self.padded) }
        }
    }
}

/// [`finish`] for each of `rows` rows.
pub(super) struct Finish {
    pub states: *const f32,
    pub state: usize,
    pub rows: usize,
    pub out: *mut f32,
    pub group: usize,
    pub stride: usize,
    pub dim: usize,
}

impl Kernel for Finish {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for r in 0..self.rows {
            // SAFETY: `rows` states, and as many rows of the output.
            unsafe {
                let to = self.out.add(r / self.group * self.stride + r % self.group * self.dim);
                finish::<S>(self.states.add(r * self.state), to, self.dim);
            }
        }
    }
}
