//! Chat completions that are kept (`store`): list, look, label, delete, list what was said.

use actix_web::{Error, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::Value;
use vlgate_openai::{
    ApiError, ErrorResponse, ListKind, ListOrder, ListQuery,
    chat::{
        ChatRequest, Completion, CompletionDeleted, CompletionList, KeptMessage, KeptQuery, MessageList,
        MetadataUpdate, message_page,
    },
};

use crate::{
    State, body,
    reply::{self, answer},
    store::{CompletionRow, NewCompletion, Order, Owner, Page, Paging, Store, StoreError, Wanted},
};

/// What keeps a completion once it is whole.
pub struct Keeper {
    store: Store,
    owner: Owner,
    messages: Vec<KeptMessage>,
}

impl Keeper {
    /// One for the completion `id`, where the request wants it kept.
    pub fn new(state: &State, owner: &Owner, request: &ChatRequest, id: &str) -> Option<Self> {
        let each = || request.messages.iter().enumerate().map(|(place, message)| KeptMessage::new(id, place, message));
        (request.store == Some(true)).then(|| Self {
            store: state.store.clone(),
            owner: owner.clone(),
            messages: each().collect(),
        })
    }

    /// Keeps it. Where that cannot be done the client has its answer all the same.
    pub async fn keep(self, completion: &Completion) {
        if let Err(error) = self.put(completion).await {
            tracing::warn!("the chat completion {} could not be kept: {error}", completion.id);
        }
    }

    async fn put(self, completion: &Completion) -> Result<(), StoreError> {
        let new = NewCompletion {
            id: completion.id.clone(),
            owner: self.owner,
            model: completion.model.clone(),
            metadata: completion.metadata.clone().unwrap_or_default(),
            body: serde_json::to_string(completion)?,
            messages: self.messages.iter().map(serde_json::to_string).collect::<Result<_, _>>()?,
        };
        self.store.keep_completion(new).await
    }
}

type Query = Result<web::Query<Vec<(String, String)>>, Error>;

/// Lists the chat completions that are kept.
///
/// Those that this key has created with `store`.
#[utoipa::path(get, path = "/v1/chat/completions", tag = "chat", operation_id = "listChatCompletions",
    params(
        ("model" = Option<String>, Query, description = "Only those whose request had this name for its model."),
        ("metadata" = Option<std::collections::HashMap<String, String>>, Query, style = DeepObject, explode,
            description = "Only those with all of these pairs: `metadata[key]=value`."),
        ("after" = Option<String>, Query, description = "The id of the completion before the first one."),
        ("limit" = Option<i64>, Query, description = "Completions at the most, 1 to 100; 20 where it is left out."),
        ("order" = inline(Option<ListOrder>), Query, description = "By creation, `asc` or `desc`; `asc` where it is left out."),
    ),
    responses(
        (status = 200, description = "The completions.", body = CompletionList),
        (status = 400, description = "Something in the query is wrong: `param` says what.", body = ErrorResponse),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such completion behind `after`.", body = ErrorResponse),
    ))]
pub async fn list(state: web::Data<State>, owner: Owner, query: Query) -> HttpResponse {
    answer(page(&state, &owner, query).await)
}

/// Shows a chat completion.
///
/// One that this key has created with `store`.
#[utoipa::path(get, path = "/v1/chat/completions/{completion_id}", tag = "chat", operation_id = "getChatCompletion",
    params(("completion_id" = String, Path, description = "`chatcmpl-…`")),
    responses(
        (status = 200, description = "The completion.", body = Completion),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such completion.", body = ErrorResponse),
    ))]
pub async fn retrieve(state: web::Data<State>, owner: Owner, id: web::Path<String>) -> HttpResponse {
    answer(state.store.completion(&owner, &id).await.and_then(shown).map_err(|e| missing(&e, &id)))
}

/// Changes the metadata of a chat completion.
///
/// Nothing else of it can be changed.
#[utoipa::path(post, path = "/v1/chat/completions/{completion_id}", tag = "chat", operation_id = "updateChatCompletion",
    params(("completion_id" = String, Path, description = "`chatcmpl-…`")), request_body = MetadataUpdate,
    responses(
        (status = 200, description = "The completion as it is now.", body = Completion),
        (status = 400, description = "Something in the request is wrong: `param` says where.", body = ErrorResponse),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such completion.", body = ErrorResponse),
        (status = 413, description = "The body is too large.", body = ErrorResponse),
        (status = 429, description = "The store is full.", body = ErrorResponse),
    ))]
pub async fn update(
    request: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
    sent: Result<Bytes, Error>,
) -> HttpResponse {
    let change = async {
        let body = body::read(&request, &state, sent)?;
        let metadata = MetadataUpdate::parse(&body.bytes)?.metadata.unwrap_or_default();
        let changed = state.store.label_completion(&body.owner, &id, metadata).await;
        changed.and_then(shown).map_err(|e| missing(&e, &id))
    };
    answer(change.await)
}

