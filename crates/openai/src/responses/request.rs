//! The request, as `CreateResponse` has it, with the extensions that chat completions have too.
//!
//! Items and parts are read flat, whatever their type, so that an error can name its path; which fields belong to
//! which type is [`super::shapes`]' for readers and validation's for requests.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Input, Tool, shapes};
use crate::{ApiError, chat};

/// A request for a response. `None` stands for a field that was left out and for an explicit null.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateResponse)]
pub struct ResponseRequest {
    /// A model's id or alias.
    pub model: String,
    /// What is said: a text, or items.
    #[serde(default)]
    #[schema(required = false, value_type = shapes::InputShape)]
    pub input: Input,
    /// Answer in the background; the response can be polled, and cancelled. Needs `store`.
    pub background: Option<bool>,
    /// Refused: nothing is compacted here.
    #[schema(value_type = Option<Vec<shapes::AnyObject>>)]
    pub context_management: Option<Value>,
    /// Refused: this server keeps responses, not conversations.
    #[schema(value_type = Option<shapes::Conversation>)]
    pub conversation: Option<Value>,
    /// What else the response shall hold; here only `message.output_text.logprobs` adds something.
    #[schema(value_type = Option<Vec<shapes::Include>>)]
    pub include: Option<Vec<String>>,
    /// Said first, with the role of the system; not kept for the next response.
    pub instructions: Option<String>,
    /// Most tokens to generate, reasoning included.
    #[schema(minimum = 16)]
    pub max_output_tokens: Option<i64>,
    /// Accepted: it counts calls of built-in tools, of which there are none.
    pub max_tool_calls: Option<i64>,
    /// Echoed in the response.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<IndexMap<String, String>>,
    /// Refused: this server does not moderate.
    #[schema(value_type = Option<chat::shapes::Moderation>)]
    pub moderation: Option<Value>,
    /// Whether several calls may be made in one answer; true where it is left out.
    pub parallel_tool_calls: Option<bool>,
    /// The response that this one goes on from.
    pub previous_response_id: Option<String>,
    /// Refused: there are no stored prompts.
    #[schema(value_type = Option<shapes::AnyObject>)]
    pub prompt: Option<Value>,
    /// Accepted; equal prefixes are found without it.
    pub prompt_cache_key: Option<String>,
    /// Accepted; equal prefixes are found without it.
    #[schema(nullable = false, value_type = Option<chat::shapes::PromptCacheOptions>)]
    pub prompt_cache_options: Option<Value>,
    /// Accepted; how long a prefix stays depends on the memory that is free.
    #[schema(value_type = Option<chat::shapes::PromptCacheRetention>)]
    pub prompt_cache_retention: Option<String>,
    /// `effort: none` turns a thinking model's reasoning off.
    pub reasoning: Option<Reasoning>,
    /// Accepted.
    #[schema(max_length = 64)]
    pub safety_identifier: Option<String>,
    /// Accepted; there is one tier, `default`.
    #[schema(value_type = Option<shapes::ServiceTier>)]
    pub service_tier: Option<String>,
    /// Keep the response; true where it is left out.
    pub store: Option<bool>,
    /// Answer with server-sent events.
    pub stream: Option<bool>,
    /// Only with `stream`.
    pub stream_options: Option<StreamOptions>,
    /// 0 is greedy; the model's own default where it is left out.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f32>,
    /// The form that the answer is held to while it is sampled.
    #[schema(nullable = false)]
    pub text: Option<TextOptions>,
    /// Which tools may or must be called.
    #[schema(nullable = false, value_type = Option<shapes::Choice>)]
    pub tool_choice: Option<Value>,
    /// Functions on offer, at most 128.
    #[schema(nullable = false, value_type = Option<Vec<shapes::FunctionTool>>)]
    pub tools: Option<Vec<Tool>>,
    /// Alternatives to report for each token, with `include`.
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<i64>,
    /// Nucleus sampling.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// `auto` drops the oldest items where the context is too small for all.
    #[schema(deprecated, value_type = Option<shapes::Truncation>)]
    pub truncation: Option<String>,
    /// Accepted.
    #[schema(nullable = false, deprecated)]
    pub user: Option<String>,
    /// As in chat completions.
    pub frequency_penalty: Option<f32>,
    /// As in chat completions.
    pub presence_penalty: Option<f32>,
    /// The same seed, request and model give the same answer.
    pub seed: Option<i64>,
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
    /// vLLM: the processor's bounds for all pictures.
    pub mm_processor_kwargs: Option<chat::ProcessorOptions>,
    /// vLLM: variables of the chat template.
    #[schema(value_type = Option<shapes::AnyObject>)]
    pub chat_template_kwargs: Option<Map<String, Value>>,
    /// DashScope: turns a thinking model's reasoning on or off.
    pub enable_thinking: Option<bool>,
}

