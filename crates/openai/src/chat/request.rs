//! The request, as `CreateChatCompletionRequest` has it, with the extensions that VL clients know from vLLM.
//!
//! Messages and parts are read flat, whatever their role or type, so that an error can name its path; which fields
//! belong to which role is [`super::shapes`]' for readers and validation's for requests.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    media::{File, VideoUrl, VlgateOptions},
    shapes,
};
use crate::ApiError;

/// A chat completion request. `None` stands for a field that was left out and for an explicit null.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateChatCompletionRequest)]
pub struct ChatRequest {
    /// A model's id or alias.
    pub model: String,
    /// The conversation so far.
    #[schema(min_items = 1, value_type = Vec<shapes::RequestMessage>)]
    pub messages: Vec<Message>,
    /// Refused: this server makes no speech.
    #[schema(value_type = Option<shapes::AudioOptions>)]
    pub audio: Option<Value>,
    /// Subtracted per earlier occurrence of a token in the answer.
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f32>,
    /// The old form of `tool_choice`.
    #[schema(nullable = false, deprecated, value_type = Option<shapes::FunctionCallChoice>)]
    pub function_call: Option<Value>,
    /// The old form of `tools`.
    #[schema(nullable = false, deprecated, min_items = 1, max_items = 128, value_type = Option<Vec<shapes::OldFunction>>)]
    pub functions: Option<Vec<FunctionDefinition>>,
    /// Added to single tokens' logits, by token id.
    #[schema(value_type = Option<std::collections::HashMap<String, i64>>)]
    pub logit_bias: Option<IndexMap<String, f32>>,
    /// Report the log-probabilities of the answer's tokens.
    pub logprobs: Option<bool>,
    /// Most tokens to generate, reasoning included; before `max_tokens`.
    pub max_completion_tokens: Option<i64>,
    /// Most tokens to generate.
    #[schema(deprecated)]
    pub max_tokens: Option<i64>,
    /// Echoed in the completion.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<IndexMap<String, String>>,
    /// Only text.
    #[schema(value_type = Option<Vec<shapes::Modality>>)]
    pub modalities: Option<Vec<String>>,
    /// Refused: this server does not moderate.
    #[schema(value_type = Option<shapes::Moderation>)]
    pub moderation: Option<Value>,
    /// Answers to the same conversation.
    #[schema(minimum = 1, maximum = 128)]
    pub n: Option<i64>,
    /// Whether several calls may be made in one answer; true where it is left out.
    #[schema(nullable = false)]
    pub parallel_tool_calls: Option<bool>,
    /// Accepted; nothing is predicted, so the usage says 0 tokens accepted and rejected.
    #[schema(value_type = Option<shapes::Prediction>)]
    pub prediction: Option<Value>,
    /// Subtracted once from tokens that occur in the answer.
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f32>,
    /// Accepted; equal prefixes are found without it.
    pub prompt_cache_key: Option<String>,
    /// Accepted; equal prefixes are found without it.
    #[schema(nullable = false, value_type = Option<shapes::PromptCacheOptions>)]
    pub prompt_cache_options: Option<Value>,
    /// Accepted; how long a prefix stays depends on the memory that is free.
    #[schema(value_type = Option<shapes::PromptCacheRetention>)]
    pub prompt_cache_retention: Option<String>,
    /// `none` turns a thinking model's reasoning off.
    #[schema(value_type = Option<shapes::ReasoningEffort>)]
    pub reasoning_effort: Option<String>,
    /// The form that the answer is held to while it is sampled.
    #[schema(nullable = false, value_type = Option<shapes::ResponseFormat>)]
    pub response_format: Option<Value>,
    /// Accepted.
    #[schema(max_length = 64)]
    pub safety_identifier: Option<String>,
    /// The same seed, request and model give the same answer.
    pub seed: Option<i64>,
    /// Accepted; there is one tier, `default`.
    #[schema(value_type = Option<shapes::ServiceTier>)]
    pub service_tier: Option<String>,
    /// Texts that end the answer.
    #[schema(value_type = Option<shapes::Stop>)]
    pub stop: Option<Value>,
    /// Keep the completion, so that it can be asked for afterwards.
    pub store: Option<bool>,
    /// Answer with server-sent events.
    pub stream: Option<bool>,
    /// Only with `stream`.
    pub stream_options: Option<StreamOptions>,
    /// 0 is greedy; the model's own default where it is left out.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f32>,
    /// Which tools may or must be called.
    #[schema(nullable = false, value_type = Option<shapes::ToolChoice>)]
    pub tool_choice: Option<Value>,
    /// Tools on offer, at most 128.
    #[schema(nullable = false, value_type = Option<Vec<shapes::AnyTool>>)]
    pub tools: Option<Vec<Tool>>,
    /// Alternatives to report for each token.
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<i64>,
    /// Nucleus sampling.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// Accepted.
    #[schema(nullable = false, max_length = 64)]
    pub user: Option<String>,
    /// Accepted; models of this family have no such switch.
    #[schema(value_type = Option<shapes::Verbosity>)]
    pub verbosity: Option<String>,
    /// Refused: this server does not search.
    #[schema(nullable = false, value_type = Option<shapes::WebSearchOptions>)]
    pub web_search_options: Option<Value>,
    /// vLLM: only the k likeliest tokens; 0 and -1 mean all.
    #[schema(minimum = -1)]
    pub top_k: Option<i64>,
    /// vLLM: only tokens at least this fraction as likely as the likeliest.
    #[schema(minimum = 0, maximum = 1)]
    pub min_p: Option<f32>,
    /// vLLM: divides the logits of tokens in prompt or answer.
    pub repetition_penalty: Option<f32>,
    /// vLLM: go on past the end of the answer, for benchmarks.
    pub ignore_eos: Option<bool>,
    /// vLLM: go on with the last message, an assistant's.
    pub continue_final_message: Option<bool>,
    /// vLLM: open an assistant's turn behind the messages (the default).
    pub add_generation_prompt: Option<bool>,
    /// vLLM: variables of the chat template.
    pub chat_template_kwargs: Option<Map<String, Value>>,
    /// vLLM: bounds of all pictures, and the sampling of all clips of the request.
    pub mm_processor_kwargs: Option<ProcessorOptions>,
    /// vLLM: how all clips of the request are loaded.
    pub media_io_kwargs: Option<MediaOptions>,
    /// vLLM: JSON of this schema (an object, or its text).
    pub guided_json: Option<Value>,
    /// vLLM: text that matches this regular expression.
    pub guided_regex: Option<String>,
    /// vLLM: one of these texts.
    pub guided_choice: Option<Vec<String>>,
    /// vLLM: a context-free grammar in Lark's notation.
    pub guided_grammar: Option<String>,
    /// vLLM: accepted; there is one implementation.
    pub guided_decoding_backend: Option<String>,
    /// vLLM's newer form of `guided_*`.
    pub structured_outputs: Option<StructuredOutputs>,
    /// vLLM: false leaves the reasoning out of the answer.
    pub include_reasoning: Option<bool>,
    /// DashScope: turns a thinking model's reasoning on or off.
    pub enable_thinking: Option<bool>,
    /// vLLM: only true, the default.
    pub skip_special_tokens: Option<bool>,
    /// vLLM: accepted; these tokenizers put no spaces there.
    pub spaces_between_special_tokens: Option<bool>,
    /// vLLM: only false, the default.
    pub add_special_tokens: Option<bool>,
    /// vLLM: only 0, the default.
    pub min_tokens: Option<i64>,
    /// vLLM: only an empty list, the default.
    pub stop_token_ids: Option<Vec<u32>>,
    /// vLLM: only 0, the default.
    pub priority: Option<i64>,
    /// vLLM: only false, the default.
    pub echo: Option<bool>,
    /// Options of this server that no other has.
    pub vlgate: Option<VlgateOptions>,
}

