//! The one vector vocabulary that every kernel is written in, and how a kernel gets compiled for each [`Level`].
//!
//! A kernel is a struct of its arguments with a generic, always inlined [`Kernel::run`]. [`dispatch`] calls it through one
//! function per level that enables the level's instructions, so the whole kernel is compiled for them.
// `unsafe` is the point of this module: each function's contract is stated once, at the trait.
#![allow(clippy::missing_safety_doc)]

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512;
#[cfg(all(target_arch = "aarch64", not(miri)))]
mod neon;
#[cfg(all(target_arch = "aarch64", not(miri)))]
pub(crate) mod neon_pairs;
mod portable;
#[cfg(test)]
mod tests;

use crate::Level;
#[cfg(all(target_arch = "aarch64", not(miri)))]
pub(crate) use neon::NeonI8mm;
pub(crate) use portable::Portable;

/// Vectors of [`Simd::LANES`] floats, and the 8-bit dot product.
///
/// # Safety
/// Every function: the processor has the level's instructions, and each pointer is good for what is read or written
/// through it (`LANES` elements unless said otherwise). No alignment is asked for.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    const LANES: usize;
    /// What `bytes` leaves on top of an 8-bit weight's value, of the 128 it is stored with.
    const ABOVE: i32 = 128;
    /// `LANES` floats.
    type F: Copy;
    /// `LANES` 32-bit integers.
    type I: Copy;
    /// Four bytes for each of `LANES` outputs, ready for `dot`.
    type W: Copy;
    /// Four signed bytes, none of them -128, the same for every output, ready for `dot`.
    type X: Copy;
    /// Two bf16 numbers in each of `LANES` places, ready for `dot_pairs`.
    type P: Copy;

    unsafe fn splat(x: f32) -> Self::F;
    unsafe fn load(p: *const f32) -> Self::F;
    /// The first `n <= LANES` elements; zero behind them.
    unsafe fn load_part(p: *const f32, n: usize) -> Self::F;
    unsafe fn store(p: *mut f32, v: Self::F);
    /// The first `n <= LANES` elements.
    unsafe fn store_part(p: *mut f32, n: usize, v: Self::F);
    unsafe fn load_bf16(p: *const u16) -> Self::F;
    unsafe fn load_f16(p: *const u16) -> Self::F;
    unsafe fn load_i8(p: *const i8) -> Self::F;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a` where neither is NaN and `a > b`, else `b`.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// To the nearest integer, ties to even.
    unsafe fn round(v: Self::F) -> Self::F;
    /// `v * 2^n` for integral `n` in -126..=127.
    unsafe fn scale2(v: Self::F, n: Self::F) -> Self::F;
    unsafe fn abs(v: Self::F) -> Self::F;
    /// `v`, but zero where `x < limit`.
    unsafe fn zero_below(v: Self::F, x: Self::F, limit: Self::F) -> Self::F;
    /// Sum and maximum over the lanes, in a fixed order.
    unsafe fn sum(v: Self::F) -> f32;
    unsafe fn max_lane(v: Self::F) -> f32;
    /// Lanes rounded to the nearest integer and stored as bytes; all of them are in -127..=127.
    unsafe fn store_i8(p: *mut i8, v: Self::F);

    unsafe fn int_splat(x: i32) -> Self::I;
    unsafe fn int_to_float(v: Self::I) -> Self::F;
    /// `LANES` groups of four bytes, as unsigned ones, less `128 - ABOVE`.
    unsafe fn bytes(p: *const u8) -> Self::W;
    /// `LANES` groups of four nibbles as they are: the low ones, then the high ones.
    unsafe fn nibbles(p: *const u8) -> (Self::W, Self::W);
    /// Four bytes for all lanes.
    unsafe fn four(p: *const i8) -> Self::X;
    /// `acc[lane] + sum over 4 of w[lane][i] * x[i]`, exact.
    unsafe fn dot(acc: Self::I, w: Self::W, x: Self::X) -> Self::I;

    /// `LANES` pairs, the first of each in the lower half.
    unsafe fn pairs(p: *const u32) -> Self::P;
    /// One pair for all lanes.
    unsafe fn pair(p: *const u32) -> Self::P;
    /// Each pair with zero for its second.
    unsafe fn first(v: Self::P) -> Self::P;
    /// `acc[lane] + a[lane][0] * b[lane][0] + a[lane][1] * b[lane][1]`; the order of the sum is the level's.
    unsafe fn dot_pairs(acc: Self::F, a: Self::P, b: Self::P) -> Self::F;
}

/// A kernel: its arguments, and what to do with them at any level.
pub(crate) trait Kernel {
    type Out;
    /// # Safety
    /// Called through [`dispatch`], so that the processor has the instructions of `S`; pointers among the arguments are
    /// good for what the kernel says it reads and writes. Implementations are `#[inline(always)]`.
    unsafe fn run<S: Simd>(self) -> Self::Out;
}

