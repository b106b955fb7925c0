//! Responses that are kept: look, cancel, delete, list what was said.

use std::time::Duration;

use actix_web::{Error, HttpResponse, web};
use serde_json::{Value, json};
use vlgate_openai::{
    ApiError, ErrorResponse, ListKind, ListQuery,
    responses::{Deleted, ItemList, Response, StreamEvent},
};

use crate::{
    State,
    reply::{self, answer},
    store::{KeptItem, Order, Owner, Page, Paging, ResponseRow, StoreError},
};

/// How often, and how often at the most, a response is looked at that another server was asked to cancel.
const LOOKS: (Duration, usize) = (Duration::from_millis(250), 40);

type Query = Result<web::Query<Vec<(String, String)>>, Error>;

/// Shows a response.
///
/// As it is now; with `stream` its events, for one that was made in the background with `stream`.
#[utoipa::path(get, path = "/v1/responses/{response_id}", tag = "responses", operation_id = "getResponse",
    params(
        ("response_id" = String, Path, description = "`resp_…`"),
        ("include" = Option<Vec<String>>, Query, description = "Accepted: all is there that the request asked for."),
        ("stream" = Option<bool>, Query, description = "Tell its events."),
        ("starting_after" = Option<i64>, Query, description = "Only events behind this number."),
        ("include_obfuscation" = Option<bool>, Query, description = "Accepted: as the request asked for."),
    ),
    responses(
        (status = 200, description = "The response, or what happens to it.", content((Response = "application/json"), (StreamEvent = "text/event-stream"))),
        (status = 400, description = "The query is wrong.", body = ErrorResponse),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such response.", body = ErrorResponse),
    ))]
pub async fn retrieve(state: web::Data<State>, owner: Owner, id: web::Path<String>, query: Query) -> HttpResponse {
    look(&state, &owner, &id, query).await.unwrap_or_else(|error| reply::refuse(&error))
}

async fn look(state: &State, owner: &Owner, id: &str, query: Query) -> Result<HttpResponse, ApiError> {
    let query = query.map_err(|_| reply::query())?.into_inner();
    let get = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let streamed = match get("stream") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(ApiError::invalid("stream", "Invalid type for 'stream': expected a boolean.")),
    };
    let from = match get("starting_after").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(after)) => after.saturating_add(1),
        Some(Err(_)) => {
            let message = "Invalid type for 'starting_after': expected a whole number of 0 or more.";
            return Err(ApiError::invalid("starting_after", message));
        }
    };
    let silent = || {
        let message = "This response has no stream: only those that were created with 'background' and 'stream' can be streamed later.";
        ApiError::invalid("stream", message)
    };
    if let Some(task) = state.tasks.find(owner, id) {
        return match (streamed, task.streamed()) {
            (false, _) => Ok(HttpResponse::Ok().json(task.look().await)),
            (true, true) => Ok(task.follow(from)),
            (true, false) => Err(silent()),
        };
    }
    let row = row(state, owner, id).await?;
    if !streamed {
        return Ok(HttpResponse::Ok().json(shown(&row)?));
    }
    let story = row.events.ok_or_else(silent)?;
    let rest: String = story.split_inclusive("\n\n").skip(from).collect();
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .insert_header(("cache-control", "no-cache"))
        .body(rest))
}

/// Deletes a response.
///
/// With what was said to it; one that is still being made is cancelled first.
#[utoipa::path(delete, path = "/v1/responses/{response_id}", tag = "responses", operation_id = "deleteResponse",
    params(("response_id" = String, Path, description = "`resp_…`")),
    responses(
        (status = 200, description = "It is gone.", body = Deleted),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such response.", body = ErrorResponse),
    ))]
pub async fn delete(state: web::Data<State>, owner: Owner, id: web::Path<String>) -> HttpResponse {
    let id = id.into_inner();
    if let Some(task) = state.tasks.find(&owner, &id) {
        task.cancel().await;
    }
    let deleted = state.store.delete_response(&owner, &id).await.map_err(|e| missing(&e, &id));
    answer(deleted.map(|()| Deleted::new(id)))
}

