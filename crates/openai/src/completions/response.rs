//! The completion, whole or as a chunk: both have one shape.

use indexmap::IndexMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::chat::Usage;

/// What a completion is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OldKind {
    /// The only kind.
    TextCompletion,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OldFinishReason {
    /// By itself, or at a stop text.
    Stop,
    /// At the most tokens that were asked for.
    Length,
    /// Never sent: nothing is filtered here.
    ContentFilter,
}

/// A completion, or a piece of one.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CreateCompletionResponse)]
pub struct OldCompletion {
    /// `cmpl-…`.
    pub id: String,
    /// `text_completion`.
    pub object: OldKind,
    /// Seconds since the epoch.
    pub created: i64,
    /// The name that the request used.
    pub model: String,
    /// The build that answered.
    #[schema(required = false)]
    pub system_fingerprint: String,
    /// The answers, those to the first prompt first.
    pub choices: Vec<OldChoice>,
    /// Token counts of all prompts and answers together; in chunks left out without `include_usage`, and with it null in
    /// every chunk but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub usage: Option<Option<Usage>>,
}

/// An answer, or a piece of one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OldChoice {
    /// The text.
    pub text: String,
    /// 0, 1, …
    pub index: u32,
    /// Null unless asked for.
    #[schema(required)]
    pub logprobs: Option<OldLogprobs>,
    /// Why it ended; null in a chunk that is not its last.
    #[schema(required)]
    pub finish_reason: Option<OldFinishReason>,
}

/// Alternatives at one place: the text of each and its log-probability.
pub type OldTop = IndexMap<String, f32>;

/// Log-probabilities, one entry a token in each list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct OldLogprobs {
    /// Where the token begins in the text, in characters.
    #[schema(required = false)]
    pub text_offset: Vec<u64>,
    /// Natural logarithm of its probability.
    #[schema(required = false)]
    pub token_logprobs: Vec<f32>,
    /// Its text.
    #[schema(required = false)]
    pub tokens: Vec<String>,
    /// What it might have been, itself included.
    #[schema(required = false, value_type = Vec<std::collections::HashMap<String, f32>>)]
    pub top_logprobs: Vec<OldTop>,
}
