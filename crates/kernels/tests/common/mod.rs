//! Pools of every level and seeded random numbers.
#![allow(dead_code)]

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vlgate_kernels::{Level, Pool};

/// One pool per supported level and number of threads.
pub fn pools() -> Vec<Pool> {
    Level::all_supported().into_iter().flat_map(|l| [1, 3].map(|threads| Pool::with_level(threads, l))).collect()
}

/// The one for what does not depend on the level.
pub fn pool() -> Pool {
    Pool::new(2)
}

pub fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// Roughly normal numbers, by the sum of uniform ones.
pub fn normal(rng: &mut StdRng, len: usize) -> Vec<f32> {
    (0..len).map(|_| (0..6).map(|_| rng.random_range(-0.7f32..0.7)).sum()).collect()
}

/// Largest difference, relative to the largest number of `b`.
pub fn error(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let peak = b.iter().fold(1e-30f64, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0.0f64, |m, (a, b)| {
        let d = (f64::from(*a) - b).abs() / peak;
        if d.is_nan() { f64::INFINITY } else { m.max(d) }
    })
}

/// Root of the mean square of the differences, relative to that of `b`.
pub fn rms_error(a: &[f32], b: &[f64]) -> f64 {
    let (mut d, mut s) = (0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        d += (f64::from(*a) - b).powi(2);
        s += b * b;
    }
    (d / s).sqrt()
}
