//! f32 and bf16 weights: a tile of rows by two vectors of outputs in registers, one fused multiply-add after the other
//! along K.

use super::{PanelJob, emit};
use crate::Level;
use crate::simd::{Kernel, Simd, dispatch_float};
use crate::weight::PANEL;

/// K is summed in blocks of this many, each from zero, and the blocks' sums are added in order: the sum's rounding error
/// grows with the block and not with K, and a block of a panel stays in the second-level cache.
const BLOCK: usize = 512;

/// One panel of f32 (or bf16) weights against all tiles.
///
/// # Safety
/// As [`PanelJob`] says, and the processor has `level`.
pub(super) unsafe fn panel<const BF16: bool>(level: Level, job: &PanelJob) {
    for start in (0..job.k).step_by(BLOCK) {
        let end = job.k.min(start + BLOCK);
        for t in 0..job.tiles.count() {
            let (first, rows) = job.tiles.get(t);
            let at = (job, first, start, end);
            // SAFETY: a tile that exists, and a stretch of K.
            unsafe {
                match rows {
                    1 => dispatch_float(level, Tile::<BF16, 1>(at)),
                    2 => dispatch_float(level, Tile::<BF16, 2>(at)),
                    4 => dispatch_float(level, Tile::<BF16, 4>(at)),
                    _ => dispatch_float(level, Tile::<BF16, 8>(at)),
                }
            }
        }
    }
}

/// `R` rows from the first, over a stretch of K.
struct Tile<'a, const BF16: bool, const R: usize>((&'a PanelJob, usize, usize, usize));

impl<const BF16: bool, const R: usize> Kernel for Tile<'_, BF16, R> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (job, first, start, end) = self.0;
        // SAFETY: the caller's.
        unsafe {
            if R <= 2 && S::LANES * 4 <= PANEL {
                // A whole cache line per load: the panel comes from memory.
                for column in (0..PANEL).step_by(S::LANES * 4) {
                    tile::<S, BF16, R, 4>(job, first, column, start, end);
                }
            } else {
                for column in (0..PANEL).step_by(S::LANES * 2) {
                    tile::<S, BF16, R, 2>(job, first, column, start, end);
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::indexing_slicing)]
unsafe fn tile<S: Simd, const BF16: bool, const R: usize, const V: usize>(
    job: &PanelJob,
    first: usize,
    column: usize,
    start: usize,
    end: usize,
) {
    // SAFETY: k in `start..end` of the panel, and of a tile of `R` rows whose floats begin at `first * k`.
    unsafe {
        let size = if BF16 { 2 } else { 4 };
        let mut w = job.panel.add((start * PANEL + column) * size);
        let mut x = job.acts.cast::<f32>().add(first * job.k + start * R);
        let mut acc = [[S::splat(0.0); V]; R];
        for _ in start..end {
            let mut wv = [S::splat(0.0); V];
            for v in 0..V {
                let p = w.add(v * S::LANES * size);
                wv[v] = if BF16 { S::load_bf16(p.cast()) } else { S::load(p.cast()) };
            }
            for r in 0..R {
                let xv = S::splat(x.add(r).read());
                for v in 0..V {
                    acc[r][v] = S::fma(xv, wv[v], acc[r][v]);
                }
            }
            w = w.add(PANEL * size);
            x = x.add(R);
        }
        for r in 0..R {
            for v in 0..V {
                emit::<S>(job, first + r, column + v * S::LANES, acc[r][v], start == 0);
            }
        }
    }
}
