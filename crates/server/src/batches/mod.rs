//! `/v1/batches`: many requests in a file, answered while nobody else wants the engine.

mod answer;
mod lines;
mod output;
mod run;
mod turn;
mod validate;

use actix_web::{Error, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use vlgate_openai::{
    ApiError, ErrorResponse, ListKind, ListQuery,
    batches::{Batch, BatchCounts, BatchKind, BatchList, BatchRequest, BatchStatus, BatchUsage},
    clip,
    files::FilePurpose,
};

pub use run::run;
pub use turn::Turns;

use crate::{
    State,
    body::{self, Body},
    reply::{self, answer},
    store::{BatchRow, Order, Owner, Paging, StoreError, new_id, now},
};

/// Seconds of `completion_window`, which is always `24h`.
const WINDOW: i64 = 86_400;

/// Creates a batch.
///
/// It runs in the background, behind all other requests, also after a restart.
#[utoipa::path(post, path = "/v1/batches", tag = "batches", operation_id = "createBatch", request_body = BatchRequest, responses(
    (status = 200, description = "The batch.", body = Batch),
    (status = 400, description = "Something in the request is wrong: `param` says where.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 429, description = "The store is full.", body = ErrorResponse),
))]
pub async fn create(request: HttpRequest, state: web::Data<State>, sent: Result<Bytes, Error>) -> HttpResponse {
    answer(async { add(&state, body::read(&request, &state, sent)?).await }.await)
}

/// Describes a batch.
#[utoipa::path(get, path = "/v1/batches/{batch_id}", tag = "batches", operation_id = "retrieveBatch",
    params(("batch_id" = String, Path, description = "`batch_…`.")),
    responses(
        (status = 200, description = "The batch.", body = Batch),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such batch.", body = ErrorResponse),
    ))]
pub async fn retrieve(state: web::Data<State>, owner: Owner, id: web::Path<String>) -> HttpResponse {
    answer(state.store.batch(&owner, &id).await.map_err(|e| missing(&e, &id)))
}

/// Lists the batches.
///
/// Those that this key has created.
#[utoipa::path(get, path = "/v1/batches", tag = "batches", operation_id = "listBatches", params(ListQuery), responses(
    (status = 200, description = "The batches.", body = BatchList),
    (status = 400, description = "Something in the query is wrong: `param` says what.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 404, description = "No such batch behind `after`.", body = ErrorResponse),
))]
pub async fn list(state: web::Data<State>, owner: Owner, query: Result<web::Query<ListQuery>, Error>) -> HttpResponse {
    answer(page_of(&state, &owner, query).await)
}

/// Cancels a batch.
///
/// Requests that run are stopped; the answers so far are in its files.
#[utoipa::path(post, path = "/v1/batches/{batch_id}/cancel", tag = "batches", operation_id = "cancelBatch",
    params(("batch_id" = String, Path, description = "`batch_…`.")),
    responses(
        (status = 200, description = "The batch, which is being cancelled.", body = Batch),
        (status = 400, description = "It is over.", body = ErrorResponse),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such batch.", body = ErrorResponse),
    ))]
pub async fn cancel(state: web::Data<State>, owner: Owner, id: web::Path<String>) -> HttpResponse {
    answer(stop(&state, &owner, &id).await)
}

async fn add(state: &State, body: Body) -> Result<Batch, ApiError> {
    let (request, endpoint) = BatchRequest::parse(&body.bytes)?;
    let owner = body.owner;
    input(state, &owner, &request.input_file_id).await?;
    let created = now();
    let batch = Batch {
        id: new_id("batch_"),
        object: BatchKind::Batch,
        endpoint,
        model: None,
        errors: None,
        input_file_id: request.input_file_id,
        completion_window: request.completion_window,
        status: BatchStatus::Validating,
        output_file_id: None,
        error_file_id: None,
        created_at: created,
        in_progress_at: None,
        expires_at: Some(created + WINDOW),
        finalizing_at: None,
        completed_at: None,
        failed_at: None,
        expired_at: None,
        cancelling_at: None,
        cancelled_at: None,
        request_counts: BatchCounts::default(),
        usage: BatchUsage::default(),
        metadata: request.metadata,
    };
    let output_seconds = request.output_expires_after.map(|end| end.seconds);
    let row = BatchRow { owner, output_seconds, batch: batch.clone() };
    state.store.add_batch(row).await.map_err(|e| reply::store(&e))?;
    state.batches.wake();
    Ok(batch)
}

/// The input must be there, and be meant for a batch.
async fn input(state: &State, owner: &Owner, id: &str) -> Result<(), ApiError> {
    let shown = clip(id);
    let file = state.store.file(owner, id).await.map_err(|error| match error {
        StoreError::NotFound => {
            ApiError::invalid("input_file_id", format!("Invalid 'input_file_id': No such File object: {shown}"))
        }
        other => reply::store(&other),
    })?;
    if file.purpose == FilePurpose::Batch.as_str() {
        return Ok(());
    }
    let message =
        format!("Invalid 'input_file_id': the file '{shown}' has the purpose '{}', not 'batch'.", file.purpose);
    Err(ApiError::invalid("input_file_id", message))
}

async fn page_of(
    state: &State,
    owner: &Owner,
    query: Result<web::Query<ListQuery>, Error>,
) -> Result<BatchList, ApiError> {
    let Ok(query) = query else { return Err(reply::query()) };
    let (limit, oldest) = query.checked(100, 20)?;
    let paging = Paging { limit, order: Order::oldest_first(oldest), after: query.after.clone() };
    let page = state.store.batches(owner, paging).await.map_err(|error| match error {
        StoreError::NotFound => missing(&error, query.after.as_deref().unwrap_or_default()).at("after"),
        other => reply::store(&other),
    })?;
    let id = |batch: Option<&Batch>| batch.map(|b| b.id.clone());
    let (first_id, last_id) = (id(page.rows.first()), id(page.rows.last()));
    Ok(BatchList { object: ListKind::List, first_id, last_id, has_more: page.more, data: page.rows })
}

async fn stop(state: &State, owner: &Owner, id: &str) -> Result<Batch, ApiError> {
    let changed = state.store.change_batch(owner, id, |batch| {
        if !batch.status.is_over() && batch.status != BatchStatus::Cancelling {
            batch.status = BatchStatus::Cancelling;
            batch.cancelling_at = Some(now());
        }
    });
    let batch = changed.await.map_err(|e| missing(&e, id))?;
    state.batches.wake();
    if batch.status != BatchStatus::Cancelling {
        let status = serde_json::to_value(batch.status).unwrap_or_default();
        let message = format!("Cannot cancel a batch with status '{}'.", status.as_str().unwrap_or_default());
        return Err(ApiError::new(400, "invalid_request_error", "invalid_batch_status", message));
    }
    Ok(batch)
}

/// A batch that is not there, in OpenAI's words.
fn missing(error: &StoreError, id: &str) -> ApiError {
    reply::missing(error, id, |id| format!("No batch found with id '{id}'."))
}
