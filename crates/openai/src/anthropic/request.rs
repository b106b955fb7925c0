//! The request. Messages and blocks are read flat, whatever their type, so that an error can name its path.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{ApiError, TextOr};

/// A request for a message.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateMessageParams)]
pub struct MessageRequest {
    /// A model's id or alias.
    pub model: String,
    /// Most tokens to generate, thinking included.
    #[schema(minimum = 1)]
    pub max_tokens: i64,
    /// The conversation so far.
    #[schema(min_items = 1)]
    pub messages: Vec<Message>,
    /// Instructions: a text, or blocks of text.
    #[serde(default)]
    #[schema(required = false, value_type = Option<Value>)]
    pub system: TextOr<Block>,
    /// 0 is greedy; the model's own default where it is left out.
    #[schema(minimum = 0, maximum = 1)]
    pub temperature: Option<f32>,
    /// Nucleus sampling.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// Only the k likeliest tokens.
    #[schema(minimum = 0)]
    pub top_k: Option<i64>,
    /// Texts that end the answer.
    pub stop_sequences: Option<Vec<String>>,
    /// Answer with server-sent events.
    pub stream: Option<bool>,
    /// Accepted.
    pub metadata: Option<Value>,
    /// Tools on offer, at most 128.
    pub tools: Option<Vec<Tool>>,
    /// Which tools may or must be called.
    pub tool_choice: Option<ToolChoice>,
    /// `{type: enabled}` lets a thinking model think; without it, it does not.
    pub thinking: Option<Value>,
    /// `format` holds the answer to a JSON schema; `effort` is accepted.
    pub output_config: Option<Value>,
    /// Accepted; there is one tier, `standard`.
    pub service_tier: Option<String>,
    /// Accepted; equal prefixes are found without it.
    pub cache_control: Option<Value>,
    /// Refused: there are no containers here.
    pub container: Option<Value>,
    /// Refused: this server connects to no others.
    pub mcp_servers: Option<Value>,
    /// Refused: nothing is edited here.
    pub context_management: Option<Value>,
    /// vLLM: the same seed, request and model give the same answer.
    pub seed: Option<i64>,
}

/// A message.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = InputMessageParam)]
pub struct Message {
    /// `user` or `assistant`.
    pub role: String,
    /// A text, or blocks.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub content: TextOr<Block>,
}

/// A block of content, flat: `type` says which of the others must be there (checked by validation, which names the path).
#[derive(Debug, Clone, Default, Deserialize)]
#[allow(missing_docs)]
pub struct Block {
    #[serde(rename = "type")]
    pub kind: String,
    pub text: Option<String>,
    pub source: Option<Source>,
    pub title: Option<String>,
    pub id: Option<String>,
    pub name: Option<String>,
    pub input: Option<Value>,
    pub tool_use_id: Option<String>,
    #[serde(default)]
    pub content: TextOr<Block>,
    pub is_error: Option<bool>,
    pub thinking: Option<String>,
}

/// Where a picture or a document comes from, flat.
#[derive(Debug, Clone, Default, Deserialize)]
#[allow(missing_docs)]
pub struct Source {
    #[serde(rename = "type")]
    pub kind: String,
    pub media_type: Option<String>,
    pub data: Option<String>,
    pub url: Option<String>,
    pub file_id: Option<String>,
}

/// A tool on offer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = ToolParam)]
pub struct Tool {
    /// `custom`, or left out; Anthropic's own tools are refused.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of its input, an object.
    pub input_schema: Option<Value>,
    /// Hold the input to the schema exactly, or refuse the schema.
    pub strict: Option<bool>,
}

/// Which tools may or must be called.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = ToolChoiceBlock)]
pub struct ToolChoice {
    /// How.
    #[serde(rename = "type")]
    pub kind: ChoiceKind,
    /// Which, for `tool`.
    pub name: Option<String>,
    /// One call at the most.
    pub disable_parallel_tool_use: Option<bool>,
}

/// How tools are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceKind {
    /// What the model likes.
    Auto,
    /// At least one.
    Any,
    /// This one.
    Tool,
    /// None.
    None,
}

/// What `POST /v1/messages/count_tokens` takes.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CountMessageTokensParams)]
pub struct CountRequest {
    /// A model's id or alias.
    pub model: String,
    /// The conversation.
    #[schema(min_items = 1)]
    pub messages: Vec<Message>,
    /// Instructions.
    #[serde(default)]
    #[schema(required = false, value_type = Option<Value>)]
    pub system: TextOr<Block>,
    /// Tools on offer.
    pub tools: Option<Vec<Tool>>,
    /// `none` hides them from the model.
    pub tool_choice: Option<ToolChoice>,
    /// Changes the prompt of a thinking model.
    pub thinking: Option<Value>,
    /// Costs nothing: the form is no part of the prompt.
    pub output_config: Option<Value>,
    /// Accepted.
    pub cache_control: Option<Value>,
    /// Refused.
    pub mcp_servers: Option<Value>,
    /// Refused.
    pub context_management: Option<Value>,
}

impl MessageRequest {
    /// Reads and validates a body.
    ///
    /// # Errors
    /// A 400 that names the part.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let request: Self = crate::read::json(body)?;
        request.validate()?;
        Ok(request)
    }
}

impl CountRequest {
    /// Reads a body, and makes of it the request whose prompt is counted.
    ///
    /// # Errors
    /// A 400 that names the part.
    pub fn parse(body: &[u8]) -> Result<MessageRequest, ApiError> {
        let count: Self = crate::read::json(body)?;
        let request = MessageRequest {
            model: count.model,
            max_tokens: i64::from(u32::MAX),
            messages: count.messages,
            system: count.system,
            temperature: None,
            top_p: None,
            top_k: None,
            stop_sequences: None,
            stream: None,
            metadata: None,
            tools: count.tools,
            tool_choice: count.tool_choice,
            thinking: count.thinking,
            output_config: count.output_config,
            service_tier: None,
            cache_control: count.cache_control,
            container: None,
            mcp_servers: count.mcp_servers,
            context_management: count.context_management,
            seed: None,
        };
        request.validate()?;
        Ok(request)
    }
}
