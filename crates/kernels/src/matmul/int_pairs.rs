//! 8-bit and 4-bit weights for two or four rows on processors with USMMLA: what `int.rs` does, two rows by two outputs at a
//! time. Integers are exact and the floats around them are summed in the same order, so results are the same to the bit.
// Indices are bounded by the const generics. Loops over the registers of a microtile read best with the index in sight.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop)]

use super::{PanelJob, emit};
use crate::simd::{NeonI8mm, Simd, neon_pairs as pairs};
use crate::weight::PANEL;
use crate::{GROUP_Q4, GROUP_Q8, Kind};

/// Vectors of outputs in a microtile: with four rows, half of the registers hold sums.
const V: usize = 2;
const LANES: usize = NeonI8mm::LANES;

/// One panel against the tile of `rows` rows (two or four) from row `first`.
///
/// # Safety
/// As [`PanelJob`] says, and the processor has [`crate::Level::NeonI8mm`].
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(super) unsafe fn panel<const Q4: bool>(job: &PanelJob, first: usize, rows: usize) {
    for column in (0..PANEL).step_by(LANES * V) {
        // SAFETY: the caller's.
        unsafe {
            match rows {
                2 => tile::<Q4, 1, 2>(job, first, column),
                _ => tile::<Q4, 2, 4>(job, first, column),
            }
        }
    }
}

/// `P` pairs of rows: `R = 2 * P`.
#[inline(always)]
unsafe fn tile<const Q4: bool, const P: usize, const R: usize>(job: &PanelJob, first: usize, column: usize) {
    // SAFETY: groups of the panel, and of a tile of `R` rows that begins behind the rows before it.
    unsafe {
        let (kind, group, zero) = if Q4 { (Kind::Q4, GROUP_Q4, 8) } else { (Kind::Q8, GROUP_Q8, NeonI8mm::ABOVE) };
        let groups = job.k.div_ceil(group);
        let mut w = job.panel;
        let mut x = job.acts.add(first * groups * (group + 8));
        let mut sum = [[NeonI8mm::splat(0.0); V]; R];
        for _ in 0..groups {
            let scales = x.add(R * group).cast::<f32>();
            let minus_sums = scales.add(R).cast::<i32>();
            let mut acc = [[pairs::sums(0, 0); V]; P];
            for p in 0..P {
                let start = |r: usize| minus_sums.add(2 * p + r).read() * zero;
                acc[p] = [pairs::sums(start(0), start(1)); V];
            }
            for i in 0..group / 8 {
                let at = x.add(i * 8 * R).cast::<i8>();
                let xv = if P == 1 {
                    [pairs::two_rows(at); P]
                } else {
                    let [top, bottom] = pairs::four_rows(at);
                    let mut xv = [top; P];
                    xv[P - 1] = bottom;
                    xv
                };
                for v in 0..V {
                    let lane = column + v * LANES;
                    let (k, next) = if Q4 {
                        NeonI8mm::nibbles(w.add((i * PANEL + lane) * 4))
                    } else {
                        let at = |k: usize| w.add((k * PANEL + lane) * 4);
                        (NeonI8mm::bytes(at(2 * i)), NeonI8mm::bytes(at(2 * i + 1)))
                    };
                    let wv = pairs::outputs(k, next);
                    for p in 0..P {
                        acc[p][v] = pairs::multiply(acc[p][v], wv, xv[p]);
                    }
                }
            }
            let weight_scales = w.add(kind.group_bytes() - PANEL * 2).cast::<u16>();
            for v in 0..V {
                let ws = NeonI8mm::load_bf16(weight_scales.add(column + v * LANES));
                for p in 0..P {
                    for (r, acc) in pairs::rows(acc[p][v]).into_iter().enumerate() {
                        let r = 2 * p + r;
                        let scale = NeonI8mm::mul(ws, NeonI8mm::splat(scales.add(r).read()));
                        sum[r][v] = NeonI8mm::fma(NeonI8mm::int_to_float(acc), scale, sum[r][v]);
                    }
                }
            }
            w = w.add(kind.group_bytes());
            x = x.add(R * (group + 8));
        }
        for r in 0..R {
            for v in 0..V {
                emit::<NeonI8mm>(job, first + r, column + v * LANES, sum[r][v], true);
            }
        }
    }
}
