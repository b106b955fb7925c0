//! The completion and the chunk: required-but-nullable fields are written as null, never left out.

use indexmap::IndexMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{FunctionCall, VlgateNotes};

/// What a completion is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub enum CompletionKind {
    /// The only kind.
    #[serde(rename = "chat.completion")]
    Completion,
}

/// What a chunk is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub enum ChunkKind {
    /// The only kind.
    #[serde(rename = "chat.completion.chunk")]
    Chunk,
}

/// Who answers.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AssistantRole {
    /// The model.
    Assistant,
}

/// What a tool call is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// The only kind that this family of models makes.
    Function,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// By itself, or at a stop text.
    Stop,
    /// At the most tokens that were asked for, or that the context has.
    Length,
    /// The model calls tools.
    ToolCalls,
    /// Never sent: nothing is filtered here.
    ContentFilter,
    /// The model calls a function, in the old form.
    FunctionCall,
}

/// A whole completion.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CreateChatCompletionResponse)]
pub struct Completion {
    /// `chatcmpl-…`.
    pub id: String,
    /// `chat.completion`.
    pub object: CompletionKind,
    /// Seconds since the epoch.
    #[schema(value_type = i64)]
    pub created: u64,
    /// The name that the request used.
    pub model: String,
    /// The answers.
    pub choices: Vec<Choice>,
    /// Token counts of all answers together.
    #[schema(nullable = false)]
    pub usage: Option<Usage>,
    /// `default`.
    #[schema(value_type = Option<super::shapes::ServiceTier>)]
    pub service_tier: &'static str,
    /// The build that answered.
    #[schema(required = false)]
    pub system_fingerprint: String,
    /// The request's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<IndexMap<String, String>>,
    /// What the model saw, where the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub vlgate: Option<VlgateNotes>,
}

/// One answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Choice {
    /// 0, 1, …
    pub index: u32,
    /// What was said.
    pub message: ResponseMessage,
    /// Null unless asked for.
    #[schema(required)]
    pub logprobs: Option<ChoiceLogprobs>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// An answer's message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChatCompletionResponseMessage)]
pub struct ResponseMessage {
    /// `assistant`.
    pub role: AssistantRole,
    /// The text; null when the model only calls tools.
    #[schema(required)]
    pub content: Option<String>,
    /// Null: refusals are text.
    #[schema(required)]
    pub refusal: Option<String>,
    /// Empty: nothing is searched here.
    #[schema(required = false)]
    pub annotations: Vec<Annotation>,
    /// The calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub tool_calls: Vec<ResponseToolCall>,
    /// The call, in the old form.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, deprecated)]
    pub function_call: Option<FunctionCall>,
    /// A thinking model's reasoning, under DeepSeek's and vLLM's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same under OpenRouter's and newer vLLM's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
}

/// A source on the web.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Annotation {
    /// `url_citation`.
    #[serde(rename = "type")]
    pub kind: AnnotationKind,
    /// The source.
    pub url_citation: UrlCitation,
}

/// What an annotation is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationKind {
    /// The only kind.
    UrlCitation,
}

/// Where in the text, and of what.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct UrlCitation {
    pub end_index: u32,
    pub start_index: u32,
    #[schema(format = "uri")]
    pub url: String,
    pub title: String,
}

/// A call that the model makes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResponseToolCall {
    /// `call_…`.
    pub id: String,
    /// `function`.
    #[serde(rename = "type")]
    pub kind: CallKind,
    /// What is called.
    pub function: FunctionCall,
}

/// Log-probabilities of an answer.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ChoiceLogprobs {
    /// Of its text; reasoning and calls have none.
    #[schema(required)]
    pub content: Option<Vec<TokenLogprob>>,
    /// Null.
    #[schema(required)]
    pub refusal: Option<Vec<TokenLogprob>>,
}

/// A token.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChatCompletionTokenLogprob)]
pub struct TokenLogprob {
    /// Its text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Its bytes.
    #[schema(required, value_type = Option<Vec<u32>>)]
    pub bytes: Option<Vec<u8>>,
    /// What it might have been, best first.
    pub top_logprobs: Vec<TopLogprob>,
}

/// What a token might have been.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TopLogprob {
    /// Its text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Its bytes.
    #[schema(required, value_type = Option<Vec<u32>>)]
    pub bytes: Option<Vec<u8>>,
}

/// Token counts.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = CompletionUsage)]
pub struct Usage {
    /// Of the prompt, pictures included.
    pub prompt_tokens: u32,
    /// Of all answers, reasoning included.
    pub completion_tokens: u32,
    /// Both.
    pub total_tokens: u32,
    /// Of the prompt.
    #[schema(required = false)]
    pub prompt_tokens_details: PromptDetails,
    /// Of the answers.
    #[schema(required = false)]
    pub completion_tokens_details: CompletionDetails,
}

