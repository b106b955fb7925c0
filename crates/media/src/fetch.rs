//! Fetching a part: resolve once, check every address, connect to a checked one, again at each redirect.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use futures::StreamExt;
use http::HeaderMap;
use reqwest::{
    Client, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header,
    redirect::Policy,
};
use tokio::sync::Semaphore;
use url::Url;

use crate::{
    MediaConfig, MediaError, Medium,
    counts::{Counters, count},
    fetched::{Fetched, Known},
    guard::Guard,
    names::{Names, System},
};

/// Where a body goes, piece by piece; what it cannot take is a server that lacks room.
pub type Sink<'a> = &'a mut (dyn FnMut(&[u8]) -> std::io::Result<()> + Send);

/// What is fetched.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    /// The URL as the client sent it, short enough to repeat.
    shown: &'a str,
    medium: Medium,
    /// Most bytes.
    limit: usize,
}

/// The addresses that were checked, whatever name is asked for: there is no way around the guard through a second lookup.
struct Checked(Vec<SocketAddr>);

impl Resolve for Checked {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// Fetches over HTTP within the limits of its configuration.
#[derive(Debug)]
pub struct Fetcher {
    config: MediaConfig,
    guard: Guard,
    /// One gate per host that is being fetched from.
    hosts: Mutex<HashMap<String, Weak<Semaphore>>>,
    /// The gate of all fetches: what they hold in memory is bounded.
    all: Semaphore,
    names: Arc<dyn Names>,
    fetched: Fetched,
    counters: Arc<Counters>,
}

/// Bytes that a body which may be kept has at most; what is larger (clips) goes through.
const KEPT: usize = 32 << 20;

impl Fetcher {
    /// A fetcher with no connection open.
    ///
    /// # Errors
    /// As [`Guard::new`].
    pub fn new(config: &MediaConfig, counters: Arc<Counters>) -> Result<Self, MediaError> {
        Ok(Self {
            config: config.clone(),
            guard: Guard::new(config)?,
            hosts: Mutex::default(),
            all: Semaphore::new(config.fetches.max(1)),
            names: Arc::new(System),
            fetched: Fetched::new(config.fetched_bytes),
            counters,
        })
    }

    /// The same with other names, for tests.
    #[cfg(test)]
    pub(crate) fn with_names(mut self, names: Arc<dyn Names>) -> Self {
        self.names = names;
        self
    }

    /// The body at `url`, at most `limit` bytes of it.
    ///
    /// # Errors
    /// [`MediaError`] whose message names the URL as the client sent it and nothing that was resolved.
    pub async fn get(&self, url: &str, medium: Medium, limit: usize) -> Result<Vec<u8>, MediaError> {
        let mut bytes = Vec::new();
        let mut sink = |chunk: &[u8]| {
            bytes.extend_from_slice(chunk);
            Ok(())
        };
        self.get_into(url, medium, limit, &mut sink).await?;
        Ok(bytes)
    }

    /// The same, piece by piece.
    ///
    /// # Errors
    /// As [`Self::get`]; what was handed over by then is part of nothing.
    pub async fn get_into(&self, url: &str, medium: Medium, limit: usize, sink: Sink<'_>) -> Result<(), MediaError> {
        let shown: String = url.chars().take(200).collect();
        let parsed = Url::parse(url).map_err(|_| MediaError::InvalidUrl("it cannot be parsed."))?;
        let wanted = Wanted { shown: &shown, medium, limit };
        match tokio::time::timeout(self.config.fetch_timeout, self.follow(parsed, wanted, sink)).await {
            Ok(result) => result,
            Err(_) => Err(MediaError::Timeout(shown)),
        }
    }

