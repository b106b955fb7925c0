//! What a response goes on from: the items of the responses before it, and those that the request refers to.

use serde_json::Value;
use vlgate_openai::{
    ApiError, clip,
    responses::{Input, Item, ResponseRequest, check_calls},
};

use super::convert::Placed;
use crate::{
    State, reply,
    store::{KeptItem, Owner, StoreError, new_id},
};

/// All that was said.
pub struct Context {
    /// In order, the request's own items last.
    pub items: Vec<Placed>,
    /// The request's own items as they are kept and listed.
    pub own: Vec<KeptItem>,
}

/// Puts a request's items behind those of the responses before it.
///
/// # Errors
/// 400 for a response or an item that is not there, for what is too much, and for calls and results that do not fit.
pub async fn context(state: &State, owner: &Owner, request: &ResponseRequest) -> Result<Context, ApiError> {
    let mut items = match &request.previous_response_id {
        Some(id) => before(state, owner, id).await?,
        None => Vec::new(),
    };
    let mut own = Vec::new();
    for mut placed in said(&request.input) {
        if placed.item.kind() == "item_reference" {
            placed.item = referred(state, owner, &placed).await?;
        }
        own.push(kept(&placed.item));
        items.push(placed);
    }
    check_calls(items.iter().map(|p| &p.item))?;
    Ok(Context { items, own })
}

/// The request's own items.
fn said(input: &Input) -> Vec<Placed> {
    match input {
        Input::None => Vec::new(),
        Input::Text(text) => vec![Placed { path: "input".into(), item: Item::user(text) }],
        Input::Parts(items) => {
            let placed = |(i, item): (usize, &Item)| Placed { path: format!("input[{i}]"), item: item.clone() };
            items.iter().enumerate().map(placed).collect()
        }
    }
}

async fn before(state: &State, owner: &Owner, id: &str) -> Result<Vec<Placed>, ApiError> {
    let refused = |error: StoreError| match error {
        StoreError::NotFound => {
            let shown = clip(id);
            let message = format!("Previous response with id '{shown}' not found.");
            ApiError::new(400, "invalid_request_error", "previous_response_not_found", message)
                .at("previous_response_id")
        }
        StoreError::TooLarge { limit } => {
            let message = format!("The conversation is too large: at most {limit} bytes are accepted in all.");
            ApiError::invalid("previous_response_id", message)
        }
        other => reply::store(&other),
    };
    if let Some(task) = state.tasks.find(owner, id) {
        // One that has just ended is kept before it is gone on from.
        task.look().await;
    }
    if state.store.response(owner, id).await.map_err(refused)?.running {
        let message = "The previous response is still in progress. Wait until it is completed.";
        return Err(ApiError::invalid("previous_response_id", message));
    }
    let limit = state.config.body_bytes as u64;
    let kept = state.store.response_items(owner, id, true, limit).await.map_err(refused)?;
    kept.iter()
        .map(|item| Ok(Placed { path: "previous_response_id".into(), item: read(item)? }))
        .collect::<Result<_, StoreError>>()
        .map_err(refused)
}

async fn referred(state: &State, owner: &Owner, placed: &Placed) -> Result<Item, ApiError> {
    let id = placed.item.id.as_deref().unwrap_or_default();
    let found = async { read(&state.store.response_item(owner, id).await?) };
    found.await.map_err(|error| match error {
        StoreError::NotFound => {
            let shown = clip(id);
            let message =
                format!("Item with id '{shown}' not found. Items are not persisted when `store` is set to false.");
            ApiError::new(400, "invalid_request_error", "item_not_found", message).at(format!("{}.id", placed.path))
        }
        other => reply::store(&other),
    })
}

fn read(kept: &KeptItem) -> Result<Item, StoreError> {
    Ok(serde_json::from_str(&kept.body)?)
}

/// An item as it is kept, under its own id or a new one.
fn kept(item: &Item) -> KeptItem {
    let prefix = match item.kind() {
        "function_call" => "fc_",
        "function_call_output" => "fco_",
        "reasoning" => "rs_",
        _ => "msg_",
    };
    let id = item.id.clone().filter(|id| (1..=128).contains(&id.len())).unwrap_or_else(|| new_id(prefix));
    KeptItem { body: item.resource(&id).to_string(), id }
}

/// The items of a response's output, as they are kept.
pub fn output(response: &Value) -> Vec<KeptItem> {
    let items = response.get("output").and_then(Value::as_array).into_iter().flatten();
    items
        .filter_map(|item| Some(KeptItem { id: item.get("id")?.as_str()?.to_owned(), body: item.to_string() }))
        .collect()
}
