//! What handlers of JSON requests do alike: take the body, and answer with a note for the log.

use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse};
use bytes::Bytes;
use vlgate_openai::ApiError;

use crate::{
    State,
    door::{Held, Note, RequestId, too_large},
    reply,
    store::Owner,
};

/// An answer, and what the log says of it.
pub type Answer = Result<(HttpResponse, String), ApiError>;

/// A request's body, its id, and whose it is.
pub struct Body {
    pub bytes: Bytes,
    pub id: String,
    pub owner: Owner,
}

/// The body, which from now on counts for what it is.
///
/// # Errors
/// 413, or 400 for one that could not be read.
pub fn read(request: &HttpRequest, state: &State, body: Result<Bytes, Error>) -> Result<Body, ApiError> {
    let bytes = body.map_err(|error| {
        if error.as_response_error().status_code() == 413 {
            return too_large(state);
        }
        ApiError::new(400, "invalid_request_error", "", "The request body could not be read.")
    })?;
    let mut extensions = request.extensions_mut();
    if let Some(held) = extensions.get_mut::<Held>() {
        held.settle(bytes.len());
    }
    let id = extensions.get::<RequestId>().map(|r| r.0.clone()).unwrap_or_default();
    let owner = extensions.get::<Owner>().cloned().unwrap_or_default();
    Ok(Body { bytes, id, owner })
}

/// The answer, its note left for the log.
pub fn noted(request: &HttpRequest, answer: Answer) -> HttpResponse {
    match answer {
        Ok((response, note)) => {
            request.extensions_mut().insert(Note(note));
            response
        }
        Err(error) => reply::refuse(&error),
    }
}
