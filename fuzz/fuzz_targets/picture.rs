#![no_main]
//! Every picture decoder: header, pixels, orientation, colours, resizing.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = vlgate_media::entry::picture(bytes);
});
