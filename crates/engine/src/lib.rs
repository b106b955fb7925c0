//! The Engine contract, what all runtimes share (prompt rendering, sampling, text, usage), and the runtimes.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod bench;
pub mod contract;
mod delivery;
mod grammar;
mod local;
#[cfg(feature = "mistralrs")]
pub mod mistral;
mod model_dir;
pub mod native;
mod ordered;
mod pads;
mod prompt;
mod runtime;
mod sampler;
mod several;
mod speech;
mod text;

pub use contract::*;
pub use grammar::Constraint;
pub use local::LocalEngine;
pub use model_dir::ModelDir;
pub use pads::Prompt;
pub use prompt::Template;
pub use runtime::{Clips, Prepared, Runtime, Step};
pub use sampler::{Sampled, Sampler};
pub use several::Several;
pub use speech::{Speech, Utterance};
pub use text::token_bytes;
