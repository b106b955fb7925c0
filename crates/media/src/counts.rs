//! What the pipeline did, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Counters {
    pub fetches: AtomicU64,
    pub fetch_hits: AtomicU64,
    pub confirmed: AtomicU64,
    pub decodes: AtomicU64,
    pub pixel_hits: AtomicU64,
    pub panics: AtomicU64,
    pub busy: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Requests sent to other servers, redirects included.
    pub fetches: u64,
    /// Bodies that were not fetched, because a kept one was fresh.
    pub fetch_hits: u64,
    /// Bodies that were not sent again, because the server confirmed a kept one.
    pub confirmed: u64,
    /// Pictures decoded and resized.
    pub decodes: u64,
    /// Pictures that were neither, because their pixels were kept.
    pub pixel_hits: u64,
    /// Decoders that panicked; each cost one request.
    pub panics: u64,
    /// Parts that were refused for want of memory.
    pub busy: u64,
    /// Bytes that decoders may still take.
    pub memory_free: u64,
}

impl Counters {
    pub fn read(&self, memory_free: u64) -> Counts {
        Counts {
            fetches: self.fetches.load(Relaxed),
            fetch_hits: self.fetch_hits.load(Relaxed),
            confirmed: self.confirmed.load(Relaxed),
            decodes: self.decodes.load(Relaxed),
            pixel_hits: self.pixel_hits.load(Relaxed),
            panics: self.panics.load(Relaxed),
            busy: self.busy.load(Relaxed),
            memory_free,
        }
    }
}

/// One more.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
