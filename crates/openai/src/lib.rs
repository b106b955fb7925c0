//! OpenAI's wire: requests, responses, chunks, errors. Serde and validation, no I/O.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod anthropic;
pub mod batches;
pub mod chat;
mod check;
pub mod completions;
mod either;
mod error;
pub mod files;
mod list;
mod models;
mod read;
pub mod responses;
pub mod tokens;

pub use check::{SamplingFields, clip};
pub use either::TextOr;
pub use error::{ApiError, ErrorBody, ErrorResponse};
pub use list::{ListOrder, ListQuery};
pub use models::{ListKind, Model, ModelKind, ModelList};
