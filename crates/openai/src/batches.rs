//! `/v1/batches`.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    ApiError, ListKind,
    check::{self, one_of, unsupported_value},
    files::ExpiresAfter,
};

/// Endpoints that OpenAI's batches may be for.
const ENDPOINTS: [&str; 8] = [
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
];

/// What a batch's requests are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchEndpoint {
    /// Chat completions.
    #[serde(rename = "/v1/chat/completions")]
    Chat,
    /// Old completions.
    #[serde(rename = "/v1/completions")]
    Completions,
}

impl BatchEndpoint {
    /// Its path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
        }
    }
}

/// The endpoint of a batch, for readers of the specification.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[allow(missing_docs, dead_code)]
pub enum AnyBatchEndpoint {
    #[serde(rename = "/v1/responses")]
    Responses,
    #[serde(rename = "/v1/chat/completions")]
    Chat,
    #[serde(rename = "/v1/embeddings")]
    Embeddings,
    #[serde(rename = "/v1/completions")]
    Completions,
    #[serde(rename = "/v1/moderations")]
    Moderations,
    #[serde(rename = "/v1/images/generations")]
    Images,
    #[serde(rename = "/v1/images/edits")]
    Edits,
    #[serde(rename = "/v1/videos")]
    Videos,
}

/// How long a batch may take.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[allow(dead_code)]
pub enum CompletionWindow {
    /// The only one.
    #[serde(rename = "24h")]
    Day,
}

/// A new batch.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateBatchRequest)]
pub struct BatchRequest {
    /// A file of the purpose `batch`: one request a line.
    pub input_file_id: String,
    /// What the requests are for; `/v1/chat/completions` and `/v1/completions` are served.
    #[schema(value_type = AnyBatchEndpoint)]
    pub endpoint: String,
    /// What is not done by then expires.
    #[schema(value_type = CompletionWindow)]
    pub completion_window: String,
    /// Echoed in the batch.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<IndexMap<String, String>>,
    /// When the files of its answers end; after the server's own days at the latest.
    #[schema(nullable = false)]
    pub output_expires_after: Option<ExpiresAfter>,
}

impl BatchRequest {
    /// Reads and validates a body.
    ///
    /// # Errors
    /// A 400 in OpenAI's words that names the part.
    pub fn parse(body: &[u8]) -> Result<(Self, BatchEndpoint), ApiError> {
        let request: Self = crate::read::json(body)?;
        one_of("endpoint", Some(&request.endpoint), &ENDPOINTS)?;
        let endpoint = match request.endpoint.as_str() {
            "/v1/chat/completions" => BatchEndpoint::Chat,
            "/v1/completions" => BatchEndpoint::Completions,
            other => {
                return Err(unsupported_value(
                    "endpoint",
                    &format!("is '{other}', of which this server makes no batches."),
                ));
            }
        };
        one_of("completion_window", Some(&request.completion_window), &["24h"])?;
        check::metadata(request.metadata.as_ref())?;
        if let Some(end) = &request.output_expires_after {
            end.validate("output_expires_after")?;
        }
        Ok((request, endpoint))
    }
}

/// What a batch is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BatchKind {
    /// The only kind.
    #[default]
    Batch,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// Its lines are being read.
    Validating,
    /// Its lines were not requests, or something kept it from going on.
    Failed,
    /// Its requests are being answered.
    InProgress,
    /// Its answers are being written to files.
    Finalizing,
    /// Every request has its answer or its error.
    Completed,
    /// The window closed before.
    Expired,
    /// It was cancelled; requests that run are being stopped.
    Cancelling,
    /// It was cancelled.
    Cancelled,
}

impl BatchStatus {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }
}

/// Why a batch failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BatchError {
    /// For a program.
    #[schema(required = false)]
    pub code: String,
    /// For a person.
    #[schema(required = false)]
    pub message: String,
    /// Which field of the line.
    pub param: Option<String>,
    /// Which line of the file, from 1.
    pub line: Option<u64>,
}

/// Why a batch failed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct BatchErrors {
    /// `list`.
    #[schema(required = false, value_type = String)]
    pub object: ListKind,
    /// The first ones.
    #[schema(required = false)]
    pub data: Vec<BatchError>,
}

