//! `POST /v1/chat/completions`.

mod format;
mod media;
mod messages;
mod notes;
mod request;
mod response;
mod schema;
pub mod shapes;
mod tools;
mod validate;

pub use format::{AnswerFormat, Asked};
pub use media::{ClipOptions, File, VideoSource, VideoUrl, VlgateOptions};
pub use notes::{FrameNote, MediaNote, PageNote, VlgateNotes};
pub use request::{
    ChatRequest, Content, FunctionCall, FunctionDefinition, ImageUrl, MediaOptions, Message, Part, ProcessorOptions,
    ProcessorSize, StreamOptions, StructuredOutputs, Tool, ToolCall, VideoLoading,
};
pub use response::{
    AssistantRole, CallDelta, CallKind, Choice, ChoiceLogprobs, Chunk, ChunkChoice, ChunkKind, Completion,
    CompletionDetails, CompletionKind, Delta, FinishReason, FunctionDelta, PromptDetails, ResponseMessage,
    ResponseToolCall, TokenLogprob, TopLogprob, Usage,
};
pub use tools::ToolChoice;
