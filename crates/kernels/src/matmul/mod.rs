//! `out = x W^T`, for one row of activations or for many.

mod float;
mod int;
#[cfg(all(target_arch = "aarch64", not(miri)))]
mod int_pairs;

use crate::activations::{Form, Tiles};
use crate::pool::SendPtr;
use crate::simd::Simd;
use crate::weight::PANEL;
use crate::{Activations, Kind, Level, Pool, Weight};

/// What becomes of the products.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Added to every row: `n` floats.
    pub bias: Option<&'a [f32]>,
    /// Adds to what `out` holds, a residual for one, instead of replacing it.
    pub accumulate: bool,
}

impl Weight {
    /// `out = x W^T + bias`: `x` has `m` rows of `k`, `out` `m` rows of `n`, `bias` `n`, all row-major.
    ///
    /// A row of `out` does not depend on the other rows: not on how many there are, nor on its place among them.
    ///
    /// # Panics
    /// When a length disagrees.
    pub fn matmul(&self, pool: &Pool, x: &[f32], m: usize, out: &mut [f32], bias: Option<&[f32]>) {
        let acts = Activations::quantise(pool, self.kind(), x, m, self.k());
        self.matmul_q(pool, &acts, out, Epilogue { bias, accumulate: false });
    }

    /// The same for activations prepared before, which other weights of the kind may share.
    ///
    /// # Panics
    /// When a length disagrees or the activations were prepared for another kind.
    pub fn matmul_q(&self, pool: &Pool, acts: &Activations, out: &mut [f32], epilogue: Epilogue) {
        let (m, n, k) = (acts.m(), self.n(), self.k());
        assert_eq!(acts.k(), k, "activations for {self:?}");
        assert_eq!(acts.form, Form::of(self.kind()), "activations for {self:?}");
        assert_eq!(out.len(), m * n, "output of {m} rows of {self:?}");
        assert!(epilogue.bias.is_none_or(|b| b.len() == n), "bias of {self:?}");
        if m == 0 {
            return;
        }
        let panels = n.div_ceil(PANEL);
        // Enough tasks for an even share, few enough that handing them out costs nothing.
        let per_task = (panels / (pool.threads() * 8)).clamp(1, 16);
        let out = SendPtr(out.as_mut_ptr());
        // With several tiles, a tile goes over as many panels as stay in the second-level cache before the next one does.
        let stretch = match acts.form {
            Form::Float => k.min(float::BLOCK) * self.kind().group_bytes(),
            Form::Int { .. } => self.panel(0).len(),
        };
        let together = if acts.tiles.count() == 1 { 1 } else { (CACHE / stretch).clamp(1, per_task) };
        pool.run(panels.div_ceil(per_task), |task| {
            let end = ((task + 1) * per_task).min(panels);
            for first in (task * per_task..end).step_by(together) {
                let at = first * PANEL;
                // SAFETY: lengths were checked above; the panels' columns of `out` belong to this task alone.
                unsafe {
                    let job = PanelJob {
                        kind: self.kind(),
                        panel: self.panel(first).as_ptr(),
                        panels: together.min(end - first),
                        panel_bytes: self.panel(first).len(),
                        k,
                        acts: acts.data(),
                        tiles: acts.tiles,
                        out: out.get().add(at),
                        stride: n,
                        columns: n - at,
                        bias: epilogue.bias.map_or(std::ptr::null(), |b| b.as_ptr().add(at)),
                        accumulate: epilogue.accumulate,
                    };
                    job.run(pool.level());
                }
            }
        });
    }
}

/// Bytes of weights that stay in the second-level cache while activations pass by: half of what current cores have.
const CACHE: usize = 512 << 10;

/// Some panels against all tiles.
///
/// `panel` (the first of `panels`, one behind the other) and `acts` are laid out as [`Weight`] and [`Activations`] say;
/// `out` has `columns` columns of each row from the first panel's on, `stride` floats apart; `bias` has as many or is null.
#[derive(Clone, Copy)]
struct PanelJob {
    kind: Kind,
    panel: *const u8,
    panels: usize,
    panel_bytes: usize,
    k: usize,
    acts: *const u8,
    tiles: Tiles,
    out: *mut f32,
    stride: usize,
    columns: usize,
    bias: *const f32,
    accumulate: bool,
}

impl PanelJob {
    /// The same for panel `p` of them alone.
    #[inline(always)]
    unsafe fn only(&self, p: usize) -> Self {
        let at = p * PANEL;
        // SAFETY: a panel that exists.
        unsafe {
            Self {
                panel: self.panel.add(p * self.panel_bytes),
                panels: 1,
                out: self.out.add(at),
                columns: self.columns - at,
                bias: if self.bias.is_null() { self.bias } else { self.bias.add(at) },
                ..*self
            }
        }
    }

    /// # Safety
    /// As the struct says, and the processor has `level`.
    unsafe fn run(&self, level: Level) {
        // SAFETY: the caller's.
        unsafe {
            match self.kind {
                Kind::F32 => float::panels::<false>(level, self),
                Kind::Bf16 => float::panels::<true>(level, self),
                Kind::Q8 => int::panels::<false>(level, self),
                Kind::Q4 => int::panels::<true>(level, self),
            }
        }
    }
}

/// Writes one vector of one row: columns `column..` of the panel, fewer where the matrix ends.
///
/// # Safety
/// `row` is below the number of rows.
#[inline(always)]
unsafe fn emit<S: Simd>(job: &PanelJob, row: usize, column: usize, v: S::F, first: bool) {
    // SAFETY: the columns that exist, of a row that exists.
    unsafe {
        if column >= job.columns {
            return;
        }
        let (len, out) = (S::LANES.min(job.columns - column), job.out.add(row * job.stride + column));
        let mut v = v;
        if first && !job.bias.is_null() {
            v = S::add(v, S::load_part(job.bias.add(column), len));
        }
        if !first || job.accumulate {
            v = S::add(S::load_part(out, len), v);
        }
        S::store_part(out, len, v);
    }
}
