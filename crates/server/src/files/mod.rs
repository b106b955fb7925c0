//! `/v1/files`: uploads, streamed to the store; what a `file_id` stands for.

mod form;
mod kind;
mod name;
mod resolve;

use std::io;

use actix_multipart::Multipart;
use actix_web::{
    Error, HttpResponse,
    body::SizedStream,
    http::header::{ContentDisposition, DispositionParam, DispositionType},
    web,
};
use bytes::{Bytes, BytesMut};
use futures::stream;
use serde::Deserialize;
use tokio::{fs::File, io::AsyncReadExt};
use utoipa::IntoParams;
use vlgate_openai::{
    ApiError, ErrorResponse, ListKind, ListQuery,
    files::{FileDeleted, FileKind, FileList, FileObject, FilePurpose, FileStatus, FileUpload},
};

pub use resolve::resolve;

use crate::{
    State,
    reply::{self, answer, refuse},
    store::{FileRow, Order, Owner, Page, Paging, StoreError},
};

/// Bytes of a file that are read at once.
const PIECE: usize = 64 << 10;

/// Uploads a file.
///
/// It can then be named by its id: in a message's part, or as the input of a batch.
#[utoipa::path(post, path = "/v1/files", tag = "files", operation_id = "createFile",
    request_body(content = FileUpload, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The file.", body = FileObject),
        (status = 400, description = "Something in the form is wrong: `param` says what.", body = ErrorResponse),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 413, description = "The file is too large.", body = ErrorResponse),
        (status = 429, description = "The store is full.", body = ErrorResponse),
    ))]
pub async fn create(state: web::Data<State>, owner: Owner, form: Multipart) -> HttpResponse {
    answer(form::receive(&state, owner, form).await.map(|row| object(&row)))
}

/// Which files are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// Only files of this purpose.
    pub purpose: Option<String>,
}

/// Lists the files.
///
/// Those that this key has uploaded, and the answers of its batches.
#[utoipa::path(get, path = "/v1/files", tag = "files", operation_id = "listFiles", params(FileQuery, ListQuery), responses(
    (status = 200, description = "The files.", body = FileList),
    (status = 400, description = "Something in the query is wrong: `param` says what.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 404, description = "No such file behind `after`.", body = ErrorResponse),
))]
pub async fn list(
    state: web::Data<State>,
    owner: Owner,
    only: Result<web::Query<FileQuery>, Error>,
    query: Result<web::Query<ListQuery>, Error>,
) -> HttpResponse {
    answer(page_of(&state, &owner, only, query).await.map(|page| {
        let data: Vec<FileObject> = page.rows.iter().map(object).collect();
        let id = |file: Option<&FileObject>| file.map(|f| f.id.clone()).unwrap_or_default();
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        FileList { object: ListKind::List, first_id, last_id, has_more: page.more, data }
    }))
}

/// Describes a file.
#[utoipa::path(get, path = "/v1/files/{file_id}", tag = "files", operation_id = "retrieveFile",
    params(("file_id" = String, Path, description = "`file-…`.")),
    responses(
        (status = 200, description = "The file.", body = FileObject),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such file.", body = ErrorResponse),
    ))]
pub async fn retrieve(state: web::Data<State>, owner: Owner, id: web::Path<String>) -> HttpResponse {
    answer(state.store.file(&owner, &id).await.map(|row| object(&row)).map_err(|e| missing(&e, &id)))
}

/// A file's bytes.
#[utoipa::path(get, path = "/v1/files/{file_id}/content", tag = "files", operation_id = "downloadFile",
    params(("file_id" = String, Path, description = "`file-…`.")),
    responses(
        (status = 200, description = "The bytes.", body = String, content_type = "application/octet-stream"),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such file.", body = ErrorResponse),
    ))]
pub async fn content(state: web::Data<State>, owner: Owner, id: web::Path<String>) -> HttpResponse {
    let opened = async {
        let row = state.store.file(&owner, &id).await?;
        Ok((state.store.open_file(&row).await?, row))
    };
    match opened.await {
        Ok((file, row)) => download(file, &row),
        Err(error) => refuse(&missing(&error, &id)),
    }
}

/// Deletes a file.
#[utoipa::path(delete, path = "/v1/files/{file_id}", tag = "files", operation_id = "deleteFile",
    params(("file_id" = String, Path, description = "`file-…`.")),
    responses(
        (status = 200, description = "It is gone.", body = FileDeleted),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such file.", body = ErrorResponse),
    ))]
pub async fn delete(state: web::Data<State>, owner: Owner, id: web::Path<String>) -> HttpResponse {
    let id = id.into_inner();
    let gone = state.store.delete_file(&owner, &id).await.map_err(|e| missing(&e, &id));
    answer(gone.map(|()| FileDeleted { id, object: FileKind::File, deleted: true }))
}

async fn page_of(
    state: &State,
    owner: &Owner,
    only: Result<web::Query<FileQuery>, Error>,
    query: Result<web::Query<ListQuery>, Error>,
) -> Result<Page<FileRow>, ApiError> {
    let (Ok(only), Ok(query)) = (only, query) else { return Err(reply::query()) };
    let (limit, oldest) = query.checked(10_000, 10_000)?;
    let paging = Paging { limit, order: Order::oldest_first(oldest), after: query.after.clone() };
    let page = state.store.files(owner, only.purpose.clone(), paging).await;
    page.map_err(|error| match error {
        StoreError::NotFound => missing(&error, query.after.as_deref().unwrap_or_default()).at("after"),
        other => reply::store(&other),
    })
}

/// A file that is not there, in OpenAI's words.
fn missing(error: &StoreError, id: &str) -> ApiError {
    let refused = reply::missing(error, id, |id| format!("No such File object: {id}"));
    if matches!(error, StoreError::NotFound) { refused.at("id") } else { refused }
}

fn object(row: &FileRow) -> FileObject {
    // Purposes are written by this program; one that it does not know is shown as the plainest.
    let purpose = serde_json::from_value(row.purpose.clone().into()).unwrap_or(FilePurpose::UserData);
    FileObject {
        id: row.id.clone(),
        object: FileKind::File,
        bytes: row.bytes,
        created_at: row.created,
        expires_at: row.expires,
        filename: row.name.clone(),
        purpose,
        status: FileStatus::Processed,
    }
}

/// The bytes as an attachment of no type: whatever was uploaded, a browser does not run it as this server's own page.
fn download(file: File, row: &FileRow) -> HttpResponse {
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        file.read_buf(&mut piece).await?;
        Ok::<_, io::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    });
    let name = ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(row.name.clone())],
    };
    HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header(name)
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "private, no-store"))
        .body(SizedStream::new(row.bytes, Box::pin(pieces)))
}
