//! Plain Rust over eight floats: the reference for the others, and what processors without a level of their own run.
//! Compilers turn these loops into whatever vectors the target has at compile time.
// Every index is a loop variable below the array's length.
#![allow(clippy::indexing_slicing, unsafe_op_in_unsafe_fn)]

use super::Simd;

const N: usize = 8;

/// See the module.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn map(a: [f32; N], f: impl Fn(f32) -> f32) -> [f32; N] {
    let mut out = [0.0; N];
    for i in 0..N {
        out[i] = f(a[i]);
    }
    out
}

#[inline(always)]
fn zip(a: [f32; N], b: [f32; N], f: impl Fn(f32, f32) -> f32) -> [f32; N] {
    let mut out = [0.0; N];
    for i in 0..N {
        out[i] = f(a[i], b[i]);
    }
    out
}

impl Simd for Portable {
    const LANES: usize = N;
    type F = [f32; N];
    type I = [i32; N];
    type W = [[u8; 4]; N];
    type X = [i8; 4];
    type P = [[f32; 2]; N];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        p.cast::<Self::F>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self::F {
        let mut out = [0.0; N];
        for (i, o) in out.iter_mut().enumerate().take(n) {
            *o = p.add(i).read();
        }
        out
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::F) {
        p.cast::<Self::F>().write_unaligned(v);
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, n: usize, v: Self::F) {
        for (i, x) in v.iter().enumerate().take(n) {
            p.add(i).write(*x);
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> Self::F {
        let mut out = [0.0; N];
        for (i, o) in out.iter_mut().enumerate() {
            *o = f32::from_bits(u32::from(p.add(i).read_unaligned()) << 16);
        }
        out
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> Self::F {
        let mut out = [0.0; N];
        for (i, o) in out.iter_mut().enumerate() {
            *o = half::f16::from_bits(p.add(i).read_unaligned()).to_f32_const();
        }
        out
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self::F {
        let mut out = [0.0; N];
        for (i, o) in out.iter_mut().enumerate() {
            *o = f32::from(p.add(i).read());
        }
        out
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        let mut out = [0.0; N];
        for i in 0..N {
            out[i] = a[i].mul_add(b[i], c[i]);
        }
        out
    }
    #[inline(always)]
    unsafe fn round(v: Self::F) -> Self::F {
        map(v, f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn scale2(v: Self::F, n: Self::F) -> Self::F {
        zip(v, n, |v, n| v * f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn abs(v: Self::F) -> Self::F {
        map(v, f32::abs)
    }
    #[inline(always)]
    unsafe fn zero_below(v: Self::F, x: Self::F, limit: Self::F) -> Self::F {
        let mut out = v;
        for i in 0..N {
            if x[i] < limit[i] {
                out[i] = 0.0;
            }
        }
        out
    }
    #[inline(always)]
    unsafe fn sum(v: Self::F) -> f32 {
        ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    }
    #[inline(always)]
    unsafe fn max_lane(v: Self::F) -> f32 {
        v.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
    #[inline(always)]
    unsafe fn store_i8(p: *mut i8, v: Self::F) {
        for (i, x) in v.iter().enumerate() {
            p.add(i).write(x.round_ties_even() as i8);
        }
    }

    #[inline(always)]
    unsafe fn int_splat(x: i32) -> Self::I {
        [x; N]
    }
    #[inline(always)]
    unsafe fn int_to_float(v: Self::I) -> Self::F {
        let mut out = [0.0; N];
        for i in 0..N {
            out[i] = v[i] as f32;
        }
        out
    }
    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> Self::W {
        p.cast::<Self::W>().read()
    }
    #[inline(always)]
    unsafe fn nibbles(p: *const u8) -> (Self::W, Self::W) {
        let both = Self::bytes(p);
        (both.map(|w| w.map(|b| b & 15)), both.map(|w| w.map(|b| b >> 4)))
    }
    #[inline(always)]
    unsafe fn four(p: *const i8) -> Self::X {
        p.cast::<Self::X>().read()
    }
    #[inline(always)]
    unsafe fn dot(acc: Self::I, w: Self::W, x: Self::X) -> Self::I {
        let mut out = acc;
        for i in 0..N {
            for j in 0..4 {
                out[i] += i32::from(w[i][j]) * i32::from(x[j]);
            }
        }
        out
    }

    #[inline(always)]
    unsafe fn pairs(p: *const u32) -> Self::P {
        let mut out = [[0.0; 2]; N];
        for (i, o) in out.iter_mut().enumerate() {
            *o = parted(p.add(i).read_unaligned());
        }
        out
    }
    #[inline(always)]
    unsafe fn pair(p: *const u32) -> Self::P {
        [parted(p.read_unaligned()); N]
    }
    #[inline(always)]
    unsafe fn first(v: Self::P) -> Self::P {
        v.map(|pair| [pair[0], 0.0])
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: Self::F, a: Self::P, b: Self::P) -> Self::F {
        let mut out = acc;
        for i in 0..N {
            out[i] = a[i][1].mul_add(b[i][1], a[i][0].mul_add(b[i][0], out[i]));
        }
        out
    }
}

/// The first and the second bf16 number of a pair.
fn parted(x: u32) -> [f32; 2] {
    [f32::from_bits(x << 16), f32::from_bits(x & 0xffff_0000)]
}
