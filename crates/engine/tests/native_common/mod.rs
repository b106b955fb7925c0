//! The fixtures that transformers made, and jobs on a native runtime.
#![allow(dead_code)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use vlgate_engine::{
    EngineError, ModelDir, Prepared, Runtime, Sampled, Sampler, Sampling, Step,
    native::{NativeOptions, NativeRuntime, Precision, checkpoint::Checkpoint, config::ModelConfig},
};
use vlgate_media::{Clip, Picture, VisionSpec};

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// The folder of a model and of its cases.
pub fn folders(model: &str) -> (PathBuf, PathBuf) {
    match model {
        "demo" => (fixtures().join("../../crates/demo-model/model"), fixtures().join("demo/cases")),
        name => (fixtures().join(name), fixtures().join(name).join("cases")),
    }
}

/// One case with what transformers computed for it.
pub struct Case {
    pub name: String,
    pub json: Value,
    pub tensors: Checkpoint,
    pub config: ModelConfig,
    pub spec: VisionSpec,
}

pub fn case(model: &str, name: &str) -> Case {
    let (folder, cases) = folders(model);
    let read = |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    Case {
        name: name.into(),
        json: read(cases.join(format!("{name}.json"))),
        tensors: Checkpoint::files(&[cases.join(format!("{name}.safetensors"))]).unwrap(),
        config: ModelConfig::new(&read(folder.join("config.json"))).unwrap(),
        spec: VisionSpec::from_preprocessor(&read(folder.join("preprocessor_config.json"))),
    }
}

pub fn cases(model: &str) -> Vec<Case> {
    let names: Value = serde_json::from_slice(&std::fs::read(folders(model).1.join("index.json")).unwrap()).unwrap();
    names.as_object().unwrap().keys().map(|name| case(model, name)).collect()
}

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

impl Case {
    pub fn tokens(&self) -> Vec<u32> {
        numbers(&self.json["input_ids"])
    }

    pub fn greedy(&self) -> Vec<u32> {
        numbers(&self.json["greedy_tokens"])
    }

    pub fn tensor(&self, name: &str, rows: usize, width: usize) -> Vec<f32> {
        self.tensors.get(name, &[rows, width]).unwrap().all()
    }

    pub fn list(&self, name: &str, n: usize) -> Vec<f32> {
        self.tensors.get(name, &[n]).unwrap().all()
    }

    fn grids(&self, key: &str) -> Vec<[usize; 3]> {
        let grids = self.json[key].as_array().unwrap().iter().map(numbers);
        grids.map(|g| [g[0] as usize, g[1] as usize, g[2] as usize]).collect()
    }

    pub fn is_video(&self) -> bool {
        !self.grids("video_grid_thw").is_empty()
    }

    /// The grids of the case's pictures, or of each temporal patch of its clip.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let stills = self.grids("image_grid_thw").into_iter().map(|g| (g[1], g[2]));
        let moving = self.grids("video_grid_thw").into_iter().flat_map(|g| vec![(g[1], g[2]); g[0]]);
        stills.chain(moving).collect()
    }

    /// The rows that transformers' processor made, pair after pair.
    pub fn rows(&self) -> Vec<f32> {
        let n: usize = self.pairs().iter().map(|g| g.0 * g.1).sum();
        let name = if self.is_video() { "pixel_values_videos" } else { "pixel_values" };
        if n == 0 { Vec::new() } else { self.tensor(name, n, self.config.vision.patch_len()) }
    }

    /// The frames that those rows were made of: whole numbers again.
    pub fn frames(&self) -> Vec<[Picture; 2]> {
        let (len, rows) = (self.config.vision.patch_len(), self.rows());
        let mut rest = rows.as_slice();
        self.pairs()
            .into_iter()
            .map(|grid| {
                let (own, after) = rest.split_at(grid.0 * grid.1 * len);
                rest = after;
                [0, 1].map(|frame| self.frame(own, grid, frame))
            })
            .collect()
    }

    fn frame(&self, rows: &[f32], grid: (usize, usize), frame: usize) -> Picture {
        let (patch, merge) = (self.config.vision.patch, self.config.vision.merge);
        let (width, height) = (grid.1 * patch, grid.0 * patch);
        let mut rgb = vec![0u8; width * height * 3];
        let places = vlgate_engine::native::pixels::places(grid, merge);
        for ((row, column), values) in places.into_iter().zip(rows.chunks_exact(self.config.vision.patch_len())) {
            for channel in 0..3 {
                for (i, v) in values[(channel * 2 + frame) * patch * patch..][..patch * patch].iter().enumerate() {
                    let (y, x) = (row * patch + i / patch, column * patch + i % patch);
                    let whole = (v * self.spec.std[channel] + self.spec.mean[channel]) * 255.0;
                    assert!((whole - whole.round()).abs() < 1e-3);
                    rgb[(y * width + x) * 3 + channel] = whole.round() as u8;
                }
            }
        }
        Picture::new(width as u32, height as u32, rgb)
    }

    pub fn stamps(&self) -> Vec<f64> {
        let stamps = self.json["video"]["timestamps"].as_array().unwrap();
        stamps.iter().map(|t| t.as_f64().unwrap()).collect()
    }

    /// The case as a job: greedy, with the log-probabilities of 20 tokens.
    pub fn job(&self, max_tokens: u32) -> Prepared {
        let mut job = greedy(self.tokens(), max_tokens);
        if self.is_video() {
            let frames = self.frames().into_iter().flatten().collect();
            job.clips = vec![Arc::new(Clip { frames, stamps: self.stamps(), hash: [0; 32] })];
        } else {
            job.images = self.frames().into_iter().map(|[frame, _]| Arc::new(frame)).collect();
        }
        job
    }
}

