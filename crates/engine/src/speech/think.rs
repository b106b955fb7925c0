//! Reasoning: what stands between `<think>` and `</think>`, without the line breaks around it.

use super::half;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
const BREAKS: [char; 2] = ['\n', '\r'];

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Nothing but white space so far: a block may begin.
    Start,
    /// Inside the block; whether something was said there.
    Inside { begun: bool },
    /// Behind the block, before the answer's first letter.
    Behind,
    /// The answer.
    Answer,
}

#[derive(Debug)]
pub struct Think {
    place: Place,
    held: String,
}

impl Think {
    pub fn new(thinking: bool, may_think: bool) -> Self {
        let place = match (thinking, may_think) {
            (true, _) => Place::Inside { begun: false },
            (false, true) => Place::Start,
            (false, false) => Place::Answer,
        };
        Self { place, held: String::new() }
    }

    pub fn inside(&self) -> bool {
        matches!(self.place, Place::Inside { .. })
    }

    /// Reasoning and content of more text.
    pub fn push(&mut self, text: &str) -> (String, String) {
        self.held.push_str(text);
        let (mut reasoning, mut content) = (String::new(), String::new());
        loop {
            match self.place {
                Place::Start => {
                    let said = self.held.trim_start();
                    if let Some(rest) = said.strip_prefix(OPEN) {
                        self.held = rest.to_owned();
                        self.place = Place::Inside { begun: false };
                    } else if OPEN.starts_with(said) {
                        return (reasoning, content);
                    } else {
                        self.place = Place::Answer;
                    }
                }
                Place::Inside { mut begun } => {
                    if !begun {
                        let breaks = self.held.len() - self.held.trim_start_matches(BREAKS).len();
                        self.held.drain(..breaks);
                    }
                    let closed = self.held.find(CLOSE);
                    let end = closed.unwrap_or_else(|| self.held.len() - half(&self.held, CLOSE));
                    // Line breaks at the end wait: they belong to the mark that may follow.
                    let said = self.held.get(..end).unwrap_or_default().trim_end_matches(BREAKS).to_owned();
                    begun |= !said.is_empty();
                    reasoning.push_str(&said);
                    if let Some(at) = closed {
                        self.held.drain(..at + CLOSE.len());
                        self.place = Place::Behind;
                    } else {
                        self.held.drain(..said.len());
                        self.place = Place::Inside { begun };
                        return (reasoning, content);
                    }
                }
                Place::Behind => {
                    let said = self.held.trim_start_matches(BREAKS).len();
                    self.held.drain(..self.held.len() - said);
                    if self.held.is_empty() {
                        return (reasoning, content);
                    }
                    self.place = Place::Answer;
                }
                Place::Answer => {
                    content.push_str(&std::mem::take(&mut self.held));
                    return (reasoning, content);
                }
            }
        }
    }

    /// Reasoning and content that were held back.
    pub fn finish(&mut self) -> (String, String) {
        let held = std::mem::take(&mut self.held);
        match self.place {
            Place::Inside { .. } => (held.trim_end_matches(BREAKS).to_owned(), String::new()),
            _ => (String::new(), held),
        }
    }
}
