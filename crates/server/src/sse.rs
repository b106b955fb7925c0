//! Server-sent events, as all skins send them.

use std::{convert::Infallible, pin::Pin, time::Duration};

use actix_web::HttpResponse;
use bytes::Bytes;
use futures::{
    Stream, StreamExt,
    stream::{SelectAll, select_all},
};
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use vlgate_engine::{EngineError, Event, EventStream};
use vlgate_openai::ApiError;

use crate::reply;

/// How long a stream may be silent before a comment keeps it alive.
const PING: Duration = Duration::from_secs(10);
/// How long an error still gets its own status: after this the stream begins, whatever comes.
const GRACE: Duration = Duration::from_secs(5);

/// The client is gone: everything is dropped, and the engine stops.
pub struct Gone;

/// The writing end of a response's stream.
pub struct Lines(mpsc::Sender<Bytes>);

/// A stream, and the response that carries it.
pub fn open() -> (Lines, HttpResponse) {
    let (out, body) = mpsc::channel(32);
    let body = ReceiverStream::new(body).map(Ok::<Bytes, Infallible>);
    let response = HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .insert_header(("cache-control", "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body);
    (Lines(out), response)
}

/// One event of one of several jobs, which are numbered from 0.
pub type Numbered = (usize, Result<Event, EngineError>);
type Each = Pin<Box<dyn Stream<Item = Numbered> + Send>>;

/// What jobs say, their first word waited for.
pub struct Events {
    first: Option<Numbered>,
    rest: SelectAll<Each>,
    /// Jobs that have not finished.
    open: usize,
}

impl Events {
    /// Waits for the first word, where it comes soon.
    ///
    /// # Errors
    /// The error that came in its place.
    pub async fn begin(jobs: impl IntoIterator<Item = EventStream>) -> Result<Self, ApiError> {
        let numbered = jobs.into_iter().enumerate();
        let each: Vec<Each> = numbered.map(|(i, job)| -> Each { Box::pin(job.map(move |event| (i, event))) }).collect();
        let (open, mut rest) = (each.len(), select_all(each));
        let first = match timeout(GRACE, rest.next()).await {
            Ok(Some((_, Err(error)))) => return Err(reply::engine(&error)),
            Ok(first) => first,
            Err(_) => None,
        };
        Ok(Self { first, rest, open })
    }

    /// The next event; comments keep the stream alive until it comes. `None` when all jobs have finished; a job that ends
    /// without a result is an error.
    pub async fn next(&mut self, lines: &Lines) -> Result<Option<Numbered>, Gone> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => lines.next(&mut self.rest, COMMENT).await?,
        };
        if let Some((_, Ok(Event::Finished { .. }))) = &next {
            self.open = self.open.saturating_sub(1);
        }
        Ok(next.or_else(|| (self.open > 0).then(|| (0, Err(unfinished())))))
    }
}

impl Lines {
    /// A line of data.
    pub async fn data(&self, value: &impl Serialize) -> Result<(), Gone> {
        let text = serde_json::to_string(value).map_err(|_| Gone)?;
        self.text(format!("data: {text}\n\n")).await
    }

    /// A named event.
    pub async fn event(&self, name: &str, value: &impl Serialize) -> Result<(), Gone> {
        self.text(named(name, value).map_err(|_| Gone)?).await
    }

    /// Lines as they are.
    pub async fn text(&self, text: impl Into<Bytes>) -> Result<(), Gone> {
        self.0.send(text.into()).await.map_err(|_| Gone)
    }

    /// The next of `events`; comments keep the stream alive until it comes. `None` is their end.
    pub async fn next<S: Stream + Unpin>(&self, events: &mut S, ping: &'static str) -> Result<Option<S::Item>, Gone> {
        loop {
            tokio::select! {
                () = self.0.closed() => return Err(Gone),
                event = timeout(PING, events.next()) => match event {
                    Err(_) => self.text(ping).await?,
                    Ok(event) => return Ok(event),
                },
            }
        }
    }
}

/// A named event as it is sent.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn named(name: &str, value: &impl Serialize) -> serde_json::Result<String> {
    Ok(format!("event: {name}\ndata: {}\n\n", serde_json::to_string(value)?))
}

/// An engine that ended without a result.
pub fn unfinished() -> EngineError {
    EngineError::Failed("the engine ended without a result".into())
}

/// The comment that keeps OpenAI's streams alive.
pub const COMMENT: &str = ": ping\n\n";

/// Random text that makes the size of `value` a multiple of 32: sizes then say less.
pub fn noise(value: &impl Serialize) -> String {
    let size = serde_json::to_string(value).map_or(0, |t| t.len());
    uuid::Uuid::new_v4().simple().to_string().chars().take(32 - size % 32).collect()
}
