//! Responses that the client waits for: whole, or told as they grow. One that nobody waits for any more is dropped, and the
//! engine stops.

use actix_web::{HttpResponse, web};
use futures::StreamExt;
use vlgate_engine::EventStream;
use vlgate_openai::{ApiError, responses::Response};

use super::{history, tell::Telling};
use crate::{
    State,
    rate::Stopwatch,
    reply,
    sse::{self, Events, Gone, Lines},
    store::{KeptItem, NewResponse, Owner, StoreError},
};

/// Keeps a response, where it shall be kept.
pub struct Keeper {
    pub state: web::Data<State>,
    pub owner: Owner,
    pub input: Vec<KeptItem>,
}

impl Keeper {
    /// Keeps it as it is now.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub async fn keep(self, response: &Response) -> Result<(), StoreError> {
        if !response.store {
            return Ok(());
        }
        let body = serde_json::to_value(response)?;
        let new = NewResponse {
            id: response.id.clone(),
            owner: self.owner,
            previous: response.previous_response_id.clone(),
            output: history::output(&body),
            body: body.to_string(),
            input: self.input,
            running: !response.status.ended(),
        };
        self.state.store.keep_response(new).await
    }
}

/// The whole response.
///
/// # Errors
/// When the engine failed, or the response could not be kept.
pub async fn collect(mut telling: Telling, mut events: EventStream, keeper: Keeper) -> Result<Response, ApiError> {
    while !telling.response.status.ended() {
        let event = events.next().await.unwrap_or_else(|| Err(sse::unfinished()));
        telling.tell(event.map_err(|e| reply::engine(&e))?);
    }
    keeper.keep(&telling.response).await.map_err(|e| reply::store(&e))?;
    Ok(telling.response)
}

/// Answers 200 once the first event is there, or the error that came in its place.
///
/// # Errors
/// That error.
pub async fn stream(
    telling: Telling,
    events: EventStream,
    keeper: Keeper,
    stopwatch: Stopwatch,
) -> Result<HttpResponse, ApiError> {
    let events = Events::begin([events]).await?;
    let (lines, response) = sse::open();
    tokio::spawn(async move {
        let _stopwatch = stopwatch;
        let _ = write(&lines, telling, events, keeper).await;
    });
    Ok(response)
}

async fn write(lines: &Lines, mut telling: Telling, mut events: Events, keeper: Keeper) -> Result<(), Gone> {
    for event in telling.begin() {
        lines.event(event.event.name(), &event).await?;
    }
    let (told, ended) = loop {
        let event = events.next(lines).await?.map(|(_, event)| event);
        let told = match event.unwrap_or_else(|| Err(sse::unfinished())) {
            Ok(event) => telling.tell(event),
            Err(error) => telling.fail(&reply::engine(&error)),
        };
        if telling.response.status.ended() {
            break (told, telling.response);
        }
        for event in told {
            lines.event(event.event.name(), &event).await?;
        }
    };
    // Kept before the client hears of its end, so that it can go on from it at once.
    if let Err(error) = keeper.keep(&ended).await {
        tracing::error!("the response {} could not be kept: {error}", ended.id);
    }
    for event in told {
        lines.event(event.event.name(), &event).await?;
    }
    Ok(())
}
