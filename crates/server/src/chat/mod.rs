//! `POST /v1/chat/completions`, top to bottom: bytes, request, pictures, conversation, jobs, events, answer.

mod answer;
mod convert;
mod stream;

use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, http::header, web};
use bytes::Bytes;
use futures::future::try_join_all;
use vlgate_openai::{
    ApiError, ErrorResponse,
    chat::{ChatRequest, Chunk, Completion},
};

use crate::{
    State,
    clock::clocked,
    door::{Held, Note, RequestId, too_large},
    rate::Stopwatch,
    reply,
};

/// Creates a chat completion.
///
/// Answers a conversation of text, pictures, clips and files, whole or as server-sent events (`stream`).
#[utoipa::path(post, path = "/v1/chat/completions", tag = "chat", operation_id = "createChatCompletion", request_body = ChatRequest, responses(
    (status = 200, description = "The completion, or its chunks and `[DONE]`.", content((Completion = "application/json"), (Chunk = "text/event-stream"))),
    (status = 400, description = "Something in the request is wrong, or cannot be done here: `param` says where.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 404, description = "No such model.", body = ErrorResponse),
    (status = 413, description = "The body is too large.", body = ErrorResponse),
    (status = 429, description = "Too many requests wait; `retry-after` says when to try again.", body = ErrorResponse),
    (status = 500, description = "The engine failed.", body = ErrorResponse),
    (status = 503, description = "The model is loading.", body = ErrorResponse),
))]
pub async fn create(request: HttpRequest, state: web::Data<State>, body: Result<Bytes, Error>) -> HttpResponse {
    let body = match body {
        Ok(body) => body,
        Err(error) => return reply::refuse(&unreadable(&state, &error)),
    };
    if let Some(held) = request.extensions_mut().get_mut::<Held>() {
        held.settle(body.len());
    }
    let id = request.extensions().get::<RequestId>().map(|r| r.0.clone()).unwrap_or_default();
    match respond(&state, &id, &owner(&state, &request), &body).await {
        Ok((response, note)) => {
            request.extensions_mut().insert(Note(note));
            response
        }
        Err(error) => reply::refuse(&error),
    }
}

async fn respond(
    state: &web::Data<State>,
    id: &str,
    owner: &str,
    body: &[u8],
) -> Result<(HttpResponse, String), ApiError> {
    let stopwatch = Stopwatch::start(state);
    let request = ChatRequest::parse(body)?;
    let card = state.model(&request.model)?;
    fits_queue(state, &request)?;
    let (conversation, notes) = convert::conversation(state, &card, owner, &request).await?;
    let jobs = convert::jobs(&card, &request, &conversation, id)?;
    let started = try_join_all(jobs.into_iter().map(|job| state.engine.generate(job))).await;
    let mut streams = started.map_err(|e| in_request(reply::engine(&e), &request))?;
    if request.clock_times() {
        streams = streams.into_iter().map(clocked).collect();
    }
    let head = answer::Head::new(&request, notes);
    if request.stream == Some(true) {
        let note = format!("model={} stream", card.id);
        return Ok((stream::respond(streams, head, &request, stopwatch).await?, note));
    }
    let completion = answer::collect(streams, head).await?;
    let usage = completion.usage.clone().unwrap_or_default();
    let note = format!("model={} prompt={} completion={}", card.id, usage.prompt_tokens, usage.completion_tokens);
    Ok((HttpResponse::Ok().json(completion), note))
}

/// What tells callers apart: their key. Where there are no keys, all are one.
fn owner(state: &State, request: &HttpRequest) -> String {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|h| h.to_str().ok());
    sent.filter(|_| !state.config.api_keys.is_empty()).unwrap_or_default().to_owned()
}

/// More answers than the engine can ever hold at once would be refused for ever, and sent again for ever.
fn fits_queue(state: &State, request: &ChatRequest) -> Result<(), ApiError> {
    match (request.n, state.engine.load().capacity) {
        (Some(n), Some(most)) if n > i64::from(most) => Err(ApiError::invalid(
            "n",
            format!("Invalid 'n': this server takes at most {most} answers at once, but got {n}."),
        )),
        _ => Ok(()),
    }
}

/// An engine names the new fields; the request may have used others for the same.
fn in_request(mut error: ApiError, request: &ChatRequest) -> ApiError {
    let Some(param) = &error.param else { return error };
    if param.starts_with("response_format") || param.starts_with("guided_") {
        error.param = request.answer_format().ok().map(|asked| asked.1.to_owned());
    } else if let (true, Some(rest)) = (request.speaks_functions(), param.strip_prefix("tools")) {
        error.param = Some(format!("functions{}", rest.replace(".function.", ".")));
    }
    error
}

fn unreadable(state: &State, error: &Error) -> ApiError {
    if error.as_response_error().status_code() == 413 {
        return too_large(state);
    }
    ApiError::new(400, "invalid_request_error", "", "The request body could not be read.")
}
