#![no_main]
//! The guard: what passes is http(s), without credentials, and no private address.

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = vlgate_media::entry::url(text);
});
