//! Speed of the native runtime: `native_bench FOLDER [q8|q4|bf16|f32] [f32|f16|q8 for keys and values] [rows]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{path::Path, sync::Arc, time::Instant};

use vlgate_engine::{
    LocalEngine, ModelCard, ModelDir, Sampling, bench,
    native::{KvKind, NativeOptions, NativeRuntime, Precision},
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |n: usize| arguments.get(n).map_or("", String::as_str);
    let dir = Arc::new(ModelDir::open(Path::new(word(0))).unwrap());
    let mut options = NativeOptions::new(&dir);
    options.precision = match word(1) {
        "" | "q8" => Precision::Q8,
        "q4" => Precision::Q4,
        "bf16" => Precision::Bf16,
        "f32" => Precision::F32,
        other => panic!("no precision '{other}'"),
    };
    options.kv = match word(2) {
        "" | "f32" => KvKind::F32,
        "f16" => KvKind::F16,
        "q8" => KvKind::Q8,
        other => panic!("no kind '{other}'"),
    };
    let began = Instant::now();
    let runtime = NativeRuntime::load(options).await.unwrap();
    println!("loaded in {:.1} s, {} MiB packed", began.elapsed().as_secs_f64(), runtime.model().bytes() >> 20);
    let card = ModelCard {
        id: "bench".into(),
        created: 0,
        context_length: runtime.context() as u32,
        vision: Some(dir.vision),
        video: true,
        thinking: false,
        quantization: word(1).into(),
        runtime: "native".into(),
        defaults: Sampling::default(),
    };
    let engine = LocalEngine::new(card, dir, runtime);
    let mut plan = bench::Plan::default();
    if let Ok(repeat) = word(3).parse() {
        plan.repeat = repeat;
    }
    let report = bench::run(&engine, "bench", &plan, &|row| println!("{row}")).await.unwrap();
    println!("{}", serde_json::to_string(&report).unwrap());
}
