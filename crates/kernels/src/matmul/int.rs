//! 8-bit and 4-bit weights: exact integer dot products within a group, scaled and summed in f32 from group to group.
// Indices are bounded by the const generics. Loops over the registers of a microtile read best with the index in sight.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop)]

use super::{PanelJob, emit};
use crate::simd::{Kernel, Simd, dispatch};
use crate::weight::PANEL;
use crate::{GROUP_Q4, GROUP_Q8, Kind, Level};

/// Panels of 8-bit (or 4-bit) weights against all tiles.
///
/// # Safety
/// As [`PanelJob`] says, and the processor has `level`.
pub(super) unsafe fn panels<const Q4: bool>(level: Level, job: &PanelJob) {
    for t in 0..job.tiles.count() {
        let (first, rows) = job.tiles.get(t);
        for p in 0..job.panels {
            // SAFETY: a panel and a tile that exist.
            unsafe {
                let job = job.only(p);
                #[cfg(all(target_arch = "aarch64", not(miri)))]
                if level == Level::NeonI8mm && rows > 1 {
                    // Two or four rows: [`Level::rows_int`] asks for no more.
                    super::int_pairs::panel::<Q4>(&job, first, rows);
                    continue;
                }
                match rows {
                    1 => dispatch(level, Tile::<Q4, 1>(&job, first)),
                    2 => dispatch(level, Tile::<Q4, 2>(&job, first)),
                    4 => dispatch(level, Tile::<Q4, 4>(&job, first)),
                    _ => dispatch(level, Tile::<Q4, 8>(&job, first)),
                }
            }
        }
    }
}

/// `R` rows from the first.
struct Tile<'a, const Q4: bool, const R: usize>(&'a PanelJob, usize);

impl<const Q4: bool, const R: usize> Kernel for Tile<'_, Q4, R> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller's.
        unsafe {
            if R == 1 && S::LANES * 4 <= PANEL {
                // A whole cache line per load: the panel comes from memory.
                for column in (0..PANEL).step_by(S::LANES * 4) {
                    tile::<S, Q4, R, 4>(self.0, self.1, column);
                }
            } else {
                for column in (0..PANEL).step_by(S::LANES * 2) {
                    tile::<S, Q4, R, 2>(self.0, self.1, column);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, const Q4: bool, const R: usize, const V: usize>(job: &PanelJob, first: usize, column: usize) {
    // SAFETY: groups of the panel, and of a tile of `R` rows that begins behind the rows before it.
    unsafe {
        let (kind, group, zero) = if Q4 { (Kind::Q4, GROUP_Q4, 8) } else { (Kind::Q8, GROUP_Q8, S::ABOVE) };
        let groups = job.k.div_ceil(group);
        let mut w = job.panel;
        let mut x = job.acts.add(first * groups * (group + 8));
        let mut sum = [[S::splat(0.0); V]; R];
        for _ in 0..groups {
            let scales = x.add(R * group).cast::<f32>();
            let minus_sums = scales.add(R).cast::<i32>();
            // Weights come as value + zero: what the zero adds is taken off beforehand.
            let mut acc = [[S::int_splat(0); V]; R];
            for r in 0..R {
                acc[r] = [S::int_splat(minus_sums.add(r).read() * zero); V];
            }
            if Q4 {
                for i in 0..GROUP_Q4 / 8 {
                    let mut wv = [S::nibbles(w.add((i * PANEL + column) * 4)); V];
                    for v in 1..V {
                        wv[v] = S::nibbles(w.add((i * PANEL + column + v * S::LANES) * 4));
                    }
                    for r in 0..R {
                        let low = S::four(x.add((2 * i * R + r) * 4).cast());
                        for v in 0..V {
                            acc[r][v] = S::dot(acc[r][v], wv[v].0, low);
                        }
                    }
                    for r in 0..R {
                        let high = S::four(x.add(((2 * i + 1) * R + r) * 4).cast());
                        for v in 0..V {
                            acc[r][v] = S::dot(acc[r][v], wv[v].1, high);
                        }
                    }
                }
            } else {
                for i in 0..GROUP_Q8 / 4 {
                    let mut wv = [S::bytes(w.add((i * PANEL + column) * 4)); V];
                    for v in 1..V {
                        wv[v] = S::bytes(w.add((i * PANEL + column + v * S::LANES) * 4));
                    }
                    for r in 0..R {
                        let xv = S::four(x.add((i * R + r) * 4).cast());
                        for v in 0..V {
                            acc[r][v] = S::dot(acc[r][v], wv[v], xv);
                        }
                    }
                }
            }
            let weight_scales = w.add(kind.group_bytes() - PANEL * 2).cast::<u16>();
            for v in 0..V {
                let ws = S::load_bf16(weight_scales.add(column + v * S::LANES));
                for r in 0..R {
                    let scale = S::mul(ws, S::splat(scales.add(r).read()));
                    sum[r][v] = S::fma(S::int_to_float(acc[r][v]), scale, sum[r][v]);
                }
            }
            w = w.add(kind.group_bytes());
            x = x.add(R * (group + 8));
        }
        for r in 0..R {
            for v in 0..V {
                emit::<S>(job, first + r, column + v * S::LANES, sum[r][v], true);
            }
        }
    }
}
