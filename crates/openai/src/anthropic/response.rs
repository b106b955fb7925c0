//! The answer, and errors.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{ApiError, chat::AssistantRole};

/// A whole answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MessageReply)]
pub struct Reply {
    /// `msg_…`.
    pub id: String,
    /// `message`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// `assistant`.
    pub role: AssistantRole,
    /// The name that the request used.
    pub model: String,
    /// Thinking, text and calls, in the order in which the model made them.
    pub content: Vec<ContentBlock>,
    /// Null until the end.
    #[schema(required)]
    pub stop_reason: Option<StopReason>,
    /// The text that ended it.
    #[schema(required)]
    pub stop_sequence: Option<String>,
    /// Token counts.
    pub usage: Usage,
}

/// A block of an answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ContentBlock {
    /// Text.
    Text { text: String },
    /// A thinking model's reasoning; the signature is empty, for nothing here checks it.
    Thinking { thinking: String, signature: String },
    /// A call.
    ToolUse { id: String, name: String, input: Value },
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// By itself.
    EndTurn,
    /// At the most tokens that were asked for, or that the context has.
    MaxTokens,
    /// At a stop text.
    StopSequence,
    /// The model calls tools.
    ToolUse,
}

/// Token counts.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = MessageUsage)]
pub struct Usage {
    /// Of the prompt, but for those that were found in the prefix cache.
    pub input_tokens: u32,
    /// 0: what is kept costs nothing.
    pub cache_creation_input_tokens: u32,
    /// Found in the prefix cache.
    pub cache_read_input_tokens: u32,
    /// Of the answer.
    pub output_tokens: u32,
}

impl Usage {
    /// Counts of one answer.
    #[must_use]
    pub const fn new(prompt: u32, cached: u32, completion: u32) -> Self {
        Self {
            input_tokens: prompt.saturating_sub(cached),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: cached,
            output_tokens: completion,
        }
    }
}

/// A prompt's size.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = CountMessageTokensResponse)]
pub struct Count {
    /// Pictures included.
    pub input_tokens: u32,
}

/// An error in Anthropic's shape.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MessageError)]
pub struct Failure {
    /// `error`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// What went wrong.
    pub error: FailureBody,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MessageErrorBody)]
pub struct FailureBody {
    /// `invalid_request_error`, `api_error`, …
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// For a person; it begins with the part that is wrong.
    pub message: String,
}

impl From<&ApiError> for Failure {
    fn from(error: &ApiError) -> Self {
        let kind = match error.status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        let message = match &error.param {
            Some(param) => format!("{param}: {}", error.message),
            None => error.message.clone(),
        };
        Self { kind: "error", error: FailureBody { kind, message } }
    }
}
