//! Speed of the native runtime: `native_bench FOLDER [q8|q4|bf16|f32] [f32|f16|q8 for keys and values]
//! [runs of each row] [a folder for the cache of packed weights]`.
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
        "" => None,
        "f32" => Some(KvKind::F32),
        "f16" => Some(KvKind::F16),
        "bf16" => Some(KvKind::Bf16),
        "q8" => Some(KvKind::Q8),
        other => panic!("no kind '{other}'"),
    };
    options.cache = Some(word(4)).filter(|w| !w.is_empty()).map(Into::into);
    let began = Instant::now();
    let runtime = NativeRuntime::load(options).await.unwrap();
    let (seconds, packed) = (began.elapsed().as_secs_f64(), runtime.model().bytes() >> 20);
    println!("loaded in {seconds:.1} s, {packed} MiB packed, {}", memory());
    let threads = runtime.model().pool.threads();
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
    // On a machine that others use too, the processor's time says more than the clock.
    let spent = std::sync::Mutex::new(cpu_seconds());
    let tell = |row: String| {
        let (now, mut before) = (cpu_seconds(), spent.lock().unwrap());
        println!("{row}  [{:.2} s of processor time over {} threads]", now - *before, threads);
        *before = now;
    };
    let report = bench::run(&engine, "bench", &plan, &tell).await.unwrap();
    println!("{}", serde_json::to_string(&report).unwrap());
}

/// What the process holds now of its own, and at its peak with what it has mapped of files.
fn memory() -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).unwrap_or("unknown").trim().to_owned();
    format!("own memory {}, peak with mapped files {}", of("RssAnon:"), of("VmHWM:"))
}

/// Processor time of this process so far, all threads; 0 where the system does not say.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold spaces: user and system time are the 12th and 13th, in hundredths of a second.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
