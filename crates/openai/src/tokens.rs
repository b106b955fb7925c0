//! Counting and showing tokens: `/v1/chat/completions/input_tokens`, and `/tokenize` and `/detokenize` as vLLM has them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    ApiError,
    chat::{ChatRequest, shapes},
};

/// What a count is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub enum InputTokensKind {
    /// The only kind.
    #[serde(rename = "chat.completion.input_tokens")]
    InputTokens,
}

/// A prompt's tokens, of what kind.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InputTokenDetails {
    /// What is neither picture nor clip.
    pub text_tokens: u32,
    /// Of pictures.
    pub image_tokens: u32,
    /// Of clips.
    pub video_tokens: u32,
}

/// How many tokens a request's prompt has: what `usage.prompt_tokens` would be.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InputTokens {
    /// `chat.completion.input_tokens`.
    pub object: InputTokensKind,
    /// All, pictures and clips included.
    pub input_tokens: u32,
    /// Of what kind.
    pub input_tokens_details: InputTokenDetails,
}

/// What is to be tokenised: a prompt as it is, or the messages (and whatever else shapes the prompt) of a chat completion.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct TokenizeRequest {
    /// A model's id or alias; the first model where it is left out.
    pub model: Option<String>,
    /// Text; not with `messages`.
    pub prompt: Option<String>,
    /// A conversation, with all other fields that chat completions have.
    #[schema(value_type = Option<Vec<shapes::RequestMessage>>)]
    pub messages: Option<Value>,
    /// Accepted: these tokenizers add none, and a chat template has its own.
    pub add_special_tokens: Option<bool>,
    /// Show each token's text too.
    pub return_token_strs: Option<bool>,
}

/// What a [`TokenizeRequest`] holds.
#[derive(Debug, Clone)]
pub enum Tokenizable {
    /// A prompt as it is.
    Prompt(String),
    /// A chat completion's request.
    Chat(Box<ChatRequest>),
}

impl TokenizeRequest {
    /// Reads and validates a body; `model` stands for one that is left out.
    ///
    /// # Errors
    /// A 400 that names the part.
    pub fn parse(body: &[u8], model: &str) -> Result<(Self, Tokenizable), ApiError> {
        let mut request: Self = crate::read::json(body)?;
        let name = request.model.get_or_insert_with(|| model.to_owned()).clone();
        match (&request.prompt, &request.messages) {
            (Some(_), Some(_)) => {
                Err(ApiError::invalid("prompt", "Invalid body: 'prompt' and 'messages' cannot both be given."))
            }
            (Some(prompt), None) => {
                let prompt = Tokenizable::Prompt(prompt.clone());
                Ok((request, prompt))
            }
            (None, Some(_)) => {
                let mut fields: serde_json::Map<String, Value> = crate::read::json(body)?;
                for own in ["return_token_strs", "add_special_tokens"] {
                    fields.remove(own);
                }
                fields.insert("model".into(), name.into());
                let chat = ChatRequest::parse(Value::Object(fields).to_string().as_bytes())?;
                Ok((request, Tokenizable::Chat(Box::new(chat))))
            }
            (None, None) => Err(crate::check::missing("prompt")),
        }
    }
}

/// A prompt's tokens.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Tokenized {
    /// How many.
    pub count: u32,
    /// The model's context.
    pub max_model_len: u32,
    /// Their ids; a picture's placeholder is there once for each of its tokens.
    pub tokens: Vec<u32>,
    /// Their texts, where that is asked for.
    #[schema(required)]
    pub token_strs: Option<Vec<String>>,
}

/// Tokens to make text of.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetokenizeRequest {
    /// A model's id or alias; the first model where it is left out.
    pub model: Option<String>,
    /// Their ids.
    pub tokens: Vec<u32>,
}

impl DetokenizeRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// A 400 that names the part.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        crate::read::json(body)
    }
}

/// Their text.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Detokenized {
    /// Special tokens included.
    pub prompt: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prompt_or_messages_are_read() {
        let parse = |body: Value| TokenizeRequest::parse(body.to_string().as_bytes(), "first");
        let (request, what) = parse(json!({"prompt": "hi", "add_special_tokens": true})).unwrap();
        assert!(request.model.as_deref() == Some("first") && matches!(what, Tokenizable::Prompt(p) if p == "hi"));
        let messages = json!([{"role": "user", "content": "hi"}]);
        let body =
            json!({"model": "m", "messages": messages, "add_generation_prompt": false, "return_token_strs": true});
        let (_, Tokenizable::Chat(chat)) = parse(body).unwrap() else { panic!("a chat") };
        assert_eq!((chat.model.as_str(), chat.add_generation_prompt), ("m", Some(false)));
        for (body, param) in [
            (json!({}), "prompt"),
            (json!({"prompt": "a", "messages": messages}), "prompt"),
            (json!({"prompt": 5}), "prompt"),
            (json!({"messages": []}), "messages"),
            (json!({"messages": [{"role": "robot", "content": "x"}]}), "messages[0].role"),
        ] {
            assert_eq!(parse(body.clone()).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
        assert_eq!(DetokenizeRequest::parse(br#"{"tokens": [-1]}"#).unwrap_err().param.as_deref(), Some("tokens[0]"));
    }
}
