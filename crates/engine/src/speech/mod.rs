//! What a model says, taken apart as it streams: reasoning, text, and tool calls in Hermes' form.

mod call;
#[cfg(test)]
mod tests;
mod think;

use self::{call::Calls, think::Think};

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Utterance {
    /// Text of the answer.
    Text(String),
    /// Text of the reasoning.
    Reasoning(String),
    /// A call begins.
    Call {
        /// 0, 1, …
        index: u32,
        /// The tool.
        name: String,
    },
    /// More of a call's arguments.
    Arguments {
        /// The call.
        index: u32,
        /// JSON text.
        delta: String,
    },
}

/// Takes an answer apart. What it gives does not depend on where the text is cut into pieces.
#[derive(Debug)]
pub struct Speech {
    think: Think,
    calls: Option<Calls>,
}

impl Speech {
    /// `thinking`: the prompt leaves a `<think>` open. `may_think`: the model may open one. `tools`: calls may be made.
    #[must_use]
    pub fn new(thinking: bool, may_think: bool, tools: bool) -> Self {
        Self { think: Think::new(thinking, may_think), calls: tools.then(Calls::default) }
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Vec<Utterance> {
        let mut out = Vec::new();
        let (reasoning, content) = self.think.push(text);
        if !reasoning.is_empty() {
            out.push(Utterance::Reasoning(reasoning));
        }
        self.content(&content, &mut out);
        out
    }

    /// The answer ended: what was held back. Text that looked like a call and never became one comes last, as text.
    pub fn finish(&mut self) -> Vec<Utterance> {
        let mut out = Vec::new();
        let (reasoning, content) = self.think.finish();
        if !reasoning.is_empty() {
            out.push(Utterance::Reasoning(reasoning));
        }
        self.content(&content, &mut out);
        if let Some(calls) = &mut self.calls {
            calls.finish(&mut out);
        }
        out
    }

    fn content(&mut self, content: &str, out: &mut Vec<Utterance>) {
        match &mut self.calls {
            _ if content.is_empty() => {}
            Some(calls) => calls.push(content, out),
            None => out.push(Utterance::Text(content.to_owned())),
        }
    }

    /// Whether the model is reasoning.
    #[must_use]
    pub fn reasoning(&self) -> bool {
        self.think.inside()
    }

    /// Whether the model speaks text now, not reasoning and not a call.
    #[must_use]
    pub fn speaks(&self) -> bool {
        !self.reasoning() && self.calls.as_ref().is_none_or(Calls::outside)
    }

    /// Calls that began.
    #[must_use]
    pub fn begun(&self) -> u32 {
        self.calls.as_ref().map_or(0, |c| c.begun)
    }

    /// Calls that are complete.
    #[must_use]
    pub fn completed(&self) -> u32 {
        self.calls.as_ref().map_or(0, |c| c.completed)
    }
}

/// The length of the longest end of `text` that a `mark` begins with (the whole mark not counted).
fn half(text: &str, mark: &str) -> usize {
    let most = mark.len().saturating_sub(1).min(text.len());
    (1..=most).rev().find(|n| text.as_bytes().ends_with(mark.as_bytes().get(..*n).unwrap_or_default())).unwrap_or(0)
}
