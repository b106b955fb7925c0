//! Fetching a picture: resolve once, check every address, connect to a checked one, again at each redirect.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use futures::StreamExt;
use reqwest::{
    Client, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header,
    redirect::Policy,
};
use tokio::sync::Semaphore;
use url::Url;

use crate::{MediaConfig, MediaError, guard::Guard};

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
}

impl Fetcher {
    /// A fetcher with no connection open.
    ///
    /// # Errors
    /// As [`Guard::new`].
    pub fn new(config: &MediaConfig) -> Result<Self, MediaError> {
        let all = Semaphore::new(config.fetches.max(1));
        Ok(Self { config: config.clone(), guard: Guard::new(config)?, hosts: Mutex::default(), all })
    }

    /// The body at `url`, at most [`MediaConfig::image_bytes`] of it.
    ///
    /// # Errors
    /// [`MediaError`] whose message names the URL as the client sent it and nothing that was resolved.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, MediaError> {
        let shown: String = url.chars().take(200).collect();
        let parsed = Url::parse(url).map_err(|_| MediaError::InvalidUrl("it cannot be parsed."))?;
        match tokio::time::timeout(self.config.fetch_timeout, self.follow(parsed, &shown)).await {
            Ok(result) => result,
            Err(_) => Err(MediaError::Timeout(shown)),
        }
    }

    async fn follow(&self, mut url: Url, shown: &str) -> Result<Vec<u8>, MediaError> {
        self.guard.url(&url)?;
        let _all = self.all.acquire().await.map_err(|_| MediaError::Busy)?;
        for _ in 0..=self.config.redirects {
            self.guard.url(&url)?;
            let gate = self.gate(url.host_str().unwrap_or_default());
            let _permit = gate.acquire().await.map_err(|_| MediaError::Busy)?;
            let response = self.request(&url, shown).await?;
            if response.status().is_redirection() {
                let target = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
                let target = target.ok_or_else(|| MediaError::Download(shown.to_owned()))?;
                url = url.join(target).map_err(|_| MediaError::Download(shown.to_owned()))?;
                continue;
            }
            if response.status() != StatusCode::OK {
                return Err(MediaError::Download(shown.to_owned()));
            }
            return self.body(response, shown).await;
        }
        Err(MediaError::Download(shown.to_owned()))
    }

    /// One request, to an address that was checked; the client is made for it, so that nothing is resolved again.
    async fn request(&self, url: &Url, shown: &str) -> Result<reqwest::Response, MediaError> {
        let failed = || MediaError::Download(shown.to_owned());
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((bare, port)).await.map_err(|_| failed())?.collect();
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
        client
            .get(url.clone())
            .header(header::ACCEPT, "image/*")
            .send()
            .await
            .map_err(|e| if e.is_timeout() { MediaError::Timeout(shown.to_owned()) } else { failed() })
    }

    async fn body(&self, response: reqwest::Response, shown: &str) -> Result<Vec<u8>, MediaError> {
        let limit = self.config.image_bytes;
        if response.content_length().is_some_and(|n| n > limit as u64) {
            return Err(MediaError::DownloadTooLarge(shown.to_owned()));
        }
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| MediaError::Download(shown.to_owned()))?;
            if bytes.len() + chunk.len() > limit {
                return Err(MediaError::DownloadTooLarge(shown.to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        if bytes.is_empty() { Err(MediaError::Empty) } else { Ok(bytes) }
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