/// `reasoning`. Whatever `summary` asks for, the reasoning itself is in the response.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reasoning {
    /// `none` turns it off.
    #[schema(value_type = Option<chat::shapes::ReasoningEffort>)]
    pub effort: Option<String>,
    /// Accepted.
    #[schema(value_type = Option<shapes::Summary>)]
    pub summary: Option<String>,
    /// The old name of `summary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(deprecated, value_type = Option<shapes::Summary>)]
    pub generate_summary: Option<String>,
    /// Accepted: earlier reasoning is what the model's own template makes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::ReasoningContext>)]
    pub context: Option<String>,
    /// Accepted; there is one mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<String>,
}

/// `text`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResponseTextParam)]
pub struct TextOptions {
    /// The form.
    #[schema(nullable = false, value_type = Option<shapes::TextFormat>)]
    pub format: Option<Value>,
    /// Accepted; models of this family have no such switch.
    #[schema(value_type = Option<chat::shapes::Verbosity>)]
    pub verbosity: Option<String>,
}

/// `stream_options`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = ResponseStreamOptions)]
pub struct StreamOptions {
    /// Pad deltas with random text so that their sizes say less.
    #[schema(nullable = false)]
    pub include_obfuscation: Option<bool>,
}

/// What `POST /v1/responses/input_tokens` takes: a request of which nothing is required.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenCountsBody)]
pub struct CountRequest {
    /// A model's id or alias.
    pub model: Option<String>,
    /// What is said.
    #[serde(default)]
    #[schema(required = false, value_type = Option<shapes::InputShape>)]
    pub input: Input,
    /// Said first.
    pub instructions: Option<String>,
    /// The response that this one goes on from.
    pub previous_response_id: Option<String>,
    /// Functions on offer.
    #[schema(value_type = Option<Vec<shapes::FunctionTool>>)]
    pub tools: Option<Vec<Tool>>,
    /// `none` hides them from the model.
    #[schema(value_type = Option<shapes::Choice>)]
    pub tool_choice: Option<Value>,
    /// `effort: none` changes the prompt.
    pub reasoning: Option<Reasoning>,
    /// Costs nothing: the form is no part of the prompt.
    pub text: Option<TextOptions>,
    /// Costs nothing.
    pub parallel_tool_calls: Option<bool>,
    /// Accepted: all is counted.
    #[schema(nullable = false, deprecated, value_type = Option<shapes::Truncation>)]
    pub truncation: Option<String>,
    /// Refused, as in responses.
    #[schema(value_type = Option<shapes::Conversation>)]
    pub conversation: Option<Value>,
    /// Refused: models of this family have none.
    pub personality: Option<String>,
    /// vLLM: the processor's bounds for all pictures.
    pub mm_processor_kwargs: Option<chat::ProcessorOptions>,
}

impl ResponseRequest {
    /// Reads and validates a body.
    ///
    /// # Errors
    /// A 400 in OpenAI's words that names the part.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let request: Self = crate::read::json(body)?;
        request.validate()?;
        Ok(request)
    }

    /// Tokens to generate at the most.
    #[must_use]
    pub fn token_limit(&self) -> Option<u32> {
        self.max_output_tokens.map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }

    /// Whether the response is kept.
    #[must_use]
    pub fn stored(&self) -> bool {
        self.store != Some(false)
    }

    /// Whether the answer's tokens are reported, and with how many alternatives.
    #[must_use]
    pub fn logprobs(&self) -> Option<u8> {
        let asked = self.include.iter().flatten().any(|i| i == "message.output_text.logprobs");
        asked.then(|| u8::try_from(self.top_logprobs.unwrap_or(0)).unwrap_or(20))
    }

    /// Whether the model may reason, where the request says so in one of the ways that clients know.
    #[must_use]
    pub fn thinking(&self) -> Option<bool> {
        let kwargs = self.chat_template_kwargs.as_ref().and_then(|k| k.get("enable_thinking")).and_then(Value::as_bool);
        let effort = || self.reasoning.as_ref()?.effort.as_deref().map(|effort| effort != "none");
        kwargs.or(self.enable_thinking).or_else(effort)
    }
}

impl CountRequest {
    /// Reads a body, and makes of it the request whose prompt is counted; `model` is used where it names none.
    ///
    /// # Errors
    /// A 400 in OpenAI's words that names the part.
    pub fn parse(body: &[u8], model: &str) -> Result<ResponseRequest, ApiError> {
        let count: Self = crate::read::json(body)?;
        if count.personality.is_some() {
            return Err(crate::check::unsupported("personality", "is nothing that models of this family have."));
        }
        // A request without fields is read, then those are set that a prompt depends on.
        let mut request: ResponseRequest = crate::read::json(b"{\"model\":\"\"}")?;
        request.model = count.model.unwrap_or_else(|| model.to_owned());
        request.input = count.input;
        request.instructions = count.instructions;
        request.previous_response_id = count.previous_response_id;
        request.tools = count.tools;
        request.tool_choice = count.tool_choice;
        request.reasoning = count.reasoning;
        request.text = count.text;
        request.truncation = count.truncation;
        request.conversation = count.conversation;
        request.mm_processor_kwargs = count.mm_processor_kwargs;
        request.validate()?;
        Ok(request)
    }
}
