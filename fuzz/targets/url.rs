#![no_main]
//! The guard: what passes is http(s), without credentials, and no private address.

vlgate_fuzz::fuzz!(|bytes| std::str::from_utf8(bytes).map(vlgate_media::entry::url));
