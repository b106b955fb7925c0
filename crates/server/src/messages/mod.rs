//! `POST /v1/messages`, Anthropic's shape, top to bottom: bytes, request, pictures, conversation, job, events, message.

mod convert;
mod tell;

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse, http::header::HeaderName, http::header::HeaderValue, web,
};
use bytes::Bytes;
use futures::StreamExt;
use vlgate_engine::{EngineError, EventStream, Job};
use vlgate_openai::{
    ApiError,
    anthropic::{Count, CountRequest, Event, Failure, MessageRequest, Reply},
};

use self::tell::Telling;
use crate::{
    State,
    body::{self, Answer, Body},
    door::{Note, RequestId},
    rate::Stopwatch,
    reply,
    sse::{self, Events, Gone, Lines},
};

/// Whether a path is one of this skin's, whose errors have Anthropic's shape.
pub fn is_ours(path: &str) -> bool {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    path == "/messages" || path.starts_with("/messages/")
}

/// Creates a message.
///
/// Anthropic's shape: text and pictures in, text, thinking and calls out, whole or as server-sent events (`stream`).
#[utoipa::path(post, path = "/v1/messages", tag = "messages", operation_id = "createMessage", request_body = MessageRequest, responses(
    (status = 200, description = "The message, or what happens to it.", content((Reply = "application/json"), (Event = "text/event-stream"))),
    (status = 400, description = "Something in the request is wrong, or cannot be done here: the message begins with the part.", body = Failure),
    (status = 401, description = "No key, or a wrong one.", body = Failure),
    (status = 404, description = "No such model.", body = Failure),
    (status = 413, description = "The body is too large.", body = Failure),
    (status = 429, description = "Too many requests wait; `retry-after` says when to try again.", body = Failure),
    (status = 500, description = "The engine failed.", body = Failure),
    (status = 503, description = "The model is loading.", body = Failure),
))]
pub async fn create(request: HttpRequest, state: web::Data<State>, sent: Result<Bytes, Error>) -> HttpResponse {
    let answer = async { respond(&state, &body::read(&request, &state, sent)?).await };
    noted(&request, answer.await)
}

async fn respond(state: &web::Data<State>, body: &Body) -> Answer {
    let stopwatch = Stopwatch::start(state);
    let request = MessageRequest::parse(&body.bytes)?;
    let card = state.model(&request.model)?;
    let (conversation, _) = convert::draft(&request)?.resolve(state, &body.owner, &card).await?;
    let job = convert::job(&card, &request, conversation, &body.id)?;
    let events = start(state, job).await.map_err(|e| in_request(reply::engine(&e)))?;
    let telling = Telling::new(&request.model);
    if request.stream == Some(true) {
        let events = Events::begin([events]).await?;
        let (lines, response) = sse::open();
        tokio::spawn(async move {
            let _stopwatch = stopwatch;
            let _ = write(&lines, telling, events).await;
        });
        return Ok((response, format!("model={} stream", card.id)));
    }
    let reply = collect(telling, events).await?;
    let usage = reply.usage;
    let prompt = usage.input_tokens + usage.cache_read_input_tokens;
    Ok((
        HttpResponse::Ok().json(reply),
        format!("model={} prompt={prompt} completion={}", card.id, usage.output_tokens),
    ))
}

/// Anthropic's clients must name a number of tokens, and name large ones: where the context leaves fewer, these are all.
async fn start(state: &State, job: Job) -> Result<EventStream, EngineError> {
    match state.engine.generate(job.clone()).await {
        Err(EngineError::ContextLength { context, prompt, requested: Some(_) }) if prompt < context => {
            state.engine.generate(Job { max_tokens: Some(context - prompt), ..job }).await
        }
        started => started,
    }
}

async fn collect(mut telling: Telling, mut events: EventStream) -> Result<Reply, ApiError> {
    while !telling.ended() {
        let event = events.next().await.unwrap_or_else(|| Err(sse::unfinished()));
        telling.tell(event.map_err(|e| reply::engine(&e))?);
    }
    Ok(telling.reply)
}

async fn write(lines: &Lines, mut telling: Telling, mut events: Events) -> Result<(), Gone> {
    while !telling.ended() {
        let event = events.next(lines).await?.map(|(_, event)| event);
        let told = match event.unwrap_or_else(|| Err(sse::unfinished())) {
            Ok(event) => telling.tell(event),
            Err(error) => {
                let event = Event::Error { error: Failure::from(&reply::engine(&error)).error };
                return lines.event(event.name(), &event).await;
            }
        };
        for event in told {
            lines.event(event.name(), &event).await?;
        }
    }
    Ok(())
}

/// Counts a prompt.
///
/// The tokens that a request's prompt has, pictures included; nothing is generated.
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "messages", operation_id = "countMessageTokens", request_body = CountRequest, responses(
    (status = 200, description = "The count.", body = Count),
    (status = 400, description = "Something in the request is wrong, or cannot be done here: the message begins with the part.", body = Failure),
    (status = 401, description = "No key, or a wrong one.", body = Failure),
    (status = 404, description = "No such model.", body = Failure),
    (status = 413, description = "The body is too large.", body = Failure),
    (status = 503, description = "The model is loading.", body = Failure),
))]
pub async fn count(request: HttpRequest, state: web::Data<State>, sent: Result<Bytes, Error>) -> HttpResponse {
    let answer = async {
        let body = body::read(&request, &state, sent)?;
        let request = CountRequest::parse(&body.bytes)?;
        let card = state.model(&request.model)?;
        let (conversation, _) = convert::draft(&request)?.resolve(&state, &body.owner, &card).await?;
        let counted = state.engine.count(&card.id, &conversation).await.map_err(|e| in_request(reply::engine(&e)))?;
        let note = format!("model={} counted={}", card.id, counted.prompt);
        Ok((HttpResponse::Ok().json(Count { input_tokens: counted.prompt }), note))
    };
    noted(&request, answer.await)
}

/// An engine names the fields of chat completions.
fn in_request(mut error: ApiError) -> ApiError {
    error.param = error.param.map(|param| match param.as_str() {
        p if p.starts_with("response_format") => "output_config.format.schema".to_owned(),
        p => p.replace(".function.parameters", ".input_schema"),
    });
    error
}

/// The answer with the id under Anthropic's name, its note left for the log.
fn noted(request: &HttpRequest, answer: Answer) -> HttpResponse {
    let mut response = match answer {
        Ok((response, note)) => {
            request.extensions_mut().insert(Note(note));
            response
        }
        Err(error) => reply::refuse_as_anthropic(&error),
    };
    let id = request.extensions().get::<RequestId>().map(|r| r.0.clone()).unwrap_or_default();
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("request-id"), id);
    }
    response
}
