//! Bytes to bounded pixels: data URLs, HTTP fetch behind the SSRF guard, pictures at the size that the model sees.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod bicubic;
mod budget;
mod config;
mod data_url;
mod decode;
mod error;
mod fetch;
mod foreign;
#[cfg(test)]
mod golden_tests;
mod guard;
mod jpeg;
mod picture;
mod resize;
mod resolver;

pub use config::MediaConfig;
pub use error::MediaError;
pub use picture::{Clip, ContentHash, Picture, VisionSpec};
pub use resize::{Detail, Sizing, smart_resize};
pub use resolver::{ImageSource, Resolver};
