//! Bytes to bounded pixels: data URLs, HTTP fetch behind the SSRF guard, files; images, video, PDF.

mod picture;

pub use picture::{Clip, ContentHash, Picture, VisionSpec};