/// How many of a batch's requests are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BatchRequestCounts)]
pub struct BatchCounts {
    /// All.
    #[schema(value_type = i64)]
    pub total: u64,
    /// Answered.
    #[schema(value_type = i64)]
    pub completed: u64,
    /// Refused, failed or expired.
    #[schema(value_type = i64)]
    pub failed: u64,
}

/// Of a batch's prompts.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
pub struct BatchInputDetails {
    /// Found in the prefix cache.
    #[schema(value_type = i64)]
    pub cached_tokens: u64,
}

/// Of a batch's answers.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
pub struct BatchOutputDetails {
    /// Of the reasoning.
    #[schema(value_type = i64)]
    pub reasoning_tokens: u64,
}

/// Token counts of a batch so far.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
pub struct BatchUsage {
    /// Of all prompts.
    #[schema(value_type = i64)]
    pub input_tokens: u64,
    /// Of the prompts.
    pub input_tokens_details: BatchInputDetails,
    /// Of all answers.
    #[schema(value_type = i64)]
    pub output_tokens: u64,
    /// Of the answers.
    pub output_tokens_details: BatchOutputDetails,
    /// Both.
    #[schema(value_type = i64)]
    pub total_tokens: u64,
}

impl BatchUsage {
    /// Adds what one answer says of itself (a `usage` of chat completions or completions).
    pub fn add(&mut self, usage: &Value) {
        let number = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        self.input_tokens += number("/prompt_tokens");
        self.input_tokens_details.cached_tokens += number("/prompt_tokens_details/cached_tokens");
        self.output_tokens += number("/completion_tokens");
        self.output_tokens_details.reasoning_tokens += number("/completion_tokens_details/reasoning_tokens");
        self.total_tokens += number("/total_tokens");
    }
}

/// A batch. What is not known yet is left out, as OpenAI's specification has it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Batch {
    /// `batch_…`.
    pub id: String,
    /// `batch`.
    pub object: BatchKind,
    /// What its requests are for.
    #[schema(value_type = String)]
    pub endpoint: BatchEndpoint,
    /// The model of its first request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub errors: Option<BatchErrors>,
    /// Its requests.
    pub input_file_id: String,
    /// `24h`.
    pub completion_window: String,
    /// How far it is.
    pub status: BatchStatus,
    /// Its answers, once it is over and there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub output_file_id: Option<String>,
    /// Its errors, once it is over and there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error_file_id: Option<String>,
    /// Seconds since the epoch, as all times here.
    pub created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub in_progress_at: Option<i64>,
    /// When its window closes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub finalizing_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub completed_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failed_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expired_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cancelling_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cancelled_at: Option<i64>,
    /// How many of its requests are how far.
    #[schema(required = false)]
    pub request_counts: BatchCounts,
    /// Token counts so far.
    #[schema(required = false)]
    pub usage: BatchUsage,
    /// The request's own.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<IndexMap<String, String>>,
}

/// Batches.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ListBatchesResponse)]
pub struct BatchList {
    /// `list`.
    pub object: ListKind,
    /// The batches.
    pub data: Vec<Batch>,
    /// The first one's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub first_id: Option<String>,
    /// The last one's id, for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_id: Option<String>,
    /// Whether there are more behind the last one.
    pub has_more: bool,
}

/// A line of a batch's input file.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchLine {
    /// The client's own name for it.
    pub custom_id: String,
    /// The request, a JSON object.
    pub body: Value,
}

