//! Bodies that were fetched, kept by URL for as long as HTTP's caching rules let a shared cache keep them (RFC 9111, by the
//! crate `http-cache-semantics`); nobody's credentials are ever sent, so what one caller sees another may.

use std::{sync::Arc, time::SystemTime};

use http::{HeaderMap, Request, Response, StatusCode, header};
use http_cache_semantics::{AfterResponse, BeforeRequest, CachePolicy};
use moka::sync::Cache;
use url::Url;

/// A body, and until when it may be used.
#[derive(Debug)]
pub struct Kept {
    policy: CachePolicy,
    /// The body.
    pub body: Vec<u8>,
}

/// What is known of a URL before it is asked.
#[derive(Debug)]
pub enum Known {
    /// The body may be used as it is.
    Fresh(Arc<Kept>),
    /// It may be used if the server says so, asked with these headers.
    Stale(Arc<Kept>, HeaderMap),
    /// Nothing.
    Nothing,
}

/// All of them, bounded by bytes.
#[derive(Debug)]
pub struct Fetched(Cache<String, Arc<Kept>>);

/// What an entry costs beside its body and URL.
const ENTRY: usize = 2048;

/// What larger numbers of seconds count as (RFC 9111, 1.2.2).
const MOST_SECONDS: u64 = 1 << 31;

impl Fetched {
    /// An empty one of at most this many bytes.
    pub fn new(bytes: u64) -> Self {
        let weigh = |url: &String, kept: &Arc<Kept>| {
            u32::try_from(kept.body.capacity() + url.len() + ENTRY).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(bytes).weigher(weigh).build())
    }

    /// What is known.
    pub fn find(&self, url: &Url, headers: &HeaderMap) -> Known {
        let Some(kept) = self.0.get(url.as_str()) else { return Known::Nothing };
        match kept.policy.before_request(&request(url, headers), SystemTime::now()) {
            BeforeRequest::Fresh(_) => Known::Fresh(kept),
            BeforeRequest::Stale { request, matches: true } => Known::Stale(kept, request.headers),
            BeforeRequest::Stale { .. } => Known::Nothing,
        }
    }

    /// The server says that the body is still right. When it speaks of another one, the body is forgotten.
    pub fn confirm(&self, url: &Url, sent: &HeaderMap, kept: &Arc<Kept>, answer: &HeaderMap) -> bool {
        let mut answer = answer.clone();
        // Many servers (Python's among them) do not repeat the validator that they were asked with: they mean that one.
        if !answer.contains_key(header::ETAG) && !answer.contains_key(header::LAST_MODIFIED) {
            for (asked, told) in
                [(header::IF_NONE_MATCH, header::ETAG), (header::IF_MODIFIED_SINCE, header::LAST_MODIFIED)]
            {
                if let Some(value) = sent.get(asked) {
                    answer.insert(told, value.clone());
                }
            }
        }
        let response = response(StatusCode::NOT_MODIFIED, &answer);
        match kept.policy.after_response(&request(url, sent), &response, SystemTime::now()) {
            AfterResponse::NotModified(policy, _) => {
                self.0.insert(url.as_str().to_owned(), Arc::new(Kept { policy, body: kept.body.clone() }));
                true
            }
            AfterResponse::Modified(..) => {
                self.0.invalidate(url.as_str());
                false
            }
        }
    }

    /// Whether an answer may be kept; and if so, its rules.
    pub fn policy(url: &Url, sent: &HeaderMap, answer: &HeaderMap) -> Option<CachePolicy> {
        let policy = CachePolicy::new(&request(url, sent), &response(StatusCode::OK, answer));
        policy.is_storable().then_some(policy)
    }

    /// Keeps a body.
    pub fn keep(&self, url: &Url, policy: CachePolicy, mut body: Vec<u8>) {
        body.shrink_to_fit();
        self.0.insert(url.as_str().to_owned(), Arc::new(Kept { policy, body }));
    }
}

fn request(url: &Url, headers: &HeaderMap) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    *request.headers_mut() = headers.clone();
    request
}

fn response(status: StatusCode, headers: &HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers.clone();
    // The crate adds seconds up unchecked, and panics where they overflow.
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()).and_then(|age| age.parse::<u64>().ok());
    if age.is_some_and(|age| age > MOST_SECONDS) {
        response.headers_mut().insert(header::AGE, MOST_SECONDS.into());
    }
    response
}
