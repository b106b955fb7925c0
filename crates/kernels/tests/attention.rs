//! Attention over the paged cache and within pictures, at every level, against f64.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::too_many_arguments, missing_docs)]
#![allow(clippy::single_range_in_vec_init)]

mod common;

use common::{error, normal, pools, rng};
use rand::Rng;
use rand::seq::SliceRandom;
use vlgate_kernels::{
    KvKind, KvLayout, KvPool, PagedAttention, Pool, SequenceQueries, paged_attention, vision_attention,
};

/// `softmax(q k^T * scale) v` for one head; query `i` sees `seen(i)` tokens.
fn reference(
    q: &[Vec<f64>],
    k: &[Vec<f64>],
    v: &[Vec<f64>],
    scale: f64,
    seen: impl Fn(usize) -> usize,
) -> Vec<Vec<f64>> {
    q.iter()
        .enumerate()
        .map(|(i, q)| {
            let n = seen(i);
            let s: Vec<f64> = k[..n].iter().map(|k| scale * q.iter().zip(k).map(|(a, b)| a * b).sum::<f64>()).collect();
            let peak = s.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let p: Vec<f64> = s.iter().map(|s| (s - peak).exp()).collect();
            let sum: f64 = p.iter().sum();
            (0..q.len()).map(|d| p.iter().zip(v).map(|(p, v)| p * v[d]).sum::<f64>() / sum).collect()
        })
        .collect()
}

fn head(x: &[f32], rows: std::ops::Range<usize>, width: usize, at: usize, dim: usize) -> Vec<Vec<f64>> {
    rows.map(|r| x[r * width + at..r * width + at + dim].iter().map(|x| f64::from(*x)).collect()).collect()
}

struct Sequence {
    k: Vec<f32>,
    v: Vec<f32>,
    q: Vec<f32>,
    tokens: usize,
    queries: usize,
    blocks: Vec<u32>,
}

struct Case {
    layout: KvLayout,
    heads: usize,
    kv: KvPool,
    sequences: Vec<Sequence>,
}

fn case(rng: &mut rand::rngs::StdRng, pool: &Pool, layout: KvLayout, heads: usize, lengths: &[(usize, usize)]) -> Case {
    let (kw, qw) = (layout.kv_heads * layout.head_dim, heads * layout.head_dim);
    let total: usize = lengths.iter().map(|l| l.0.div_ceil(layout.block_size) + 1).sum();
    let mut free: Vec<u32> = (0..total as u32).collect();
    free.shuffle(rng);
    let mut kv = KvPool::new(layout, total).unwrap();
    // What an earlier owner left behind must not matter.
    let every: Vec<u32> = (0..(total * layout.block_size) as u32).collect();
    let junk = vec![f32::NAN; every.len() * kw];
    if layout.kind != KvKind::Q8 {
        kv.write(pool, &every, &junk, &junk);
    }
    let sequences = lengths
        .iter()
        .map(|(tokens, queries)| {
            let blocks: Vec<u32> = (0..tokens.div_ceil(layout.block_size)).map(|_| free.pop().unwrap()).collect();
            let (k, v) = (normal(rng, tokens * kw), normal(rng, tokens * kw));
            let slots: Vec<u32> = (0..*tokens)
                .map(|t| blocks[t / layout.block_size] * layout.block_size as u32 + (t % layout.block_size) as u32)
                .collect();
            kv.write(pool, &slots, &k, &v);
            Sequence { k, v, q: normal(rng, queries * qw), tokens: *tokens, queries: *queries, blocks }
        })
        .collect();
    Case { layout, heads, kv, sequences }
}

impl Case {
    fn run(&self, pool: &Pool, which: &[usize]) -> Vec<Vec<f32>> {
        let width = self.heads * self.layout.head_dim;
        let (mut q, mut queries, mut at) = (Vec::new(), Vec::new(), 0);
        for i in which {
            let s = &self.sequences[*i];
            q.extend_from_slice(&s.q);
            queries.push(SequenceQueries { rows: at..at + s.queries, start: s.tokens - s.queries, blocks: &s.blocks });
            at += s.queries;
        }
        let mut out = vec![f32::NAN; q.len()];
        let scale = 1.0 / (self.layout.head_dim as f32).sqrt();
        let args = PagedAttention { q: &q, heads: self.heads, scale, kv: &self.kv, sequences: &queries };
        paged_attention(pool, &args, &mut out);
        queries.iter().map(|s| out[s.rows.start * width..s.rows.end * width].to_vec()).collect()
    }
}

