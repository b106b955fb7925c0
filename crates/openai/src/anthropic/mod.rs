//! Anthropic's wire, for `POST /v1/messages`.

mod events;
mod request;
mod response;
mod validate;

pub use events::{Delta, Event, MessageDelta};
pub use request::{Block, ChoiceKind, CountRequest, Message, MessageRequest, Source, Tool, ToolChoice};
pub use response::{ContentBlock, Count, Failure, FailureBody, Reply, StopReason, Usage};
