//! The one place where errors become HTTP.

use actix_web::{HttpResponse, http::StatusCode};
use serde::Serialize;
use vlgate_engine::{EngineError, Fault};
use vlgate_media::MediaError;
use vlgate_openai::{ApiError, anthropic::Failure, clip};

use crate::{messages, store::StoreError};

/// OpenAI's error object with the headers that SDKs read.
pub fn refuse(error: &ApiError) -> HttpResponse {
    refuse_with(error, error.body())
}

/// The same in Anthropic's shape.
pub fn refuse_as_anthropic(error: &ApiError) -> HttpResponse {
    refuse_with(error, Failure::from(error))
}

/// A value, or the error in its place.
pub fn answer(result: Result<impl Serialize, ApiError>) -> HttpResponse {
    result.map_or_else(|error| refuse(&error), |value| HttpResponse::Ok().json(value))
}

/// In the shape that belongs to a path.
pub fn refuse_at(path: &str, error: &ApiError) -> HttpResponse {
    if messages::is_ours(path) { refuse_as_anthropic(error) } else { refuse(error) }
}

fn refuse_with(error: &ApiError, body: impl Serialize) -> HttpResponse {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(seconds) = error.retry_after {
        response.insert_header(("retry-after", seconds.to_string()));
        response.insert_header(("retry-after-ms", (seconds * 1000).to_string()));
    }
    // SDKs obey this before they look at the status.
    let worth_it = error.status >= 429 && !error.hopeless;
    response.insert_header(("x-should-retry", if worth_it { "true" } else { "false" }));
    response.json(body)
}

/// By whose fault it is.
pub fn engine(error: &EngineError) -> ApiError {
    let message = error.to_string();
    match (error, error.fault()) {
        (EngineError::ContextLength { .. }, _) => {
            ApiError::new(400, "invalid_request_error", "context_length_exceeded", message).at("messages")
        }
        (EngineError::NoSuchModel(_), _) => {
            ApiError::new(404, "invalid_request_error", "model_not_found", message).at("model")
        }
        (EngineError::Invalid { param, .. }, _) => {
            let mut invalid = ApiError::new(400, "invalid_request_error", "invalid_value", message);
            invalid.param.clone_from(param);
            invalid
        }
        (EngineError::Overloaded { .. }, _) => {
            ApiError::new(429, "rate_limit_exceeded", "server_is_overloaded", message).retry(1)
        }
        (_, Fault::Capacity) => {
            ApiError::new(503, "service_unavailable_error", "server_is_overloaded", message).retry(2)
        }
        (_, Fault::Caller) => ApiError::new(400, "invalid_request_error", "invalid_value", message),
        (_, Fault::Engine) => {
            // What failed inside is for the log; a client learns that it did.
            tracing::error!("engine failure: {message}");
            let failed = ApiError::new(
                500,
                "server_error",
                "server_error",
                "The server had an error while processing your request.",
            );
            // What took too long once takes too long again.
            if *error == EngineError::Deadline { failed.for_good() } else { failed }
        }
    }
}

/// A part that could not be taken, with its path.
pub fn media(error: &MediaError, path: String) -> ApiError {
    let kind = if error.status() == 429 { "rate_limit_exceeded" } else { "invalid_request_error" };
    let refused = ApiError::new(error.status(), kind, &error.code(), error.to_string()).at(path);
    if error.status() == 429 { refused.retry(2) } else { refused }
}

/// A URL's query that cannot be read.
pub fn query() -> ApiError {
    ApiError::new(400, "invalid_request_error", "", "The query of the URL could not be read.")
}

/// What the store could not do with the row `id`; `words` say of its shortened id that it is not there.
pub fn missing(error: &StoreError, id: &str, words: impl FnOnce(&str) -> String) -> ApiError {
    match error {
        StoreError::NotFound => ApiError::new(404, "invalid_request_error", "", words(&clip(id))),
        other => store(other),
    }
}

/// What the store could not do. Where a row is missing the caller knows better what it was.
pub fn store(error: &StoreError) -> ApiError {
    let failed = || {
        tracing::error!("the store failed: {error}");
        ApiError::new(500, "server_error", "server_error", "The server had an error while processing your request.")
    };
    match error {
        StoreError::NotFound => ApiError::new(404, "invalid_request_error", "not_found", "There is no such object."),
        StoreError::TooLarge { limit } => {
            let message = format!("The file is too large: at most {limit} bytes are accepted.");
            ApiError::new(413, "invalid_request_error", "file_too_large", message).at("file")
        }
        // Trying again does not help until something is deleted or ends.
        StoreError::Full { limit } => {
            let message =
                format!("The server keeps {limit} bytes, as many as it may. Delete files that you no longer need.");
            ApiError::new(429, "insufficient_quota", "storage_quota_exceeded", message).for_good()
        }
        _ => failed(),
    }
}
