//! What one token costs as the context grows: `native_context FOLDER [q8|bf16] [f32|f16|bf16|q8 for keys and values] [tokens]`.
//!
//! Decode steps of one sequence at a given place, over a cache whose every block was written before. Processor time, since the
//! clock says little on a machine that others use too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use vlgate_engine::{
    ModelDir,
    native::{
        KvKind, Precision,
        kv::{BLOCK, Store},
        model::Model,
        text::{Room, Segment, Wanted},
    },
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |n: usize| arguments.get(n).map_or("", String::as_str);
    let dir = ModelDir::open(Path::new(word(0))).unwrap();
    let precision = if word(1) == "bf16" { Precision::Bf16 } else { Precision::Q8 };
    let kind = match word(2) {
        "f16" => KvKind::F16,
        "bf16" => KvKind::Bf16,
        "q8" => KvKind::Q8,
        _ => KvKind::F32,
    };
    let most: usize = word(3).parse().unwrap_or(8192);
    let model =
        Model::load(&dir.path, dir.vision, precision, vlgate_kernels::Pool::default(), &[], None, &|_| ()).unwrap();
    let c = model.text.config();
    let blocks: Vec<u32> = (0..(most + 32).div_ceil(BLOCK) as u32).collect();
    let mut store = Store::new(c, kind, blocks.len()).unwrap();
    // Noise in every place: untouched memory would be one page of zeros, read from the cache.
    let width = c.kv_heads * c.head_dim;
    let noise: Vec<f32> = (0..BLOCK * width).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    for layer in 0..c.layers {
        let kv = store.layer(layer).unwrap();
        for block in &blocks {
            let slots: Vec<u32> = (0..BLOCK as u32).map(|i| block * BLOCK as u32 + i).collect();
            kv.write(&model.pool, &slots, &noise, &noise);
        }
    }
    println!("{} bytes of keys and values a token", Store::block_bytes(c, kind) / BLOCK);
    let mut room = Room::default();
    let mut at = 0;
    while at <= most {
        let began = (cpu_seconds(), std::time::Instant::now());
        let steps = 8;
        for step in 0..steps {
            let segment = Segment {
                tokens: &[step as u32 + 5],
                start: at + step,
                blocks: &blocks,
                positions: vec![[(at + step) as u32; 3]],
                visual: Vec::new(),
                logits: Wanted::Last,
            };
            let logits = model.text.forward(&model.pool, &mut store, &[segment], &mut room, None);
            room.recycle(logits);
        }
        let (cpu, wall) = (cpu_seconds() - began.0, began.1.elapsed().as_secs_f64());
        println!(
            "after {at:>6} tokens: {:>7.1} ms of processor time a token ({:.1} ms by the clock)",
            cpu * 1000.0 / steps as f64,
            wall * 1000.0 / steps as f64
        );
        at = if at == 0 { 1024 } else { at * 2 };
    }
}

/// Processor time of this process so far, all threads; 0 where the system does not say.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold spaces: user and system time are the 12th and 13th, in hundredths of a second.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