impl BatchLine {
    /// Reads a line, the `number`th of its file from 1.
    ///
    /// # Errors
    /// What is wrong with it, as the batch's `errors` say it.
    pub fn parse(line: &[u8], number: u64, endpoint: BatchEndpoint) -> Result<Self, BatchError> {
        let wrong = |code: &str, param: Option<&str>, message: String| BatchError {
            code: code.to_owned(),
            message,
            param: param.map(str::to_owned),
            line: Some(number),
        };
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(line) else {
            return Err(wrong("invalid_json_line", None, "This line is not parseable as a JSON object.".into()));
        };
        let text = |name: &str| match fields.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(wrong("invalid_type", Some(name), format!("Invalid type for '{name}': expected a string."))),
            None => {
                Err(wrong("missing_required_parameter", Some(name), format!("Missing required parameter: '{name}'.")))
            }
        };
        let (custom_id, method, url) = (text("custom_id")?, text("method")?, text("url")?);
        if !(1..=512).contains(&custom_id.chars().count()) {
            let message = "Invalid 'custom_id': 1 to 512 characters are expected.".to_owned();
            return Err(wrong("invalid_value", Some("custom_id"), message));
        }
        if method != "POST" {
            let message = format!("Invalid 'method': '{}'. Supported values are: 'POST'.", check::clip(&method));
            return Err(wrong("invalid_method", Some("method"), message));
        }
        if url != endpoint.path() {
            let message = format!(
                "The URL '{}' provided for this request does not match the batch endpoint '{}'.",
                check::clip(&url),
                endpoint.path()
            );
            return Err(wrong("invalid_url", Some("url"), message));
        }
        match fields.remove("body") {
            Some(body @ Value::Object(_)) => Ok(Self { custom_id, body }),
            Some(_) => Err(wrong("invalid_type", Some("body"), "Invalid type for 'body': expected an object.".into())),
            None => {
                Err(wrong("missing_required_parameter", Some("body"), "Missing required parameter: 'body'.".into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(extra: Value) -> Result<(BatchRequest, BatchEndpoint), ApiError> {
        let mut body =
            json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        BatchRequest::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_request_is_checked() {
        assert_eq!(request(json!({"metadata": null})).unwrap().1, BatchEndpoint::Chat);
        assert_eq!(request(json!({"endpoint": "/v1/completions"})).unwrap().1.path(), "/v1/completions");
        for (extra, param) in [
            (json!({"input_file_id": 5}), "input_file_id"),
            (json!({"endpoint": "/v1/embeddings"}), "endpoint"),
            (json!({"endpoint": "/v1/chat"}), "endpoint"),
            (json!({"completion_window": "1h"}), "completion_window"),
            (json!({"metadata": {"k": "v".repeat(513)}}), "metadata"),
            (json!({"output_expires_after": {"anchor": "created_at", "seconds": 1}}), "output_expires_after.seconds"),
            (json!({"bogus": 1}), "bogus"),
        ] {
            let error = request(extra.clone()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{extra}: {error:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_named() {
        let parse = |text: &str| BatchLine::parse(text.as_bytes(), 7, BatchEndpoint::Chat);
        let line = json!({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}});
        let read = parse(&line.to_string()).unwrap();
        assert_eq!((read.custom_id.as_str(), read.body), ("a", json!({"model": "m"})));
        for (field, value, code) in [
            ("custom_id", json!(null), "invalid_type"),
            ("custom_id", json!(""), "invalid_value"),
            ("method", json!("GET"), "invalid_method"),
            ("url", json!("/v1/completions"), "invalid_url"),
            ("body", json!([]), "invalid_type"),
        ] {
            let mut wrong = line.clone();
            wrong[field] = value;
            let error = parse(&wrong.to_string()).unwrap_err();
            assert_eq!((error.code.as_str(), error.param.as_deref(), error.line), (code, Some(field), Some(7)));
            wrong.as_object_mut().unwrap().remove(field);
            assert_eq!(parse(&wrong.to_string()).unwrap_err().code, "missing_required_parameter");
        }
        for text in ["", "{", "[]", "5", "\u{FEFF}{}"] {
            assert_eq!(parse(text).unwrap_err().code, "invalid_json_line", "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)).unwrap_err().code, "invalid_json_line");
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let text = r#"{"id":"batch_1","object":"batch","endpoint":"/v1/completions","input_file_id":"file-1","completion_window":"24h","status":"in_progress","created_at":5,"in_progress_at":6,"expires_at":7,"request_counts":{"total":3,"completed":2,"failed":1},"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3},"metadata":{"a":"b"}}"#;
        let mut batch: Batch = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&batch).unwrap(), text);
        batch.usage.add(&json!({"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}));
        let sums = batch.usage;
        assert_eq!((sums.input_tokens, sums.output_tokens, sums.total_tokens), (6, 8, 14));
        assert_eq!((sums.input_tokens_details.cached_tokens, sums.output_tokens_details.reasoning_tokens), (4, 2));
    }
}
