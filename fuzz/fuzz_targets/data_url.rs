#![no_main]
//! `data:` URLs.

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = vlgate_media::entry::data(text);
});
