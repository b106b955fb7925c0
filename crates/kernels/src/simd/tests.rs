//! Each word of the vocabulary at each level against plain Rust, where a level may go wrong: NaN and infinities, ties, the
//! ends of the ranges of integers, parts of vectors.

use super::{Kernel, Simd, dispatch, dispatch_pairs};
use crate::Level;

const ODD: [f32; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    2.5,
    -1234.567,
    16_777_215.0,
    f32::MIN_POSITIVE,
    1e-40,
    3e38,
    -3e38,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// `ODD` from the `i`-th on, around its end, a vector of it.
fn odd<S: Simd>(i: usize) -> [f32; 16] {
    std::array::from_fn(|lane| if lane < S::LANES { ODD[(i + lane) % ODD.len()] } else { 0.0 })
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// The lanes of `v` are `expected(lane)`.
#[track_caller]
fn lanes<S: Simd>(v: S::F, expected: impl Fn(usize) -> f32) {
    let mut out = [0.0; 16];
    // SAFETY: at most 16 lanes.
    unsafe { S::store(out.as_mut_ptr(), v) };
    for (lane, x) in out.iter().enumerate().take(S::LANES) {
        assert!(same(*x, expected(lane)), "{}: lane {lane}: {x} is not {}", name::<S>(), expected(lane));
    }
}

fn name<S>() -> &'static str {
    std::any::type_name::<S>()
}

/// Runs a generic function as a kernel at every level.
macro_rules! at_every_level {
    ($test:ident, $check:ident) => {
        #[test]
        fn $test() {
            struct Check;
            impl Kernel for Check {
                type Out = ();
                #[inline(always)]
                unsafe fn run<S: Simd>(self) {
                    // SAFETY: the caller's.
                    unsafe { $check::<S>() }
                }
            }
            for level in Level::all_supported() {
                // SAFETY: a supported level, and no arguments.
                unsafe {
                    dispatch(level, Check);
                    dispatch_pairs(level, Check);
                }
            }
        }
    };
}

at_every_level!(moves_take_whole_vectors_and_parts, moves);
at_every_level!(narrow_numbers_become_floats, conversions);
at_every_level!(arithmetic_is_ieee, arithmetic);
at_every_level!(reductions_are_those_of_numbers, reductions);
at_every_level!(integer_products_are_exact, products);
at_every_level!(products_of_pairs_are_exact_where_floats_are, pairs);

#[inline(always)]
unsafe fn moves<S: Simd>() {
    // SAFETY: at most 16 lanes.
    unsafe {
        lanes::<S>(S::splat(-1.5), |_| -1.5);
        for i in 0..ODD.len() {
            let x = odd::<S>(i);
            lanes::<S>(S::load(x.as_ptr()), |lane| x[lane]);
        }
        // Nothing behind the part is read: it may lie at the end of what there is.
        for n in 0..=S::LANES {
            let part: Vec<f32> = (1..=n).map(|i| i as f32).collect();
            let v = S::load_part(part.as_ptr(), n);
            lanes::<S>(v, |lane| if lane < n { (lane + 1) as f32 } else { 0.0 });
            let mut out = [7.0f32; 16];
            S::store_part(out.as_mut_ptr(), n, S::splat(1.0));
            assert!(out.iter().enumerate().all(|(i, x)| *x == if i < n { 1.0 } else { 7.0 }), "{}: {n}", name::<S>());
        }
    }
}

#[inline(always)]
unsafe fn conversions<S: Simd>() {
    // SAFETY: at most 16 lanes.
    unsafe {
        for first in (0..=u16::MAX).step_by(16) {
            let bits: [u16; 16] = std::array::from_fn(|i| first + i as u16);
            lanes::<S>(S::load_bf16(bits.as_ptr()), |lane| half::bf16::from_bits(bits[lane]).to_f32());
            lanes::<S>(S::load_f16(bits.as_ptr()), |lane| half::f16::from_bits(bits[lane]).to_f32());
        }
        for first in (-128..128).step_by(16) {
            let bytes: [i8; 16] = std::array::from_fn(|i| (first + i as i32) as i8);
            lanes::<S>(S::load_i8(bytes.as_ptr()), |lane| f32::from(bytes[lane]));
        }
        for x in [0, 1, -1, 1 << 23, 123_456_789, -987_654_321, i32::MAX, i32::MIN] {
            lanes::<S>(S::int_to_float(S::int_splat(x)), |_| x as f32);
        }
        for quarters in (-127 * 4..=127 * 4 - 16).step_by(3) {
            let x: [f32; 16] = std::array::from_fn(|i| (quarters + i as i32) as f32 / 4.0);
            let mut bytes = [100i8; 17];
            S::store_i8(bytes.as_mut_ptr(), S::load(x.as_ptr()));
            for (lane, byte) in bytes.iter().enumerate() {
                let expected = if lane < S::LANES { x[lane].round_ties_even() as i8 } else { 100 };
                assert_eq!(*byte, expected, "{}: {x:?}", name::<S>());
            }
        }
    }
}

#[inline(always)]
unsafe fn arithmetic<S: Simd>() {
    // SAFETY: at most 16 lanes.
    unsafe {
        for i in 0..ODD.len() {
            let x = odd::<S>(i);
            let a = S::load(x.as_ptr());
            lanes::<S>(S::abs(a), |lane| x[lane].abs());
            lanes::<S>(S::round(a), |lane| x[lane].round_ties_even());
            for j in 0..ODD.len() {
                let y = odd::<S>(j);
                let b = S::load(y.as_ptr());
                lanes::<S>(S::add(a, b), |lane| x[lane] + y[lane]);
                lanes::<S>(S::sub(a, b), |lane| x[lane] - y[lane]);
                lanes::<S>(S::mul(a, b), |lane| x[lane] * y[lane]);
                lanes::<S>(S::div(a, b), |lane| x[lane] / y[lane]);
                lanes::<S>(S::max(a, b), |lane| if x[lane] > y[lane] { x[lane] } else { y[lane] });
                lanes::<S>(S::min(a, b), |lane| if x[lane] < y[lane] { x[lane] } else { y[lane] });
                lanes::<S>(S::zero_below(S::splat(3.0), a, b), |lane| if x[lane] < y[lane] { 0.0 } else { 3.0 });
                for z in [-1.5, 1e-40, f32::INFINITY, f32::NAN] {
                    lanes::<S>(S::fma(a, b, S::splat(z)), |lane| x[lane].mul_add(y[lane], z));
                }
            }
        }
        for n in -126..=127 {
            let power = (f64::from(n)).exp2() as f32;
            lanes::<S>(S::scale2(S::splat(1.25), S::splat(n as f32)), |_| 1.25 * power);
        }
    }
}

#[inline(always)]
unsafe fn reductions<S: Simd>() {
    // SAFETY: at most 16 lanes.
    unsafe {
        for peak in 0..S::LANES {
            // Each lane is a digit of the sum.
            let x: [f32; 16] = std::array::from_fn(|i| (1 << i) as f32);
            assert_eq!(S::sum(S::load(x.as_ptr())), ((1 << S::LANES) - 1) as f32, "{}", name::<S>());
            for (top, rest) in [(5.0, -2.0), (-2.0, -5.0), (0.5, f32::NEG_INFINITY), (f32::INFINITY, 1.0)] {
                let x: [f32; 16] = std::array::from_fn(|i| if i == peak { top } else { rest });
                assert_eq!(S::max_lane(S::load(x.as_ptr())), top, "{}: {peak}", name::<S>());
            }
        }
    }
}

/// The bytes of all lanes, `f(lane, i)` in byte `i` of a lane's four.
fn fours<T: Copy + Default>(f: impl Fn(usize, usize) -> T) -> [T; 64] {
    std::array::from_fn(|at| f(at / 4, at % 4))
}

#[inline(always)]
unsafe fn products<S: Simd>() {
    let extremes: [[i8; 4]; 6] =
        [[127; 4], [-127; 4], [127, -127, 127, -127], [-127, -127, 127, 127], [0, 1, -1, 0], [3, -50, 100, -127]];
    // SAFETY: at most 16 lanes of four bytes.
    unsafe {
        for x in extremes {
            let four = S::four(x.as_ptr());
            let sum = |w: &dyn Fn(usize) -> i32| (0..4).map(|i| w(i) * i32::from(x[i])).sum::<i32>();
            for seed in 0..40usize {
                let w: [u8; 64] = fours(|lane, i| match seed {
                    0 => 0,
                    1 => 255,
                    2 => 128,
                    3 => (i % 2 * 255) as u8,
                    _ => (seed * 89 + lane * 57 + i * 151) as u8,
                });
                // Twice the same products: a level that forgets what it adds to would show.
                let bytes = S::bytes(w.as_ptr());
                let acc = S::dot(S::dot(S::int_splat(-77), bytes, four), bytes, four);
                lanes::<S>(S::int_to_float(acc), |lane| {
                    (2 * sum(&|i| i32::from(w[lane * 4 + i]) - 128 + S::ABOVE) - 77) as f32
                });
                let (low, high) = S::nibbles(w.as_ptr());
                lanes::<S>(S::int_to_float(S::dot(S::int_splat(5), low, four)), |lane| {
                    (sum(&|i| i32::from(w[lane * 4 + i] & 15)) + 5) as f32
                });
                lanes::<S>(S::int_to_float(S::dot(S::int_splat(5), high, four)), |lane| {
                    (sum(&|i| i32::from(w[lane * 4 + i] >> 4)) + 5) as f32
                });
            }
        }
    }
}

#[inline(always)]
unsafe fn pairs<S: Simd>() {
    let bf16 = |x: f32| u32::from(half::bf16::from_f32(x).to_bits());
    // Small integers, so that every order of the sum gives the same.
    let a: [[f32; 2]; 16] = std::array::from_fn(|i| [i as f32 - 7.0, 3.0 * i as f32 - 20.0]);
    let packed = a.map(|[x, y]| bf16(x) | bf16(y) << 16);
    // SAFETY: at most 16 lanes of pairs.
    unsafe {
        for [x, y] in a {
            let (many, one) = (S::pairs(packed.as_ptr()), S::pair(&(bf16(x) | bf16(y) << 16)));
            let acc = S::dot_pairs(S::dot_pairs(S::splat(0.5), many, one), one, many);
            lanes::<S>(acc, |lane| 0.5 + 2.0 * (a[lane][0] * x + a[lane][1] * y));
            lanes::<S>(S::dot_pairs(S::splat(-1.0), S::first(many), one), |lane| a[lane][0] * x - 1.0);
        }
        // What is behind the first may be anything.
        let nan = packed.map(|x| x & 0xffff | 0x7fc0_0000);
        let one = S::first(S::pair(&bf16(2.0)));
        lanes::<S>(S::dot_pairs(S::splat(0.0), S::first(S::pairs(nan.as_ptr())), one), |lane| 2.0 * a[lane][0]);
    }
}
