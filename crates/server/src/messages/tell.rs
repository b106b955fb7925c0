//! What the engine's events are in a message: the reply as it grows, and what a stream tells of it.

use serde_json::Value;
use vlgate_engine::{Event as Told, FinishReason};
use vlgate_openai::{
    anthropic::{ContentBlock, Delta, Event, MessageDelta, Reply, StopReason, Usage},
    chat::AssistantRole,
};

use crate::store::new_id;

/// A reply that grows.
pub struct Telling {
    pub reply: Reply,
    /// Arguments of the calls, by their block.
    arguments: Vec<String>,
    begun: bool,
    /// Whether the last block still grows.
    open: bool,
}

impl Telling {
    /// A reply of which nothing is there yet; `model` is the name that the client used.
    pub fn new(model: &str) -> Self {
        let reply = Reply {
            id: new_id("msg_"),
            kind: "message",
            role: AssistantRole::Assistant,
            model: model.to_owned(),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Usage::default(),
        };
        Self { reply, arguments: Vec::new(), begun: false, open: false }
    }

    /// Whether nothing more comes.
    pub const fn ended(&self) -> bool {
        self.reply.stop_reason.is_some()
    }

    /// What an event of the engine adds.
    pub fn tell(&mut self, told: Told) -> Vec<Event> {
        let mut out = Vec::new();
        if let Told::Started { usage } = &told {
            self.reply.usage = Usage::new(usage.prompt, usage.cached, 0);
        }
        if !std::mem::replace(&mut self.begun, true) {
            out.extend([Event::MessageStart { message: self.reply.clone() }, Event::Ping]);
        }
        match told {
            Told::Started { .. } => {}
            Told::Text { delta, .. } if delta.is_empty() => {}
            Told::Text { delta, .. } => {
                if !(self.open && matches!(self.reply.content.last(), Some(ContentBlock::Text { .. }))) {
                    self.add(ContentBlock::Text { text: String::new() }, &mut out);
                }
                if let Some(ContentBlock::Text { text }) = self.reply.content.last_mut() {
                    text.push_str(&delta);
                }
                self.more(Delta::TextDelta { text: delta }, &mut out);
            }
            Told::Reasoning { delta } => {
                if !(self.open && matches!(self.reply.content.last(), Some(ContentBlock::Thinking { .. }))) {
                    self.add(ContentBlock::Thinking { thinking: String::new(), signature: String::new() }, &mut out);
                }
                if let Some(ContentBlock::Thinking { thinking, .. }) = self.reply.content.last_mut() {
                    thinking.push_str(&delta);
                }
                self.more(Delta::ThinkingDelta { thinking: delta }, &mut out);
            }
            Told::ToolCall { id, name, .. } => {
                self.add(ContentBlock::ToolUse { id, name, input: Value::Object(serde_json::Map::new()) }, &mut out);
            }
            Told::ToolArguments { delta, .. } => {
                if let Some(arguments) = self.arguments.last_mut() {
                    arguments.push_str(&delta);
                }
                self.more(Delta::InputJsonDelta { partial_json: delta }, &mut out);
            }
            Told::Finished { reason, usage, .. } => {
                self.close(&mut out);
                let (reason, text) = match reason {
                    FinishReason::Stop { stop: None } => (StopReason::EndTurn, None),
                    FinishReason::Stop { stop } => (StopReason::StopSequence, stop),
                    FinishReason::Length => (StopReason::MaxTokens, None),
                    FinishReason::ToolCalls => (StopReason::ToolUse, None),
                };
                self.reply.usage = Usage::new(usage.prompt, usage.cached, usage.completion);
                (self.reply.stop_reason, self.reply.stop_sequence) = (Some(reason), text.clone());
                let delta = MessageDelta { stop_reason: Some(reason), stop_sequence: text };
                out.extend([Event::MessageDelta { delta, usage: self.reply.usage }, Event::MessageStop]);
            }
        }
        out
    }

    /// A further block; the one before it is whole.
    fn add(&mut self, block: ContentBlock, out: &mut Vec<Event>) {
        self.close(out);
        out.push(Event::ContentBlockStart { index: self.reply.content.len(), content_block: block.clone() });
        self.reply.content.push(block);
        self.arguments.push(String::new());
        self.open = true;
    }

    fn more(&self, delta: Delta, out: &mut Vec<Event>) {
        out.push(Event::ContentBlockDelta { index: self.last(), delta });
    }

    /// The last block grows no more. A call whose arguments were cut off has none.
    fn close(&mut self, out: &mut Vec<Event>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let whole = self.arguments.last().and_then(|a| serde_json::from_str(a).ok());
        if let (Some(ContentBlock::ToolUse { input, .. }), Some(whole)) = (self.reply.content.last_mut(), whole) {
            *input = whole;
        }
        out.push(Event::ContentBlockStop { index: self.last() });
    }

    fn last(&self) -> usize {
        self.reply.content.len().saturating_sub(1)
    }
}
