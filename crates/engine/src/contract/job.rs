//! What an engine is asked to do.

use std::time::Duration;

use serde_json::Value;

use super::{Conversation, Raw, Source};

/// One completion of one conversation. `n > 1` is several jobs with their own seeds.
#[derive(Debug, Clone)]
pub struct Job {
    /// For the log: the request's id, and the choice's index where there are several.
    pub id: String,
    /// The model, resolved from aliases by the server.
    pub model: String,
    /// What was said.
    pub conversation: Conversation,
    /// A prompt to go on from in place of the conversation, which is empty then.
    pub raw: Option<Raw>,
    /// How the next token is chosen. Fields that the client left out are `None`: the engine fills in the model's
    /// defaults ([`super::ModelCard::defaults`]).
    pub sampling: Sampling,
    /// Most tokens to generate; `None` means what the context leaves.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer, not part of it.
    pub stop: Vec<String>,
    /// Go on past end-of-sequence tokens (vLLM's extension, for benchmarks).
    pub ignore_eos: bool,
    /// The form that the answer is held to.
    pub format: Format,
    /// What the model may, must or must not call.
    pub tools: ToolPolicy,
    /// Report log-probabilities with this many alternatives (0 to 20).
    pub logprobs: Option<u8>,
    /// End the job with [`super::EngineError::Deadline`] after this time.
    pub deadline: Option<Duration>,
}

impl Job {
    /// A job with everything but the conversation left to the defaults.
    #[must_use]
    pub fn new(model: impl Into<String>, conversation: Conversation) -> Self {
        Self {
            id: String::new(),
            model: model.into(),
            conversation,
            raw: None,
            sampling: Sampling::default(),
            max_tokens: None,
            stop: Vec::new(),
            ignore_eos: false,
            format: Format::Text,
            tools: ToolPolicy::default(),
            logprobs: None,
            deadline: None,
        }
    }

    /// A job that goes on from a prompt as it is.
    #[must_use]
    pub fn raw(model: impl Into<String>, prompt: Raw) -> Self {
        Self { raw: Some(prompt), ..Self::new(model, Conversation::default()) }
    }

    /// What the model goes on from.
    #[must_use]
    pub const fn source(&self) -> Source<'_> {
        match &self.raw {
            Some(raw) => Source::Raw(raw),
            None => Source::Conversation(&self.conversation),
        }
    }
}

/// How the next token is chosen, over the raw logits.
///
/// Order: penalties and bias, grammar mask, temperature, top-k, top-p, min-p, draw. A temperature of 0 is greedy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2; 0 is greedy.
    pub temperature: Option<f32>,
    /// Nucleus: the smallest set of tokens whose probability reaches this.
    pub top_p: Option<f32>,
    /// Only the k likeliest tokens; `Some(0)` and `None` mean all.
    pub top_k: Option<u32>,
    /// Only tokens at least this fraction as likely as the likeliest.
    pub min_p: Option<f32>,
    /// The same seed, prompt and settings give the same answer. Any 64 bits.
    pub seed: Option<i64>,
    /// Subtracted per earlier occurrence in the answer (OpenAI's definition; the prompt does not count).
    pub frequency_penalty: Option<f32>,
    /// Subtracted once from tokens that occur in the answer.
    pub presence_penalty: Option<f32>,
    /// Divides (or multiplies, when negative) logits of tokens in prompt or answer (CTRL paper; transformers).
    pub repetition_penalty: Option<f32>,
    /// Added to single tokens' logits, -100 to 100.
    pub logit_bias: Vec<(u32, f32)>,
}

/// The form that an answer is held to while sampling.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Format {
    /// Anything.
    #[default]
    Text,
    /// Any JSON object (`response_format: json_object`).
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// The schema, an object.
        schema: Value,
        /// Refuse a schema with keywords that cannot be enforced; else those are left out.
        strict: bool,
    },
    /// Text that matches this regular expression as a whole.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A context-free grammar in Lark's notation as llguidance reads it.
    Lark(String),
}

/// What the model may, must or must not call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolPolicy {
    /// At least one call must be made; enforced by a grammar.
    pub required: bool,
    /// Only these may be called (a named choice is one name and `required`); `None` means any of the conversation's.
    pub allowed: Option<Vec<String>>,
    /// Several calls in one answer may be made.
    pub parallel: bool,
}
