//! How the native runtime is set up.

use std::{path::PathBuf, time::Duration};

use vlgate_kernels::{KvKind, Level};
use vlgate_media::VisionSpec;

use super::weights::Precision;
use crate::ModelDir;

/// Settings of a [`super::NativeRuntime`].
#[derive(Debug, Clone)]
pub struct NativeOptions {
    /// The model's folder, in hub layout.
    pub folder: PathBuf,
    /// How the model's pictures are cut and normalised.
    pub vision: VisionSpec,
    /// Tokens that end an answer.
    pub eos: Vec<u32>,
    /// How weights are held.
    pub precision: Precision,
    /// LoRA adapters in PEFT's format, merged into the weights in this order.
    pub adapters: Vec<PathBuf>,
    /// A folder where the packed weights are kept for the next start; `None` packs them at every start.
    pub cache: Option<PathBuf>,
    /// How keys and values are held; `None` takes what suits the weights and the processor, [`Self::kv_kind`].
    pub kv: Option<KvKind>,
    /// Bytes of the KV cache; `None` takes half of the memory that the weights leave, and no more than
    /// [`Self::max_running`] whole contexts need.
    pub kv_bytes: Option<u64>,
    /// Engines that share this machine's memory: without [`Self::kv_bytes`] each takes its part.
    pub sharers: usize,
    /// Prompt and answer together, in tokens; at most the model's own context.
    pub context: usize,
    /// Jobs that run at once.
    pub max_running: usize,
    /// Jobs that may wait.
    pub max_waiting: u32,
    /// Bytes of the cache of encoded pictures.
    pub embedding_bytes: usize,
    /// Threads; `None` means one a physical core.
    pub threads: Option<usize>,
    /// Prefill tokens of one step where nobody waits for a next token.
    pub step_tokens: usize,
    /// The time between two tokens of an answer that prefills and pictures of others may add up to.
    pub gap: Duration,
}

impl NativeOptions {
    /// The defaults for a model folder.
    #[must_use]
    pub fn new(model: &ModelDir) -> Self {
        Self {
            folder: model.path.clone(),
            vision: model.vision,
            eos: model.eos.clone(),
            precision: Precision::Stored,
            adapters: Vec::new(),
            cache: None,
            kv: None,
            kv_bytes: None,
            sharers: 1,
            context: model.context_length as usize,
            max_running: 64,
            max_waiting: 256,
            embedding_bytes: 512 << 20,
            threads: None,
            step_tokens: 512,
            gap: Duration::from_millis(300),
        }
    }

    /// How keys and values are held on a processor of `level`: as asked for, else as [`Precision::kv_kind`] says.
    #[must_use]
    pub fn kv_kind(&self, level: Level) -> KvKind {
        self.kv.unwrap_or_else(|| self.precision.kv_kind(level))
    }
}
