//! actix-web in front of an engine: routes, keys, limits, streaming, health.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod app;
mod chat;
mod clock;
mod door;
mod health;
mod media;
mod models;
mod openapi;
mod page;
mod rate;
mod reply;
mod state;

pub use app::{listen, routes, serve};
pub use openapi::specification;
pub use state::{ServerConfig, State};
