//! The limits that stand between strangers' bytes and this process (DESIGN section 6).

use std::time::Duration;

/// Limits of the media pipeline.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Encoded bytes of one picture.
    pub image_bytes: usize,
    /// Pixels of one picture, read from its header before decoding.
    pub image_pixels: u64,
    /// Redirects that a fetch follows.
    pub redirects: usize,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for a whole fetch.
    pub fetch_timeout: Duration,
    /// Fetches at once, from all hosts; each may hold [`Self::image_bytes`].
    pub fetches: usize,
    /// Fetches from one host at once.
    pub fetches_per_host: usize,
    /// Hosts that may be fetched from although their address is private or their port unusual: `host:port`, an
    /// address, or a CIDR. Empty by default.
    pub allow_private_hosts: Vec<String>,
    /// Domains (with their subdomains) that are never fetched from.
    pub deny_hosts: Vec<String>,
    /// Bytes that all decoders together may hold.
    pub decode_memory: usize,
    /// Pictures that are decoded at once; 0 means one per core.
    pub decoders: usize,
    /// How long a picture waits for that memory and for a decoder.
    pub decode_wait: Duration,
    /// Bytes of resized pictures that are kept.
    pub cache_bytes: u64,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            image_bytes: 32 << 20,
            image_pixels: 100_000_000,
            redirects: 3,
            connect_timeout: Duration::from_secs(10),
            fetch_timeout: Duration::from_secs(30),
            fetches: 32,
            fetches_per_host: 8,
            allow_private_hosts: Vec::new(),
            deny_hosts: Vec::new(),
            decode_memory: 1 << 30,
            decoders: 0,
            decode_wait: Duration::from_secs(10),
            cache_bytes: 64 << 20,
        }
    }
}
