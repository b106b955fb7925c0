//! NEON: pairs of 128-bit vectors, with the 8-bit dot products of later processors and without.
//!
//! Eight lanes make the sums of these levels those of AVX2, and 32 registers hold as many pairs as AVX2 has vectors.
//! Conversions from half precision belong to the base instruction set; `fp16`, which adds arithmetic in halves, has
//! nothing to give here. The intrinsics for SDOT, USDOT and USMMLA are not stable in Rust 1.95: they are instructions here.
//!
//! Tested under emulation (`tests/arm/run`), which says whether results are right and nothing about speed: no kernel of
//! these levels has been timed, and the shapes of their tiles follow from the number of registers alone.
#![allow(unsafe_op_in_unsafe_fn)]

use super::{Kernel, Simd};
use std::arch::aarch64::*;
use std::arch::asm;

/// What every aarch64 processor has.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

/// The same with dot products of signed bytes (`dotprod`, Armv8.2).
#[derive(Clone, Copy)]
pub(crate) struct NeonDot;

/// The same with dot products of unsigned with signed bytes (`i8mm`, Armv8.6).
#[derive(Clone, Copy)]
pub(crate) struct NeonI8mm;

/// # Safety
/// As for [`super::dispatch`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<Neon>()
}

/// # Safety
/// As for [`super::dispatch`].
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn run_dot<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<NeonDot>()
}

/// # Safety
/// As for [`super::dispatch`].
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(super) unsafe fn run_i8mm<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<NeonI8mm>()
}

type Floats = [float32x4_t; 2];