#[test]
fn paged_attention_agrees_with_f64() {
    let mut rng = rng(1);
    for pool in pools() {
        for kind in [KvKind::F32, KvKind::F16, KvKind::Bf16, KvKind::Q8] {
            for (head_dim, kv_heads, group, block_size) in [
                (32, 2, 2, 16),
                (64, 1, 1, 32),
                (72, 2, 1, 16),
                (80, 1, 3, 48),
                (128, 2, 2, 32),
                (16, 1, 8, 64),
                (5, 1, 2, 16),
            ] {
                let layout = KvLayout { kind, block_size, kv_heads, head_dim };
                let mut lengths = vec![(1, 1), (2300, 2), (70, 70), (33, 1)];
                lengths.push((rng.random_range(100..400), rng.random_range(1..100)));
                let heads = kv_heads * group;
                let case = case(&mut rng, &pool, layout, heads, &lengths);
                let out = case.run(&pool, &[0, 1, 2, 3, 4]);
                let (kw, qw) = (kv_heads * head_dim, heads * head_dim);
                for (s, out) in case.sequences.iter().zip(out) {
                    for h in 0..heads {
                        let at = h / group * head_dim;
                        let k = head(&s.k, 0..s.tokens, kw, at, head_dim);
                        let v = head(&s.v, 0..s.tokens, kw, at, head_dim);
                        let q = head(&s.q, 0..s.queries, qw, h * head_dim, head_dim);
                        let scale = 1.0 / (head_dim as f64).sqrt();
                        let expected = reference(&q, &k, &v, scale, |i| s.tokens - s.queries + i + 1);
                        let got: Vec<f32> = (0..s.queries)
                            .flat_map(|r| out[r * qw + h * head_dim..r * qw + (h + 1) * head_dim].to_vec())
                            .collect();
                        let e = error(&got, &expected.concat());
                        let bound = match kind {
                            KvKind::F32 => 5e-6,
                            KvKind::F16 => 2e-3,
                            KvKind::Bf16 => 2e-2,
                            KvKind::Q8 => 3e-2,
                        };
                        assert!(e < bound, "{layout:?} at {:?}, {} of {}: {e}", pool.level(), s.queries, s.tokens);
                    }
                }
            }
        }
    }
}

#[test]
fn a_sequence_does_not_depend_on_its_company() {
    let mut rng = rng(2);
    let lengths = [(2500, 1), (1100, 90), (40, 40), (1, 1), (1025, 1), (300, 33)];
    let kinds = [KvKind::F32, KvKind::Bf16];
    for (kind, pool) in kinds.into_iter().flat_map(|kind| pools().into_iter().map(move |pool| (kind, pool))) {
        let layout = KvLayout { kind, block_size: 32, kv_heads: 2, head_dim: 64 };
        let case = case(&mut rng, &pool, layout, 4, &lengths);
        let all = case.run(&pool, &[0, 1, 2, 3, 4, 5]);
        let other = Pool::with_level(4, pool.level());
        for (i, whole) in all.iter().enumerate() {
            assert_eq!(&case.run(&pool, &[i])[0], whole, "{i} at {:?}", pool.level());
            assert_eq!(&case.run(&other, &[5 - i, i])[usize::from(i != 5 - i)], whole);
        }
        // A prompt in chunks equals the prompt whole: the last query alone, with the same context.
        let s = &case.sequences[1];
        let width = 4 * 64;
        for from in [89, 50, 3] {
            let mut out = vec![0.0; (90 - from) * width];
            let rows = SequenceQueries { rows: 0..90 - from, start: 1010 + from, blocks: &s.blocks };
            let q = &s.q[from * width..];
            let args = PagedAttention { q, heads: 4, scale: 0.125, kv: &case.kv, sequences: &[rows] };
            paged_attention(&pool, &args, &mut out);
            assert_eq!(out, all[1][from * width..], "from {from} at {:?}", pool.level());
        }
    }
}

#[test]
fn vision_attention_agrees_with_f64() {
    let mut rng = rng(3);
    let kinds = [(KvKind::F32, 5e-6), (KvKind::Bf16, 1e-2)];
    for ((kind, bound), pool) in kinds.into_iter().flat_map(|kind| pools().into_iter().map(move |pool| (kind, pool))) {
        for (heads, dim, segments) in [
            (2, 64, vec![0..100, 100..101, 101..333]),
            (1, 72, vec![0..1, 5..70]),
            (3, 40, vec![130..135, 0..130]),
            (2, 16, vec![0..1100]),
            (1, 80, vec![]),
        ] {
            let rows = segments.iter().map(|s| s.end).max().unwrap_or(3);
            let width = heads * dim;
            let q: Vec<f32> = normal(&mut rng, rows * width);
            let (k, v) = (normal(&mut rng, rows * width), normal(&mut rng, rows * width));
            let mut out = vec![7.0; rows * width];
            let scale = 1.0 / (dim as f32).sqrt();
            vision_attention(&pool, kind, &q, &k, &v, &segments, heads, dim, scale, &mut out).unwrap();
            for s in &segments {
                for h in 0..heads {
                    let part = |x: &[f32]| head(x, s.clone(), width, h * dim, dim);
                    let expected = reference(&part(&q), &part(&k), &part(&v), f64::from(scale), |_| s.len());
                    let got: Vec<f32> = s.clone().flat_map(|r| out[r * width + h * dim..][..dim].to_vec()).collect();
                    let e = error(&got, &expected.concat());
                    assert!(e < bound, "{kind:?} {heads} x {dim}, {s:?} at {:?}: {e}", pool.level());
                }
            }
            for r in 0..rows {
                if !segments.iter().any(|s| s.contains(&r)) {
                    assert!(out[r * width..(r + 1) * width].iter().all(|x| *x == 7.0));
                }
            }
        }
    }
}

#[test]
fn blocks_are_copied_on_write() {
    let mut rng = rng(4);
    let pool = common::pool();
    for kind in [KvKind::F32, KvKind::F16, KvKind::Bf16, KvKind::Q8] {
        let layout = KvLayout { kind, block_size: 16, kv_heads: 2, head_dim: 32 };
        let mut case = case(&mut rng, &pool, layout, 2, &[(20, 5), (20, 5)]);
        let before = case.run(&pool, &[0]);
        let (from, to) = (case.sequences[0].blocks[1], case.sequences[1].blocks[1]);
        case.kv.copy_block(from, to);
        case.sequences[0].blocks[1] = to;
        assert_eq!(case.run(&pool, &[0]), before);
    }
}
