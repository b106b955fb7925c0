//! `POST /v1/responses`, top to bottom: bytes, request, what was said before, pictures, conversation, job, events, response.

mod convert;
mod foreground;
mod history;
pub mod kept;
mod task;
mod tell;
mod truncate;

use actix_web::{Error, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use vlgate_engine::{Conversation, EngineError, EventStream, ModelCard};
use vlgate_openai::{
    ApiError, ErrorResponse,
    responses::{Count, CountKind, CountRequest, Response, ResponseRequest, StreamEvent},
};

pub use kept::{cancel, delete, input_items, retrieve};
pub use task::Tasks;

use self::{foreground::Keeper, history::Context, tell::Telling};
use crate::{
    State,
    body::{self, Answer, Body},
    rate::Stopwatch,
    reply,
};

/// Creates a response.
///
/// Answers text, pictures and files, whole, as server-sent events (`stream`), or in the background (`background`).
#[utoipa::path(post, path = "/v1/responses", tag = "responses", operation_id = "createResponse", request_body = ResponseRequest, responses(
    (status = 200, description = "The response, or what happens to it.", content((Response = "application/json"), (StreamEvent = "text/event-stream"))),
    (status = 400, description = "Something in the request is wrong, or cannot be done here: `param` says where.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 404, description = "No such model.", body = ErrorResponse),
    (status = 413, description = "The body is too large.", body = ErrorResponse),
    (status = 429, description = "Too many requests wait, or too much is kept; `retry-after` says when to try again.", body = ErrorResponse),
    (status = 500, description = "The engine failed.", body = ErrorResponse),
    (status = 503, description = "The model is loading.", body = ErrorResponse),
))]
pub async fn create(request: HttpRequest, state: web::Data<State>, sent: Result<Bytes, Error>) -> HttpResponse {
    let answer = async { respond(&state, &body::read(&request, &state, sent)?).await };
    body::noted(&request, answer.await)
}

async fn respond(state: &web::Data<State>, body: &Body) -> Answer {
    let stopwatch = Stopwatch::start(state);
    let request = ResponseRequest::parse(&body.bytes)?;
    let card = state.model(&request.model)?;
    let (context, conversation) = understand(state, body, &request, &card).await?;
    if request.stored() {
        state.store.room(body.bytes.len() as u64).await.map_err(|e| reply::store(&e))?;
    }
    let events = start(state, &card, &request, conversation, &body.id).await?;
    let telling = Telling::new(&request, &card);
    let keeper = Keeper { state: state.clone(), owner: body.owner.clone(), input: context.own };
    let streamed = request.stream == Some(true);
    if request.background == Some(true) {
        keeper.keep(&telling.response).await.map_err(|e| reply::store(&e))?;
        let task = state.tasks.start(state, &body.owner, telling, streamed, events);
        let note = format!("model={} background", card.id);
        let response = if streamed { task.follow(0) } else { HttpResponse::Ok().json(task.look().await) };
        return Ok((response, note));
    }
    if streamed {
        let response = foreground::stream(telling, events, keeper, stopwatch).await?;
        return Ok((response, format!("model={} stream", card.id)));
    }
    let response = foreground::collect(telling, events, keeper).await?;
    let usage = response.usage.unwrap_or_default();
    let note = format!("model={} prompt={} completion={}", card.id, usage.input_tokens, usage.output_tokens);
    Ok((HttpResponse::Ok().json(response), note))
}

/// All that was said, and the conversation that it makes.
async fn understand(
    state: &State,
    body: &Body,
    request: &ResponseRequest,
    card: &ModelCard,
) -> Result<(Context, Conversation), ApiError> {
    let context = history::context(state, &body.owner, request).await?;
    let (conversation, _) = convert::draft(request, &context.items)?.resolve(state, &body.owner, card).await?;
    Ok((context, conversation))
}

/// Starts the job; with `truncation: auto` after dropping what is too much.
async fn start(
    state: &State,
    card: &ModelCard,
    request: &ResponseRequest,
    mut conversation: Conversation,
    id: &str,
) -> Result<EventStream, ApiError> {
    loop {
        let job = convert::job(card, request, conversation.clone(), id)?;
        match state.engine.generate(job).await {
            Err(EngineError::ContextLength { context, prompt, requested })
                if request.truncation.as_deref() == Some("auto") =>
            {
                let beyond = f64::from(prompt) + f64::from(requested.unwrap_or(0)) - f64::from(context);
                if !truncate::forget(&mut conversation, beyond / f64::from(prompt.max(1))) {
                    let error = EngineError::ContextLength { context, prompt, requested };
                    return Err(in_request(reply::engine(&error)));
                }
            }
            started => return started.map_err(|e| in_request(reply::engine(&e))),
        }
    }
}

/// An engine names the fields of chat completions.
fn in_request(mut error: ApiError) -> ApiError {
    error.param = error.param.map(|param| match param.as_str() {
        "messages" => "input".to_owned(),
        p if p.starts_with("response_format") => "text.format.schema".to_owned(),
        p => p.replace(".function.", "."),
    });
    error
}

/// Counts a prompt.
///
/// The tokens that a request's prompt has, pictures included; nothing is generated.
#[utoipa::path(post, path = "/v1/responses/input_tokens", tag = "responses", operation_id = "countInputTokens", request_body = CountRequest, responses(
    (status = 200, description = "The count.", body = Count),
    (status = 400, description = "Something in the request is wrong, or cannot be done here: `param` says where.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 404, description = "No such model.", body = ErrorResponse),
    (status = 413, description = "The body is too large.", body = ErrorResponse),
    (status = 503, description = "The model is loading.", body = ErrorResponse),
))]
pub async fn input_tokens(request: HttpRequest, state: web::Data<State>, sent: Result<Bytes, Error>) -> HttpResponse {
    let answer = async {
        let body = body::read(&request, &state, sent)?;
        let served = state.engine.models().into_iter().next().map(|m| m.id).unwrap_or_default();
        let request = CountRequest::parse(&body.bytes, &served)?;
        let card = state.model(&request.model)?;
        let (_, conversation) = understand(&state, &body, &request, &card).await?;
        let counted = state.engine.count(&card.id, &conversation).await.map_err(|e| in_request(reply::engine(&e)))?;
        let count = Count { object: CountKind::InputTokens, input_tokens: counted.prompt };
        Ok((HttpResponse::Ok().json(count), format!("model={} counted={}", card.id, counted.prompt)))
    };
    body::noted(&request, answer.await)
}
