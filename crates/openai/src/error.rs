//! OpenAI's error object: always four keys, `code` a string or null.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// `{"error": {…}}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorResponse {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// For a person.
    pub message: String,
    /// `invalid_request_error`, `server_error`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The path of the part that is wrong.
    #[schema(required)]
    pub param: Option<String>,
    /// For a program.
    #[schema(required)]
    pub code: Option<String>,
}

/// An error as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// For a person.
    pub message: String,
    /// `invalid_request_error`, `server_error`, …
    pub kind: &'static str,
    /// The path of the part that is wrong.
    pub param: Option<String>,
    /// For a program.
    pub code: Option<String>,
    /// Seconds after which it is worth trying again.
    pub retry_after: Option<u32>,
    /// Sending it again cannot help, whatever SDKs think of the status.
    pub hopeless: bool,
}

impl ApiError {
    /// An error with a code and no part.
    #[must_use]
    pub fn new(status: u16, kind: &'static str, code: &str, message: impl Into<String>) -> Self {
        let code = (!code.is_empty()).then(|| code.to_owned());
        Self { status, message: message.into(), kind, param: None, code, retry_after: None, hopeless: false }
    }

    /// A 400 that names its part.
    #[must_use]
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", "invalid_value", message).at(param)
    }

    /// The same error at a part.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same error, worth trying again after this many seconds.
    #[must_use]
    pub const fn retry(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same error, which another try will meet again.
    #[must_use]
    pub const fn for_good(mut self) -> Self {
        self.hopeless = true;
        self
    }

    /// The body: [`ErrorResponse`].
    #[must_use]
    pub fn body(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}
