//! What tests share that put a runtime of their own under the engine: the smallest model's folder and its card.

use std::path::{Path, PathBuf};

use vlgate_engine::{ModelCard, ModelDir, Sampling};

pub fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/random-tiny")
}

pub fn card(model: &ModelDir) -> ModelCard {
    ModelCard {
        id: "m".into(),
        created: 0,
        context_length: 4096,
        vision: Some(model.vision),
        video: false,
        thinking: model.thinking,
        quantization: "none".into(),
        runtime: "test".into(),
        defaults: Sampling::default(),
    }
}