/// Of the prompt.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct PromptDetails {
    /// Found in the prefix cache.
    #[schema(required = false)]
    pub cached_tokens: u32,
    /// 0.
    #[schema(required = false)]
    pub audio_tokens: u32,
    /// What is neither picture nor clip.
    #[schema(required = false)]
    pub text_tokens: u32,
    /// Of pictures.
    #[schema(required = false)]
    pub image_tokens: u32,
    /// Of clips.
    #[schema(required = false)]
    pub video_tokens: u32,
    /// 0: what is kept costs nothing.
    #[schema(required = false)]
    pub cache_write_tokens: u32,
}

/// Of the completion.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct CompletionDetails {
    /// Of the reasoning.
    #[schema(required = false)]
    pub reasoning_tokens: u32,
    /// 0.
    #[schema(required = false)]
    pub audio_tokens: u32,
    /// What is not reasoning.
    #[schema(required = false)]
    pub text_tokens: u32,
    /// 0: `prediction` is not used.
    #[schema(required = false)]
    pub accepted_prediction_tokens: u32,
    /// 0: `prediction` is not used.
    #[schema(required = false)]
    pub rejected_prediction_tokens: u32,
}

impl Usage {
    /// Counts of one answer.
    #[must_use]
    pub fn new(prompt: u32, completion: u32, cached: u32, image: u32, video: u32, reasoning: u32) -> Self {
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: PromptDetails {
                cached_tokens: cached,
                text_tokens: prompt.saturating_sub(image + video),
                image_tokens: image,
                video_tokens: video,
                ..PromptDetails::default()
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: reasoning,
                text_tokens: completion.saturating_sub(reasoning),
                ..CompletionDetails::default()
            },
        }
    }

    /// Adds another answer to the same prompt.
    pub fn add_completion(&mut self, other: &Self) {
        self.completion_tokens += other.completion_tokens;
        self.completion_tokens_details.reasoning_tokens += other.completion_tokens_details.reasoning_tokens;
        self.completion_tokens_details.text_tokens += other.completion_tokens_details.text_tokens;
        self.total_tokens = self.prompt_tokens + self.completion_tokens;
    }
}

/// A piece of a streamed completion.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CreateChatCompletionStreamResponse)]
pub struct Chunk {
    /// The same in all chunks.
    pub id: String,
    /// `chat.completion.chunk`.
    pub object: ChunkKind,
    /// The same in all chunks.
    #[schema(value_type = i64)]
    pub created: u64,
    /// The name that the request used.
    pub model: String,
    /// `default`.
    #[schema(value_type = Option<super::shapes::ServiceTier>)]
    pub service_tier: &'static str,
    /// The build that answers.
    #[schema(required = false)]
    pub system_fingerprint: String,
    /// At most one; none in the chunk of the usage.
    pub choices: Vec<ChunkChoice>,
    /// Left out without `include_usage`; with it null in every chunk but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub usage: Option<Option<Usage>>,
    /// Random text, with `include_obfuscation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub obfuscation: Option<String>,
    /// In the first chunk: what the model saw, where the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub vlgate: Option<VlgateNotes>,
}

/// A piece of one answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChunkChoice {
    /// 0, 1, …
    pub index: u32,
    /// What is new.
    pub delta: Delta,
    /// Null unless asked for.
    pub logprobs: Option<ChoiceLogprobs>,
    /// Null until the answer's last chunk.
    #[schema(required)]
    pub finish_reason: Option<FinishReason>,
}

/// What is new.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = ChatCompletionStreamResponseDelta)]
pub struct Delta {
    /// In the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<super::shapes::DeltaRole>)]
    pub role: Option<AssistantRole>,
    /// More text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Never sent: refusals are text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// More of a call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub tool_calls: Vec<CallDelta>,
    /// More of the call, in the old form.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, deprecated)]
    pub function_call: Option<FunctionDelta>,
    /// More reasoning, under DeepSeek's and vLLM's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same under OpenRouter's and newer vLLM's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
}

/// More of a call: the first has id, type and name, the others arguments only.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChatCompletionMessageToolCallChunk)]
pub struct CallDelta {
    /// Which call.
    pub index: u32,
    /// Once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// Once.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub kind: Option<CallKind>,
    /// Name, then arguments.
    #[schema(required = false)]
    pub function: FunctionDelta,
}

/// A name once, then fragments of arguments.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct FunctionDelta {
    /// Once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// JSON text.
    #[schema(required = false)]
    pub arguments: String,
}
