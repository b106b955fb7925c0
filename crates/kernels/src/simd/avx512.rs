//! 512-bit vectors: plain, with VNNI, and with BF16.
#![allow(unsafe_op_in_unsafe_fn)]

use super::{Kernel, Simd};
use std::arch::x86_64::*;

/// AVX-512 F, BW, VL, DQ.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// The same with VNNI.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Vnni;

/// The same with VNNI and BF16.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16;

/// # Safety
/// As for [`super::dispatch`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<Avx512>()
}

/// # Safety
/// As for [`super::dispatch`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) unsafe fn run_vnni<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<Avx512Vnni>()
}

/// # Safety
/// As for [`super::dispatch`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")]
pub(super) unsafe fn run_bf16<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<Avx512Bf16>()
}

#[inline(always)]
unsafe fn mask(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

macro_rules! avx512 {
    ($name:ident, $x:ty, $four:expr, $dot:expr, $pair_dot:expr) => {
        impl Simd for $name {
            const LANES: usize = 16;
            type F = __m512;
            type I = __m512i;
            type W = __m512i;
            type X = $x;
            type P = __m512i;

            #[inline(always)]
            unsafe fn splat(x: f32) -> __m512 {
                _mm512_set1_ps(x)
            }
            #[inline(always)]
            unsafe fn load(p: *const f32) -> __m512 {
                _mm512_loadu_ps(p)
            }
            #[inline(always)]
            unsafe fn load_part(p: *const f32, n: usize) -> __m512 {
                _mm512_maskz_loadu_ps(mask(n), p)
            }
            #[inline(always)]
            unsafe fn store(p: *mut f32, v: __m512) {
                _mm512_storeu_ps(p, v)
            }
            #[inline(always)]
            unsafe fn store_part(p: *mut f32, n: usize, v: __m512) {
                _mm512_mask_storeu_ps(p, mask(n), v)
            }
            #[inline(always)]
            unsafe fn load_bf16(p: *const u16) -> __m512 {
                let half = _mm256_loadu_si256(p.cast());
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
            }
            #[inline(always)]
            unsafe fn load_f16(p: *const u16) -> __m512 {
                _mm512_cvtph_ps(_mm256_loadu_si256(p.cast()))
            }
            #[inline(always)]
            unsafe fn load_i8(p: *const i8) -> __m512 {
                _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast())))
            }
            #[inline(always)]
            unsafe fn add(a: __m512, b: __m512) -> __m512 {
                _mm512_add_ps(a, b)
            }
            #[inline(always)]
            unsafe fn sub(a: __m512, b: __m512) -> __m512 {
                _mm512_sub_ps(a, b)
            }
            #[inline(always)]
            unsafe fn mul(a: __m512, b: __m512) -> __m512 {
                _mm512_mul_ps(a, b)
            }
            #[inline(always)]
            unsafe fn div(a: __m512, b: __m512) -> __m512 {
                _mm512_div_ps(a, b)
            }
            #[inline(always)]
            unsafe fn max(a: __m512, b: __m512) -> __m512 {
                _mm512_max_ps(a, b)
            }
            #[inline(always)]
            unsafe fn min(a: __m512, b: __m512) -> __m512 {
                _mm512_min_ps(a, b)
            }
            #[inline(always)]
            unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
                _mm512_fmadd_ps(a, b, c)
            }
            #[inline(always)]
            unsafe fn round(v: __m512) -> __m512 {
                _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v)
            }
            #[inline(always)]
            unsafe fn scale2(v: __m512, n: __m512) -> __m512 {
                _mm512_scalef_ps(v, n)
            }
            #[inline(always)]
            unsafe fn abs(v: __m512) -> __m512 {
                _mm512_abs_ps(v)
            }
            #[inline(always)]
            unsafe fn zero_below(v: __m512, x: __m512, limit: __m512) -> __m512 {
                _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x, limit), v)
            }
            #[inline(always)]
            unsafe fn sum(v: __m512) -> f32 {
                _mm512_reduce_add_ps(v)
            }
            #[inline(always)]
            unsafe fn max_lane(v: __m512) -> f32 {
                _mm512_reduce_max_ps(v)
            }
            #[inline(always)]
            unsafe fn store_i8(p: *mut i8, v: __m512) {
                _mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)))
            }

            #[inline(always)]
            unsafe fn int_splat(x: i32) -> __m512i {
                _mm512_set1_epi32(x)
            }
            #[inline(always)]
            unsafe fn int_to_float(v: __m512i) -> __m512 {
                _mm512_cvtepi32_ps(v)
            }
            #[inline(always)]
            unsafe fn bytes(p: *const u8) -> __m512i {
                _mm512_loadu_si512(p.cast())
            }
            #[inline(always)]
            unsafe fn nibbles(p: *const u8) -> (__m512i, __m512i) {
                let both = _mm512_loadu_si512(p.cast());
                let low = _mm512_set1_epi8(15);
                (_mm512_and_si512(both, low), _mm512_and_si512(_mm512_srli_epi16::<4>(both), low))
            }
            #[inline(always)]
            unsafe fn four(p: *const i8) -> $x {
                $four(_mm512_set1_epi32(p.cast::<i32>().read_unaligned()))
            }
            #[inline(always)]
            unsafe fn dot(acc: __m512i, w: __m512i, x: $x) -> __m512i {
                $dot(acc, w, x)
            }

            #[inline(always)]
            unsafe fn pairs(p: *const u32) -> __m512i {
                _mm512_loadu_si512(p.cast())
            }
            #[inline(always)]
            unsafe fn pair(p: *const u32) -> __m512i {
                _mm512_set1_epi32(p.cast::<i32>().read_unaligned())
            }
            #[inline(always)]
            unsafe fn first(v: __m512i) -> __m512i {
                _mm512_and_si512(v, _mm512_set1_epi32(0xffff))
            }
            #[inline(always)]
            unsafe fn dot_pairs(acc: __m512, a: __m512i, b: __m512i) -> __m512 {
                $pair_dot(acc, a, b)
            }
        }
    };
}

