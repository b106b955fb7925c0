//! USMMLA: two rows of activations by two outputs by eight k in one instruction, twice the products of USDOT.
//!
//! The words that `matmul/int_pairs.rs` is written in, beside those of [`NeonI8mm`](super::NeonI8mm). Sums come as blocks of
//! two outputs by two rows, so they fit no [`Simd`](super::Simd) vector before [`rows`] takes them apart.
//!
//! # Safety
//! Every function: as for [`Simd`](super::Simd), and the processor has `i8mm`.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::aarch64::*;
use std::arch::asm;

/// Sums for eight outputs and two rows: `[o0 r0, o0 r1, o1 r0, o1 r1]`, and so on for each two outputs.
pub(crate) type Sums = [int32x4_t; 4];

/// Eight k of eight outputs: in each of the four those of two outputs, one after the other.
pub(crate) type Outputs = [uint8x16_t; 4];

/// `Sums` that begin with `first` in the first row and `second` in the second.
#[inline(always)]
pub(crate) unsafe fn sums(first: i32, second: i32) -> Sums {
    let both = vzip1q_s32(vdupq_n_s32(first), vdupq_n_s32(second));
    [both; 4]
}

/// From four k of eight outputs, and the next four: what `bytes` or `nibbles` give.
#[inline(always)]
pub(crate) unsafe fn outputs(k: [uint8x16_t; 2], next: [uint8x16_t; 2]) -> Outputs {
    let both = |a, b| {
        let (a, b) = (vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b));
        (vreinterpretq_u8_u32(vzip1q_u32(a, b)), vreinterpretq_u8_u32(vzip2q_u32(a, b)))
    };
    let ([k0, k1], [n0, n1]) = (k, next);
    let ((a, b), (c, d)) = (both(k0, n0), both(k1, n1));
    [a, b, c, d]
}

/// Eight k of two rows, from a tile of two: 16 bytes are read, four k of each row and the next four of each.
#[inline(always)]
pub(crate) unsafe fn two_rows(p: *const i8) -> int8x16_t {
    let x = vreinterpretq_s32_s8(vld1q_s8(p));
    vreinterpretq_s8_s32(vzip1q_s32(x, vextq_s32::<2>(x, x)))
}

/// The same of four rows, from a tile of four: 32 bytes.
#[inline(always)]
pub(crate) unsafe fn four_rows(p: *const i8) -> [int8x16_t; 2] {
    let (k, next) = (vreinterpretq_s32_s8(vld1q_s8(p)), vreinterpretq_s32_s8(vld1q_s8(p.add(16))));
    [vreinterpretq_s8_s32(vzip1q_s32(k, next)), vreinterpretq_s8_s32(vzip2q_s32(k, next))]
}

/// Adds the products of eight outputs with two rows over eight k, exactly.
#[inline(always)]
pub(crate) unsafe fn multiply(acc: Sums, w: Outputs, x: int8x16_t) -> Sums {
    let ([a0, a1, a2, a3], [w0, w1, w2, w3]) = (acc, w);
    [usmmla(a0, w0, x), usmmla(a1, w1, x), usmmla(a2, w2, x), usmmla(a3, w3, x)]
}

/// The first row's and the second row's sums.
#[inline(always)]
pub(crate) unsafe fn rows(acc: Sums) -> [[int32x4_t; 2]; 2] {
    let [a, b, c, d] = acc;
    [[vuzp1q_s32(a, b), vuzp1q_s32(c, d)], [vuzp2q_s32(a, b), vuzp2q_s32(c, d)]]
}

#[inline(always)]
unsafe fn usmmla(acc: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
    let mut acc = acc;
    // SAFETY: works on these three registers alone and leaves memory, stack and flags as they are; the processor has it.
    asm!("usmmla {:v}.4s, {:v}.16b, {:v}.16b", inout(vreg) acc, in(vreg) w, in(vreg) x,
        options(pure, nomem, nostack, preserves_flags));
    acc
}
