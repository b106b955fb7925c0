//! What a stream tells.

use serde::Serialize;
use utoipa::ToSchema;

use super::{ContentBlock, FailureBody, Reply, StopReason, Usage};

/// What happens.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = MessageStreamEvent)]
#[allow(missing_docs)]
pub enum Event {
    MessageStart { message: Reply },
    ContentBlockStart { index: usize, content_block: ContentBlock },
    Ping,
    ContentBlockDelta { index: usize, delta: Delta },
    ContentBlockStop { index: usize },
    MessageDelta { delta: MessageDelta, usage: Usage },
    MessageStop,
    Error { error: FailureBody },
}

/// What is new in a block.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = ContentBlockDelta)]
#[allow(missing_docs)]
pub enum Delta {
    TextDelta { text: String },
    ThinkingDelta { thinking: String },
    InputJsonDelta { partial_json: String },
}

/// What is new in the message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MessageDeltaBody)]
pub struct MessageDelta {
    /// Why it ended.
    #[schema(required)]
    pub stop_reason: Option<StopReason>,
    /// The text that ended it.
    #[schema(required)]
    pub stop_sequence: Option<String>,
}

impl Event {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::Ping => "ping",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
            Self::Error { .. } => "error",
        }
    }
}