    async fn follow(&self, mut url: Url, wanted: Wanted<'_>, sink: Sink<'_>) -> Result<(), MediaError> {
        let shown = wanted.shown;
        self.guard.url(&url)?;
        let _all = self.all.acquire().await.map_err(|_| MediaError::Busy)?;
        for _ in 0..=self.config.redirects {
            self.guard.url(&url)?;
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, header::HeaderValue::from_static(wanted.medium.accept()));
            let known = self.fetched.find(&url, &headers);
            if let Known::Fresh(kept) = &known
                && kept.body.len() <= wanted.limit
            {
                count(&self.counters.fetch_hits);
                return sink(&kept.body).map_err(|_| MediaError::Busy);
            }
            if let Known::Stale(_, asking) = &known {
                headers.clone_from(asking);
            }
            let gate = self.gate(url.host_str().unwrap_or_default());
            let _permit = gate.acquire().await.map_err(|_| MediaError::Busy)?;
            let response = self.request(&url, headers.clone(), shown).await?;
            if let (StatusCode::NOT_MODIFIED, Known::Stale(kept, _)) = (response.status(), &known) {
                if !self.fetched.confirm(&url, &headers, kept, response.headers()) {
                    // Asked again, without what was kept.
                    continue;
                }
                if kept.body.len() > wanted.limit {
                    return Err(MediaError::DownloadTooLarge(shown.to_owned()));
                }
                count(&self.counters.confirmed);
                return sink(&kept.body).map_err(|_| MediaError::Busy);
            }
            if response.status().is_redirection() {
                let target = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
                let target = target.ok_or_else(|| MediaError::Download(shown.to_owned()))?;
                url = url.join(target).map_err(|_| MediaError::Download(shown.to_owned()))?;
                continue;
            }
            if response.status() != StatusCode::OK {
                return Err(MediaError::Download(shown.to_owned()));
            }
            let policy =
                Fetched::policy(&url, &headers, response.headers()).filter(|_| wanted.limit <= self.kept_at_most());
            let Some(policy) = policy else { return body(response, wanted, sink).await };
            let mut whole = Vec::new();
            let mut both = |chunk: &[u8]| {
                whole.extend_from_slice(chunk);
                sink(chunk)
            };
            body(response, wanted, &mut both).await?;
            self.fetched.keep(&url, policy, whole);
            return Ok(());
        }
        Err(MediaError::Download(shown.to_owned()))
    }

    /// One request, to an address that was checked; the client is made for it, so that nothing is resolved again.
    async fn request(&self, url: &Url, headers: HeaderMap, shown: &str) -> Result<reqwest::Response, MediaError> {
        let failed = || MediaError::Download(shown.to_owned());
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = self.names.look_up(bare, port).await.map_err(|_| failed())?;
        if addresses.is_empty() {
            return Err(failed());
        }
        for address in &addresses {
            self.guard.address(url, address.ip())?;
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(self.config.connect_timeout)
            .dns_resolver(Arc::new(Checked(addresses)))
            .pool_max_idle_per_host(0)
            .user_agent(concat!("vlgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| failed())?;
        count(&self.counters.fetches);
        client
            .get(url.clone())
            .headers(headers)
            .send()
            .await
            .map_err(|e| if e.is_timeout() { MediaError::Timeout(shown.to_owned()) } else { failed() })
    }

    /// A body that is kept is held twice while it comes in.
    fn kept_at_most(&self) -> usize {
        usize::try_from(self.config.fetched_bytes).unwrap_or(usize::MAX).min(KEPT.max(self.config.image_bytes))
    }

    /// The host's gate; gates that nobody holds are forgotten.
    fn gate(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = hosts.get(host).and_then(Weak::upgrade) {
            return gate;
        }
        hosts.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(Semaphore::new(self.config.fetches_per_host.max(1)));
        hosts.insert(host.to_owned(), Arc::downgrade(&gate));
        gate
    }
}

async fn body(response: reqwest::Response, wanted: Wanted<'_>, sink: Sink<'_>) -> Result<(), MediaError> {
    let Wanted { shown, limit, .. } = wanted;
    if response.content_length().is_some_and(|n| n > limit as u64) {
        return Err(MediaError::DownloadTooLarge(shown.to_owned()));
    }
    let mut seen = 0;
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| MediaError::Download(shown.to_owned()))?;
        seen += chunk.len();
        if seen > limit {
            return Err(MediaError::DownloadTooLarge(shown.to_owned()));
        }
        sink(&chunk).map_err(|_| MediaError::Busy)?;
    }
    if seen == 0 { Err(MediaError::Empty) } else { Ok(()) }
}
