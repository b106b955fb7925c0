//! One request of a batch, and the line that it becomes.

use std::time::Duration;

use serde_json::{Value, json};
use vlgate_openai::{
    ApiError,
    batches::{BatchEndpoint, BatchLine},
};

use super::lines::Lines;
use crate::{
    State, chat,
    store::{BatchRow, Finished, Owner, Store, StoreError, new_id},
};

/// How often a request is tried that the engine fails on.
const TRIES: u32 = 3;
/// Wait before a request goes again that found no room.
const AGAIN: Duration = Duration::from_secs(1);

/// Answers a request. What finds no room waits and goes again, until the batch ends; what fails in the engine is tried a
/// few times.
pub async fn answer(state: &State, row: &BatchRow, line: u64, request: BatchLine) -> Finished {
    let id = new_id("req_");
    let body = request.body.to_string();
    let mut failures = 0;
    let (status, answer) = loop {
        match respond(state, &row.owner, row.batch.endpoint, &id, body.as_bytes()).await {
            Ok(answer) => break (200, answer),
            Err(error) if matches!(error.status, 429 | 503) && !error.hopeless => tokio::time::sleep(AGAIN).await,
            Err(error) => {
                failures += 1;
                if error.status < 500 || error.hopeless || failures >= TRIES {
                    break (error.status, error.body());
                }
            }
        }
    };
    let usage = answer.get("usage").cloned().unwrap_or_default();
    let response = json!({"status_code": status, "request_id": id, "body": answer});
    Finished { line, good: status == 200, text: written(&request.custom_id, response, Value::Null), usage }
}

async fn respond(
    state: &State,
    owner: &Owner,
    endpoint: BatchEndpoint,
    id: &str,
    body: &[u8],
) -> Result<Value, ApiError> {
    let value = match endpoint {
        BatchEndpoint::Chat => serde_json::to_value(chat::complete(state, owner, id, body).await?),
        BatchEndpoint::Completions => serde_json::to_value(crate::completions::complete(state, id, body).await?),
    };
    value.map_err(|e| crate::reply::store(&StoreError::Json(e)))
}

/// Gives every request that has no answer an error: the window has closed.
///
/// # Errors
/// The store's.
pub async fn expire(store: &Store, row: &BatchRow, mut lines: Lines) -> Result<(), StoreError> {
    let finished = store.finished_lines(&row.batch.id).await?;
    while let Some(line) = lines.next().await? {
        let Some(bytes) = line.bytes else { break };
        if finished.contains(&line.number) {
            continue;
        }
        let Ok(request) = BatchLine::parse(&bytes, line.number, row.batch.endpoint) else { continue };
        let message = "This request could not be executed before the completion window expired.";
        let text = written(&request.custom_id, Value::Null, json!({"code": "batch_expired", "message": message}));
        let done = Finished { line: line.number, good: false, text, usage: Value::Null };
        store.finish_line(&row.owner, &row.batch.id, done).await?;
    }
    Ok(())
}

/// A line of the output or the errors.
fn written(custom_id: &str, response: Value, error: Value) -> String {
    let id = new_id("batch_req_");
    json!({"id": id, "custom_id": custom_id, "response": response, "error": error}).to_string()
}