/// `mm_processor_kwargs`, of which the bounds of areas and the sampling of clips are known here.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessorOptions {
    /// Smallest area of a picture or frame in pixels.
    pub min_pixels: Option<u64>,
    /// Largest area of a picture or frame in pixels.
    pub max_pixels: Option<u64>,
    /// Most pixels of all frames of a clip together.
    pub total_pixels: Option<u64>,
    /// Bounds in transformers' newer form: of a picture's area, and of all frames of a clip together.
    pub size: Option<ProcessorSize>,
    /// Frames taken of each second.
    pub fps: Option<f64>,
    /// Frames taken in all, instead of `fps`.
    pub num_frames: Option<u32>,
    /// Fewest frames taken.
    pub min_frames: Option<u32>,
    /// Most frames taken.
    pub max_frames: Option<u32>,
    /// Only true where a clip is one file; a list of frames is taken as it is.
    pub do_sample_frames: Option<bool>,
}

/// `media_io_kwargs`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MediaOptions {
    /// Of clips.
    pub video: Option<VideoLoading>,
}

/// `media_io_kwargs.video`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VideoLoading {
    /// Frames taken of each second.
    pub fps: Option<f64>,
    /// Frames taken in all, instead of `fps`.
    pub num_frames: Option<u32>,
}

/// `mm_processor_kwargs.size`; areas in spite of their names.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessorSize {
    /// Smallest area in pixels.
    pub shortest_edge: Option<u64>,
    /// Largest area in pixels.
    pub longest_edge: Option<u64>,
}

/// vLLM's `structured_outputs`: one of these.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StructuredOutputs {
    /// JSON of this schema (an object, or its text).
    pub json: Option<Value>,
    /// Text that matches this regular expression.
    pub regex: Option<String>,
    /// One of these texts.
    pub choice: Option<Vec<String>>,
    /// A context-free grammar in Lark's notation.
    pub grammar: Option<String>,
    /// Any JSON object.
    pub json_object: Option<bool>,
}

