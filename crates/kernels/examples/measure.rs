//! Tables of what the kernels do on this machine: the best of several runs, since other processes only ever slow one down.
//!
//!     cargo run --release -p vlgate-kernels --example measure -- [read] [matmul] [attention] [vision] [ops]
#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;
use std::time::{Duration, Instant};
use vlgate_kernels::*;

/// Seconds of processor time that all threads of this process have had.
fn processor() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is good for writing.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

/// Seconds of the fastest of many runs. A run that other processes interrupt is timed by the processor time of its threads.
fn best(pool: &Pool, mut f: impl FnMut()) -> f64 {
    let (mut best, start, mut runs) = (f64::MAX, Instant::now(), 0);
    while runs < 3 || start.elapsed() < Duration::from_millis(300) {
        let (wall, cpu) = (Instant::now(), processor());
        f();
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), processor() - cpu);
        best = best.min(wall.min(cpu / pool.threads() as f64).max(wall / 16.0));
        runs += 1;
    }
    best
}

fn noise(n: usize) -> Vec<f32> {
    let mut s = 1u32;
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(1664525).wrapping_add(1013904223);
            (s >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn read(pool: &Pool) -> f64 {
    let mut memory = Buffer::zeroed(512 << 20).unwrap();
    memory.bytes_mut().fill(1);
    let (bytes, part) = (memory.bytes(), 1 << 20);
    let t = best(pool, || {
        pool.run(bytes.len() / part, |i| {
            let mut sum = [0u64; 8];
            for line in bytes[i * part..(i + 1) * part].chunks_exact(64) {
                for (s, b) in sum.iter_mut().zip(line.chunks_exact(8)) {
                    *s ^= u64::from_le_bytes(b.try_into().unwrap());
                }
            }
            black_box(sum);
        })
    });
    bytes.len() as f64 / t / 1e9
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.is_empty() || args.iter().any(|a| a == name);
    let threads = std::env::var("THREADS").ok().and_then(|t| t.parse().ok()).unwrap_or_else(physical_cores);
    let pool = Pool::new(threads);
    println!("{} threads, {:?}", pool.threads(), pool.level());
    if has("read") {
        println!("reading memory: {:.1} GB/s", read(&pool));
    }
    if has("matmul") {
        let shapes: &[(usize, usize)] =
            if has("head") { &[(6144, 2048), (2048, 6144), (151_936, 2048)] } else { &[(6144, 2048), (2048, 6144)] };
        for &(n, k) in shapes {
            for kind in [Kind::F32, Kind::Bf16, Kind::Q8, Kind::Q4] {
                // Several copies, so that one row never finds its weights in a cache.
                let copies = ((96 << 20) / Weight::bytes_for(kind, n, k)).max(1);
                let data = noise(k + 257);
                let weights: Vec<_> = (0..copies)
                    .map(|_| {
                        Weight::pack(&pool, kind, n, k, &|r, out: &mut [f32]| {
                            out.copy_from_slice(&data[r % 257..r % 257 + k])
                        })
                        .unwrap()
                    })
                    .collect();
                print!("{n:6} x {k} {kind:?}:");
                for m in [1, 2, 4, 8, 16, 110, 512] {
                    if m > 8 && n > 100_000 {
                        continue;
                    }
                    let x = noise(m * k);
                    let (mut acts, mut out, mut i) = (Activations::default(), vec![0.0; m * n], 0);
                    let t = best(&pool, || {
                        acts.set(&pool, kind, &x, m, k);
                        weights[i % copies].matmul_q(&pool, &acts, &mut out, Epilogue::default());
                        i += 1;
                    });
                    let (gb, gop) = (weights[0].bytes() as f64 / t / 1e9, (2 * m * n * k) as f64 / t / 1e9);
                    if m <= 8 {
                        print!(" | m={m} {gb:.1} GB/s {gop:.0} GOP/s");
                    } else {
                        print!(" | m={m} {gop:.0} GOP/s");
                    }
                }
                println!();
            }
        }
    }
    if has("attention") {
        for kind in [KvKind::F32, KvKind::F16, KvKind::Bf16, KvKind::Q8] {
            let layout = KvLayout { kind, block_size: 32, kv_heads: 8, head_dim: 128 };
            let tokens = 32768;
            let mut kv = KvPool::new(layout, tokens / 32).unwrap();
            let row = noise(1024 * 1024);
            for first in (0..tokens).step_by(1024) {
                let slots: Vec<u32> = (first as u32..first as u32 + 1024).collect();
                kv.write(&pool, &slots, &row, &row);
            }
            let blocks: Vec<u32> = (0..(tokens / 32) as u32).collect();
            print!("attention 16 heads over 8 of 128, {kind:?}:");
            for (queries, context) in [(1, 1024), (1, 8192), (1, 32768), (512, 512), (512, 8192)] {
                let q = noise(queries * 2048);
                let mut out = vec![0.0; queries * 2048];
                let s = [SequenceQueries { rows: 0..queries, start: context - queries, blocks: &blocks }];
                let args = PagedAttention { q: &q, heads: 16, scale: 0.088, kv: &kv, sequences: &s };
                let t = best(&pool, || paged_attention(&pool, &args, &mut out));
                if queries == 1 {
                    let bytes = (context / 32 * layout.block_bytes()) as f64;
                    print!(" | {context}: {:.0} us {:.1} GB/s", t * 1e6, bytes / t / 1e9);
                } else {
                    let pairs = (queries * (context - queries) + queries * (queries + 1) / 2) as f64;
                    print!(
                        " | {queries} of {context}: {:.1} ms {:.0} GFLOP/s",
                        t * 1e3,
                        pairs * 16.0 * 512.0 / t / 1e9
                    );
                }
            }
            println!();
        }
    }
    if has("vision") {
        for (heads, dim, kind) in
            [(16, 64, KvKind::F32), (16, 64, KvKind::Bf16), (16, 72, KvKind::F32), (16, 72, KvKind::Bf16)]
        {
            print!("vision attention, {heads} heads of {dim}, {kind:?}:");
            for rows in [256, 1024, 4096] {
                let x = noise(rows * heads * dim);
                let mut out = vec![0.0; x.len()];
                let one = 0..rows;
                let t = best(&pool, || {
                    let one = std::slice::from_ref(&one);
                    vision_attention(&pool, kind, &x, &x, &x, one, heads, dim, 0.125, &mut out).unwrap()
                });
                print!(" | {rows}: {:.2} ms {:.0} GFLOP/s", t * 1e3, (4 * rows * rows * heads * dim) as f64 / t / 1e9);
            }
            println!();
        }
    }
    if has("ops") {
        let (rows, n) = (512, 6144);
        let x = noise(rows * n);
        let mut out = vec![0.0; rows * n];
        let w = noise(n);
        let mut y = x.clone();
        let numbers = (rows * n) as f64 / 1e9;
        println!("rms_norm: {:.2} G/s", numbers / best(&pool, || ops::rms_norm(&pool, &x, &w, 1e-6, &mut out)));
        println!("layer_norm: {:.2} G/s", numbers / best(&pool, || ops::layer_norm(&pool, &x, &w, &w, 1e-6, &mut out)));
        println!("silu_mul: {:.2} G/s", numbers / best(&pool, || ops::silu_mul(&pool, &x, &x, &mut out)));
        println!("gelu_tanh: {:.2} G/s", numbers / best(&pool, || ops::gelu_tanh(&pool, &mut y)));
        let cs = noise(rows * 64);
        println!("rope: {:.2} G/s", numbers / best(&pool, || ops::rope_half(&pool, &mut y, 48, 128, &cs, &cs)));
        let logits = noise(151_936);
        println!("argmax of 151936: {:.0} us", 1e6 * best(&pool, || _ = black_box(ops::argmax(&pool, &logits))));
        println!(
            "log_sum_exp of 151936: {:.0} us",
            1e6 * best(&pool, || _ = black_box(ops::log_sum_exp(&pool, &logits)))
        );
        println!("an empty fork: {:.2} us", 1e6 * best(&pool, || (0..1000).for_each(|_| pool.run(2, |_| {}))) / 1e3);
    }
}
