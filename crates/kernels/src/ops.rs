//! Norms, activations, rotary embedding and the other small operations, row by row over the pool.
//!
//! A row's result depends on that row alone, whatever the number of rows.

use crate::Pool;
use crate::pool::SendPtr;
use crate::simd::{Kernel, Simd, dispatch_float, exp as exp_v};

/// Numbers a task should have at least: handing it over costs about what 4,000 simple ones do.
const GRAIN: usize = 16 * 1024;

/// Runs `kernel(first_row, rows)` over all rows, in parallel where they are many.
fn by_rows(pool: &Pool, rows: usize, width: usize, kernel: impl Fn(usize, usize) + Sync) {
    let per_task = (GRAIN / width.max(1)).max(1);
    pool.run(rows.div_ceil(per_task), |task| {
        let first = task * per_task;
        kernel(first, per_task.min(rows - first));
    });
}

/// Calls `f(offset, lanes)` for each vector of a row of `n`, the last one maybe shorter.
macro_rules! each {
    ($s:ident, $n:expr, |$i:ident, $len:ident| $body:block) => {{
        let mut $i = 0;
        while $i < $n {
            let $len = $s::LANES.min($n - $i);
            $body
            $i += $s::LANES;
        }
    }};
}

/// `out = x / sqrt(mean(x^2) + eps) * weight` over rows as long as `weight`; `x` may be heads of a row, each normed by itself.
///
/// # Panics
/// When lengths disagree.
pub fn rms_norm(pool: &Pool, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    norm(pool, x.as_ptr(), x.len(), weight, None, eps, out);
}

/// [`rms_norm`] in place.
///
/// # Panics
/// When lengths disagree.
pub fn rms_norm_in_place(pool: &Pool, x: &mut [f32], weight: &[f32], eps: f32) {
    norm(pool, x.as_ptr(), x.len(), weight, None, eps, x);
}

/// `out = (x - mean) / sqrt(variance + eps) * weight + bias` over rows as long as `weight`, in two passes.
///
/// # Panics
/// When lengths disagree.
pub fn layer_norm(pool: &Pool, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    norm(pool, x.as_ptr(), x.len(), weight, Some(bias), eps, out);
}

fn norm(pool: &Pool, x: *const f32, len: usize, weight: &[f32], bias: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    let n = weight.len();
    assert!(n > 0 && len % n == 0 && out.len() == len, "norm of {len} floats by {n}");
    assert!(bias.is_none_or(|b| b.len() == n), "bias of a norm");
    let (x, out) = (SendPtr(x.cast_mut()), SendPtr(out.as_mut_ptr()));
    by_rows(pool, len / n, n, |first, rows| {
        for row in first..first + rows {
            // SAFETY: row `row` of both, lengths checked above; tasks have disjoint rows; the pool has checked the level.
            unsafe {
                let (x, out) = (x.get().add(row * n), out.get().add(row * n));
                let bias = bias.map_or(std::ptr::null(), |b| b.as_ptr());
                dispatch_float(pool.level(), Norm { x, out, n, weight: weight.as_ptr(), bias, eps });
            }
        }
    });
}

/// One row. `x` may be `out`; no bias means root mean square.
struct Norm {
    x: *const f32,
    out: *mut f32,
    n: usize,
    weight: *const f32,
    bias: *const f32,
    eps: f32,
}

impl Kernel for Norm {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, out, n, weight, bias, eps } = self;
        // SAFETY: all have `n` floats.
        unsafe {
            let mut mean = 0.0;
            if !bias.is_null() {
                let mut sum = S::splat(0.0);
                each!(S, n, |i, len| {
                    sum = S::add(sum, S::load_part(x.add(i), len));
                });
                mean = S::sum(sum) / n as f32;
            }
            let rest_mean = mean;
            let mean = S::splat(mean);
            let mut squares = S::splat(0.0);
            let mut i = 0;
            while i + S::LANES <= n {
                let d = S::sub(S::load(x.add(i)), mean);
                squares = S::fma(d, d, squares);
                i += S::LANES;
            }
            let mut squares = S::sum(squares);
            for j in i..n {
                let d = *x.add(j) - rest_mean;
                squares += d * d;
            }
            let scale = S::splat(1.0 / (squares / n as f32 + eps).sqrt());
            each!(S, n, |i, len| {
                let d = S::mul(S::sub(S::load_part(x.add(i), len), mean), scale);
                let w = S::load_part(weight.add(i), len);
                let v = if bias.is_null() { S::mul(d, w) } else { S::fma(d, w, S::load_part(bias.add(i), len)) };
                S::store_part(out.add(i), len, v);
            });
        }
    }
}

