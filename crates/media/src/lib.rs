//! Bytes to bounded pixels: data URLs, HTTP fetch behind the SSRF guard, pictures, clips and pages at the size that the
//! model sees.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod bicubic;
mod boxes;
mod budget;
mod child;
mod colour;
mod config;
mod counts;
mod data_url;
mod decode;
mod document;
#[doc(hidden)]
pub mod entry;
mod error;
mod fetch;
#[cfg(test)]
mod fetch_tests;
mod fetched;
mod folders;
mod foreign;
#[cfg(test)]
mod golden_tests;
mod guard;
mod heif;
mod icon;
mod jpeg;
mod medium;
mod named;
mod names;
mod picture;
mod ppm;
mod resize;
mod resolver;
#[cfg(test)]
mod resolver_tests;
mod seen;
mod svg;
mod temp;
mod tiff;
mod tools;
mod unpack;
mod video;

pub use config::MediaConfig;
pub use counts::Counts;
pub use document::{Block, Document, FileBytes, PageRange, Reading};
pub use error::MediaError;
pub use medium::Medium;
pub use named::Name;
pub use picture::{Clip, ContentHash, Picture, VideoSpec, VisionSpec};
pub use resize::{Detail, Sizing, smart_resize};
pub use resolver::{ImageSource, Resolver};
pub use seen::{FrameSeen, PageSeen, Resolved, Seen};
pub use tools::{Tool, Tools};
pub use video::Sampling;