#[inline(always)]
unsafe fn zip(a: Floats, b: Floats, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Floats {
    let ([a0, a1], [b0, b1]) = (a, b);
    [f(a0, b0), f(a1, b1)]
}

macro_rules! neon {
    ($name:ident, $above:expr, $bytes:expr, $dot:expr) => {
        impl Simd for $name {
            const LANES: usize = 8;
            const ABOVE: i32 = $above;
            type F = Floats;
            type I = [int32x4_t; 2];
            type W = [uint8x16_t; 2];
            type X = int8x16_t;
            type P = (Floats, Floats);

            #[inline(always)]
            unsafe fn splat(x: f32) -> Floats {
                [vdupq_n_f32(x); 2]
            }
            #[inline(always)]
            unsafe fn load(p: *const f32) -> Floats {
                [vld1q_f32(p), vld1q_f32(p.add(4))]
            }
            #[inline(always)]
            unsafe fn load_part(p: *const f32, n: usize) -> Floats {
                if n == 8 {
                    return Self::load(p);
                }
                let mut part = [0f32; 8];
                for (i, x) in part.iter_mut().enumerate().take(n) {
                    *x = p.add(i).read();
                }
                Self::load(part.as_ptr())
            }
            #[inline(always)]
            unsafe fn store(p: *mut f32, v: Floats) {
                let [low, high] = v;
                vst1q_f32(p, low);
                vst1q_f32(p.add(4), high);
            }
            #[inline(always)]
            unsafe fn store_part(p: *mut f32, n: usize, v: Floats) {
                if n == 8 {
                    return Self::store(p, v);
                }
                let mut part = [0f32; 8];
                Self::store(part.as_mut_ptr(), v);
                for (i, x) in part.iter().enumerate().take(n) {
                    p.add(i).write(*x);
                }
            }
            #[inline(always)]
            unsafe fn load_bf16(p: *const u16) -> Floats {
                let half = vld1q_u16(p);
                [
                    vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(half))),
                    vreinterpretq_f32_u32(vshll_high_n_u16::<16>(half)),
                ]
            }
            #[inline(always)]
            unsafe fn load_f16(p: *const u16) -> Floats {
                let half = vreinterpretq_f16_u16(vld1q_u16(p));
                [vcvt_f32_f16(vget_low_f16(half)), vcvt_high_f32_f16(half)]
            }
            #[inline(always)]
            unsafe fn load_i8(p: *const i8) -> Floats {
                let wide = vmovl_s8(vld1_s8(p));
                [vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), vcvtq_f32_s32(vmovl_high_s16(wide))]
            }
            #[inline(always)]
            unsafe fn add(a: Floats, b: Floats) -> Floats {
                zip(a, b, |a, b| vaddq_f32(a, b))
            }
            #[inline(always)]
            unsafe fn sub(a: Floats, b: Floats) -> Floats {
                zip(a, b, |a, b| vsubq_f32(a, b))
            }
            #[inline(always)]
            unsafe fn mul(a: Floats, b: Floats) -> Floats {
                zip(a, b, |a, b| vmulq_f32(a, b))
            }
            #[inline(always)]
            unsafe fn div(a: Floats, b: Floats) -> Floats {
                zip(a, b, |a, b| vdivq_f32(a, b))
            }
            // FMAX would hand a NaN on, and FMAXNM a number beside one: neither is what the trait says.
            #[inline(always)]
            unsafe fn max(a: Floats, b: Floats) -> Floats {
                zip(a, b, |a, b| vbslq_f32(vcgtq_f32(a, b), a, b))
            }
            #[inline(always)]
            unsafe fn min(a: Floats, b: Floats) -> Floats {
                zip(a, b, |a, b| vbslq_f32(vcltq_f32(a, b), a, b))
            }
            #[inline(always)]
            unsafe fn fma(a: Floats, b: Floats, c: Floats) -> Floats {
                let ([a0, a1], [b0, b1], [c0, c1]) = (a, b, c);
                [vfmaq_f32(c0, a0, b0), vfmaq_f32(c1, a1, b1)]
            }
            #[inline(always)]
            unsafe fn round(v: Floats) -> Floats {
                let [low, high] = v;
                [vrndnq_f32(low), vrndnq_f32(high)]
            }
            #[inline(always)]
            unsafe fn scale2(v: Floats, n: Floats) -> Floats {
                zip(v, n, |v, n| {
                    let power = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
                    vmulq_f32(v, vreinterpretq_f32_s32(vshlq_n_s32::<23>(power)))
                })
            }
            #[inline(always)]
            unsafe fn abs(v: Floats) -> Floats {
                let [low, high] = v;
                [vabsq_f32(low), vabsq_f32(high)]
            }
            #[inline(always)]
            unsafe fn zero_below(v: Floats, x: Floats, limit: Floats) -> Floats {
                let ([v0, v1], [x0, x1], [l0, l1]) = (v, x, limit);
                let clear = |v, x, l| vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), vcltq_f32(x, l)));
                [clear(v0, x0, l0), clear(v1, x1, l1)]
            }
            #[inline(always)]
            unsafe fn sum(v: Floats) -> f32 {
                let [low, high] = v;
                let quarter = vaddq_f32(low, high);
                vpadds_f32(vadd_f32(vget_low_f32(quarter), vget_high_f32(quarter)))
            }
            #[inline(always)]
            unsafe fn max_lane(v: Floats) -> f32 {
                let [low, high] = v;
                vmaxnmvq_f32(vmaxnmq_f32(low, high))
            }
            #[inline(always)]
            unsafe fn store_i8(p: *mut i8, v: Floats) {
                let [low, high] = v;
                let wide = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(low)), vqmovn_s32(vcvtnq_s32_f32(high)));
                vst1_s8(p, vqmovn_s16(wide));
            }

            #[inline(always)]
            unsafe fn int_splat(x: i32) -> [int32x4_t; 2] {
                [vdupq_n_s32(x); 2]
            }
            #[inline(always)]
            unsafe fn int_to_float(v: [int32x4_t; 2]) -> Floats {
                let [low, high] = v;
                [vcvtq_f32_s32(low), vcvtq_f32_s32(high)]
            }
            #[inline(always)]
            unsafe fn bytes(p: *const u8) -> [uint8x16_t; 2] {
                [$bytes(vld1q_u8(p)), $bytes(vld1q_u8(p.add(16)))]
            }
            #[inline(always)]
            unsafe fn nibbles(p: *const u8) -> ([uint8x16_t; 2], [uint8x16_t; 2]) {
                let (a, b, low) = (vld1q_u8(p), vld1q_u8(p.add(16)), vdupq_n_u8(15));
                ([vandq_u8(a, low), vandq_u8(b, low)], [vshrq_n_u8::<4>(a), vshrq_n_u8::<4>(b)])
            }
            #[inline(always)]
            unsafe fn four(p: *const i8) -> int8x16_t {
                vreinterpretq_s8_s32(vdupq_n_s32(p.cast::<i32>().read_unaligned()))
            }
            #[inline(always)]
            unsafe fn dot(acc: [int32x4_t; 2], w: [uint8x16_t; 2], x: int8x16_t) -> [int32x4_t; 2] {
                let ([a0, a1], [w0, w1]) = (acc, w);
                [$dot(a0, w0, x), $dot(a1, w1, x)]
            }

            #[inline(always)]
            unsafe fn pairs(p: *const u32) -> Self::P {
                parted([vld1q_u32(p), vld1q_u32(p.add(4))])
            }
            #[inline(always)]
            unsafe fn pair(p: *const u32) -> Self::P {
                parted([vdupq_n_u32(p.read_unaligned()); 2])
            }
            #[inline(always)]
            unsafe fn first(v: Self::P) -> Self::P {
                (v.0, [vdupq_n_f32(0.0); 2])
            }
            #[inline(always)]
            unsafe fn dot_pairs(acc: Floats, a: Self::P, b: Self::P) -> Floats {
                Self::fma(a.1, b.1, Self::fma(a.0, b.0, acc))
            }
        }
    };
}