/// `stream_options`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// Send the usage in a chunk of its own at the end.
    #[schema(nullable = false)]
    pub include_usage: Option<bool>,
    /// Pad chunks with random text so that their sizes say less.
    #[schema(nullable = false)]
    pub include_obfuscation: Option<bool>,
}

/// A message of any role.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Message {
    pub role: String,
    #[serde(default)]
    pub content: Content,
    pub name: Option<String>,
    pub refusal: Option<String>,
    pub tool_calls: Option<Vec<ToolCall>>,
    pub function_call: Option<FunctionCall>,
    pub tool_call_id: Option<String>,
    pub reasoning_content: Option<String>,
    pub reasoning: Option<String>,
    pub audio: Option<Value>,
}

impl Message {
    /// The calls that an assistant made, old and new, with their ids.
    pub fn calls(&self) -> impl Iterator<Item = (&str, &FunctionCall)> {
        let new = self.tool_calls.iter().flatten();
        let new = new.filter_map(|c| Some((c.id.as_str(), c.function.as_ref()?)));
        new.chain(self.function_call.iter().map(|f| ("", f)))
    }
}

/// A message's content.
pub type Content = crate::either::TextOr<Part>;

/// A content part, flat: `type` says which of the others must be there (checked by validation, which names the path).
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Part {
    #[serde(rename = "type")]
    pub kind: String,
    pub text: Option<String>,
    pub refusal: Option<String>,
    pub image_url: Option<ImageUrl>,
    /// vLLM: the name of a picture, clip or file; what was sent with it once need not be sent again.
    pub uuid: Option<String>,
    pub input_audio: Option<Value>,
    pub file: Option<File>,
    pub video_url: Option<VideoUrl>,
    /// A URL, or an array of frames.
    pub video: Option<Value>,
    /// Seconds of each frame of `video`.
    pub times: Option<Vec<f64>>,
    /// DashScope has the bounds here, beside `image_url` and `video_url`.
    pub min_pixels: Option<u64>,
    pub max_pixels: Option<u64>,
    pub total_pixels: Option<u64>,
    pub fps: Option<f64>,
    pub num_frames: Option<u32>,
    pub min_frames: Option<u32>,
    pub max_frames: Option<u32>,
}

/// `image_url`, with vLLM's pixel bounds.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ImageUrl {
    /// `https:`, `http:` or `data:`.
    #[serde(default)]
    #[schema(required, format = "uri")]
    pub url: String,
    /// An uploaded file in place of a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// How much of the picture the model sees; `auto` where it is left out.
    #[schema(nullable = false, value_type = Option<shapes::Detail>)]
    pub detail: Option<String>,
    /// vLLM: smallest area in pixels.
    pub min_pixels: Option<u64>,
    /// vLLM: largest area in pixels.
    pub max_pixels: Option<u64>,
}

/// A tool on offer.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Tool {
    #[serde(rename = "type")]
    pub kind: String,
    pub function: Option<FunctionDefinition>,
    pub custom: Option<Value>,
}

/// A function on offer.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[schema(as = FunctionObject)]
pub struct FunctionDefinition {
    /// `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// What it does.
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// JSON schema of its arguments, an object; left out it means no arguments.
    #[schema(nullable = false, value_type = Option<shapes::JsonSchemaObject>)]
    pub parameters: Option<Value>,
    /// Hold the arguments to the schema exactly, or refuse the schema.
    pub strict: Option<bool>,
}

/// An earlier tool call.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct ToolCall {
    #[serde(default)]
    pub id: String,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub function: Option<FunctionCall>,
}

/// A call's name and arguments.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq, ToSchema)]
pub struct FunctionCall {
    /// The function.
    pub name: String,
    /// JSON text.
    pub arguments: String,
}

impl ChatRequest {
    /// Reads and validates a body.
    ///
    /// # Errors
    /// A 400 in OpenAI's words that names the part.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let request: Self = crate::read::json(body)?;
        request.validate()?;
        Ok(request)
    }

    /// Tokens to generate at the most; the newer field goes first.
    #[must_use]
    pub fn token_limit(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }

    /// The stop texts, whichever form they came in.
    #[must_use]
    pub fn stop_texts(&self) -> Vec<String> {
        match &self.stop {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all.iter().filter_map(|s| s.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the model may reason, where the request says so in one of the ways that clients know.
    #[must_use]
    pub fn thinking(&self) -> Option<bool> {
        let kwargs = self.chat_template_kwargs.as_ref().and_then(|k| k.get("enable_thinking")).and_then(Value::as_bool);
        kwargs.or(self.enable_thinking).or_else(|| self.reasoning_effort.as_deref().map(|effort| effort != "none"))
    }
}
