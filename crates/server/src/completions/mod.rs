//! `POST /v1/completions`: prompts without a chat template, through the same engine.

mod answer;
mod start;
mod stream;

use actix_web::{Error, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use vlgate_engine::ModelCard;
use vlgate_openai::{
    ApiError, ErrorResponse,
    completions::{CompletionRequest, OldCompletion},
};

use crate::{
    State,
    body::{self, Answer, Body},
    rate::Stopwatch,
};

/// Creates a completion.
///
/// Goes on from one or several prompts, whole or as server-sent events (`stream`).
#[utoipa::path(post, path = "/v1/completions", tag = "completions", operation_id = "createCompletion", request_body = CompletionRequest, responses(
    (status = 200, description = "The completion, or its chunks and `[DONE]`.", content((OldCompletion = "application/json"), (OldCompletion = "text/event-stream"))),
    (status = 400, description = "Something in the request is wrong, or cannot be done here: `param` says where.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 404, description = "No such model.", body = ErrorResponse),
    (status = 413, description = "The body is too large.", body = ErrorResponse),
    (status = 429, description = "Too many requests wait; `retry-after` says when to try again.", body = ErrorResponse),
    (status = 500, description = "The engine failed.", body = ErrorResponse),
    (status = 503, description = "The model is loading.", body = ErrorResponse),
))]
pub async fn create(request: HttpRequest, state: web::Data<State>, sent: Result<Bytes, Error>) -> HttpResponse {
    let answer = async { respond(&state, &body::read(&request, &state, sent)?).await };
    body::noted(&request, answer.await)
}

async fn respond(state: &web::Data<State>, body: &Body) -> Answer {
    let stopwatch = Stopwatch::start(state);
    let request = CompletionRequest::parse(&body.bytes)?;
    let card = state.model(&request.model)?;
    if request.stream == Some(true) {
        let begun = start::start(state, &card, &request, &body.id).await?;
        let note = format!("model={} stream", card.id);
        return Ok((stream::respond(begun, &request, stopwatch).await?, note));
    }
    let completion = whole(state, &card, &body.id, &request).await?;
    let usage = completion.usage.clone().flatten().unwrap_or_default();
    let note = format!("model={} prompt={} completion={}", card.id, usage.prompt_tokens, usage.completion_tokens);
    Ok((HttpResponse::Ok().json(completion), note))
}

/// The whole answer to a body, for a batch.
///
/// # Errors
/// As a client would see them.
pub async fn complete(state: &State, id: &str, body: &[u8]) -> Result<OldCompletion, ApiError> {
    let request = CompletionRequest::parse(body)?;
    if request.stream == Some(true) {
        return Err(ApiError::invalid("stream", "Invalid 'stream': a batch has no streams."));
    }
    whole(state, &state.model(&request.model)?, id, &request).await
}

async fn whole(
    state: &State,
    card: &ModelCard,
    id: &str,
    request: &CompletionRequest,
) -> Result<OldCompletion, ApiError> {
    let begun = start::start(state, card, request, id).await?;
    answer::collect(begun, request).await
}
