#![no_main]
//! Every picture decoder: header, pixels, orientation, colours, resizing. The seeds are in a folder for each format.

vlgate_fuzz::fuzz!(|bytes| vlgate_fuzz::caught(|| vlgate_media::entry::picture(bytes)));
