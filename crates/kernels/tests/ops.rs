//! The small operations at every level against f64.

mod common;

use common::{error, normal, pools, rng};
use rand::Rng;
use vlgate_kernels::ops;

#[test]
fn norms() {
    let mut rng = rng(1);
    for pool in pools() {
        for n in [1, 7, 16, 64, 72, 1000, 2048] {
            let rows = 5;
            let (x, w, b) = (normal(&mut rng, rows * n), normal(&mut rng, n), normal(&mut rng, n));
            let (mut rms, mut layer) = (vec![0.0; rows * n], vec![0.0; rows * n]);
            ops::rms_norm(&pool, &x, &w, 1e-6, &mut rms);
            ops::layer_norm(&pool, &x, &w, &b, 1e-6, &mut layer);
            let (mut e_rms, mut e_layer) = (vec![], vec![]);
            for row in x.chunks(n) {
                let x: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
                let mean = x.iter().sum::<f64>() / n as f64;
                let square = x.iter().map(|x| x * x).sum::<f64>() / n as f64;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
                for i in 0..n {
                    e_rms.push(x[i] / (square + 1e-6).sqrt() * f64::from(w[i]));
                    e_layer.push((x[i] - mean) / (variance + 1e-6).sqrt() * f64::from(w[i]) + f64::from(b[i]));
                }
            }
            assert!(error(&rms, &e_rms) < 1e-6, "rms {n} {:?}", pool.level());
            // One number has no variance: what is left of it is rounding.
            assert!(n == 1 || error(&layer, &e_layer) < 1e-5, "layer {n} {:?}", pool.level());
            let mut in_place = x.clone();
            ops::rms_norm_in_place(&pool, &mut in_place, &w, 1e-6);
            assert_eq!(in_place, rms);
        }
    }
}

#[test]
fn exponential_within_two_units_in_the_last_place() {
    for pool in pools() {
        let x: Vec<f32> = (-870_000..880_000).map(|i| i as f32 * 1e-4).collect();
        let mut y = x.clone();
        ops::exp(&pool, &mut y);
        let mut worst = 0.0f64;
        for (x, y) in x.iter().zip(&y) {
            let exact = f64::from(*x).exp();
            let unit = f64::from((exact as f32).next_up()) - f64::from(exact as f32);
            worst = worst.max((f64::from(*y) - exact).abs() / unit);
        }
        println!("{:?}: {worst:.2} units", pool.level());
        assert!(worst < 2.0, "{:?}: {worst}", pool.level());
        let mut edge = [f32::NEG_INFINITY, -1000.0, -88.0, 0.0, 1000.0];
        ops::exp(&pool, &mut edge);
        assert_eq!(edge[..4], [0.0, 0.0, 0.0, 1.0]);
        assert!(edge[4].is_finite());
    }
}

/// Within a few units in the last place of numbers around 1; where the sigmoid is tiny, its own error is larger.
fn close(a: &[f32], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| (f64::from(*a) - b).abs() < 5e-7 * b.abs().max(1.0))
}

#[test]
fn activations() {
    let mut rng = rng(2);
    for pool in pools() {
        for n in [1, 15, 33, 40000] {
            let x: Vec<f32> = (0..n).map(|_| rng.random_range(-12.0f32..12.0)).collect();
            let up = normal(&mut rng, n);
            let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            let silu: Vec<f64> = wide.iter().map(|x| x / (1.0 + (-x).exp())).collect();
            let gelu: Vec<f64> = wide
                .iter()
                .map(|x| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()))
                .collect();
            let mut y = x.clone();
            ops::gelu_tanh(&pool, &mut y);
            assert!(close(&y, &gelu), "gelu {n} {:?}", pool.level());
            let mut y = x.clone();
            ops::silu_in_place(&pool, &mut y);
            assert!(close(&y, &silu));
            let mut y = vec![0.0; n];
            ops::silu_mul(&pool, &x, &up, &mut y);
            let product: Vec<f64> = silu.iter().zip(&up).map(|(s, u)| s * f64::from(*u)).collect();
            assert!(close(&y, &product));
            let mut rows = vec![0.0; n];
            ops::silu_mul_rows(&pool, &[x.clone(), up.clone()].concat(), n, &mut rows);
            assert_eq!(rows, y);
            let mut y = x.clone();
            ops::add(&pool, &mut y, &up);
            assert!(y.iter().zip(x.iter().zip(&up)).all(|(y, (a, b))| *y == a + b));
            let mut y = [x.clone(), x.clone()].concat();
            ops::add_row(&pool, &mut y, &up);
            assert!(y[n..].iter().zip(x.iter().zip(&up)).all(|(y, (a, b))| *y == a + b));
        }
    }
}

#[test]
fn rope() {
    let mut rng = rng(3);
    for pool in pools() {
        for (heads, dim) in [(1, 2), (3, 16), (2, 40), (4, 72), (16, 128)] {
            let (rows, half, width) = (7, dim / 2, heads * dim);
            let x = normal(&mut rng, rows * width);
            let angles = normal(&mut rng, rows * half);
            let (cos, sin): (Vec<_>, Vec<_>) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
            let mut y = x.clone();
            ops::rope_half(&pool, &mut y, heads, dim, &cos, &sin);
            let mut expected = vec![0.0; rows * width];
            for r in 0..rows {
                for h in 0..heads {
                    for i in 0..half {
                        let at = r * width + h * dim + i;
                        let (a, b) = (f64::from(x[at]), f64::from(x[at + half]));
                        let (c, s) = (f64::from(cos[r * half + i]), f64::from(sin[r * half + i]));
                        expected[at] = a * c - b * s;
                        expected[at + half] = b * c + a * s;
                    }
                }
            }
            assert!(error(&y, &expected) < 1e-6);
        }
    }
}

#[test]
fn reductions() {
    let mut rng = rng(4);
    for pool in pools() {
        for n in [1, 5, 16, 1000, 151_936] {
            let x = normal(&mut rng, n);
            let peak = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(ops::argmax(&pool, &x), x.iter().position(|v| *v == peak).unwrap());
            let sum: f64 = x.iter().map(|x| f64::from(*x).exp()).sum();
            assert!((f64::from(ops::log_sum_exp(&pool, &x)) - sum.ln()).abs() < 1e-5);
            let mut y = x.clone();
            ops::softmax(&pool, &mut y);
            let expected: Vec<f64> = x.iter().map(|x| f64::from(*x).exp() / sum).collect();
            assert!(error(&y, &expected) < 1e-5);
        }
        assert_eq!(ops::argmax(&pool, &[f32::NAN, 1.0, 3.0, 3.0, f32::NAN]), 2);
        assert_eq!(ops::argmax(&pool, &[f32::NAN]), 0);
        assert_eq!(ops::argmax(&pool, &[]), 0);
        assert_eq!(ops::log_sum_exp(&pool, &[f32::NEG_INFINITY, 2.0]), 2.0);
        let mut masked = [f32::NEG_INFINITY, 0.0, 0.0];
        ops::softmax(&pool, &mut masked);
        assert_eq!(masked, [0.0, 0.5, 0.5]);
    }
}
