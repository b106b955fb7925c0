//! `POST /v1/completions`, for old clients.

mod request;
mod response;

pub use request::{CompletionRequest, Prompt};
pub use response::{OldChoice, OldCompletion, OldFinishReason, OldKind, OldLogprobs, OldTop};
