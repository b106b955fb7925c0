//! The response: required-but-nullable fields are written as null, never left out.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Reasoning, Tool, shapes};
use crate::chat;

/// What a response is.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResponseKind {
    /// The only kind.
    #[default]
    Response,
}

/// How far a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Whole.
    Completed,
    /// The engine failed.
    Failed,
    /// It is being generated.
    #[default]
    InProgress,
    /// Stopped by the client.
    Cancelled,
    /// It waits, in the background.
    Queued,
    /// Cut.
    Incomplete,
}

impl Status {
    /// Whether nothing more comes.
    #[must_use]
    pub const fn ended(self) -> bool {
        !matches!(self, Self::InProgress | Self::Queued)
    }
}

/// A response.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Response {
    /// `resp_…`.
    pub id: String,
    /// `response`.
    pub object: ResponseKind,
    /// Seconds since the epoch.
    #[schema(value_type = f64)]
    pub created_at: u64,
    /// How far it is.
    #[schema(required = false)]
    pub status: Status,
    /// Whether it was made in the background.
    pub background: Option<bool>,
    /// When it was whole.
    #[schema(value_type = Option<f64>)]
    pub completed_at: Option<u64>,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<ResponseError>,
    /// Why it was cut.
    #[schema(required)]
    pub incomplete_details: Option<Incomplete>,
    /// The request's own.
    #[schema(required)]
    pub instructions: Option<String>,
    /// The request's own.
    pub max_output_tokens: Option<i64>,
    /// The request's own.
    pub max_tool_calls: Option<i64>,
    /// The name that the request used.
    pub model: String,
    /// Reasoning, text and calls, in the order in which the model made them.
    pub output: Vec<OutputItem>,
    /// The request's own.
    pub parallel_tool_calls: bool,
    /// The request's own.
    pub previous_response_id: Option<String>,
    /// The request's own.
    pub prompt_cache_key: Option<String>,
    /// The request's own.
    #[schema(value_type = Option<chat::shapes::PromptCacheRetention>)]
    pub prompt_cache_retention: Option<String>,
    /// The request's own.
    pub reasoning: Option<Reasoning>,
    /// The request's own.
    pub safety_identifier: Option<String>,
    /// `default`.
    #[schema(value_type = Option<shapes::ServiceTier>)]
    pub service_tier: &'static str,
    /// Whether it is kept.
    #[schema(required = false)]
    pub store: bool,
    /// What was used.
    #[schema(required, value_type = Option<f32>)]
    pub temperature: f32,
    /// The form that was asked for.
    #[schema(required = false)]
    pub text: TextEcho,
    /// The request's own.
    #[schema(value_type = shapes::Choice)]
    pub tool_choice: Value,
    /// The request's own.
    #[schema(value_type = Vec<shapes::FunctionTool>)]
    pub tools: Vec<Tool>,
    /// The request's own.
    pub top_logprobs: Option<i64>,
    /// What was used.
    #[schema(required, value_type = Option<f32>)]
    pub top_p: f32,
    /// The request's own.
    #[schema(value_type = Option<shapes::Truncation>)]
    pub truncation: String,
    /// Once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub usage: Option<Usage>,
    /// The request's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub user: Option<String>,
    /// The request's own.
    #[schema(required, value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: IndexMap<String, String>,
}

/// `text`, as it was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TextEcho {
    /// The form.
    #[schema(required = false, value_type = shapes::TextFormat)]
    pub format: Value,
    /// `medium` where nothing was asked for.
    #[schema(value_type = Option<chat::shapes::Verbosity>)]
    pub verbosity: String,
}

/// Why a response failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResponseError {
    /// For a program.
    #[schema(value_type = shapes::ErrorCode)]
    pub code: String,
    /// For a person.
    pub message: String,
}

/// Why a response was cut.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Incomplete {
    /// The reason.
    #[schema(required = false)]
    pub reason: IncompleteReason,
}

/// Why a response was cut.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncompleteReason {
    /// At the most tokens that were asked for, or that the context has.
    MaxOutputTokens,
    /// Never sent: nothing is filtered here.
    ContentFilter,
}

/// A piece of the output.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputItem {
    /// Text.
    Message(Message),
    /// A call.
    FunctionCall(Call),
    /// A thinking model's reasoning.
    Reasoning(ReasoningItem),
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// It is being generated.
    InProgress,
    /// Whole.
    Completed,
    /// Cut.
    Incomplete,
}

/// Text that the model says.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OutputMessage)]
pub struct Message {
    /// `msg_…`.
    pub id: String,
    /// How far it is.
    pub status: CallStatus,
    /// `assistant`.
    pub role: chat::AssistantRole,
    /// One part; none before it begins.
    pub content: Vec<TextPart>,
}

