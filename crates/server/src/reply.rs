//! The one place where errors become HTTP.

use actix_web::{HttpResponse, http::StatusCode};
use vlgate_engine::{EngineError, Fault};
use vlgate_media::MediaError;
use vlgate_openai::ApiError;

/// OpenAI's error object with the headers that SDKs read.
pub fn refuse(error: &ApiError) -> HttpResponse {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(seconds) = error.retry_after {
        response.insert_header(("retry-after", seconds.to_string()));
        response.insert_header(("retry-after-ms", (seconds * 1000).to_string()));
    }
    // SDKs obey this before they look at the status.
    let worth_it = error.status >= 429 && !error.hopeless;
    response.insert_header(("x-should-retry", if worth_it { "true" } else { "false" }));
    response.json(error.body())
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