avx512!(Avx512, (__m512i, __m512i), even_odd, wide, unpaired);
avx512!(Avx512Vnni, __m512i, identity, vnni, unpaired);
avx512!(Avx512Bf16, __m512i, identity, vnni, paired);

#[inline(always)]
unsafe fn unpaired(acc: __m512, a: __m512i, b: __m512i) -> __m512 {
    let low = |x| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(x));
    let high = |x| _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(0xffff_0000u32 as i32)));
    _mm512_fmadd_ps(high(a), high(b), _mm512_fmadd_ps(low(a), low(b), acc))
}

#[inline(always)]
unsafe fn paired(acc: __m512, a: __m512i, b: __m512i) -> __m512 {
    _mm512_dpbf16_ps(acc, std::mem::transmute::<__m512i, __m512bh>(a), std::mem::transmute::<__m512i, __m512bh>(b))
}

#[inline(always)]
unsafe fn identity(x: __m512i) -> __m512i {
    x
}

#[inline(always)]
unsafe fn vnni(acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
    _mm512_dpbusd_epi32(acc, w, x)
}

/// Bytes 0 and 2 of each group of four as 16-bit integers, and bytes 1 and 3.
#[inline(always)]
unsafe fn even_odd(x: __m512i) -> (__m512i, __m512i) {
    (_mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(x)), _mm512_srai_epi16::<8>(x))
}

/// In 16-bit products, because `vpmaddubsw` saturates where an unsigned and a signed byte are both large.
#[inline(always)]
unsafe fn wide(acc: __m512i, w: __m512i, x: (__m512i, __m512i)) -> __m512i {
    let even = _mm512_and_si512(w, _mm512_set1_epi16(255));
    let odd = _mm512_srli_epi16::<8>(w);
    let acc = _mm512_add_epi32(acc, _mm512_madd_epi16(even, x.0));
    _mm512_add_epi32(acc, _mm512_madd_epi16(odd, x.1))
}
