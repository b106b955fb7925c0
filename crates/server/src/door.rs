//! What every request passes on its way in and out: its id, the keys, the byte budget, one line in the log.

use std::{sync::atomic::Ordering, time::Instant};

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderName, HeaderValue},
    middleware::Next,
    web,
};
use subtle::ConstantTimeEq;
use vlgate_openai::ApiError;

use crate::{State, rate, reply::refuse_at, store::Owner};

/// A request's id, the client's own where it is sane.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// What a handler adds to the request's line in the log.
#[derive(Debug, Clone, Default)]
pub struct Note(pub String);

/// The middleware around all routes.
pub async fn pass<B: MessageBody + 'static>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let id = request_id(&request);
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let open = matches!(path.as_str(), "/livez" | "/readyz" | "/health" | "/" | "/openapi.json" | "/docs")
        || path.starts_with("/ui/")
        || method == "OPTIONS";
    // An upload goes to the disk as it comes, and has limits of its own there.
    let upload = method == "POST" && matches!(path.trim_end_matches('/'), "/v1/files" | "/files");
    let reserved = if open || upload { Ok(None) } else { reserve(&state, &request).map(Some) };
    let mut response = match (owner(&state, &request), reserved) {
        (None, _) if !open => request.into_response(refuse_at(&path, &wrong_key())).map_into_boxed_body(),
        (_, Err(error)) => request.into_response(refuse_at(&path, &error)).map_into_boxed_body(),
        (owner, Ok(held)) => {
            request.extensions_mut().insert(owner.unwrap_or_default());
            if let Some(held) = held {
                request.extensions_mut().insert(held);
            }
            next.call(request).await?.map_into_boxed_body()
        }
    };
    let ms = began.elapsed().as_millis();
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-request-id", &id);
    set("openai-processing-ms", &ms.to_string());
    set("openai-version", "2020-10-01");
    if !open {
        for (name, value) in rate::headers(&state) {
            set(name, &value);
        }
    }
    let status = response.status().as_u16();
    if let Some(count) = state.answered.get(usize::from(status / 100).saturating_sub(1)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    let note = response.request().extensions().get::<Note>().cloned().unwrap_or_default().0;
    if open {
        tracing::debug!(%id, %method, path, status, ms, "request");
    } else {
        tracing::info!(%id, %method, path, status, ms, note, "request");
    }
    Ok(response)
}

/// The client's id when it is short, printable ASCII; else a new one.
fn request_id(request: &ServiceRequest) -> String {
    let sent = ["x-request-id", "x-client-request-id"].iter().find_map(|h| request.headers().get(*h)?.to_str().ok());
    match sent {
        Some(id) if (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) => id.to_owned(),
        _ => format!("req_{}", uuid::Uuid::new_v4().simple()),
    }
}

/// Who the request's key says it is; `None` for no key or a wrong one.
fn owner(state: &State, request: &ServiceRequest) -> Option<Owner> {
    if state.config.api_keys.is_empty() {
        return Some(Owner::default());
    }
    let header = |name: HeaderName| request.headers().get(name).and_then(|h| h.to_str().ok());
    let bearer =
        header(header::AUTHORIZATION).and_then(|s| s.strip_prefix("Bearer ").or_else(|| s.strip_prefix("bearer ")));
    // Anthropic's clients have a header of their own.
    let sent = bearer.or_else(|| header(HeaderName::from_static("x-api-key"))).unwrap_or_default().trim();
    // Every key is compared in full: the time says nothing about which one nearly fitted.
    let fits = state.config.api_keys.iter().map(|key| key.as_bytes().ct_eq(sent.as_bytes()).unwrap_u8());
    (fits.fold(0, |any, one| any | one) == 1).then(|| Owner::of_key(sent))
}

fn wrong_key() -> ApiError {
    let message = "Incorrect API key provided. Send the server's key as 'Authorization: Bearer KEY'.";
    ApiError::new(401, "invalid_request_error", "invalid_api_key", message)
}

/// A body's bytes, given back when the request ends, also when the client goes away in the middle of it.
pub struct Held {
    state: web::Data<State>,
    bytes: usize,
}

impl Held {
    /// The body has arrived: it counts for what it is.
    pub fn settle(&mut self, bytes: usize) {
        let more = self.bytes.saturating_sub(bytes);
        self.state.bodies.fetch_sub(more, Ordering::AcqRel);
        self.bytes -= more;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.state.bodies.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Takes the body's bytes out of the budget of all bodies; a body that does not say its size counts in full, and a
/// compressed one for what it may become.
fn reserve(state: &web::Data<State>, request: &ServiceRequest) -> Result<Held, ApiError> {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()).and_then(|l| l.parse().ok());
    let unknown = request.headers().contains_key(header::TRANSFER_ENCODING)
        || request.headers().contains_key(header::CONTENT_ENCODING);
    let limit = state.config.body_bytes;
    let bytes = if unknown { length.unwrap_or(0).max(limit) } else { length.unwrap_or(0) };
    if bytes > limit {
        return Err(too_large(state));
    }
    let before = state.bodies.fetch_add(bytes, Ordering::AcqRel);
    if before + bytes > state.config.bodies_in_flight_bytes {
        state.bodies.fetch_sub(bytes, Ordering::AcqRel);
        let message = "The server is receiving too many large requests. Please try again later.";
        return Err(ApiError::new(429, "rate_limit_exceeded", "slow_down", message).retry(1));
    }
    Ok(Held { state: state.clone(), bytes })
}

/// 413.
pub fn too_large(state: &State) -> ApiError {
    let message = format!("Request body is too large: at most {} bytes are accepted.", state.config.body_bytes);
    ApiError::new(413, "invalid_request_error", "request_too_large", message)
}
