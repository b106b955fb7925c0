//! Server-sent events: the role first, deltas, the reason, the usage where it was asked for, `[DONE]`.

use std::{convert::Infallible, time::Duration};

use actix_web::HttpResponse;
use bytes::Bytes;
use futures::{StreamExt, stream::SelectAll};
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use vlgate_engine::{EngineError, Event, EventStream};
use vlgate_openai::{
    ApiError,
    chat::{
        AssistantRole, CallDelta, CallKind, ChatRequest, ChoiceLogprobs, Chunk, ChunkChoice, ChunkKind, Delta,
        FinishReason, FunctionDelta, Usage,
    },
};

use super::answer::{Head, fingerprint, finish, token, usage};
use crate::{rate::Stopwatch, reply};

/// How long a stream may be silent before a comment keeps it alive.
const PING: Duration = Duration::from_secs(10);
/// How long an error still gets its own status: after this the stream begins, whatever comes.
const GRACE: Duration = Duration::from_secs(5);

type Indexed = std::pin::Pin<Box<dyn futures::Stream<Item = (u32, Result<Event, EngineError>)> + Send>>;

/// Answers 200 once the first event is there, or the error that came in its place.
pub async fn respond(
    streams: Vec<EventStream>,
    head: Head,
    request: &ChatRequest,
    stopwatch: Stopwatch,
) -> Result<HttpResponse, ApiError> {
    let count = streams.len();
    let indexed = streams.into_iter().enumerate().map(|(i, s)| -> Indexed { Box::pin(s.map(move |e| (i as u32, e))) });
    let mut events: SelectAll<Indexed> = futures::stream::select_all(indexed);
    let first = match timeout(GRACE, events.next()).await {
        Ok(Some((_, Err(error)))) => return Err(reply::engine(&error)),
        Ok(first) => first,
        Err(_) => None,
    };
    let (out, body) = mpsc::channel(32);
    let writer = Writer {
        out,
        head,
        with_usage: request.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false),
        obfuscated: request.stream_options.as_ref().and_then(|o| o.include_obfuscation).unwrap_or(false),
        total: None,
        _stopwatch: stopwatch,
    };
    tokio::spawn(writer.run(first, events, count));
    let body = ReceiverStream::new(body).map(Ok::<Bytes, Infallible>);
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .insert_header(("cache-control", "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body))
}

/// The client is gone: everything is dropped, and the engine stops.
struct Gone;

struct Writer {
    out: mpsc::Sender<Bytes>,
    head: Head,
    with_usage: bool,
    obfuscated: bool,
    total: Option<Usage>,
    _stopwatch: Stopwatch,
}

impl Writer {
    async fn run(
        mut self,
        first: Option<(u32, Result<Event, EngineError>)>,
        mut events: SelectAll<Indexed>,
        count: usize,
    ) {
        let _ = self.write(first, &mut events, count).await;
    }

    async fn write(
        &mut self,
        first: Option<(u32, Result<Event, EngineError>)>,
        events: &mut SelectAll<Indexed>,
        count: usize,
    ) -> Result<(), Gone> {
        for index in 0..count as u32 {
            let delta =
                Delta { role: Some(AssistantRole::Assistant), content: Some(String::new()), ..Delta::default() };
            self.chunk(index, delta, Vec::new(), None).await?;
        }
        let mut next = first;
        let mut finished = 0;
        loop {
            let (index, event) = match next.take() {
                Some(event) => event,
                None => tokio::select! {
                    () = self.out.closed() => return Err(Gone),
                    event = timeout(PING, events.next()) => match event {
                        Err(_) => {
                            self.send(Bytes::from_static(b": ping\n\n")).await?;
                            continue;
                        }
                        Ok(None) if finished == count => break,
                        Ok(None) => {
                            let error = EngineError::Failed("the engine ended without a result".into());
                            return self.data(&reply::engine(&error).body()).await;
                        }
                        Ok(Some(event)) => event,
                    },
                },
            };
            match event {
                Ok(event) => {
                    finished += usize::from(matches!(event, Event::Finished { .. }));
                    self.event(index, event).await?;
                }
                Err(error) => {
                    let body = reply::engine(&error).body();
                    return self.data(&body).await;
                }
            }
        }
        if self.with_usage {
            let usage = self.total.take().unwrap_or_default();
            let chunk = self.envelope(Vec::new(), Some(usage));
            self.data(&chunk).await?;
        }
        self.send(Bytes::from_static(b"data: [DONE]\n\n")).await
    }

    async fn event(&mut self, index: u32, event: Event) -> Result<(), Gone> {
        match event {
            Event::Text { delta, logprobs } => {
                let delta = Delta { content: Some(delta), ..Delta::default() };
                self.chunk(index, delta, logprobs, None).await
            }
            Event::Reasoning { delta } if self.head.wants.reasoning => {
                let delta =
                    Delta { reasoning: Some(delta.clone()), reasoning_content: Some(delta), ..Delta::default() };
                self.chunk(index, delta, Vec::new(), None).await
            }
            Event::ToolCall { index: call, id, name } => {
                let function = FunctionDelta { name: Some(name), arguments: String::new() };
                self.chunk(index, self.call(call, Some(id), function), Vec::new(), None).await
            }
            Event::ToolArguments { index: call, delta } => {
                let function = FunctionDelta { name: None, arguments: delta };
                self.chunk(index, self.call(call, None, function), Vec::new(), None).await
            }
            Event::Finished { reason, usage: counts, .. } => {
                let one = usage(&counts);
                match &mut self.total {
                    Some(all) => all.add_completion(&one),
                    None => self.total = Some(one),
                }
                let reason = finish(&reason, self.head.wants.functions);
                self.chunk(index, Delta::default(), Vec::new(), Some(reason)).await
            }
            Event::Started { .. } | Event::Reasoning { .. } => Ok(()),
        }
    }

    /// A call's head (with its id) or more of its arguments.
    fn call(&self, index: u32, id: Option<String>, function: FunctionDelta) -> Delta {
        if self.head.wants.functions {
            return Delta { function_call: Some(function), ..Delta::default() };
        }
        let kind = id.is_some().then_some(CallKind::Function);
        Delta { tool_calls: vec![CallDelta { index, id, kind, function }], ..Delta::default() }
    }

    async fn chunk(
        &self,
        index: u32,
        delta: Delta,
        logprobs: Vec<vlgate_engine::TokenLogprob>,
        finish_reason: Option<FinishReason>,
    ) -> Result<(), Gone> {
        let content: Vec<_> = logprobs.into_iter().map(token).collect();
        let asked = self.head.wants.logprobs && !content.is_empty();
        let logprobs = asked.then_some(ChoiceLogprobs { content: Some(content), refusal: None });
        let first = index == 0 && delta.role.is_some();
        let mut chunk = self.envelope(vec![ChunkChoice { index, delta, logprobs, finish_reason }], None);
        chunk.vlgate = self.head.notes.clone().filter(|_| first);
        if self.obfuscated {
            // Sizes say less when they are all multiples of 32.
            let size = serde_json::to_string(&chunk).map_or(0, |t| t.len());
            let noise = uuid::Uuid::new_v4().simple().to_string();
            chunk.obfuscation = Some(noise.chars().take(32 - size % 32).collect());
        }
        self.data(&chunk).await
    }

    /// A chunk; with `include_usage` its usage is null unless given.
    fn envelope(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>) -> Chunk {
        Chunk {
            id: self.head.id.clone(),
            object: ChunkKind::Chunk,
            created: self.head.created,
            model: self.head.model.clone(),
            service_tier: "default",
            system_fingerprint: fingerprint(),
            choices,
            usage: self.with_usage.then_some(usage),
            obfuscation: None,
            vlgate: None,
        }
    }

    async fn data(&self, value: &impl Serialize) -> Result<(), Gone> {
        let text = serde_json::to_string(value).map_err(|_| Gone)?;
        self.send(Bytes::from(format!("data: {text}\n\n"))).await
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        self.out.send(bytes).await.map_err(|_| Gone)
    }
}
