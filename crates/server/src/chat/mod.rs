//! `POST /v1/chat/completions`, top to bottom: bytes, request, pictures, conversation, jobs, events, answer.

mod answer;
mod convert;
mod stream;

use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::future::try_join_all;
use vlgate_openai::{ApiError, chat::ChatRequest};

use crate::{
    State,
    door::{Held, Note, RequestId, too_large},
    reply,
};

/// The handler.
pub async fn create(request: HttpRequest, state: web::Data<State>, body: Result<Bytes, Error>) -> HttpResponse {
    let body = match body {
        Ok(body) => body,
        Err(error) => return reply::refuse(&unreadable(&state, &error)),
    };
    if let Some(held) = request.extensions_mut().get_mut::<Held>() {
        held.settle(body.len());
    }
    let id = request.extensions().get::<RequestId>().map(|r| r.0.clone()).unwrap_or_default();
    match respond(&state, &id, &body).await {
        Ok((response, note)) => {
            request.extensions_mut().insert(Note(note));
            response
        }
        Err(error) => reply::refuse(&error),
    }
}

async fn respond(state: &State, id: &str, body: &[u8]) -> Result<(HttpResponse, String), ApiError> {
    let request = ChatRequest::parse(body)?;
    let card = state.model(&request.model)?;
    let conversation = convert::conversation(state, &card, &request).await?;
    let jobs = convert::jobs(&card, &request, &conversation, id);
    let started = try_join_all(jobs.into_iter().map(|job| state.engine.generate(job))).await;
    let streams = started.map_err(|e| reply::engine(&e))?;
    let head = answer::Head::new(&request.model);
    if request.stream == Some(true) {
        let note = format!("model={} stream", card.id);
        return Ok((stream::respond(streams, head, &request).await?, note));
    }
    let completion = answer::collect(streams, head, &request).await?;
    let usage = &completion.usage;
    let note = format!("model={} prompt={} completion={}", card.id, usage.prompt_tokens, usage.completion_tokens);
    Ok((HttpResponse::Ok().json(completion), note))
}

fn unreadable(state: &State, error: &Error) -> ApiError {
    if error.as_response_error().status_code() == 413 {
        return too_large(state);
    }
    ApiError::new(400, "invalid_request_error", "", "The request body could not be read.")
}
