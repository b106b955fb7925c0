//! 256-bit vectors.
#![allow(unsafe_op_in_unsafe_fn)]

use super::{Kernel, Simd};
use std::arch::x86_64::*;

/// AVX2, FMA, F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// # Safety
/// As for [`super::dispatch`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<Avx2>()
}

/// All ones in the first `n` lanes.
#[inline(always)]
unsafe fn mask(n: usize) -> __m256i {
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

#[inline(always)]
unsafe fn halves(v: __m256, f: impl Fn(__m128, __m128) -> __m128) -> f32 {
    let q = f(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let d = f(q, _mm_movehl_ps(q, q));
    _mm_cvtss_f32(f(d, _mm_movehdup_ps(d)))
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    type F = __m256;
    type I = __m256i;
    /// Bytes 0 and 2 of each group as 16-bit integers, and bytes 1 and 3: `vpmaddubsw` would saturate where an unsigned
    /// and a signed byte are both large.
    type W = (__m256i, __m256i);
    type X = (__m256i, __m256i);
    type P = (__m256, __m256);

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        _mm256_set1_ps(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        _mm256_loadu_ps(p)
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> __m256 {
        // Masked moves are slow on some processors, and most vectors are whole.
        if n == 8 { _mm256_loadu_ps(p) } else { _mm256_maskload_ps(p, mask(n)) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        _mm256_storeu_ps(p, v)
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, n: usize, v: __m256) {
        if n == 8 { _mm256_storeu_ps(p, v) } else { _mm256_maskstore_ps(p, mask(n), v) }
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> __m256 {
        let half = _mm_loadu_si128(p.cast());
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(half)))
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> __m256 {
        _mm256_cvtph_ps(_mm_loadu_si128(p.cast()))
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> __m256 {
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast())))
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        _mm256_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        _mm256_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        _mm256_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        _mm256_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        _mm256_min_ps(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn round(v: __m256) -> __m256 {
        _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v)
    }
    #[inline(always)]
    unsafe fn scale2(v: __m256, n: __m256) -> __m256 {
        let power = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(power)))
    }
    #[inline(always)]
    unsafe fn abs(v: __m256) -> __m256 {
        _mm256_andnot_ps(_mm256_set1_ps(-0.0), v)
    }
    #[inline(always)]
    unsafe fn zero_below(v: __m256, x: __m256, limit: __m256) -> __m256 {
        _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(x, limit), v)
    }
    #[inline(always)]
    unsafe fn sum(v: __m256) -> f32 {
        halves(v, |a, b| _mm_add_ps(a, b))
    }
    #[inline(always)]
    unsafe fn max_lane(v: __m256) -> f32 {
        halves(v, |a, b| _mm_max_ps(a, b))
    }
    #[inline(always)]
    unsafe fn store_i8(p: *mut i8, v: __m256) {
        let i = _mm256_cvtps_epi32(v);
        let w = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256::<1>(i));
        _mm_storel_epi64(p.cast(), _mm_packs_epi16(w, w))
    }

    #[inline(always)]
    unsafe fn int_splat(x: i32) -> __m256i {
        _mm256_set1_epi32(x)
    }
    #[inline(always)]
    unsafe fn int_to_float(v: __m256i) -> __m256 {
        _mm256_cvtepi32_ps(v)
    }
    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> Self::W {
        let w = _mm256_loadu_si256(p.cast());
        (_mm256_and_si256(w, _mm256_set1_epi16(255)), _mm256_srli_epi16::<8>(w))
    }
    #[inline(always)]
    unsafe fn nibbles(p: *const u8) -> (Self::W, Self::W) {
        let w = _mm256_loadu_si256(p.cast());
        let low = _mm256_set1_epi16(15);
        (
            (_mm256_and_si256(w, low), _mm256_and_si256(_mm256_srli_epi16::<8>(w), low)),
            (_mm256_and_si256(_mm256_srli_epi16::<4>(w), low), _mm256_srli_epi16::<12>(w)),
        )
    }
    #[inline(always)]
    unsafe fn four(p: *const i8) -> Self::X {
        let x = _mm256_set1_epi32(p.cast::<i32>().read_unaligned());
        (_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x)), _mm256_srai_epi16::<8>(x))
    }
    #[inline(always)]
    unsafe fn dot(acc: __m256i, w: Self::W, x: Self::X) -> __m256i {
        let acc = _mm256_add_epi32(acc, _mm256_madd_epi16(w.0, x.0));
        _mm256_add_epi32(acc, _mm256_madd_epi16(w.1, x.1))
    }

    #[inline(always)]
    unsafe fn pairs(p: *const u32) -> Self::P {
        parted(_mm256_loadu_si256(p.cast()))
    }
    #[inline(always)]
    unsafe fn pair(p: *const u32) -> Self::P {
        parted(_mm256_set1_epi32(p.cast::<i32>().read_unaligned()))
    }
    #[inline(always)]
    unsafe fn first(v: Self::P) -> Self::P {
        (v.0, _mm256_setzero_ps())
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: __m256, a: Self::P, b: Self::P) -> __m256 {
        _mm256_fmadd_ps(a.1, b.1, _mm256_fmadd_ps(a.0, b.0, acc))
    }
}

/// The first and the second bf16 number of each pair.
#[inline(always)]
unsafe fn parted(x: __m256i) -> (__m256, __m256) {
    let high = _mm256_and_si256(x, _mm256_set1_epi32(0xffff_0000u32 as i32));
    (_mm256_castsi256_ps(_mm256_slli_epi32::<16>(x)), _mm256_castsi256_ps(high))
}
