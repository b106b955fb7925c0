//! The limits that stand between strangers' bytes and this process (DESIGN section 6).

use std::{ffi::OsString, path::PathBuf, time::Duration};

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
    /// Domains (with their subdomains) that are fetched from, and no others; empty means all that are public.
    pub allow_hosts: Vec<String>,
    /// Domains (with their subdomains) that are never fetched from.
    pub deny_hosts: Vec<String>,
    /// Folders whose files `file://` URLs may name. Empty by default: none.
    pub folders: Vec<PathBuf>,
    /// Bytes that all decoders together may hold.
    pub decode_memory: usize,
    /// Pictures that are decoded at once; 0 means one per core.
    pub decoders: usize,
    /// How long a picture waits for that memory and for a decoder.
    pub decode_wait: Duration,
    /// How long decoding one picture may take.
    pub decode_timeout: Duration,
    /// Bytes of resized pictures that are kept.
    pub cache_bytes: u64,
    /// Bytes of fetched bodies that are kept, as far as their servers allow it.
    pub fetched_bytes: u64,
    /// Bytes of encoded pictures, clips and files that are kept under the names (`uuid`) which clients gave them.
    pub named_bytes: u64,
    /// Bytes of one SVG.
    pub svg_bytes: usize,
    /// Processor and wall time that drawing one SVG may take.
    pub svg_timeout: Duration,
    /// Encoded bytes of one clip.
    pub video_bytes: usize,
    /// Frames that the model sees of one clip.
    pub video_frames: u32,
    /// Pixels of one frame before resizing.
    pub video_pixels: u64,
    /// Bytes of one document.
    pub document_bytes: usize,
    /// Pages of one document that the model sees.
    pub document_pages: u32,
    /// Characters of text that the model sees of one document.
    pub document_text: usize,
    /// Bytes that an archive (DOCX, PPTX, XLSX) may hold when it is unpacked.
    pub document_unpacked: u64,
    /// How long a clip's or a PDF's reading may take, all steps together.
    pub read_timeout: Duration,
    /// Processor time of one child process.
    pub child_cpu: Duration,
    /// Address space of one child process, in bytes.
    pub child_memory: u64,
    /// Clips and PDFs that are read at once; 0 means one per core.
    pub children: usize,
    /// Folders, written as `PATH` is, in which ffmpeg and poppler's programs are looked for; `None` is `PATH` itself.
    pub tools: Option<OsString>,
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
            allow_hosts: Vec::new(),
            deny_hosts: Vec::new(),
            folders: Vec::new(),
            decode_memory: 1 << 30,
            decoders: 0,
            decode_wait: Duration::from_secs(10),
            decode_timeout: Duration::from_secs(60),
            cache_bytes: 64 << 20,
            fetched_bytes: 64 << 20,
            named_bytes: 64 << 20,
            svg_bytes: 4 << 20,
            svg_timeout: Duration::from_secs(10),
            video_bytes: 256 << 20,
            video_frames: 768,
            video_pixels: 8192 * 4352,
            document_bytes: 64 << 20,
            document_pages: 100,
            document_text: 4_000_000,
            document_unpacked: 256 << 20,
            read_timeout: Duration::from_secs(120),
            child_cpu: Duration::from_secs(120),
            child_memory: 3 << 30,
            children: 0,
            tools: None,
        }
    }
}
