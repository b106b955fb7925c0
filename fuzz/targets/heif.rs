#![no_main]
//! The boxes of AVIF and HEIC.

vlgate_fuzz::fuzz!(|bytes| vlgate_fuzz::caught(|| vlgate_media::entry::heif(bytes)));
