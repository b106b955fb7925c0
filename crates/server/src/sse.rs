//! Server-sent events, as all skins send them.

use std::{convert::Infallible, time::Duration};

use actix_web::HttpResponse;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use vlgate_engine::{EngineError, Event};
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

/// What a job says first, where it says something soon.
///
/// # Errors
/// The error that came in its place.
pub async fn first<S>(
    events: &mut S,
    of: impl Fn(&S::Item) -> &Result<Event, EngineError>,
) -> Result<Option<S::Item>, ApiError>
where
    S: Stream + Unpin,
{
    match timeout(GRACE, events.next()).await {
        Ok(Some(item)) => match of(&item).as_ref().err().map(reply::engine) {
            Some(refused) => Err(refused),
            None => Ok(Some(item)),
        },
        Ok(None) | Err(_) => Ok(None),
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
        let text = serde_json::to_string(value).map_err(|_| Gone)?;
        self.text(format!("event: {name}\ndata: {text}\n\n")).await
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
