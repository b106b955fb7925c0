//! Whether a batch's input is requests, line by line.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use vlgate_openai::batches::{BatchEndpoint, BatchError, BatchErrors, BatchLine};

use super::lines::Lines;
use crate::{State, store::StoreError};

/// Requests of one batch.
const REQUESTS: u64 = 50_000;
/// Errors that a batch shows.
const SHOWN: usize = 100;

/// What an input holds.
#[derive(Debug)]
pub struct Checked {
    /// Requests in it.
    pub total: u64,
    /// The model of the first one.
    pub model: Option<String>,
    /// What is wrong, the first ones.
    pub errors: BatchErrors,
}

/// Reads the whole input.
///
/// # Errors
/// The disk's.
pub async fn check(state: &State, mut lines: Lines, endpoint: BatchEndpoint) -> Result<Checked, StoreError> {
    let mut checked = Checked { total: 0, model: None, errors: BatchErrors::default() };
    // A short hash of each id: half a million characters of them stay out of memory.
    let mut seen: HashSet<[u8; 16]> = HashSet::new();
    while let Some(line) = lines.next().await? {
        checked.total += 1;
        let Some(bytes) = line.bytes else {
            let message = format!("This line is longer than {} bytes.", state.config.body_bytes);
            checked.errors.data.push(error("line_too_long", message, Some(line.number)));
            break;
        };
        if checked.total > REQUESTS {
            let message = format!("The batch has more than {REQUESTS} requests.");
            checked.errors.data.push(error("too_many_requests", message, Some(line.number)));
            break;
        }
        let number = line.number;
        let parsed = tokio::task::spawn_blocking(move || BatchLine::parse(&bytes, number, endpoint)).await;
        let found = parsed.map_err(|_| StoreError::Stopped)?.and_then(|read| known(state, &read, number, &mut seen));
        match found {
            Ok(model) => checked.model = checked.model.or(Some(model)),
            Err(error) if checked.errors.data.len() < SHOWN => checked.errors.data.push(error),
            Err(_) => {}
        }
    }
    if checked.total == 0 {
        checked.errors.data.push(error("empty_file", "The input file has no requests.".into(), None));
    }
    Ok(checked)
}

/// What a line alone does not show: whether its id is its own, and its model is here.
fn known(state: &State, line: &BatchLine, number: u64, seen: &mut HashSet<[u8; 16]>) -> Result<String, BatchError> {
    let hash = Sha256::digest(&line.custom_id);
    let short = hash.first_chunk::<16>().copied().unwrap_or_default();
    if !seen.insert(short) {
        let message = "The custom_id for this request is a duplicate of another request. The custom_id parameter must be unique for each request in a batch.";
        let duplicate = error("duplicate_custom_id", message.into(), Some(number));
        return Err(BatchError { param: Some("custom_id".into()), ..duplicate });
    }
    let Some(model) = line.body.get("model").and_then(serde_json::Value::as_str) else {
        let missing =
            error("missing_required_parameter", "Missing required parameter: 'body.model'.".into(), Some(number));
        return Err(BatchError { param: Some("body.model".into()), ..missing });
    };
    match state.model(model) {
        Ok(_) => Ok(model.to_owned()),
        Err(unknown) => {
            let unknown = error("model_not_found", unknown.message, Some(number));
            Err(BatchError { param: Some("body.model".into()), ..unknown })
        }
    }
}

/// An error of a batch.
pub fn error(code: &str, message: String, line: Option<u64>) -> BatchError {
    BatchError { code: code.to_owned(), message, param: None, line }
}
