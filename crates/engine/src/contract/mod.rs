//! The contract between the protocol skins and whatever generates: no skin knows an engine, no engine knows a skin.

mod conversation;
mod error;
mod event;
mod job;
mod raw;

use std::{pin::Pin, time::Duration};

use async_trait::async_trait;
use futures::Stream;
use vlgate_media::VisionSpec;

pub use conversation::{Conversation, Message, Part, Role, TemplateOptions, ToolCall, ToolSpec};
pub use error::{EngineError, Fault};
pub use event::{Event, FinishReason, Timings, TokenLogprob, TopLogprob, Usage};
pub use job::{Format, Job, Sampling, ToolPolicy};
pub use raw::{Raw, Source, Tokens};

/// What one job produces, in order: `Started`, then deltas, then `Finished`; or an error, which ends it.
/// Dropping the stream cancels the work within one step of the engine.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Event, EngineError>> + Send>>;

/// Something that answers conversations: a runtime in this process, or another server behind HTTP.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The models that this engine answers for.
    fn models(&self) -> Vec<ModelCard>;

    /// Starts one job.
    ///
    /// # Errors
    /// [`EngineError`] says whose fault it is: the caller's (the prompt does not fit, the grammar is not
    /// supported), capacity (nothing is free now), or the engine's own.
    async fn generate(&self, job: Job) -> Result<EventStream, EngineError>;

    /// Counts a conversation's prompt tokens without generating.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    async fn count(&self, model: &str, conversation: &Conversation) -> Result<TokenCount, EngineError>;

    /// A prompt's tokens, as [`Engine::generate`] computes them. An engine that does not know them refuses.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    async fn tokens(&self, model: &str, source: Source<'_>) -> Result<Tokens, EngineError> {
        let _ = (model, source);
        Err(EngineError::Invalid { message: "This model's server does not show tokens.".into(), param: None })
    }

    /// The text of tokens, special ones included. An engine that does not know it refuses.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a token that the model does not have.
    async fn text(&self, model: &str, tokens: &[u32]) -> Result<String, EngineError> {
        let _ = (model, tokens);
        Err(EngineError::Invalid { message: "This model's server does not show tokens.".into(), param: None })
    }

    /// How busy the engine is now; cheap, called by probes and metrics.
    fn load(&self) -> Load;
}

/// What the outside may know of a model.
#[derive(Debug, Clone)]
pub struct ModelCard {
    /// The id that requests name; may contain `/`.
    pub id: String,
    /// Seconds since the epoch at which the model was loaded.
    pub created: u64,
    /// Prompt and answer together, in tokens.
    pub context_length: u32,
    /// How the model cuts pictures; `None` for a text-only model.
    pub vision: Option<VisionSpec>,
    /// Whether clips are taken.
    pub video: bool,
    /// Whether the model thinks before it answers (its template opens `<think>`).
    pub thinking: bool,
    /// `none`, `q8`, `q4`, or the name of the in-situ quantisation.
    pub quantization: String,
    /// The runtime that runs it: `mistralrs`, `native`, `http`.
    pub runtime: String,
    /// The sampling defaults of the model's own `generation_config.json`, used where a client sends none.
    pub defaults: Sampling,
}

/// A conversation's size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCount {
    /// All prompt tokens, pictures and clips included.
    pub prompt: u32,
    /// Of those, the tokens of pictures.
    pub image: u32,
    /// Of those, the tokens of clips (their time stamps not counted).
    pub video: u32,
}

/// How busy an engine is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Whether it can take jobs at all (loaded, and not being restarted).
    pub ready: bool,
    /// Jobs being computed.
    pub running: u32,
    /// Jobs accepted and not yet started.
    pub waiting: u32,
    /// Jobs that can run and wait together, where the engine knows.
    pub capacity: Option<u32>,
    /// KV blocks that are free, where the runtime has blocks.
    pub free_kv_blocks: Option<u64>,
    /// KV blocks in all.
    pub total_kv_blocks: Option<u64>,
    /// Time since the last completed step; large while `running > 0` means stuck.
    pub last_step_age: Option<Duration>,
    /// Times that the runtime died and was started again.
    pub restarts: u64,
    /// Prompt tokens taken from a prefix cache since start.
    pub prefix_hit_tokens: u64,
    /// Prompt tokens seen since start.
    pub prompt_tokens: u64,
    /// Tokens generated since start.
    pub generated_tokens: u64,
    /// Pictures found in the embedding cache since start.
    pub embedding_hits: u64,
}
