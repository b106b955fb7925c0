//! A model folder in hub layout: what all runtimes read from it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;
use vlgate_media::{VideoSpec, VisionSpec};

use crate::{
    contract::{EngineError, Sampling},
    prompt::Template,
};

/// Everything about a model but its weights.
pub struct ModelDir {
    /// The folder.
    pub path: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: Tokenizer,
    /// The chat template.
    pub template: Template,
    /// `preprocessor_config.json`.
    pub vision: VisionSpec,
    /// `max_position_embeddings`, in tokens.
    pub context_length: u32,
    /// `image_token_id`.
    pub image_token: u32,
    /// `video_token_id`, where the model takes clips.
    pub video_token: Option<u32>,
    /// What stands before and behind the pads of a temporal patch: `<|vision_start|>` and `<|vision_end|>`.
    pub vision_markers: [String; 2],
    /// End-of-sequence ids of `generation_config.json`, or of the tokenizer where there are none.
    pub eos: Vec<u32>,
    /// Sampling defaults of `generation_config.json`.
    pub defaults: Sampling,
    /// Whether the template opens a `<think>` block in the assistant's turn.
    pub thinking: bool,
    /// Whether the template speaks of `<think>` at all: the model may open such a block itself.
    pub thinks: bool,
    /// `config.json` as it is.
    pub config: Value,
}

impl ModelDir {
    /// Reads a folder.
    ///
    /// # Errors
    /// [`EngineError::Failed`] with one sentence that names the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let config = json(path, "config.json")?;
        let architecture = config.pointer("/architectures/0").and_then(Value::as_str).unwrap_or_default();
        if !architecture.starts_with("Qwen3VL") {
            return Err(failed(format!(
                "{} is a '{architecture}'; vlgate serves the Qwen3-VL family",
                path.join("config.json").display()
            )));
        }
        let tokenizer = Tokenizer::from_file(path.join("tokenizer.json"))
            .map_err(|e| failed(format!("{} cannot be read: {e}", path.join("tokenizer.json").display())))?;
        let source = template_source(path)?;
        let special = tokenizer.get_added_tokens_decoder().into_values().map(|t| t.content).collect();
        let template = Template::new(&source, special)?;
        let generation = json(path, "generation_config.json").unwrap_or(Value::Null);
        let vision = VisionSpec {
            video: video(path),
            ..VisionSpec::from_preprocessor(&json(path, "preprocessor_config.json")?)
        };
        let context = config.pointer("/text_config/max_position_embeddings").and_then(Value::as_u64);
        let image_token = config.get("image_token_id").and_then(Value::as_u64);
        let (Some(context), Some(image_token)) = (context, image_token) else {
            return Err(failed(format!(
                "{} lacks text_config.max_position_embeddings or image_token_id",
                path.join("config.json").display()
            )));
        };
        let id = |key: &str| config.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let video_token = id("video_token_id");
        let marker = |key: &str, default: &str| {
            id(key).and_then(|id| tokenizer.id_to_token(id)).unwrap_or_else(|| default.to_owned())
        };
        let vision_markers =
            [marker("vision_start_token_id", "<|vision_start|>"), marker("vision_end_token_id", "<|vision_end|>")];
        let mut eos = ids(generation.get("eos_token_id"));
        if eos.is_empty() {
            eos = ["<|im_end|>", "<|endoftext|>"].iter().filter_map(|t| tokenizer.token_to_id(t)).collect();
        }
        Ok(Self {
            path: path.to_owned(),
            tokenizer,
            template,
            vision,
            context_length: u32::try_from(context).unwrap_or(u32::MAX),
            image_token: u32::try_from(image_token).unwrap_or_default(),
            video_token,
            vision_markers,
            eos,
            defaults: defaults(&generation),
            thinks: source.contains("<think>"),
            thinking: source.contains("add_generation_prompt") && source.contains("<|im_start|>assistant\\n<think>"),
            config,
        })
    }
}

/// `processor_config.json`'s own, or `video_preprocessor_config.json` (transformers' order).
fn video(folder: &Path) -> VideoSpec {
    let nested = json(folder, "processor_config.json").ok().and_then(|all| all.get("video_processor").cloned());
    let config = nested.or_else(|| json(folder, "video_preprocessor_config.json").ok());
    VideoSpec::from_preprocessor(&config.unwrap_or(Value::Null))
}

fn failed(message: String) -> EngineError {
    EngineError::Failed(message)
}

fn json(folder: &Path, name: &str) -> Result<Value, EngineError> {
    let file = folder.join(name);
    let text = std::fs::read(&file).map_err(|e| failed(format!("{} cannot be read: {e}", file.display())))?;
    serde_json::from_slice(&text).map_err(|e| failed(format!("{} is not JSON: {e}", file.display())))
}

/// `chat_template.jinja`, or the `chat_template` of the older JSON files.
fn template_source(folder: &Path) -> Result<String, EngineError> {
    if let Ok(text) = std::fs::read_to_string(folder.join("chat_template.jinja")) {
        return Ok(text);
    }
    ["chat_template.json", "tokenizer_config.json"]
        .iter()
        .find_map(|name| Some(json(folder, name).ok()?.get("chat_template")?.as_str()?.to_owned()))
        .ok_or_else(|| failed(format!("{} has no chat template", folder.display())))
}

fn ids(value: Option<&Value>) -> Vec<u32> {
    let one = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
    match value {
        Some(Value::Array(all)) => all.iter().filter_map(one).collect(),
        Some(v) => one(v).into_iter().collect(),
        None => Vec::new(),
    }
}

/// `do_sample: false` is greedy, whatever else the file says (transformers' GenerationConfig).
fn defaults(generation: &Value) -> Sampling {
    let number = |key: &str| generation.get(key).and_then(Value::as_f64).map(|n| n as f32);
    if generation.get("do_sample").and_then(Value::as_bool) == Some(false) {
        return Sampling { temperature: Some(0.0), ..Sampling::default() };
    }
    Sampling {
        temperature: number("temperature"),
        top_p: number("top_p"),
        top_k: generation.get("top_k").and_then(Value::as_u64).and_then(|k| u32::try_from(k).ok()),
        min_p: number("min_p"),
        repetition_penalty: number("repetition_penalty"),
        ..Sampling::default()
    }
}
