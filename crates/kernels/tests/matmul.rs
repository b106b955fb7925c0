//! Every kind of weight at every level against sums in f64.
#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::too_many_arguments, missing_docs)]

mod common;

use common::{error, normal, pool, pools, rms_error, rng};
use rand::Rng;
use std::sync::Arc;
use vlgate_kernels::{Activations, Epilogue, Kind, Pool, Weight};

const KINDS: [Kind; 4] = [Kind::F32, Kind::Bf16, Kind::Q8, Kind::Q4];

fn pack(pool: &Pool, kind: Kind, n: usize, k: usize, w: &[f32]) -> Weight {
    Weight::pack(pool, kind, n, k, &|row, out: &mut [f32]| out.copy_from_slice(&w[row * k..(row + 1) * k])).unwrap()
}

/// With the weights as the packed form has them, so that only the multiplication is judged.
fn reference(weight: &Weight, x: &[f32], m: usize) -> Vec<f64> {
    let (n, k) = (weight.n(), weight.k());
    let mut out = vec![0.0; m * n];
    let mut row = vec![0.0; k];
    for j in 0..n {
        weight.row(j, &mut row);
        for i in 0..m {
            out[i * n + j] = row.iter().zip(&x[i * k..(i + 1) * k]).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
        }
    }
    out
}

