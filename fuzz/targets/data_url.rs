#![no_main]
//! `data:` URLs.

vlgate_fuzz::fuzz!(|bytes| std::str::from_utf8(bytes).map(vlgate_media::entry::data));
