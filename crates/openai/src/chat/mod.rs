//! `POST /v1/chat/completions`.

mod request;
mod response;
mod validate;

pub use request::{ChatRequest, Content, FunctionCall, FunctionDefinition, ImageUrl, Message, Part, StreamOptions, Tool, ToolCall};
pub use response::{Choice, ChoiceLogprobs, Chunk, ChunkChoice, Completion, Delta, ResponseMessage, TokenLogprob, TopLogprob, Usage};
