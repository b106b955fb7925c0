//! What is wrong with a model folder is said in one sentence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod native_common;

use std::path::{Path, PathBuf};

use native_common::*;
use serde_json::{Value, json};
use vlgate_engine::native::{NativeRuntime, Precision};

/// A copy of the tiny model to spoil.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        let to = std::env::temp_dir().join(format!("vlgate-native-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(folders("random-tiny").0).unwrap() {
            let from = entry.unwrap().path();
            if from.is_file() {
                std::fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
            }
        }
        Self(to)
    }

    fn config(&self, pointer: &str, value: Value) {
        let path = self.0.join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        *config.pointer_mut(pointer).unwrap() = value;
        std::fs::write(path, config.to_string()).unwrap();
    }

    fn error(&self) -> String {
        let mut o = options("random-tiny");
        o.folder = self.0.clone();
        match NativeRuntime::open(o) {
            Ok(_) => panic!("it loads"),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Renames a tensor in a safetensors header, to a name of the same length.
fn rename(folder: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let path = folder.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_missing_tensor_and_a_shape_that_disagrees_are_named() {
    let copy = Copy::new("missing");
    rename(&copy.0, "layers.3.mlp.down_proj.weight", "layers.3.mlp.dawn_proj.weight");
    let error = copy.error();
    assert!(error.contains("model.language_model.layers.3.mlp.down_proj.weight"), "{error}");
    let copy = Copy::new("shape");
    copy.config("/text_config/intermediate_size", json!(160));
    let error = copy.error();
    assert!(error.contains("[128, 64]") && error.contains("[160, 64]"), "{error}");
}

#[test]
fn a_model_that_does_not_fit_the_memory_says_so_before_it_is_read() {
    let copy = Copy::new("memory");
    copy.config("/text_config/num_hidden_layers", json!(4_000_000));
    copy.config("/text_config/intermediate_size", json!(1_000_000));
    let error = copy.error();
    assert!(error.contains("GiB of memory are free"), "{error}");
    let mut o = options("random-tiny");
    o.kv_bytes = Some(1000);
    let error = NativeRuntime::open(o).err().unwrap().to_string();
    assert!(error.contains("fewer than two blocks"), "{error}");
}

/// The second start maps what the first one packed; other files, or a cut cache, are packed anew.
#[tokio::test]
async fn packed_weights_are_kept_beside_the_model() {
    let copy = Copy::new("packed");
    let open = || {
        let mut o = options("random-tiny");
        (o.folder, o.cache, o.precision) = (copy.0.clone(), Some(copy.0.join("packed")), Precision::Q8);
        NativeRuntime::open(o)
    };
    let job = || case("random-tiny", "one_image").job(8);
    let first = run(&open().unwrap(), job()).await;
    let file = copy.0.join("packed/q8-q8.vlgate-packed");
    let bytes = std::fs::read(&file).unwrap();
    let made = std::fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(run(&open().unwrap(), job()).await.bits(), first.bits());
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), made);
    // Cut off: packed anew.
    std::fs::write(&file, &bytes[..bytes.len() - 100]).unwrap();
    assert_eq!(run(&open().unwrap(), job()).await.bits(), first.bits());
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    // Another model: written anew.
    copy.config("/text_config/rms_norm_eps", json!(0.5));
    assert_ne!(run(&open().unwrap(), job()).await.bits(), first.bits());
    assert_ne!(std::fs::read(&file).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(copy.0.join("packed")).unwrap().count(), 1);
}

#[test]
fn a_processor_that_cuts_other_patches_is_refused() {
    let mut o = options("random-tiny");
    o.vision.patch_size = 14;
    let error = NativeRuntime::open(o).err().unwrap().to_string();
    assert!(error.contains("preprocessor_config.json"), "{error}");
}

/// `tests/data/lora.py` made the adapter with PEFT and asked the merged model.
#[tokio::test]
async fn an_adapter_answers_as_with_peft() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lora");
    let mut o = options("random-tiny");
    o.adapters = vec![data.clone()];
    let runtime = NativeRuntime::open(o).unwrap();
    let answers: Value = serde_json::from_slice(&std::fs::read(data.join("answers.json")).unwrap()).unwrap();
    for name in ["text", "one_image"] {
        let case = case("random-tiny", name);
        let answer = run(&runtime, case.job(12)).await;
        let wanted: Vec<u64> =
            answers[name]["greedy_tokens"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap()).collect();
        assert_eq!(answer.ids().into_iter().map(u64::from).collect::<Vec<_>>(), wanted, "{name}");
        assert_ne!(answer.ids(), case.greedy()[..12]);
        for (got, wanted) in answer.tokens.iter().zip(answers[name]["logprobs"].as_array().unwrap()) {
            assert!((f64::from(got.logprob) - wanted.as_f64().unwrap()).abs() < 1e-3);
        }
    }
}

#[test]
fn an_adapter_for_what_the_model_lacks_is_refused() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lora");
    let spoiled = |name: &str, from: &str, to: &str| {
        let copy = Copy::new(name);
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            let mut bytes = std::fs::read(data.join(file)).unwrap();
            while let Some(at) = bytes.windows(from.len()).position(|w| w == from.as_bytes()) {
                bytes.splice(at..at + from.len(), to.bytes());
            }
            std::fs::write(copy.0.join(file), bytes).unwrap();
        }
        let mut o = options("random-tiny");
        o.adapters = vec![copy.0.clone()];
        NativeRuntime::open(o).err().unwrap().to_string()
    };
    let error = spoiled("target", "layers.4.mlp.down_proj", "layers.9.mlp.down_proj");
    assert!(error.contains("model.language_model.layers.9.mlp.down_proj.weight"), "{error}");
    let error = spoiled("kind", "\"LORA\"", "\"LOHA\"");
    assert!(error.contains("LOHA"), "{error}");
    let error = spoiled("dora", "\"use_dora\": false", "\"use_dora\": true");
    assert!(error.contains("use_dora"), "{error}");
}

/// `tests/data/moe.py` made the model with transformers: one dense and three sparse layers, an untied head.
#[tokio::test]
async fn a_mixture_of_experts_answers_as_in_transformers() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/moe");
    let mut o = options("random-tiny");
    o.folder = data.clone();
    let runtime = NativeRuntime::open(o).unwrap();
    let answers: Value = serde_json::from_slice(&std::fs::read(data.join("answers.json")).unwrap()).unwrap();
    for name in ["text", "one_image"] {
        let answer = run(&runtime, case("random-tiny", name).job(12)).await;
        let wanted: Vec<u64> =
            answers[name]["greedy_tokens"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap()).collect();
        assert_eq!(answer.ids().into_iter().map(u64::from).collect::<Vec<_>>(), wanted, "{name}");
        for (got, wanted) in answer.tokens.iter().zip(answers[name]["logprobs"].as_array().unwrap()) {
            assert!((f64::from(got.logprob) - wanted.as_f64().unwrap()).abs() < 1e-3);
        }
    }
}
