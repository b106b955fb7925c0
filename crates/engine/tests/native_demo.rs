//! The embedded demo model on the native runtime: transformers' answers, and what 8 and 4 bits change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod native_common;

use native_common::*;
use vlgate_engine::native::{
    Precision,
    kv::{BLOCK, Keys, Store},
    layout::Layout,
    model::Model,
    text::{Room, Segment, Visual, Wanted},
};

#[tokio::test]
async fn the_demo_model_answers_as_in_transformers() {
    let runtime = runtime(options("demo"));
    let all = cases("demo");
    assert!(all.len() >= 6);
    let answers = run_all(&runtime, all.iter().map(|c| c.job(24)).collect()).await;
    for (case, answer) in all.iter().zip(answers) {
        for (got, wanted) in answer.tokens.iter().zip(case.list("logprobs_greedy", 24)) {
            assert!((got.logprob - wanted).abs() < 2e-3, "{}: {} {wanted}", case.name, got.logprob);
        }
        assert_eq!(answer.ids(), case.greedy(), "{}", case.name);
    }
}

/// Log-probabilities after each token of each case and its answer.
fn distributions(precision: Precision) -> Vec<Vec<f32>> {
    let all = cases("demo");
    let pool = vlgate_kernels::Pool::new(2);
    let model = Model::load(&folders("demo").0, all[0].spec, precision, pool, &[], None, &|_| ()).unwrap();
    let mut out = Vec::new();
    for case in &all {
        let mut job = case.job(1);
        let layout = Layout::new(&model.config, &Keys::default(), &job).unwrap();
        job.tokens.extend(case.greedy());
        let visual = layout.spans.iter().map(|span| {
            let mut encoding = model.tower.begin(&model.pool, &model.spec, &span.pair).unwrap();
            let embedding = loop {
                if let Some(done) = model.tower.advance(&model.pool, &mut encoding).unwrap() {
                    break done;
                }
            };
            Visual { at: span.start, from: 0, count: span.len, embedding: embedding.into() }
        });
        let blocks: Vec<u32> = (0..job.tokens.len().div_ceil(BLOCK) as u32).collect();
        let mut store = Store::new(&model.config.text, precision.kv_kind(model.pool.level()), blocks.len()).unwrap();
        let segment = Segment {
            tokens: &job.tokens,
            start: 0,
            blocks: &blocks,
            positions: (0..job.tokens.len()).map(|at| layout.position(at)).collect(),
            visual: visual.collect(),
            logits: Wanted::All,
        };
        let logits = model.text.forward(&model.pool, &mut store, &[segment], &mut Room::default(), None);
        for row in logits.chunks(model.config.text.vocab) {
            let peak = row.iter().fold(f32::MIN, |m, x| m.max(*x));
            let sum: f32 = row.iter().map(|l| (l - peak).exp()).sum();
            out.push(row.iter().map(|l| l - peak - sum.ln()).collect());
        }
    }
    out
}

/// Top-1 agreement and mean Kullback-Leibler divergence (nats) from the f32 model over all places of all cases.
fn against(reference: &[Vec<f32>], precision: Precision) -> (f64, f64) {
    let other = distributions(precision);
    let best = |p: &[f32]| p.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    let (mut same, mut divergence) = (0usize, 0.0);
    for (p, q) in reference.iter().zip(&other) {
        same += usize::from(best(p) == best(q));
        divergence += p.iter().zip(q).map(|(p, q)| f64::from(p.exp()) * f64::from(p - q)).sum::<f64>();
    }
    (same as f64 / reference.len() as f64, divergence / reference.len() as f64)
}

#[test]
fn eight_and_four_bits_stay_near() {
    let reference = distributions(Precision::F32);
    for (precision, agreement, divergence) in
        [(Precision::Bf16, 1.0, 1e-7), (Precision::Q8, 0.97, 0.005), (Precision::Q4, 0.8, 0.25)]
    {
        let (same, kl) = against(&reference, precision);
        println!("{precision:?}: top-1 agreement {same:.4}, mean KL {kl:.6} over {} places", reference.len());
        assert!(same >= agreement && kl <= divergence, "{precision:?}: top-1 {same}, KL {kl}");
    }
}
