#![no_main]
//! The boxes of AVIF and HEIC.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = vlgate_media::entry::heif(bytes);
});
