//! `POST /v1/responses`.

mod events;
mod format;
mod items;
mod request;
mod response;
pub mod shapes;
mod tools;
mod validate;

pub use events::{Event, Part as OutputPart, StreamEvent};
pub use items::{Input, Item, Output, Part, check_calls};
pub use request::{CountRequest, Reasoning, ResponseRequest, StreamOptions, TextOptions};
pub use response::{
    Call, CallStatus, Count, CountKind, Deleted, Incomplete, IncompleteReason, ItemList, Logprob, Message, OutputItem,
    ReasoningItem, ReasoningText, Response, ResponseError, ResponseKind, Status, TextEcho, TextPart, TopLogprob, Usage,
};
pub use tools::Tool;
