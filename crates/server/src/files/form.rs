//! An upload's form, read as it comes: the file goes to the disk, whatever its size, and the fields stay small.

use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::header::DispositionParam;
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::timeout;
use vlgate_openai::{ApiError, clip, files::UploadFields};

use super::{kind, name};
use crate::{
    State, reply,
    store::{FileRow, Incoming, NewFile, Owner},
};

/// Bytes of a field that is not the file.
const FIELD: usize = 1024;
/// Fields of a form.
const FIELDS: usize = 16;
/// How long an upload may stand still.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file that has arrived.
struct Arrived {
    incoming: Incoming,
    name: String,
    mime: String,
}

/// Reads the form and keeps its file.
///
/// # Errors
/// A 400 that names the field, 413 for a file that is too large, 429 for a store that is full.
pub async fn receive(state: &State, owner: Owner, mut form: Multipart) -> Result<FileRow, ApiError> {
    let mut fields = UploadFields::default();
    let mut arrived = None;
    let mut count = 0;
    while let Some(field) = next(form.next()).await? {
        count += 1;
        if count > FIELDS {
            return Err(ApiError::invalid("file", format!("Invalid form: at most {FIELDS} fields are accepted.")));
        }
        match field.name().unwrap_or_default().to_owned() {
            name if name == "file" && arrived.is_some() => {
                return Err(ApiError::invalid("file", "Invalid 'file': one file is expected, but got several."));
            }
            name if name == "file" => arrived = Some(file(state, field).await?),
            name => fields.set(&name, text(field, &name).await?)?,
        }
    }
    let Some(arrived) = arrived else {
        let message = "Missing required parameter: 'file'.";
        return Err(ApiError::new(400, "invalid_request_error", "missing_required_parameter", message).at("file"));
    };
    let (purpose, seconds) = fields.checked()?;
    if arrived.incoming.bytes() == 0 {
        return Err(ApiError::new(400, "invalid_request_error", "empty_file", "The file is empty.").at("file"));
    }
    let purpose = purpose.as_str().to_owned();
    let new = NewFile { owner, name: arrived.name, purpose, mime: arrived.mime, seconds };
    state.store.keep(arrived.incoming, new).await.map_err(|e| reply::store(&e))
}

/// The file's bytes, to the disk.
async fn file(state: &State, mut field: Field) -> Result<Arrived, ApiError> {
    let sent = field.content_disposition().map(|d| &d.parameters).into_iter().flatten().find_map(|p| match p {
        DispositionParam::FilenameExt(name) => Some(String::from_utf8_lossy(&name.value).into_owned()),
        DispositionParam::Filename(name) => Some(name.clone()),
        _ => None,
    });
    let name = name::shown(&sent.unwrap_or_default());
    let mut incoming = state.store.incoming().await.map_err(|e| reply::store(&e))?;
    let mut head = Vec::with_capacity(kind::HEAD);
    while let Some(chunk) = next(field.next()).await? {
        head.extend(chunk.iter().take(kind::HEAD - head.len()));
        incoming.write(&chunk).await.map_err(|e| reply::store(&e))?;
    }
    let mime = kind::of(&head, &name);
    Ok(Arrived { incoming, name, mime })
}

/// A field's text.
async fn text(mut field: Field, name: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    let long = |what: &str| {
        let name = clip(name);
        ApiError::invalid(name.clone(), format!("Invalid '{name}': {what}."))
    };
    while let Some(chunk) = next::<Bytes>(field.next()).await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > FIELD {
            return Err(long("it is too long"));
        }
    }
    String::from_utf8(bytes).map_err(|_| long("it is not UTF-8"))
}

/// The next piece of a form that comes in time.
async fn next<T>(piece: impl Future<Output = Option<Result<T, MultipartError>>>) -> Result<Option<T>, ApiError> {
    let unreadable = |why: String| ApiError::new(400, "invalid_request_error", "invalid_multipart_form_data", why);
    match timeout(PATIENCE, piece).await {
        Ok(piece) => piece.transpose().map_err(|error| {
            tracing::debug!("a form could not be read: {error}");
            unreadable("Could not parse multipart form. A 'multipart/form-data' body with a file is expected.".into())
        }),
        Err(_) => Err(unreadable(format!("The upload stood still for {} seconds.", PATIENCE.as_secs()))),
    }
}
