//! actix-web in front of an engine: routes, keys, limits, streaming, health.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod app;
mod chat;
mod door;
mod health;
mod models;
mod page;
mod reply;
mod state;

pub use app::{listen, routes, serve};
pub use state::{ServerConfig, State};
