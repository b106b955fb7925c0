//! Ours.
mod config;
mod kv;
mod rope;
mod scheduler;