/// A part of text.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = OutputTextContent)]
pub struct TextPart {
    /// `output_text`.
    #[serde(rename = "type")]
    pub kind: TextKind,
    /// The text.
    pub text: String,
    /// Empty: nothing is searched here.
    #[schema(value_type = Vec<shapes::AnyObject>)]
    pub annotations: Vec<Value>,
    /// Empty unless asked for.
    pub logprobs: Vec<Logprob>,
}

/// What a part is.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// The only kind.
    #[default]
    OutputText,
}

/// A token.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LogProb)]
pub struct Logprob {
    /// Its text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Its bytes.
    #[schema(value_type = Vec<u32>)]
    pub bytes: Vec<u8>,
    /// What it might have been, best first.
    #[schema(value_type = Vec<TopLogprob>)]
    pub top_logprobs: Vec<TopLogprob>,
}

/// What a token might have been.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TopLogProb)]
pub struct TopLogprob {
    /// Its text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Its bytes.
    #[schema(value_type = Vec<u32>)]
    pub bytes: Vec<u8>,
}

/// A call that the model makes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FunctionToolCall)]
pub struct Call {
    /// `fc_…`: the item.
    pub id: String,
    /// How far it is.
    #[schema(required = false)]
    pub status: CallStatus,
    /// `call_…`: what the result names.
    pub call_id: String,
    /// The function.
    pub name: String,
    /// JSON text.
    pub arguments: String,
}

/// What the model thought.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReasoningItem {
    /// `rs_…`.
    pub id: String,
    /// Empty: the reasoning itself is there.
    #[schema(value_type = Vec<shapes::SummaryText>)]
    pub summary: Vec<Value>,
    /// One part; none before it begins.
    #[schema(required = false)]
    pub content: Vec<ReasoningText>,
    /// How far it is.
    #[schema(required = false)]
    pub status: CallStatus,
}

/// A part of reasoning.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = ReasoningTextContent)]
pub struct ReasoningText {
    /// `reasoning_text`.
    #[serde(rename = "type")]
    pub kind: ReasoningKind,
    /// The text.
    pub text: String,
}

/// What a part is.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningKind {
    /// The only kind.
    #[default]
    ReasoningText,
}

/// Token counts.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = ResponseUsage)]
pub struct Usage {
    /// Of the prompt, pictures included.
    pub input_tokens: u32,
    /// Of the prompt.
    pub input_tokens_details: InputDetails,
    /// Of the answer, reasoning included.
    pub output_tokens: u32,
    /// Of the answer.
    pub output_tokens_details: OutputDetails,
    /// Both.
    pub total_tokens: u32,
}

/// Of the prompt.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = ResponseInputTokensDetails)]
pub struct InputDetails {
    /// Found in the prefix cache.
    pub cached_tokens: u32,
    /// 0: what is kept costs nothing.
    pub cache_write_tokens: u32,
    /// Of pictures.
    #[schema(required = false)]
    pub image_tokens: u32,
    /// Of clips.
    #[schema(required = false)]
    pub video_tokens: u32,
}

/// Of the answer.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = ResponseOutputTokensDetails)]
pub struct OutputDetails {
    /// Of the reasoning.
    pub reasoning_tokens: u32,
}

impl Usage {
    /// Counts of one answer.
    #[must_use]
    pub const fn new(prompt: u32, completion: u32, cached: u32, image: u32, video: u32, reasoning: u32) -> Self {
        Self {
            input_tokens: prompt,
            input_tokens_details: InputDetails {
                cached_tokens: cached,
                cache_write_tokens: 0,
                image_tokens: image,
                video_tokens: video,
            },
            output_tokens: completion,
            output_tokens_details: OutputDetails { reasoning_tokens: reasoning },
            total_tokens: prompt + completion,
        }
    }
}

/// What a deletion says.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DeletedResponse)]
pub struct Deleted {
    /// Which.
    pub id: String,
    /// `response`.
    pub object: ResponseKind,
    /// True.
    pub deleted: bool,
}

impl Deleted {
    /// That it is gone.
    #[must_use]
    pub const fn new(id: String) -> Self {
        Self { id, object: ResponseKind::Response, deleted: true }
    }
}

/// A page of items.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ResponseItemList)]
pub struct ItemList {
    /// `list`.
    pub object: crate::ListKind,
    /// The items.
    #[schema(value_type = Vec<shapes::AnyObject>)]
    pub data: Vec<Value>,
    /// The first one's.
    pub first_id: String,
    /// The last one's.
    pub last_id: String,
    /// Whether there are more behind it.
    pub has_more: bool,
}

/// What a count is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub enum CountKind {
    /// The only kind.
    #[serde(rename = "response.input_tokens")]
    InputTokens,
}

/// A prompt's size.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TokenCountsResource)]
pub struct Count {
    /// `response.input_tokens`.
    pub object: CountKind,
    /// Pictures included.
    pub input_tokens: u32,
}