/// A function of each number, in place.
#[derive(Clone, Copy)]
enum Map {
    GeluTanh,
    Silu,
    Exp,
}

struct MapRow {
    map: Map,
    x: *mut f32,
    n: usize,
}

impl Kernel for MapRow {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { map, x, n } = self;
        // SAFETY: `x` has `n` floats.
        unsafe {
            each!(S, n, |i, len| {
                let v = S::load_part(x.add(i), len);
                let v = match map {
                    Map::GeluTanh => gelu::<S>(v),
                    Map::Silu => silu::<S>(v),
                    Map::Exp => exp_v::<S>(v),
                };
                S::store_part(x.add(i), len, v);
            });
        }
    }
}

/// `x * sigmoid(x)`
#[inline(always)]
unsafe fn silu<S: Simd>(x: S::F) -> S::F {
    // SAFETY: registers only.
    unsafe {
        let e = exp_v::<S>(S::sub(S::splat(0.0), x));
        S::div(x, S::add(S::splat(1.0), e))
    }
}

/// `0.5 x (1 + tanh(u)) = x * sigmoid(2u)`, `u = sqrt(2/pi) (x + 0.044715 x^3)`
#[inline(always)]
unsafe fn gelu<S: Simd>(x: S::F) -> S::F {
    // SAFETY: registers only.
    unsafe {
        let inner = S::fma(S::mul(x, x), S::splat(0.044_715), S::splat(1.0));
        let u2 = S::mul(S::mul(x, inner), S::splat(-2.0 * 0.797_884_6));
        S::div(x, S::add(S::splat(1.0), exp_v::<S>(u2)))
    }
}

fn map(pool: &Pool, x: &mut [f32], map: Map) {
    let (n, x) = (x.len(), SendPtr(x.as_mut_ptr()));
    pool.run(n.div_ceil(GRAIN), |task| {
        let (first, level) = (task * GRAIN, pool.level());
        // SAFETY: the task's own part of `x`.
        unsafe { dispatch_float(level, MapRow { map, x: x.get().add(first), n: GRAIN.min(n - first) }) }
    });
}

/// GELU in its tanh form, in place.
pub fn gelu_tanh(pool: &Pool, x: &mut [f32]) {
    map(pool, x, Map::GeluTanh);
}

/// `x * sigmoid(x)`, in place.
pub fn silu_in_place(pool: &Pool, x: &mut [f32]) {
    map(pool, x, Map::Silu);
}

/// The exponential, in place: within 2 units in the last place, 0 below -87.33, clamped above 88.37.
pub fn exp(pool: &Pool, x: &mut [f32]) {
    map(pool, x, Map::Exp);
}

/// `out = silu(gate) * up` (SwiGLU), each `rows * n` floats.
///
/// # Panics
/// When lengths disagree.
pub fn silu_mul(pool: &Pool, gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert!(gate.len() == out.len() && up.len() == out.len(), "silu_mul");
    let n = out.len();
    binary(pool, Binary::SiluMul, gate.as_ptr(), up.as_ptr(), out.as_mut_ptr(), n);
}