/// Cancels a response.
///
/// Only one that is made in the background; one that has ended stays as it is.
#[utoipa::path(post, path = "/v1/responses/{response_id}/cancel", tag = "responses", operation_id = "cancelResponse",
    params(("response_id" = String, Path, description = "`resp_…`")),
    responses(
        (status = 200, description = "The response.", body = Response),
        (status = 400, description = "It was not made in the background.", body = ErrorResponse),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such response.", body = ErrorResponse),
    ))]
pub async fn cancel(state: web::Data<State>, owner: Owner, id: web::Path<String>) -> HttpResponse {
    answer(stop(&state, &owner, &id).await)
}

async fn stop(state: &State, owner: &Owner, id: &str) -> Result<Value, ApiError> {
    if let Some(task) = state.tasks.find(owner, id) {
        return Ok(task.cancel().await);
    }
    let mut found = row(state, owner, id).await?;
    let response = shown(&found)?;
    if response.get("background") != Some(&Value::Bool(true)) {
        let message = "Cannot cancel a synchronous response.";
        return Err(ApiError::new(400, "invalid_request_error", "", message));
    }
    if !found.running || found.lost {
        return Ok(response);
    }
    // Another server on the same folder makes it; it looks at its row every few seconds.
    state.store.stop_response(id).await.map_err(|e| reply::store(&e))?;
    for _ in 0..LOOKS.1 {
        tokio::time::sleep(LOOKS.0).await;
        found = row(state, owner, id).await?;
        if !found.running {
            break;
        }
    }
    shown(&found)
}

/// Lists what was said.
///
/// All that the response was made from: what went before it, then its own input.
#[utoipa::path(get, path = "/v1/responses/{response_id}/input_items", tag = "responses", operation_id = "listInputItems",
    params(("response_id" = String, Path, description = "`resp_…`"), ListQuery),
    responses(
        (status = 200, description = "The items.", body = ItemList),
        (status = 400, description = "The query is wrong.", body = ErrorResponse),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such response.", body = ErrorResponse),
    ))]
pub async fn input_items(
    state: web::Data<State>,
    owner: Owner,
    id: web::Path<String>,
    query: Result<web::Query<ListQuery>, Error>,
) -> HttpResponse {
    answer(list(&state, &owner, &id, query).await)
}

async fn list(
    state: &State,
    owner: &Owner,
    id: &str,
    query: Result<web::Query<ListQuery>, Error>,
) -> Result<ItemList, ApiError> {
    let query = query.map_err(|_| reply::query())?.into_inner();
    let (limit, oldest_first) = query.checked(100, 20)?;
    // All that one response was made from was one request's size.
    let all = state.store.response_items(owner, id, false, u64::MAX).await;
    let all = all.map_err(|e| missing(&e, id))?;
    let id_of = |item: &KeptItem| item.id.clone();
    let paging = Paging { limit, order: Order::oldest_first(oldest_first), after: query.after };
    let Page { rows, more } = Page::cut(all, &paging, id_of).ok_or_else(|| paging.nothing_behind("item"))?;
    let (first_id, last_id) = (rows.first().map(id_of).unwrap_or_default(), rows.last().map(id_of).unwrap_or_default());
    let data = rows.iter().map(|i| serde_json::from_str(&i.body)).collect::<Result<_, _>>();
    let data = data.map_err(|e| reply::store(&e.into()))?;
    Ok(ItemList { object: ListKind::List, data, first_id, last_id, has_more: more })
}

async fn row(state: &State, owner: &Owner, id: &str) -> Result<ResponseRow, ApiError> {
    state.store.response(owner, id).await.map_err(|error| missing(&error, id))
}

fn missing(error: &StoreError, id: &str) -> ApiError {
    reply::missing(error, id, |id| format!("Response with id '{id}' not found."))
}

/// The response as it is kept; one whose server is gone has failed.
fn shown(row: &ResponseRow) -> Result<Value, ApiError> {
    let mut response: Value = serde_json::from_str(&row.body).map_err(|e| reply::store(&e.into()))?;
    if let (true, Value::Object(fields)) = (row.lost, &mut response) {
        fields.insert("status".into(), json!("failed"));
        let message = "The server that made this response was stopped.";
        fields.insert("error".into(), json!({"code": "server_error", "message": message}));
    }
    Ok(response)
}