#[test]
fn odd_shapes_agree_with_sums_in_f64() {
    let mut rng = rng(1);
    let pools = pools();
    for round in 0..40 {
        let (m, n, k) = match round {
            0 => (1, 1, 1),
            1 => (1, 33, 65),
            2 => (9, 31, 63),
            3 => (17, 64, 1025),
            4 => (1, 200, 1537),
            _ => (rng.random_range(1..20), rng.random_range(1..100), rng.random_range(1..300)),
        };
        let (w, x, bias) = (normal(&mut rng, n * k), normal(&mut rng, m * k), normal(&mut rng, n));
        for kind in KINDS {
            let weight = pack(&pools[0], kind, n, k, &w);
            let mut expected = reference(&weight, &x, m);
            for (i, e) in expected.iter_mut().enumerate() {
                *e += f64::from(bias[i % n]);
            }
            let mut first: Option<Vec<f32>> = None;
            for pool in &pools {
                let mut out = vec![f32::NAN; m * n];
                weight.matmul(pool, &x, m, &mut out, Some(&bias));
                // 8-bit activations: half a step of 1/127 of a group's peak each, at random.
                let bound = if matches!(kind, Kind::F32 | Kind::Bf16) { 1e-5 } else { 2e-2 };
                let e = error(&out, &expected);
                assert!(e < bound, "{kind:?} {m}x{n}x{k} at {:?}: {e}", pool.level());
                // The order of sums is the same at every level for matmuls.
                let first = first.get_or_insert_with(|| out.clone());
                assert_eq!(first, &out, "{kind:?} {m}x{n}x{k} at {:?}", pool.level());
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_batch() {
    let mut rng = rng(2);
    for pool in pools() {
        for (n, k) in [(70, 1100), (33, 64)] {
            let m = 23;
            let (w, x) = (normal(&mut rng, n * k), normal(&mut rng, m * k));
            for kind in KINDS {
                let weight = pack(&pool, kind, n, k, &w);
                let mut whole = vec![0.0; m * n];
                weight.matmul(&pool, &x, m, &mut whole, None);
                for (first, rows) in [(0, 1), (5, 1), (22, 1), (3, 2), (1, 7), (8, 8), (4, 11)] {
                    let mut part = vec![0.0; rows * n];
                    weight.matmul(&pool, &x[first * k..(first + rows) * k], rows, &mut part, None);
                    assert_eq!(part, whole[first * n..(first + rows) * n], "{kind:?} rows {first}+{rows}");
                }
            }
        }
    }
}

#[test]
fn weights_share_activations_and_add_to_the_output() {
    let (mut rng, pool) = (rng(3), pool());
    let (m, k) = (5, 96);
    let x = normal(&mut rng, m * k);
    for kind in KINDS {
        let acts = Activations::quantise(&pool, kind, &x, m, k);
        for n in [40, 8] {
            let weight = pack(&pool, kind, n, k, &normal(&mut rng, n * k));
            let (mut alone, mut residual) = (vec![0.0; m * n], vec![1.5; m * n]);
            weight.matmul(&pool, &x, m, &mut alone, None);
            weight.matmul_q(&pool, &acts, &mut residual, Epilogue { bias: None, accumulate: true });
            for (a, r) in alone.iter().zip(&residual) {
                assert!((a + 1.5 - r).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn quantisation_error_is_bounded() {
    let (mut rng, pool) = (rng(4), pool());
    let (n, k) = (64, 1024);
    let w = normal(&mut rng, n * k);
    let exact: Vec<f64> = w.iter().map(|w| f64::from(*w)).collect();
    for (kind, bound) in [(Kind::F32, 0.0), (Kind::Bf16, 0.002), (Kind::Q8, 0.0075), (Kind::Q4, 0.085)] {
        let weight = pack(&pool, kind, n, k, &w);
        let mut back = vec![0.0; n * k];
        weight.rows(&pool, &(0..n as u32).collect::<Vec<_>>(), &mut back);
        let e = rms_error(&back, &exact);
        println!("{kind:?}: weights {e:.5}");
        assert!(e <= bound, "{kind:?}: {e}");
        // Of products with activations that have outliers, as language models' do.
        let m = 4;
        let mut x = normal(&mut rng, m * k);
        for r in 0..m {
            for c in [17, 400, 401] {
                x[r * k + c] *= 40.0;
            }
        }
        let mut out = vec![0.0; m * n];
        weight.matmul(&pool, &x, m, &mut out, None);
        let mut expected = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                expected[i * n + j] = (0..k).map(|c| exact[j * k + c] * f64::from(x[i * k + c])).sum();
            }
        }
        let e = rms_error(&out, &expected);
        println!("{kind:?}: products with outliers {e:.5}");
        assert!(e <= bound * 4.0 + 1e-6, "{kind:?}: {e}");
    }
}

#[test]
fn extreme_numbers_stay_numbers() {
    let pool = pool();
    let k = 64;
    for kind in KINDS {
        for value in [0.0f32, 1e-38, 1e-30, -1e-6, 3e4, 1e30] {
            let weight = pack(&pool, kind, 3, k, &vec![value; 3 * k]);
            let mut out = vec![f32::NAN; 6];
            weight.matmul(&pool, &vec![value; 2 * k], 2, &mut out, None);
            assert!(out.iter().all(|x| !x.is_nan()), "{kind:?} {value}: {out:?}");
            let mut row = vec![f32::NAN; k];
            weight.row(2, &mut row);
            assert!(
                row.iter().all(|x| (x - value).abs() <= value.abs() * 0.04 + 1e-30),
                "{kind:?} {value}: {}",
                row[0]
            );
        }
    }
}

#[test]
fn the_packed_form_survives_a_file() {
    let (mut rng, pool) = (rng(5), pool());
    let path = std::env::temp_dir().join(format!("vlgate-kernels-{}", std::process::id()));
    let mut file = std::fs::File::create(&path).unwrap();
    let mut weights = Vec::new();
    for kind in KINDS {
        let (n, k) = (50, 70);
        weights.push(pack(&pool, kind, n, k, &normal(&mut rng, n * k)));
        weights.last().unwrap().write_to(&mut file).unwrap();
    }
    drop(file);
    // SAFETY: nobody else knows the file.
    let map = Arc::new(unsafe { memmap2::Mmap::map(&std::fs::File::open(&path).unwrap()).unwrap() });
    let mut at = 0;
    for weight in &weights {
        let (back, next) = Weight::from_mapped(&map, at).unwrap();
        assert_eq!((back.n(), back.k(), back.kind()), (weight.n(), weight.k(), weight.kind()));
        assert_eq!(back.packed(), weight.packed());
        at = next;
    }
    assert!(Weight::from_mapped(&map, at).is_err());
    assert!(Weight::from_mapped(&map, 1).is_err());
    std::fs::remove_file(&path).unwrap();
}
