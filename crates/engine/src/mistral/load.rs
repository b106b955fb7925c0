//! Loading a folder into mistral.rs.

use std::path::PathBuf;

use mistralrs::{
    IsqBits, IsqType, MemoryGpuConfig, Model, ModelDType, MultimodalModelBuilder, PagedAttentionMetaBuilder,
    core::paged_attn_supported,
};

use crate::contract::EngineError;

/// Passes our rendered prompt through: the one message's content and nothing else.
const PASS_THROUGH: &str = "{{ messages[0]['content'] }}";

/// In-situ quantisation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Quantization {
    /// As stored.
    #[default]
    None,
    /// 8 bits, the best kind for the device.
    Q8,
    /// 4 bits, the best kind for the device.
    Q4,
    /// By mistral.rs's own name (`Q6K`, `HQQ4`, …).
    Named(String),
}

/// How a folder is loaded.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The folder, in hub layout.
    pub folder: PathBuf,
    /// End-of-sequence ids, the first of which ends an abandoned job.
    pub eos: Vec<u32>,
    /// In-situ quantisation.
    pub quantization: Quantization,
    /// bf16 weights and activations instead of f32; refused on CPUs, where mistral.rs has no bf16 matmul.
    pub bf16: bool,
    /// Jobs that run at once under paged attention.
    pub max_running: usize,
    /// Jobs that may wait.
    pub max_waiting: u32,
    /// Context in tokens that the paged KV cache is made for.
    pub context: usize,
    /// Tokens per KV block (paged attention only).
    pub block_size: usize,
    /// Fraction of the device's memory that the paged KV cache may take; `None` sizes it by `context`.
    pub memory_fraction: Option<f32>,
}

/// Whether this build has mistral.rs's paged attention (CUDA and Metal).
#[must_use]
pub fn paged_attention() -> bool {
    paged_attn_supported()
}

/// Loads on a thread of its own: mistral.rs blocks for the whole of it and may panic on a broken folder.
pub(super) async fn load(options: LoadOptions) -> Result<Model, EngineError> {
    let (done, result) = tokio::sync::oneshot::channel();
    let handle = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("mistralrs-load".into()).spawn(move || {
        let _ = done.send(handle.block_on(build(options)));
    });
    thread.map_err(|e| EngineError::Failed(format!("no thread to load the model: {e}")))?;
    result.await.unwrap_or_else(|_| Err(EngineError::Failed("mistral.rs panicked while loading the model".into())))
}

async fn build(options: LoadOptions) -> Result<Model, EngineError> {
    let failed = |e: &dyn std::fmt::Display| EngineError::Failed(format!("mistral.rs cannot load the model: {e:#}"));
    if options.bf16 && !paged_attention() {
        return Err(EngineError::Failed("mistral.rs has no bf16 matmul on CPUs; use --dtype f32".into()));
    }
    let template = std::env::temp_dir().join(format!("vlgate-pass-through-{}.jinja", std::process::id()));
    std::fs::write(&template, PASS_THROUGH).map_err(|e| failed(&e))?;
    let mut builder = MultimodalModelBuilder::new(options.folder.display())
        .with_jinja_explicit(template.display().to_string())
        .with_max_num_seqs(options.max_running.max(1))
        .with_prefix_cache_n(None)
        .with_dtype(if options.bf16 { ModelDType::BF16 } else { ModelDType::F32 });
    builder = match options.quantization {
        Quantization::None => builder,
        Quantization::Q8 => builder.with_auto_isq(IsqBits::Eight),
        Quantization::Q4 => builder.with_auto_isq(IsqBits::Four),
        Quantization::Named(name) => builder.with_isq(isq(&name)?),
    };
    if paged_attention() {
        let memory = match options.memory_fraction {
            Some(fraction) => MemoryGpuConfig::Utilization(fraction),
            None => MemoryGpuConfig::ContextSize(options.context),
        };
        let paged = PagedAttentionMetaBuilder::default().with_block_size(options.block_size).with_gpu_memory(memory);
        builder = builder.with_paged_attn(paged.build().map_err(|e| failed(&e))?);
    } else {
        builder = builder.with_force_cpu();
    }
    builder.build().await.map_err(|e| failed(&e))
}

fn isq(name: &str) -> Result<IsqType, EngineError> {
    let all = [
        ("q4_0", IsqType::Q4_0),
        ("q4_1", IsqType::Q4_1),
        ("q5_0", IsqType::Q5_0),
        ("q5_1", IsqType::Q5_1),
        ("q8_0", IsqType::Q8_0),
        ("q8_1", IsqType::Q8_1),
        ("q2k", IsqType::Q2K),
        ("q3k", IsqType::Q3K),
        ("q4k", IsqType::Q4K),
        ("q5k", IsqType::Q5K),
        ("q6k", IsqType::Q6K),
        ("q8k", IsqType::Q8K),
        ("hqq4", IsqType::HQQ4),
        ("hqq8", IsqType::HQQ8),
    ];
    let wanted = name.to_ascii_lowercase();
    all.into_iter().find(|(n, _)| *n == wanted).map(|(_, t)| t).ok_or_else(|| {
        let names: Vec<&str> = ["none", "q8", "q4"].into_iter().chain(["q4_0", "q8_0", "q4k", "q6k", "hqq8"]).collect();
        EngineError::Failed(format!("'{name}' is not a quantisation; for example {}", names.join(", ")))
    })
}