/// A greedy job over tokens of text.
pub fn greedy(tokens: Vec<u32>, max_tokens: u32) -> Prepared {
    let settings = Sampling { temperature: Some(0.0), ..Sampling::default() };
    Prepared {
        id: "test".into(),
        text: String::new(),
        sampler: Sampler::new(settings, Some(20), &tokens, Vec::new()),
        tokens,
        images: Vec::new(),
        clips: Vec::new(),
        max_tokens,
        deadline: None,
    }
}

/// Tokens of noise, the same for the same seed.
pub fn noise(seed: u32, n: usize) -> Vec<u32> {
    let mut x = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..n)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 12) % 1200
        })
        .collect()
}

/// Options for a model folder: f32, nothing ends an answer, a small cache.
pub fn options(model: &str) -> NativeOptions {
    let dir = ModelDir::open(&folders(model).0).unwrap();
    let mut o = NativeOptions::new(&dir);
    o.precision = Precision::F32;
    o.eos = Vec::new();
    o.kv_bytes = Some(64 << 20);
    o.threads = Some(2);
    o
}

pub fn runtime(options: NativeOptions) -> NativeRuntime {
    NativeRuntime::open(options).unwrap()
}

/// A token, the bits of its log-probability, and the same of the likeliest ones.
pub type Bits = (u32, u32, Vec<(u32, u32)>);

/// What a job gave.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub tokens: Vec<Sampled>,
    pub cached: u32,
    pub failed: Option<EngineError>,
}

impl Answer {
    pub fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|t| t.id).collect()
    }

    /// Everything but what was found in a cache, for comparisons bit for bit.
    pub fn bits(&self) -> Vec<Bits> {
        assert_eq!(self.failed, None);
        let top = |t: &Sampled| t.top.iter().map(|(id, l)| (*id, l.to_bits())).collect();
        self.tokens.iter().map(|t| (t.id, t.logprob.to_bits(), top(t))).collect()
    }
}

pub async fn collect(mut steps: UnboundedReceiver<Step>) -> Answer {
    let mut answer = Answer { tokens: Vec::new(), cached: 0, failed: None };
    loop {
        match tokio::time::timeout(Duration::from_secs(120), steps.recv()).await.expect("the engine hangs") {
            Some(Step::Prefill { cached }) => answer.cached = cached,
            Some(Step::Token(token)) => answer.tokens.push(token),
            Some(Step::End) => return answer,
            Some(Step::Failed(error)) => {
                answer.failed = Some(error);
                return answer;
            }
            None => panic!("the engine died"),
        }
    }
}

pub async fn run(runtime: &NativeRuntime, job: Prepared) -> Answer {
    collect(runtime.start(job).await.unwrap()).await
}

/// All at once.
pub async fn run_all(runtime: &NativeRuntime, jobs: Vec<Prepared>) -> Vec<Answer> {
    let mut steps = Vec::new();
    for job in jobs {
        steps.push(runtime.start(job).await.unwrap());
    }
    futures::future::join_all(steps.into_iter().map(collect)).await
}

/// Largest difference, relative to the largest number wanted.
pub fn distance(got: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(got.len(), wanted.len());
    let peak = wanted.iter().fold(1e-6f32, |m, x| m.max(x.abs()));
    got.iter().zip(wanted).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / peak
}
