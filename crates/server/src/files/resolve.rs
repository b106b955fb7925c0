//! What a `file_id` in a request stands for.

use std::time::Duration;

use tokio::{io::AsyncReadExt, sync::OwnedSemaphorePermit, time::timeout};
use vlgate_openai::{ApiError, clip};

use crate::{
    State, reply,
    store::{Owner, StoreError},
};

/// How long a request waits for the memory of files that others read.
const WAIT: Duration = Duration::from_secs(10);
/// Unit of that memory.
const MIB: u64 = 1 << 20;

/// A file's bytes in memory. They count as a request's body does until this is dropped.
#[derive(Debug)]
pub struct Resolved {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The name that its uploader gave it.
    pub name: String,
    /// Its type, as its bytes say: `image/png`, `application/pdf`, `text/plain`, …
    pub mime: String,
    memory: OwnedSemaphorePermit,
}

impl Resolved {
    /// The bytes alone, and what has to be held for as long as they are.
    pub fn into_bytes(self) -> (Vec<u8>, OwnedSemaphorePermit) {
        (self.bytes, self.memory)
    }
}

/// The file that `id` names, if it is this owner's and has at most `limit` bytes; `path` is where the request names it.
///
/// # Errors
/// 400 at `path`: there is no such file, or it is too large; 429 when too many bytes of files are in memory.
pub async fn resolve(state: &State, owner: &Owner, id: &str, limit: u64, path: &str) -> Result<Resolved, ApiError> {
    let shown = clip(id);
    let gone = || {
        // A part of a request is wrong, not the address: no SDK should send it again or take it for a missing model.
        ApiError::new(400, "invalid_request_error", "file_not_found", format!("No such File object: {shown}")).at(path)
    };
    let found = |error: StoreError| if matches!(error, StoreError::NotFound) { gone() } else { reply::store(&error) };
    let row = state.store.file(owner, id).await.map_err(found)?;
    if row.bytes > limit {
        let message = format!("The file '{shown}' is too large: at most {limit} bytes are accepted here.");
        return Err(ApiError::new(400, "invalid_request_error", "file_too_large", message).at(path));
    }
    let memory = memory(state, row.bytes).await?;
    let file = state.store.open_file(&row).await.map_err(found)?;
    let mut bytes = Vec::with_capacity(usize::try_from(row.bytes).unwrap_or(0));
    file.take(row.bytes).read_to_end(&mut bytes).await.map_err(|e| reply::store(&e.into()))?;
    Ok(Resolved { bytes, name: row.name, mime: row.mime, memory })
}

async fn memory(state: &State, bytes: u64) -> Result<OwnedSemaphorePermit, ApiError> {
    let units = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX).clamp(1, state.file_units);
    let permit = timeout(WAIT, std::sync::Arc::clone(&state.file_memory).acquire_many_owned(units)).await;
    permit.ok().and_then(Result::ok).ok_or_else(|| {
        let message = "The server is reading too many large files. Please try again later.";
        ApiError::new(429, "rate_limit_exceeded", "slow_down", message).retry(1)
    })
}
