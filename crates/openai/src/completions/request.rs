//! The request, as `CreateCompletionRequest` has it, with the extensions of chat completions that go without a chat.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    ApiError,
    chat::{StreamOptions, shapes},
    check::{Checked, clip, missing, range, unsupported, whole},
};

/// Prompts of one request.
const PROMPTS: usize = 128;

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// Text.
    Text(String),
    /// Token ids.
    Tokens(Vec<u32>),
}

/// What a request may go on from, for readers of the specification.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum AnyPrompt {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// One prompt of token ids.
    Tokens(Vec<i64>),
    /// Several prompts of token ids.
    Several(Vec<Vec<i64>>),
}

/// A completion request. `None` stands for a field that was left out and for an explicit null.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateCompletionRequest)]
pub struct CompletionRequest {
    /// A model's id or alias.
    pub model: String,
    /// What to go on from, without a chat template; null is the beginning of a document.
    #[schema(required, value_type = Option<AnyPrompt>)]
    #[serde(default = "absent")]
    pub prompt: Value,
    /// Answers of which the `n` likeliest are given.
    #[schema(minimum = 0, maximum = 20)]
    pub best_of: Option<i64>,
    /// Give the prompt before the answer; not with `logprobs`.
    pub echo: Option<bool>,
    /// Subtracted per earlier occurrence of a token in the answer.
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f32>,
    /// Added to single tokens' logits, by token id.
    #[schema(value_type = Option<std::collections::HashMap<String, i64>>)]
    pub logit_bias: Option<IndexMap<String, f32>>,
    /// Report the log-probabilities of the answer's tokens, and so many alternatives.
    #[schema(minimum = 0, maximum = 5)]
    pub logprobs: Option<i64>,
    /// Most tokens to generate; 16 where it is left out.
    #[schema(minimum = 0)]
    pub max_tokens: Option<i64>,
    /// Answers to each prompt.
    #[schema(minimum = 1, maximum = 128)]
    pub n: Option<i64>,
    /// Subtracted once from tokens that occur in the answer.
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f32>,
    /// The same seed, request and model give the same answer.
    pub seed: Option<i64>,
    /// Texts that end the answer.
    #[schema(value_type = Option<shapes::Stop>)]
    pub stop: Option<Value>,
    /// Answer with server-sent events.
    pub stream: Option<bool>,
    /// Only with `stream`.
    pub stream_options: Option<StreamOptions>,
    /// Refused: these models were not trained to fill a gap.
    pub suffix: Option<String>,
    /// 0 is greedy; the model's own default where it is left out.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f32>,
    /// Nucleus sampling.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// Accepted.
    #[schema(nullable = false)]
    pub user: Option<String>,
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
}

/// Stands for a field that was left out: JSON has no such value that a client could send.
fn absent() -> Value {
    Value::Bool(false)
}

impl CompletionRequest {
    /// Reads and validates a body.
    ///
    /// # Errors
    /// A 400 in OpenAI's words that names the part.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let request: Self = crate::read::json(body)?;
        request.validate()?;
        Ok(request)
    }

    fn validate(&self) -> Checked {
        self.prompts()?;
        self.numbers()?;
        if self.suffix.as_ref().is_some_and(|s| !s.is_empty()) {
            return Err(unsupported(
                "suffix",
                "asks for text between two others, which these models were not trained for.",
            ));
        }
        if self.echo == Some(true) && self.logprobs.is_some() {
            return Err(unsupported("echo", "cannot be combined with 'logprobs': the prompt's are not computed."));
        }
        if self.stream_options.is_some() && self.stream != Some(true) {
            return Err(ApiError::invalid(
                "stream_options",
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            ));
        }
        let (n, best_of) = (self.n.unwrap_or(1), self.candidates());
        if best_of < n {
            let message = format!("Invalid 'best_of': it must be at least 'n', which is {n}.");
            return Err(ApiError::invalid("best_of", message));
        }
        if best_of > n && self.stream == Some(true) {
            return Err(ApiError::invalid(
                "best_of",
                "Invalid 'best_of': a stream cannot be taken back, so it must equal 'n'.",
            ));
        }
        match &self.stop {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(Value::Array(all)) if (1..=4).contains(&all.len()) && all.iter().all(Value::is_string) => {}
            Some(_) => {
                let message = "Invalid 'stop': a string or an array of 1 to 4 strings is expected.";
                return Err(ApiError::invalid("stop", message));
            }
        }
        for (token, bias) in self.logit_bias.iter().flatten() {
            if token.parse::<u32>().is_err() {
                let message = format!("Invalid key in 'logit_bias': '{}'. Token ids are expected.", clip(token));
                return Err(ApiError::invalid("logit_bias", message));
            }
            range("logit_bias", Some(*bias), -100.0, 100.0)?;
        }
        Ok(())
    }

    fn numbers(&self) -> Checked {
        self.sampling().check()?;
        whole("n", self.n, 1, 128)?;
        whole("best_of", self.best_of, 0, 20)?;
        whole("logprobs", self.logprobs, 0, 5)?;
        whole("max_tokens", self.max_tokens, 0, i64::MAX)
    }

    /// Answers to compute for each prompt.
    #[must_use]
    pub fn candidates(&self) -> i64 {
        self.best_of.filter(|b| *b > 0).unwrap_or_else(|| self.n.unwrap_or(1))
    }

    /// Tokens to generate at the most.
    #[must_use]
    pub fn token_limit(&self) -> u32 {
        self.max_tokens.map_or(16, |n| u32::try_from(n).unwrap_or(u32::MAX))
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

    /// The prompts with their places in the request.
    ///
    /// # Errors
    /// A 400 that names the prompt.
    pub fn prompts(&self) -> Result<Vec<(String, Prompt)>, ApiError> {
        let at = |i: usize| format!("prompt[{i}]");
        match &self.prompt {
            Value::Null => Ok(vec![("prompt".into(), Prompt::Text(String::new()))]),
            Value::Bool(false) => Err(missing("prompt")),
            Value::String(text) => Ok(vec![("prompt".into(), Prompt::Text(text.clone()))]),
            Value::Array(all) if all.is_empty() => {
                let message = "Invalid 'prompt': empty array. Expected an array with minimum length 1, but got an empty array instead.";
                Err(ApiError::new(400, "invalid_request_error", "empty_array", message).at("prompt"))
            }
            Value::Array(all) if all.iter().all(Value::is_number) => {
                Ok(vec![("prompt".into(), tokens(all, "prompt")?)])
            }
            Value::Array(all) if all.len() > PROMPTS => {
                let message =
                    format!("Invalid 'prompt': at most {PROMPTS} prompts are accepted, but got {}.", all.len());
                Err(ApiError::new(400, "invalid_request_error", "array_above_max_length", message).at("prompt"))
            }
            Value::Array(all) => all
                .iter()
                .enumerate()
                .map(|(i, one)| match one {
                    Value::String(text) => Ok((at(i), Prompt::Text(text.clone()))),
                    Value::Array(ids) if !ids.is_empty() => Ok((at(i), tokens(ids, &at(i))?)),
                    _ => Err(no_prompt(&at(i))),
                })
                .collect(),
            _ => Err(no_prompt("prompt")),
        }
    }
}

