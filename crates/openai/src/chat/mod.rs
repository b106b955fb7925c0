//! `/v1/chat/completions`.

mod format;
mod kept;
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
pub(crate) use format::{bad_name, checked, name_fits};
pub use kept::{CompletionDeleted, CompletionList, KeptMessage, KeptQuery, MessageList, MetadataUpdate, message_page};
pub use media::{ClipOptions, File, VideoSource, VideoUrl, VlgateOptions};
pub(crate) use messages::pixels;
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
pub(crate) use tools::{MOST as MOST_TOOLS, mode_of, parameters, unknown_mode};
