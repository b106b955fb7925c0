//! A conversation as every skin hands it over and every engine takes it.

use std::sync::Arc;

use serde_json::{Map, Value};
use vlgate_media::{Clip, Picture};

/// Messages, the tools on offer, and what the template should do with them.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// In order; never empty when it comes from a skin.
    pub messages: Vec<Message>,
    /// Tools that are shown to the model (empty when the tool choice is `none`).
    pub tools: Vec<ToolSpec>,
    /// Switches of the chat template.
    pub template: TemplateOptions,
}

/// Switches of the chat template.
#[derive(Debug, Clone, Default)]
pub struct TemplateOptions {
    /// Let the model go on with the last message (an assistant's) instead of opening a new turn.
    pub continue_final_message: bool,
    /// Do not open an assistant's turn behind the messages (vLLM's `add_generation_prompt: false`).
    pub no_generation_prompt: bool,
    /// `enable_thinking` as Qwen's templates read it; `None` leaves it to the model.
    pub enable_thinking: Option<bool>,
    /// Further variables (`chat_template_kwargs` of vLLM), for example `add_vision_id`.
    pub kwargs: Map<String, Value>,
}

/// Who speaks. OpenAI's `developer` is `System`, its old `function` is `Tool`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// An assistant's earlier reasoning, where the client sends it back.
    pub reasoning: Option<String>,
    /// An assistant's earlier tool calls.
    pub tool_calls: Vec<ToolCall>,
    /// The participant's name, where one is given.
    pub name: Option<String>,
    /// For [`Role::Tool`]: the call that this answers.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message of one text.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Part::Text(text.into())])
    }

    /// A message of parts, with nothing else set.
    #[must_use]
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, reasoning: None, tool_calls: Vec::new(), name: None, tool_call_id: None }
    }
}

/// A piece of a message.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text as the caller wrote it; the engine neutralises the family's special tokens in it.
    Text(String),
    /// A picture.
    Image(Arc<Picture>),
    /// A clip.
    Video(Arc<Clip>),
}

/// A tool call that an assistant made earlier in the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The call's id (`call_…`).
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments as the client sent them: JSON text, or what of it a model cut short had said.
    pub arguments: String,
}

/// A tool on offer.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of its arguments; `None` means an empty object.
    pub parameters: Option<Value>,
    /// Hold the arguments to the schema while sampling.
    pub strict: bool,
}
