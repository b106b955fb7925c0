//! Activations in the form a matmul reads them, shared by all weights that multiply the same rows.
//!
//! Rows are cut into tiles of a power of two; a tile is one contiguous stream in the order the kernel
//! reads it, so that rows whose stride is a power of two do not fight for one cache set.
// Offsets are computed from the sizes allocated in `set`.
#![allow(clippy::indexing_slicing)]

use crate::buffer::Lines;
use crate::pool::SendPtr;
use crate::simd::{Kernel, Simd, dispatch_float};
use crate::{Kind, Pool};

/// What a kind of weight multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For each k: one float per row of the tile.
    Float,
    /// For each group: (for each 4 k: 4 signed bytes per row), then a scale (f32) per row, then minus the sum of the bytes
    /// (i32) per row.
    Int {
        /// Along K.
        group: usize,
    },
}

impl Form {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::F32 | Kind::Bf16 => Form::Float,
            Kind::Q8 | Kind::Q4 => Form::Int { group: kind.group() },
        }
    }

    /// Bytes of one row.
    pub(crate) fn row_bytes(self, k: usize) -> usize {
        match self {
            Form::Float => k * 4,
            Form::Int { group } => k.div_ceil(group) * (group + 8),
        }
    }
}

/// How `m` rows are cut into tiles: of `most` rows, and powers of two for the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    pub m: usize,
    pub most: usize,
}

impl Tiles {
    /// How many.
    pub(crate) fn count(self) -> usize {
        self.m / self.most + (self.m % self.most).count_ones() as usize
    }

    /// First row and number of rows of tile `t`.
    pub(crate) fn get(self, t: usize) -> (usize, usize) {
        let full = self.m / self.most;
        if t < full {
            return (t * self.most, self.most);
        }
        let (mut first, mut rest) = (full * self.most, self.m % self.most);
        for _ in full..t {
            let n = 1 << rest.ilog2();
            first += n;
            rest -= n;
        }
        (first, 1 << rest.ilog2())
    }
}

/// M rows of K activations, quantised for 8-bit and 4-bit weights, as they are for the others.
///
/// 8-bit: symmetric, one f32 scale per row and group of the weight's group length, rounded to nearest.
#[derive(Debug)]
pub struct Activations {
    pub(crate) form: Form,
    pub(crate) tiles: Tiles,
    pub(crate) k: usize,
    data: Lines,
}

impl Default for Activations {
    fn default() -> Self {
        Self { form: Form::Float, tiles: Tiles { m: 0, most: 1 }, k: 0, data: Lines::default() }
    }
}

impl Activations {
    /// `x` (`m` rows of `k`) for weights of `kind`.
    ///
    /// # Panics
    /// When `x` is not `m * k` long.
    pub fn quantise(pool: &Pool, kind: Kind, x: &[f32], m: usize, k: usize) -> Self {
        let mut acts = Self::default();
        acts.set(pool, kind, x, m, k);
        acts
    }

    /// The same in place, with the memory of before.
    ///
    /// # Panics
    /// When `x` is not `m * k` long.
    pub fn set(&mut self, pool: &Pool, kind: Kind, x: &[f32], m: usize, k: usize) {
        assert_eq!(x.len(), m * k, "activations of {m} x {k}");
        self.form = Form::of(kind);
        self.k = k;
        let most = match self.form {
            Form::Float => pool.level().rows(),
            Form::Int { .. } => pool.level().rows_int(),
        };
        self.tiles = Tiles { m, most };
        let row_bytes = self.form.row_bytes(k);
        let base = SendPtr(self.data.ensure(m * row_bytes));
        let (tiles, form) = (self.tiles, self.form);
        // A task of less than some thousand numbers costs more to hand over than to do.
        let per_task = (16384 / (k * most).max(1)).max(1);
        pool.run(tiles.count().div_ceil(per_task), |task| {
            for t in task * per_task..((task + 1) * per_task).min(tiles.count()) {
                let (first, rows) = tiles.get(t);
                // SAFETY: the tile's rows of `x` and its own bytes of `data`, sized by `row_bytes`; the level was checked.
                unsafe {
                    let x = x.as_ptr().add(first * k);
                    let out = base.get().add(first * row_bytes);
                    dispatch_float(pool.level(), Pack { x, rows, k, form, out });
                }
            }
        });
    }

    /// Rows.
    pub fn m(&self) -> usize {
        self.tiles.m
    }

    /// Columns.
    pub fn k(&self) -> usize {
        self.k
    }

    pub(crate) fn data(&self) -> *const u8 {
        self.data.ptr()
    }
}

/// One tile: `rows` rows of `k` floats at `x` into `out`.
struct Pack {
    x: *const f32,
    rows: usize,
    k: usize,
    form: Form,
    out: *mut u8,
}

impl Kernel for Pack {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, rows, k, form, out } = self;
        // SAFETY: `x` has `rows * k` floats and `out` `rows * form.row_bytes(k)` bytes, 4-byte aligned.
        unsafe {
            match form {
                Form::Float if rows == 1 => std::ptr::copy_nonoverlapping(x, out.cast(), k),
                Form::Float => {
                    for r in 0..rows {
                        for i in 0..k {
                            out.cast::<f32>().add(i * rows + r).write(x.add(r * k + i).read());
                        }
                    }
                }
                Form::Int { group } => {
                    for r in 0..rows {
                        for g in 0..k.div_ceil(group) {
                            let len = group.min(k - g * group);
                            let at = out.add(g * rows * (group + 8));
                            pack_group::<S>(x.add(r * k + g * group), len, group, rows, r, at);
                        }
                    }
                }
            }
        }
    }
}

/// Quantises `len <= group <= 64` floats into row `r` of a group of a tile.
///
/// # Safety
/// `x` has `len` floats, `out` `rows * (group + 8)` bytes.
#[inline(always)]
unsafe fn pack_group<S: Simd>(x: *const f32, len: usize, group: usize, rows: usize, r: usize, out: *mut u8) {
    // SAFETY: `block` has 64 floats and `bytes` 64 bytes, `group` is a multiple of the lanes and at most 64.
    unsafe {
        let mut block = [0f32; 64];
        let mut bytes = [0i8; 64];
        std::ptr::copy_nonoverlapping(x, block.as_mut_ptr(), len);
        let mut peak = S::splat(0.0);
        for i in (0..group).step_by(S::LANES) {
            peak = S::max(S::abs(S::load(block.as_ptr().add(i))), peak);
        }
        let peak = S::max_lane(peak);
        let (scale, inverse) = if peak > f32::MIN_POSITIVE * 256.0 { (peak / 127.0, 127.0 / peak) } else { (0.0, 0.0) };
        let inverse = S::splat(inverse);
        for i in (0..group).step_by(S::LANES) {
            S::store_i8(bytes.as_mut_ptr().add(i), S::mul(S::load(block.as_ptr().add(i)), inverse));
        }
        let mut sum = 0i32;
        for b in bytes.iter().take(group) {
            sum += i32::from(*b);
        }
        for i in 0..group / 4 {
            let four = bytes.as_ptr().add(i * 4).cast::<[i8; 4]>().read();
            out.add((i * rows + r) * 4).cast::<[i8; 4]>().write(four);
        }
        let tail = out.add(rows * group).cast::<f32>();
        tail.add(r).write(scale);
        tail.add(rows + r).cast::<i32>().write(-sum);
    }
}
