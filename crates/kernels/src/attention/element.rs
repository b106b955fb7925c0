//! How the numbers of the cache are read and multiplied.

use crate::Level;
use crate::simd::{Kernel, Simd, dispatch_float, dispatch_pairs};

/// One kind of cache.
pub(super) trait Element {
    /// Whether they are to be multiplied by their token's scale.
    const SCALED: bool;
    /// How many numbers along the sum one word holds.
    const STEP: usize;
    /// `LANES` words.
    type Words<S: Simd>: Copy;
    /// `LANES` of them, from word `i` of a section.
    unsafe fn load<S: Simd>(section: *const u8, i: usize) -> Self::Words<S>;
    /// One word of queries or weights for all lanes.
    unsafe fn splat<S: Simd>(word: *const f32) -> Self::Words<S>;
    /// The words without what is behind their first number.
    unsafe fn first<S: Simd>(words: Self::Words<S>) -> Self::Words<S>;
    unsafe fn mul_add<S: Simd>(a: Self::Words<S>, b: Self::Words<S>, c: S::F) -> S::F;
    /// As [`dispatch_float`].
    unsafe fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Out;
}

/// An element that is read as one float a word.
macro_rules! float {
    ($name:ident, $scaled:expr, $s:ident, $section:ident, $i:ident, $load:expr) => {
        pub(super) struct $name;

        impl Element for $name {
            const SCALED: bool = $scaled;
            const STEP: usize = 1;
            type Words<S: Simd> = S::F;
            #[inline(always)]
            unsafe fn load<$s: Simd>($section: *const u8, $i: usize) -> $s::F {
                // SAFETY: the caller's.
                unsafe { $load }
            }
            #[inline(always)]
            unsafe fn splat<S: Simd>(word: *const f32) -> S::F {
                // SAFETY: the caller's.
                unsafe { S::splat(word.read()) }
            }
            #[inline(always)]
            unsafe fn first<S: Simd>(words: S::F) -> S::F {
                words
            }
            #[inline(always)]
            unsafe fn mul_add<S: Simd>(a: S::F, b: S::F, c: S::F) -> S::F {
                // SAFETY: registers only.
                unsafe { S::fma(a, b, c) }
            }
            #[inline(always)]
            unsafe fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Out {
                // SAFETY: the caller's.
                unsafe { dispatch_float(level, kernel) }
            }
        }
    };
}

float!(F32, false, S, section, i, S::load(section.cast::<f32>().add(i)));
float!(F16, false, S, section, i, S::load_f16(section.cast::<u16>().add(i)));
float!(Q8, true, S, section, i, S::load_i8(section.cast::<i8>().add(i)));

/// Pairs along the sum, each a word.
pub(super) struct Bf16;

impl Element for Bf16 {
    const SCALED: bool = false;
    const STEP: usize = 2;
    type Words<S: Simd> = S::P;
    #[inline(always)]
    unsafe fn load<S: Simd>(section: *const u8, i: usize) -> S::P {
        // SAFETY: the caller's.
        unsafe { S::pairs(section.cast::<u32>().add(i)) }
    }
    #[inline(always)]
    unsafe fn splat<S: Simd>(word: *const f32) -> S::P {
        // SAFETY: the caller's.
        unsafe { S::pair(word.cast()) }
    }
    #[inline(always)]
    unsafe fn first<S: Simd>(words: S::P) -> S::P {
        // SAFETY: registers only.
        unsafe { S::first(words) }
    }
    #[inline(always)]
    unsafe fn mul_add<S: Simd>(a: S::P, b: S::P, c: S::F) -> S::F {
        // SAFETY: registers only.
        unsafe { S::dot_pairs(c, a, b) }
    }
    #[inline(always)]
    unsafe fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Out {
        // SAFETY: the caller's.
        unsafe { dispatch_pairs(level, kernel) }
    }
}
