#![no_main]
//! The documents that are read in this process, as they come: office archives, HTML, text. PDFs are read by child processes.

use vlgate_media::{FileBytes, entry};

vlgate_fuzz::fuzz!(|bytes| {
    let names = ["", "a.html", "a.csv"];
    for name in names {
        let file = FileBytes { bytes: bytes.to_vec(), name: Some(name.to_owned()), mime: None };
        vlgate_fuzz::caught(|| entry::text(&file));
        if bytes.starts_with(b"PK") {
            break;
        }
    }
});