/// The same where each row of `gate_up` is `n` gates and then `n` ups, as a weight packed of both gives them.
///
/// # Panics
/// When lengths disagree.
pub fn silu_mul_rows(pool: &Pool, gate_up: &[f32], n: usize, out: &mut [f32]) {
    assert!(n > 0 && gate_up.len() == 2 * out.len() && out.len() % n == 0, "silu_mul_rows");
    let (x, o) = (SendPtr(gate_up.as_ptr().cast_mut()), SendPtr(out.as_mut_ptr()));
    by_rows(pool, out.len() / n, n, |first, rows| {
        for row in first..first + rows {
            // SAFETY: row `row` of both; lengths were checked, `x` is only read.
            unsafe {
                let a = x.get().add(row * 2 * n).cast_const();
                let op = BinaryRow { op: Binary::SiluMul, a, b: a.add(n), out: o.get().add(row * n), n };
                dispatch_float(pool.level(), op);
            }
        }
    });
}

/// `x += y`
///
/// # Panics
/// When lengths disagree.
pub fn add(pool: &Pool, x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len(), "add");
    binary(pool, Binary::Add, x.as_ptr(), y.as_ptr(), x.as_mut_ptr(), y.len());
}

/// `x += y` where `y` is one row that is added to each row of `x`.
///
/// # Panics
/// When `x` is no whole number of rows.
pub fn add_row(pool: &Pool, x: &mut [f32], y: &[f32]) {
    let n = y.len();
    assert!(n > 0 && x.len() % n == 0, "add_row");
    let (rows, o) = (x.len() / n, SendPtr(x.as_mut_ptr()));
    by_rows(pool, rows, n, |first, rows| {
        for row in first..first + rows {
            // SAFETY: row `row` of `x`.
            unsafe {
                let x = o.get().add(row * n);
                dispatch_float(pool.level(), BinaryRow { op: Binary::Add, a: x, b: y.as_ptr(), out: x, n });
            }
        }
    });
}

#[derive(Clone, Copy)]
enum Binary {
    Add,
    SiluMul,
}

/// `out` may be `a`.
struct BinaryRow {
    op: Binary,
    a: *const f32,
    b: *const f32,
    out: *mut f32,
    n: usize,
}

impl Kernel for BinaryRow {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { op, a, b, out, n } = self;
        // SAFETY: all have `n` floats.
        unsafe {
            each!(S, n, |i, len| {
                let (x, y) = (S::load_part(a.add(i), len), S::load_part(b.add(i), len));
                let v = match op {
                    Binary::Add => S::add(x, y),
                    Binary::SiluMul => S::mul(silu::<S>(x), y),
                };
                S::store_part(out.add(i), len, v);
            });
        }
    }
}

fn binary(pool: &Pool, op: Binary, a: *const f32, b: *const f32, out: *mut f32, n: usize) {
    let (a, b, out) = (SendPtr(a.cast_mut()), SendPtr(b.cast_mut()), SendPtr(out));
    pool.run(n.div_ceil(GRAIN), |task| {
        let first = task * GRAIN;
        // SAFETY: the task's own part; callers checked that all have `n` floats. `a` and `b` are only read.
        unsafe {
            let (a, b, out) = (a.get().add(first), b.get().add(first), out.get().add(first));
            dispatch_float(pool.level(), BinaryRow { op, a, b, out, n: GRAIN.min(n - first) });
        }
    });
}

/// Rotary embedding, half-split (`rotate_half`), in place: `x` has rows of `heads * head_dim`; `cos` and `sin` have
/// `head_dim / 2` per row (the second half of transformers' tables repeats the first).
///
/// # Panics
/// When lengths disagree.
pub fn rope_half(pool: &Pool, x: &mut [f32], heads: usize, head_dim: usize, cos: &[f32], sin: &[f32]) {
    let (width, half) = (heads * head_dim, head_dim / 2);
    assert!(width > 0 && head_dim % 2 == 0 && x.len() % width == 0, "rope of {heads} heads of {head_dim}");
    let rows = x.len() / width;
    assert!(cos.len() == rows * half && sin.len() == rows * half, "rope tables");
    let x = SendPtr(x.as_mut_ptr());
    by_rows(pool, rows, width, |first, rows| {
        for row in first..first + rows {
            // SAFETY: row `row` of all three; lengths were checked.
            unsafe {
                let (cos, sin) = (cos.as_ptr().add(row * half), sin.as_ptr().add(row * half));
                dispatch_float(pool.level(), Rope { x: x.get().add(row * width), heads, half, cos, sin });
            }
        }
    });
}