/// Runs `kernel` compiled for `level`.
///
/// # Safety
/// The processor has `level` (a [`crate::Pool`] has checked), and `kernel`'s arguments keep its contract.
#[inline]
pub(crate) unsafe fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Out {
    // SAFETY: the caller's, of the level and of the kernel.
    unsafe {
        match level {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Level::Avx2 => avx2::run(kernel),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Level::Avx512 => avx512::run(kernel),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Level::Avx512Vnni | Level::Avx512Bf16 => avx512::run_vnni(kernel),
            #[cfg(all(target_arch = "aarch64", not(miri)))]
            Level::Neon => neon::run(kernel),
            #[cfg(all(target_arch = "aarch64", not(miri)))]
            Level::NeonDot => neon::run_dot(kernel),
            #[cfg(all(target_arch = "aarch64", not(miri)))]
            Level::NeonI8mm => neon::run_i8mm(kernel),
            _ => kernel.run::<Portable>(),
        }
    }
}

/// The same for a kernel without integers, which has nothing to gain from 8-bit dot products: fewer copies of its code.
///
/// # Safety
/// As for [`dispatch`].
#[inline]
pub(crate) unsafe fn dispatch_float<K: Kernel>(level: Level, kernel: K) -> K::Out {
    let level = match level {
        Level::Avx512Vnni | Level::Avx512Bf16 => Level::Avx512,
        Level::NeonDot | Level::NeonI8mm => Level::Neon,
        other => other,
    };
    // SAFETY: as above; each of these levels has all that the plainer one has.
    unsafe { dispatch(level, kernel) }
}

/// The same for a kernel of `dot_pairs`, which some levels have an instruction for.
///
/// # Safety
/// As for [`dispatch`].
#[inline]
pub(crate) unsafe fn dispatch_pairs<K: Kernel>(level: Level, kernel: K) -> K::Out {
    // SAFETY: the caller's, of the level and of the kernel.
    unsafe {
        match level {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Level::Avx512Bf16 => avx512::run_bf16(kernel),
            other => dispatch_float(other, kernel),
        }
    }
}

/// The exponential, within 2 units in the last place for results that are normal floats; below `exp(-87.33)` zero, above
/// `exp(88.37)` clamped to it. NaN gives an unspecified value.
///
/// Cody and Waite's reduction by multiples of ln 2 and Cephes' polynomial (Moshier, `expf`).
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F) -> S::F {
    // SAFETY: the caller's.
    unsafe {
        let tiny = S::splat(-87.33);
        // The order of arguments lets -inf and NaN through `max` as `tiny`.
        let c = S::min(S::max(x, tiny), S::splat(88.37));
        let n = S::round(S::mul(c, S::splat(std::f32::consts::LOG2_E)));
        let r = S::fma(n, S::splat(-0.693_359_4), c);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        let mut p = S::splat(1.987_569_1e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
            p = S::fma(p, r, S::splat(c));
        }
        let p = S::add(S::fma(S::mul(p, r), r, r), S::splat(1.0));
        S::zero_below(S::scale2(p, n), x, tiny)
    }
}