/// The first and the second bf16 number of each pair.
#[inline(always)]
unsafe fn parted(x: [uint32x4_t; 2]) -> (Floats, Floats) {
    let high = vdupq_n_u32(0xffff_0000);
    (x.map(|x| vreinterpretq_f32_u32(vshlq_n_u32::<16>(x))), x.map(|x| vreinterpretq_f32_u32(vandq_u32(x, high))))
}

neon!(Neon, 0, less_128, wide);
neon!(NeonDot, 0, less_128, sdot);
neon!(NeonI8mm, 128, as_stored, usdot);

#[inline(always)]
unsafe fn as_stored(w: uint8x16_t) -> uint8x16_t {
    w
}

/// Bytes less 128, as signed ones: once per weight, where both factors of a product must be signed.
#[inline(always)]
unsafe fn less_128(w: uint8x16_t) -> uint8x16_t {
    veorq_u8(w, vdupq_n_u8(128))
}

/// In 16-bit products. Two of them still fit, `2 * 128 * 127 < 2^15`, since no activation is -128.
#[inline(always)]
unsafe fn wide(acc: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
    let w = vreinterpretq_s8_u8(w);
    let products = (vmull_s8(vget_low_s8(w), vget_low_s8(x)), vmull_high_s8(w, x));
    vpadalq_s16(acc, vpaddq_s16(products.0, products.1))
}

/// # Safety
/// The processor has `dotprod`.
#[inline(always)]
unsafe fn sdot(acc: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
    let mut acc = acc;
    // SAFETY: works on these three registers alone and leaves memory, stack and flags as they are.
    asm!("sdot {:v}.4s, {:v}.16b, {:v}.16b", inout(vreg) acc, in(vreg) w, in(vreg) x,
        options(pure, nomem, nostack, preserves_flags));
    acc
}

/// # Safety
/// The processor has `i8mm`.
#[inline(always)]
unsafe fn usdot(acc: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
    let mut acc = acc;
    // SAFETY: as for `sdot`.
    asm!("usdot {:v}.4s, {:v}.16b, {:v}.16b", inout(vreg) acc, in(vreg) w, in(vreg) x,
        options(pure, nomem, nostack, preserves_flags));
    acc
}
