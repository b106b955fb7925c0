#![no_main]
//! The look at an SVG's root element.

vlgate_fuzz::fuzz!(|bytes| vlgate_fuzz::caught(|| vlgate_media::entry::drawing(bytes)));