/// One row: `heads` heads of twice `half`.
struct Rope {
    x: *mut f32,
    heads: usize,
    half: usize,
    cos: *const f32,
    sin: *const f32,
}

impl Kernel for Rope {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, heads, half, cos, sin } = self;
        // SAFETY: as the struct says.
        unsafe {
            for head in 0..heads {
                let a = x.add(head * 2 * half);
                let b = a.add(half);
                each!(S, half, |i, len| {
                    let (c, s) = (S::load_part(cos.add(i), len), S::load_part(sin.add(i), len));
                    let (u, v) = (S::load_part(a.add(i), len), S::load_part(b.add(i), len));
                    S::store_part(a.add(i), len, S::sub(S::mul(u, c), S::mul(v, s)));
                    S::store_part(b.add(i), len, S::fma(u, s, S::mul(v, c)));
                });
            }
        }
    }
}

/// The index of the largest number, the first of equals; NaN is never it. 0 for no numbers.
pub fn argmax(pool: &Pool, x: &[f32]) -> usize {
    // SAFETY: `x` is read within its length; the pool has checked the level.
    let peak = unsafe { dispatch_float(pool.level(), Peak { x: x.as_ptr(), n: x.len() }) };
    // Most often it is found early or late alike: one more pass at the speed of memory.
    x.iter().position(|v| *v == peak).unwrap_or(0)
}

/// The largest number, `-inf` for none.
struct Peak {
    x: *const f32,
    n: usize,
}

impl Kernel for Peak {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        let Self { x, n } = self;
        // SAFETY: `x` has `n` floats.
        unsafe {
            let (mut peak, full) = (S::splat(f32::NEG_INFINITY), n / S::LANES * S::LANES);
            for i in (0..full).step_by(S::LANES) {
                // `max` gives its second argument where one is NaN.
                peak = S::max(S::load(x.add(i)), peak);
            }
            let mut top = S::max_lane(peak);
            for i in full..n {
                top = top.max(*x.add(i));
            }
            top
        }
    }
}

/// `log(sum(exp(x)))`, for log-probabilities; `-inf` for no numbers.
pub fn log_sum_exp(pool: &Pool, x: &[f32]) -> f32 {
    // SAFETY: `x` is read within its length; the pool has checked the level.
    unsafe { dispatch_float(pool.level(), LogSumExp { x: x.as_ptr(), n: x.len() }) }
}

struct LogSumExp {
    x: *const f32,
    n: usize,
}

impl Kernel for LogSumExp {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        let Self { x, n } = self;
        // SAFETY: `x` has `n` floats.
        unsafe {
            let (top, full) = (Peak { x, n }.run::<S>(), n / S::LANES * S::LANES);
            if !top.is_finite() {
                return top;
            }
            let (peak, mut sum) = (S::splat(top), S::splat(0.0));
            for i in (0..full).step_by(S::LANES) {
                sum = S::add(sum, exp_v::<S>(S::sub(S::load(x.add(i)), peak)));
            }
            let mut total = f64::from(S::sum(sum));
            for i in full..n {
                total += f64::from(*x.add(i) - top).exp();
            }
            (f64::from(top) + total.ln()) as f32
        }
    }
}

/// Softmax of one row, in place. A row without a finite largest number stays as it is.
pub fn softmax(pool: &Pool, x: &mut [f32]) {
    // SAFETY: `x` is read within its length; the pool has checked the level.
    let top = unsafe { dispatch_float(pool.level(), Peak { x: x.as_ptr(), n: x.len() }) };
    if !top.is_finite() {
        return;
    }
    x.iter_mut().for_each(|v| *v -= top);
    exp(pool, x);
    let sum: f64 = x.iter().map(|v| f64::from(*v)).sum();
    let inverse = (1.0 / sum) as f32;
    x.iter_mut().for_each(|v| *v *= inverse);
}