fn no_prompt(path: &str) -> ApiError {
    let message = format!(
        "Invalid type for '{path}': expected a string, an array of strings, of tokens, or of arrays of tokens."
    );
    ApiError::new(400, "invalid_request_error", "invalid_type", message).at(path)
}

fn tokens(ids: &[Value], path: &str) -> Result<Prompt, ApiError> {
    let id = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| no_prompt(path));
    Ok(Prompt::Tokens(ids.iter().map(id).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(extra: Value) -> Result<CompletionRequest, ApiError> {
        let mut body = json!({"model": "m", "prompt": "hi"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        CompletionRequest::parse(body.to_string().as_bytes())
    }

    #[test]
    fn every_form_of_a_prompt_is_read() {
        let text = |t: &str| Prompt::Text(t.into());
        for (prompt, read) in [
            (json!("a"), vec![("prompt", text("a"))]),
            (json!(null), vec![("prompt", text(""))]),
            (json!(["a", ""]), vec![("prompt[0]", text("a")), ("prompt[1]", text(""))]),
            (json!([1, 2]), vec![("prompt", Prompt::Tokens(vec![1, 2]))]),
            (
                json!([[1], [2, 3]]),
                vec![("prompt[0]", Prompt::Tokens(vec![1])), ("prompt[1]", Prompt::Tokens(vec![2, 3]))],
            ),
        ] {
            let prompts = parse(json!({"prompt": prompt})).unwrap().prompts().unwrap();
            assert_eq!(prompts, read.into_iter().map(|(p, r)| (p.to_owned(), r)).collect::<Vec<_>>());
        }
        let missing = CompletionRequest::parse(br#"{"model": "m"}"#).unwrap_err();
        assert_eq!(
            (missing.param.as_deref(), missing.code.as_deref()),
            (Some("prompt"), Some("missing_required_parameter"))
        );
    }

    #[test]
    fn nulls_and_limits() {
        for field in "best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty seed stop stream stream_options suffix temperature top_p user".split(' ') {
            assert!(parse(json!({field: null})).is_ok(), "{field}");
        }
        let request = parse(json!({"n": 2, "best_of": 3, "stop": "x", "suffix": ""})).unwrap();
        assert_eq!((request.candidates(), request.token_limit(), request.stop_texts()), (3, 16, vec!["x".to_owned()]));
        for (extra, param) in [
            (json!({"prompt": []}), "prompt"),
            (json!({"prompt": {}}), "prompt"),
            (json!({"prompt": [1, -2]}), "prompt"),
            (json!({"prompt": ["a", 1]}), "prompt[1]"),
            (json!({"prompt": [[1], []]}), "prompt[1]"),
            (json!({"prompt": vec!["a"; 129]}), "prompt"),
            (json!({"suffix": "end"}), "suffix"),
            (json!({"echo": true, "logprobs": 0}), "echo"),
            (json!({"logprobs": 6}), "logprobs"),
            (json!({"n": 2, "best_of": 1}), "best_of"),
            (json!({"best_of": 21}), "best_of"),
            (json!({"best_of": 2, "stream": true}), "best_of"),
            (json!({"stream_options": {"include_usage": true}}), "stream_options"),
            (json!({"max_tokens": -1}), "max_tokens"),
            (json!({"stop": ["a", "b", "c", "d", "e"]}), "stop"),
            (json!({"logit_bias": {"x": 1}}), "logit_bias"),
            (json!({"messages": []}), "messages"),
        ] {
            let error = parse(extra.clone()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{extra}: {error:?}");
        }
    }
}
