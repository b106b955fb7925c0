//! `cargo bench -p vlgate-kernels [-- FILTER]`: throughput in bytes of weights or cache for one row, in multiplications and
//! additions for many. Criterion reports elements per second; an element is one operation.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::hint::black_box;
use std::time::Duration;
use vlgate_kernels::*;

fn noise(len: usize) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(1);
    (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect()
}

fn memory(c: &mut Criterion) {
    let pool = Pool::default();
    let mut buffer = Buffer::zeroed(256 << 20).unwrap();
    buffer.bytes_mut().fill(1);
    let parts: Vec<&[u8]> = buffer.bytes().chunks(1 << 20).collect();
    let mut group = c.benchmark_group("memory");
    group.throughput(Throughput::Bytes(256 << 20));
    group.bench_function("read", |b| {
        b.iter(|| {
            pool.run(parts.len(), |i| {
                let words = parts.get(i).map_or(0, |p| p.iter().fold(0u8, |a, b| a ^ b));
                black_box(words);
            })
        })
    });
}

fn matmul(c: &mut Criterion) {
    let pool = Pool::default();
    let mut group = c.benchmark_group("matmul");
    for (n, k) in [(6144, 2048), (151_936, 2048)] {
        for kind in [Kind::F32, Kind::Bf16, Kind::Q8, Kind::Q4] {
            // As many weights as do not fit into a cache.
            let copies = ((96 << 20) / Weight::bytes_for(kind, n, k)).max(1);
            let data = noise(k + 257);
            let fill =
                |r: usize, out: &mut [f32]| out.iter_mut().zip(data.iter().skip(r % 257)).for_each(|(o, d)| *o = *d);
            let weights: Vec<_> = (0..copies).map(|_| Weight::pack(&pool, kind, n, k, &fill).unwrap()).collect();
            for m in [1, 8, 110, 512] {
                if m > 8 && n > 100_000 {
                    continue;
                }
                let x = noise(m * k);
                let (mut acts, mut out, mut turn) = (Activations::default(), vec![0.0; m * n], weights.iter().cycle());
                group.throughput(match m {
                    1 => Throughput::Bytes(weights.iter().map(|w| w.bytes()).sum::<usize>() as u64 / copies as u64),
                    _ => Throughput::Elements((2 * m * n * k) as u64),
                });
                group.bench_function(BenchmarkId::new(format!("{kind:?} {n}x{k}"), m), |b| {
                    b.iter(|| {
                        acts.set(&pool, kind, &x, m, k);
                        turn.next().unwrap().matmul_q(&pool, &acts, &mut out, Epilogue::default());
                    })
                });
            }
        }
    }
}

fn decode(c: &mut Criterion) {
    let pool = Pool::default();
    let mut group = c.benchmark_group("attention decode, 16 heads over 8 of 128");
    for kind in [KvKind::F32, KvKind::F16, KvKind::Bf16, KvKind::Q8] {
        let layout = KvLayout { kind, block_size: 32, kv_heads: 8, head_dim: 128 };
        let mut kv = KvPool::new(layout, 1024).unwrap();
        let rows = noise(1024 * 1024);
        for first in (0..32768).step_by(1024) {
            let slots: Vec<u32> = (first..first + 1024).collect();
            kv.write(&pool, &slots, &rows, &rows);
        }
        let blocks: Vec<u32> = (0..1024).collect();
        let (q, mut out) = (noise(2048), vec![0.0; 2048]);
        for context in [1024, 8192, 32768] {
            group.throughput(Throughput::Bytes((context / 32 * layout.block_bytes()) as u64));
            group.bench_function(BenchmarkId::new(format!("{kind:?}"), context), |b| {
                let sequences = [SequenceQueries { rows: 0..1, start: context - 1, blocks: &blocks }];
                let args = PagedAttention { q: &q, heads: 16, scale: 0.088, kv: &kv, sequences: &sequences };
                b.iter(|| paged_attention(&pool, &args, &mut out))
            });
        }
    }
}

fn vision(c: &mut Criterion) {
    let pool = Pool::default();
    let mut group = c.benchmark_group("vision attention, 1024 patches, 16 heads");
    for dim in [64, 72] {
        let (x, mut out) = (noise(1024 * 16 * dim), vec![0.0; 1024 * 16 * dim]);
        group.throughput(Throughput::Elements(4 * 1024 * 1024 * 16 * dim as u64));
        group.bench_function(BenchmarkId::from_parameter(dim), |b| {
            let all = 0..1024;
            let segments = std::slice::from_ref(&all);
            b.iter(|| vision_attention(&pool, KvKind::F32, &x, &x, &x, segments, 16, dim, 0.125, &mut out).unwrap())
        });
    }
}

fn small(c: &mut Criterion) {
    let pool = Pool::default();
    let (rows, n) = (512, 6144);
    let (x, w, mut out, mut y) = (noise(rows * n), noise(n), vec![0.0; rows * n], noise(rows * n));
    let tables = noise(rows * 64);
    let mut group = c.benchmark_group("small operations, 512 x 6144");
    group.throughput(Throughput::Elements((rows * n) as u64));
    group.bench_function("rms_norm", |b| b.iter(|| ops::rms_norm(&pool, &x, &w, 1e-6, &mut out)));
    group.bench_function("layer_norm", |b| b.iter(|| ops::layer_norm(&pool, &x, &w, &w, 1e-6, &mut out)));
    group.bench_function("silu_mul", |b| b.iter(|| ops::silu_mul(&pool, &x, &x, &mut out)));
    group.bench_function("gelu_tanh", |b| b.iter(|| ops::gelu_tanh(&pool, &mut y)));
    group.bench_function("rope_half", |b| b.iter(|| ops::rope_half(&pool, &mut y, 48, 128, &tables, &tables)));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    targets = memory, matmul, decode, vision, small
}
criterion_main!(benches);
