//! actix-web in front of an engine: routes, keys, limits, streaming, health.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod app;
mod background;
mod batches;
mod body;
mod chat;
mod clock;
mod completions;
mod door;
mod files;
mod health;
mod intake;
mod media;
mod messages;
mod models;
mod openapi;
mod page;
mod rate;
mod reply;
mod responses;
mod sse;
mod state;
mod store;
mod tokens;

pub use app::{listen, routes, serve};
pub use openapi::specification;
pub use state::{ServerConfig, State};
pub use store::{Store, StoreConfig, StoreError};