/// Deletes a chat completion.
///
/// With what was said to it.
#[utoipa::path(delete, path = "/v1/chat/completions/{completion_id}", tag = "chat", operation_id = "deleteChatCompletion",
    params(("completion_id" = String, Path, description = "`chatcmpl-…`")),
    responses(
        (status = 200, description = "It is gone.", body = CompletionDeleted),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such completion.", body = ErrorResponse),
    ))]
pub async fn delete(state: web::Data<State>, owner: Owner, id: web::Path<String>) -> HttpResponse {
    let deleted = state.store.delete_completion(&owner, &id).await.map_err(|e| missing(&e, &id));
    answer(deleted.map(|()| CompletionDeleted::new(id.into_inner())))
}

/// Lists what a chat completion answers.
///
/// The messages of its request. Clips and files among their parts are not shown.
#[utoipa::path(get, path = "/v1/chat/completions/{completion_id}/messages", tag = "chat", operation_id = "getChatCompletionMessages",
    params(
        ("completion_id" = String, Path, description = "`chatcmpl-…`"),
        ("after" = Option<String>, Query, description = "The id of the message before the first one."),
        ("limit" = Option<i64>, Query, description = "Messages at the most, 1 to 100; 20 where it is left out."),
        ("order" = inline(Option<ListOrder>), Query, description = "`asc` or `desc`; `asc` where it is left out."),
    ),
    responses(
        (status = 200, description = "The messages.", body = MessageList),
        (status = 400, description = "Something in the query is wrong: `param` says what.", body = ErrorResponse),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such completion.", body = ErrorResponse),
    ))]
pub async fn messages(
    state: web::Data<State>,
    owner: Owner,
    id: web::Path<String>,
    query: Result<web::Query<ListQuery>, Error>,
) -> HttpResponse {
    answer(said(&state, &owner, &id, query).await)
}

async fn page(state: &State, owner: &Owner, query: Query) -> Result<CompletionList, ApiError> {
    let query = KeptQuery::read(query.map_err(|_| reply::query())?.into_inner())?;
    let order = Order::oldest_first(query.oldest_first);
    let paging = Paging { limit: query.limit, order, after: query.after.clone() };
    let wanted = Wanted { model: query.model, metadata: query.metadata, paging };
    let page = state.store.completions(owner, wanted).await.map_err(|error| match error {
        StoreError::NotFound => missing(&error, query.after.as_deref().unwrap_or_default()).at("after"),
        other => reply::store(&other),
    })?;
    let id = |row: Option<&CompletionRow>| row.map(|r| r.id.clone()).unwrap_or_default();
    let (first_id, last_id) = (id(page.rows.first()), id(page.rows.last()));
    let data = page.rows.into_iter().map(shown).collect::<Result<_, _>>().map_err(|e| reply::store(&e))?;
    Ok(CompletionList { object: ListKind::List, data, first_id, last_id, has_more: page.more })
}

async fn said(
    state: &State,
    owner: &Owner,
    id: &str,
    query: Result<web::Query<ListQuery>, Error>,
) -> Result<MessageList, ApiError> {
    let query = query.map_err(|_| reply::query())?.into_inner();
    let (limit, oldest_first) = message_page(&query)?;
    // All that one completion answers was one request's size.
    let all = state.store.completion_messages(owner, id).await.map_err(|e| missing(&e, id))?;
    let all = all.iter().map(|body| serde_json::from_str(body)).collect::<Result<Vec<Value>, _>>();
    let all = all.map_err(|e| reply::store(&e.into()))?;
    let id = |message: &Value| message.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let paging = Paging { limit, order: Order::oldest_first(oldest_first), after: query.after };
    let Page { rows: data, more } = Page::cut(all, &paging, id).ok_or_else(|| paging.nothing_behind("message"))?;
    let (first_id, last_id) = (data.first().map(id).unwrap_or_default(), data.last().map(id).unwrap_or_default());
    Ok(MessageList { object: ListKind::List, data, first_id, last_id, has_more: more })
}

/// The completion as it was answered, with the metadata that it has now.
fn shown(row: CompletionRow) -> Result<Value, StoreError> {
    let mut completion: Value = serde_json::from_str(&row.body)?;
    if let Value::Object(fields) = &mut completion {
        fields.insert("metadata".into(), serde_json::to_value(row.metadata)?);
    }
    Ok(completion)
}

fn missing(error: &StoreError, id: &str) -> ApiError {
    reply::missing(error, id, |id| format!("Chat completion with id '{id}' not found."))
}
