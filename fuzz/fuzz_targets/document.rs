#![no_main]
//! The documents that are read in this process: office archives, HTML, text. PDFs and clips are read by child processes.

use std::sync::LazyLock;

use vlgate_media::{FileBytes, MediaConfig, Reading, Resolver};

static RESOLVER: LazyLock<Resolver> = LazyLock::new(|| {
    // No programs: nothing is started.
    let config = MediaConfig { tools: Some("/nowhere".into()), document_unpacked: 16 << 20, ..MediaConfig::default() };
    Resolver::new(config).expect("the defaults are right")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let file = FileBytes { bytes: bytes.to_vec(), ..FileBytes::default() };
    let _ = runtime.block_on(RESOLVER.document(file, None, &Reading::default()));
});
