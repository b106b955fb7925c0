//! The request, as `CreateChatCompletionRequest` has it, with the extensions that VL clients know from vLLM.

use std::fmt;

use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Value};

use crate::ApiError;

/// A chat completion request. `None` stands for a field that was left out and for an explicit null.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ChatRequest {
    pub model: String,
    pub messages: Vec<Message>,
    pub audio: Option<Value>,
    pub frequency_penalty: Option<f32>,
    pub function_call: Option<Value>,
    pub functions: Option<Vec<FunctionDefinition>>,
    pub logit_bias: Option<IndexMap<String, f32>>,
    pub logprobs: Option<bool>,
    pub max_completion_tokens: Option<u32>,
    pub max_tokens: Option<u32>,
    pub metadata: Option<IndexMap<String, String>>,
    pub modalities: Option<Vec<String>>,
    pub moderation: Option<Value>,
    pub n: Option<u32>,
    pub parallel_tool_calls: Option<bool>,
    pub prediction: Option<Value>,
    pub presence_penalty: Option<f32>,
    pub prompt_cache_key: Option<String>,
    pub prompt_cache_options: Option<Value>,
    pub prompt_cache_retention: Option<String>,
    pub reasoning_effort: Option<String>,
    pub response_format: Option<Value>,
    pub safety_identifier: Option<String>,
    pub seed: Option<i64>,
    pub service_tier: Option<String>,
    pub stop: Option<Value>,
    pub store: Option<bool>,
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    pub temperature: Option<f32>,
    pub tool_choice: Option<Value>,
    pub tools: Option<Vec<Tool>>,
    pub top_logprobs: Option<u8>,
    pub top_p: Option<f32>,
    pub user: Option<String>,
    pub verbosity: Option<String>,
    pub web_search_options: Option<Value>,
    // vLLM's extensions.
    pub top_k: Option<i64>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub ignore_eos: Option<bool>,
    pub continue_final_message: Option<bool>,
    pub add_generation_prompt: Option<bool>,
    pub chat_template_kwargs: Option<Map<String, Value>>,
    pub guided_json: Option<Value>,
    pub guided_regex: Option<String>,
    pub guided_choice: Option<Vec<String>>,
}

/// `stream_options`.
#[derive(Debug, Clone, Default, Deserialize)]
#[allow(missing_docs)]
pub struct StreamOptions {
    pub include_usage: Option<bool>,
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
    #[serde(alias = "reasoning")]
    pub reasoning_content: Option<String>,
    pub audio: Option<Value>,
}

/// A message's content.
#[derive(Debug, Clone, Default)]
pub enum Content {
    /// null, or left out.
    #[default]
    None,
    /// One text.
    Text(String),
    /// Parts.
    Parts(Vec<Part>),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content parts")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Content, E> {
                Ok(Content::None)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Content, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Content::Parts)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A content part, flat: `type` says which of the others must be there (checked by validation, which names the path).
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Part {
    #[serde(rename = "type")]
    pub kind: String,
    pub text: Option<String>,
    pub refusal: Option<String>,
    pub image_url: Option<ImageUrl>,
    pub input_audio: Option<Value>,
    pub file: Option<Value>,
    pub video_url: Option<Value>,
    pub video: Option<Value>,
}

/// `image_url`, with vLLM's pixel bounds.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct ImageUrl {
    pub url: String,
    pub detail: Option<String>,
    pub min_pixels: Option<u64>,
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
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct FunctionDefinition {
    pub name: String,
    pub description: Option<String>,
    pub parameters: Option<Value>,
    pub strict: Option<bool>,
}

/// An earlier tool call.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct ToolCall {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub function: FunctionCall,
}

/// An earlier call's name and arguments (JSON text).
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct FunctionCall {
    pub name: String,
    pub arguments: String,
}

impl ChatRequest {
    /// Reads and validates a body.
    ///
    /// # Errors
    /// A 400 in OpenAI's words that names the part.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let request: Self = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
            let path = e.path().to_string();
            refusal(&path, &e.into_inner())
        })?;
        reader.end().map_err(|e| refusal("", &e))?;
        request.validate()?;
        Ok(request)
    }

    /// Tokens to generate at the most; the newer field goes first.
    #[must_use]
    pub fn token_limit(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
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
}

fn refusal(path: &str, error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let quoted = text.split('`').nth(1).unwrap_or_default();
    if error.is_syntax() || error.is_eof() {
        let message = "We could not parse the JSON body of your request. Please check that it is valid JSON.";
        return ApiError::new(400, "invalid_request_error", "", message);
    }
    let join = |name: &str| if path.is_empty() || path == "." { name.to_owned() } else { format!("{path}.{name}") };
    if text.starts_with("unknown field") {
        let message = format!("Unrecognized request argument supplied: {quoted}");
        return ApiError::new(400, "invalid_request_error", "unknown_parameter", message).at(quoted);
    }
    if text.starts_with("missing field") {
        let param = join(quoted);
        let message = format!("Missing required parameter: '{param}'.");
        return ApiError::new(400, "invalid_request_error", "missing_required_parameter", message).at(param);
    }
    let message = format!("Invalid type for '{path}': {text}.");
    let mut error = ApiError::new(400, "invalid_request_error", "invalid_type", message);
    if path != "." {
        error.param = Some(path.to_owned());
    }
    error
}
