//! Every hidden state of the native model against transformers' (`tests/fixtures`), in f32.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod native_common;

use std::{collections::HashMap, sync::Arc};

use native_common::{Case, cases, distance, folders};
use vlgate_engine::native::KvKind;
use vlgate_engine::native::{
    Precision,
    kv::{BLOCK, Embedding, Keys, Store},
    layout::Layout,
    model::Model,
    text::{Place, Room, Segment, Visual, Wanted},
};

/// Two f32 programs that add in different orders.
const TOLERANCE: f32 = 2e-5;

fn model(case: &Case) -> Model {
    let pool = vlgate_kernels::Pool::new(2);
    Model::load(&folders("random-tiny").0, case.spec, Precision::F32, pool, &[], None, &|_| ()).unwrap()
}

/// Runs the tower on the processor's own rows and checks each state; the embeddings of all pairs.
fn vision(model: &Model, case: &Case) -> Vec<Arc<Embedding>> {
    let (config, pool) = (&model.config.vision, &model.pool);
    let rows = case.rows();
    let total = rows.len() / config.patch_len();
    let mut states: HashMap<String, Vec<f32>> = HashMap::new();
    let mut keep = |name: String, hidden: &[f32]| states.entry(name).or_default().extend_from_slice(hidden);
    let mut rest = rows.as_slice();
    let mut embeddings = Vec::new();
    for grid in case.pairs() {
        let (own, after) = rest.split_at(grid.0 * grid.1 * config.patch_len());
        rest = after;
        let mut encoding = model.tower.embed(pool, own, grid);
        keep("vision.patch_embed".into(), &encoding.hidden);
        model.tower.add_positions(pool, &mut encoding.hidden, grid);
        keep("vision.with_positions".into(), &encoding.hidden);
        let embedding = loop {
            let before = encoding.block;
            let done = model.tower.advance(pool, &mut encoding).unwrap();
            if encoding.block == before {
                continue;
            }
            keep(format!("vision.block.{}", encoding.block - 1), &encoding.hidden);
            if let Some(embedding) = done {
                break embedding;
            }
        };
        keep("vision.merger".into(), &embedding.merged);
        for (i, feature) in embedding.deepstack.iter().enumerate() {
            keep(format!("vision.deepstack.{i}"), feature);
        }
        embeddings.push(Arc::new(embedding));
    }
    assert_eq!(states.len(), 3 + config.depth + config.deepstack.len());
    for (name, got) in states {
        let merged = name.contains("merger") || name.contains("deepstack");
        let (n, width) = if merged { (total / 4, config.out) } else { (total, config.hidden) };
        let distance = distance(&got, &case.tensor(&name, n, width));
        assert!(distance < TOLERANCE, "{} {name}: {distance}", case.name);
    }
    embeddings
}

fn text(model: &Model, case: &Case, embeddings: &[Arc<Embedding>]) {
    let (config, tokens) = (&model.config.text, case.tokens());
    let layout = Layout::new(&model.config, &Keys::default(), &case.job(1)).unwrap();
    for axis in 0..3 {
        let got: Vec<u64> = layout.positions.iter().map(|p| u64::from(p[axis])).collect();
        let wanted: Vec<u64> =
            case.json["position_ids"][axis].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
        assert_eq!(got, wanted, "{} axis {axis}", case.name);
    }
    assert_eq!(i64::from(layout.next) - tokens.len() as i64, case.json["rope_delta"].as_i64().unwrap());
    let spans = layout.spans.iter().zip(embeddings);
    let visual = spans.map(|(s, e)| Visual { at: s.start, from: 0, count: s.len, embedding: Arc::clone(e) });
    let blocks: Vec<u32> = (0..tokens.len().div_ceil(BLOCK) as u32).rev().collect();
    let mut store = Store::new(config, KvKind::F32, blocks.len()).unwrap();
    let segment = Segment {
        tokens: &tokens,
        start: 0,
        blocks: &blocks,
        positions: layout.positions.clone(),
        visual: visual.collect(),
        logits: Wanted::All,
    };
    let mut seen = 0;
    let mut probe = |place: Place, got: &[f32]| {
        let name = match place {
            Place::Input(i) => format!("text.layer_input.{i}"),
            Place::Output(i) => format!("text.layer_output.{i}"),
            Place::Norm => "text.norm".into(),
        };
        let distance = distance(got, &case.tensor(&name, tokens.len(), config.hidden));
        assert!(distance < TOLERANCE, "{} {name}: {distance}", case.name);
        seen += 1;
    };
    let logits = model.text.forward(&model.pool, &mut store, &[segment], &mut Room::default(), Some(&mut probe));
    assert_eq!(seen, 2 * config.layers + 1);
    let last = &logits[(tokens.len() - 1) * config.vocab..];
    let peak = last.iter().fold(f32::MIN, |m, x| m.max(*x));
    let sum: f32 = last.iter().map(|l| (l - peak).exp()).sum();
    let got: Vec<f32> = last.iter().map(|l| l - peak - sum.ln()).collect();
    for (got, wanted) in got.iter().zip(case.list("logprobs_last", config.vocab)) {
        assert!((got - wanted).abs() < 1e-3, "{}: {got} {wanted}", case.name);
    }
}

#[test]
fn every_hidden_state_is_transformers() {
    let cases = cases("random-tiny");
    assert_eq!(cases.len(), 8);
    let model = model(&cases[0]);
    for case in &cases {
        let embeddings = if case.pairs().is_empty() { Vec::new() } else { vision(&model, case) };
        text(&model, case, &embeddings);
    }
}

/// What `pixels` makes of the frames is what the processor made, to the last bit of a pixel.
#[test]
fn rows_are_the_processors() {
    for case in cases("random-tiny") {
        let mut wanted = case.rows();
        for [a, b] in case.frames() {
            let got =
                vlgate_engine::native::pixels::patches(&case.config.vision, &case.spec, &[Arc::new(a), Arc::new(b)])
                    .unwrap();
            let rest = wanted.split_off(got.len());
            for (got, wanted) in got.iter().zip(&wanted) {
                assert!((got - wanted).abs() < 1e-6, "{got} {wanted}");
            }
            wanted = rest;
        }
        assert!(wanted.is_empty());
    }
}
