//! Tool calls: `<tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>`.
//!
//! A call's head is given once its name is known and its arguments begin, the arguments as they stream. What is not
//! that shape is kept back and becomes text at the end of the answer.

use super::{Utterance, half};

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

#[derive(Debug, Default)]
pub struct Calls {
    /// Text outside calls that may turn out to be an opening mark, or white space in front of one.
    held: String,
    inside: Option<Body>,
    /// Directly behind a call: the white space there separates it from what follows.
    behind: bool,
    pub begun: u32,
    pub completed: u32,
    /// What looked like calls and was none.
    failed: String,
}

impl Calls {
    pub const fn outside(&self) -> bool {
        self.inside.is_none()
    }

    pub fn push(&mut self, text: &str, out: &mut Vec<Utterance>) {
        let mut rest = text.to_owned();
        loop {
            rest = match self.inside.take() {
                Some(body) => match self.within(body, &rest, out) {
                    Some(rest) => rest,
                    None => return,
                },
                None => match self.between(&rest, out) {
                    Some(rest) => rest,
                    None => return,
                },
            };
        }
    }

    /// Text outside calls; what is behind an opening mark.
    fn between(&mut self, text: &str, out: &mut Vec<Utterance>) -> Option<String> {
        self.held.push_str(text);
        if self.behind {
            self.held = self.held.trim_start().to_owned();
            self.behind = self.held.is_empty();
        }
        if let Some(at) = self.held.find(OPEN) {
            let rest = self.held.split_off(at + OPEN.len());
            self.held.truncate(at);
            let said = std::mem::take(&mut self.held);
            speak(out, said.trim_end());
            self.inside = Some(Body::default());
            return Some(rest);
        }
        let mark = self.held.len() - half(&self.held, OPEN);
        let end = self.held.get(..mark).unwrap_or_default().trim_end().len();
        let held = self.held.split_off(end);
        speak(out, &std::mem::replace(&mut self.held, held));
        None
    }

    /// Text inside a call; what is behind its closing mark.
    fn within(&mut self, mut body: Body, text: &str, out: &mut Vec<Utterance>) -> Option<String> {
        for (at, c) in text.char_indices() {
            let ended = body.take(c);
            if ended == Ended::No {
                continue;
            }
            let rest = text.get(at + c.len_utf8()..).unwrap_or_default().to_owned();
            self.give(&mut body, out);
            self.close(body, true, out);
            if ended == Ended::ByNext {
                self.inside = Some(Body::default());
            }
            return Some(rest);
        }
        self.give(&mut body, out);
        self.inside = Some(body);
        None
    }

    /// Gives what is certain of a call.
    fn give(&mut self, body: &mut Body, out: &mut Vec<Utterance>) {
        if body.arguments.is_empty() {
            return;
        }
        let Some(name) = &body.name else { return };
        let index = *body.index.get_or_insert_with(|| {
            let index = self.begun;
            self.begun += 1;
            out.push(Utterance::Call { index, name: name.clone() });
            index
        });
        out.push(Utterance::Arguments { index, delta: std::mem::take(&mut body.arguments) });
    }

    /// A call ended, by its mark or with the answer.
    fn close(&mut self, mut body: Body, marked: bool, out: &mut Vec<Utterance>) {
        self.behind = true;
        let whole = body.place == Place::Behind;
        if body.index.is_none() && whole && body.name.is_some() && !body.refused {
            body.arguments.push_str("{}");
            self.give(&mut body, out);
        }
        match body.index {
            Some(_) => self.completed += u32::from(marked || whole),
            None => {
                self.failed.push_str(if self.failed.is_empty() { "" } else { "\n" });
                self.failed.push_str(OPEN);
                self.failed.push_str(&body.raw);
            }
        }
    }

    pub fn finish(&mut self, out: &mut Vec<Utterance>) {
        if let Some(body) = self.inside.take() {
            self.close(body, false, out);
        }
        let held = std::mem::take(&mut self.held);
        if self.begun == 0 || !held.trim().is_empty() {
            speak(out, &held);
        }
        speak(out, &std::mem::take(&mut self.failed));
    }
}

fn speak(out: &mut Vec<Utterance>, text: &str) {
    if !text.is_empty() {
        out.push(Utterance::Text(text.to_owned()));
    }
}

/// Where the reader stands in the call's JSON.
#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    /// Between members, or before the first.
    Members,
    Key(String),
    Colon(String),
    Value(String),
    /// Inside the value of this key.
    In(String, Value),
    /// Behind the whole object.
    Behind,
    /// Not the shape of a call.
    Broken,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Value {
    text: String,
    depth: u32,
    string: bool,
    escaped: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    No,
    /// By the closing mark.
    Yes,
    /// By the opening mark of the next call: the closing one was left out.
    ByNext,
}

#[derive(Debug, Default)]
struct Body {
    /// All of it, to become text where it is no call.
    raw: String,
    /// A mark that has begun.
    mark: String,
    place: Place,
    escaped: bool,
    name: Option<String>,
    /// Arguments that were not given yet.
    arguments: String,
    /// The arguments are no object.
    refused: bool,
    index: Option<u32>,
}

impl Body {
    fn take(&mut self, c: char) -> Ended {
        if self.index.is_none() {
            self.raw.push(c);
        }
        // Outside strings JSON has no `<`: it begins a mark.
        let quoted = match &self.place {
            Place::Key(_) => true,
            Place::In(_, value) => value.string,
            _ => false,
        };
        if !quoted && (c == '<' || !self.mark.is_empty()) {
            if c == '<' {
                self.mark.clear();
            }
            self.mark.push(c);
            if self.mark == CLOSE {
                return Ended::Yes;
            }
            if self.mark == OPEN && self.place == Place::Behind {
                let end = self.raw.len().saturating_sub(OPEN.len());
                if self.index.is_none() {
                    self.raw.truncate(end);
                }
                return Ended::ByNext;
            }
            let begins = CLOSE.starts_with(&self.mark) || (self.place == Place::Behind && OPEN.starts_with(&self.mark));
            if !begins {
                self.mark.clear();
                self.place = Place::Broken;
            }
            return Ended::No;
        }
        let place = std::mem::take(&mut self.place);
        self.place = self.step(place, c);
        Ended::No
    }

    fn step(&mut self, place: Place, c: char) -> Place {
        let white = c.is_ascii_whitespace();
        match place {
            Place::Before if white => Place::Before,
            Place::Before if c == '{' => Place::Members,
            Place::Members if white || c == ',' => Place::Members,
            Place::Members if c == '"' => Place::Key(String::new()),
            Place::Members if c == '}' => Place::Behind,
            Place::Key(key) if c == '"' && !self.escaped => Place::Colon(key),
            Place::Key(mut key) => {
                self.escaped = c == '\\' && !self.escaped;
                key.push(c);
                Place::Key(key)
            }
            Place::Colon(key) if white => Place::Colon(key),
            Place::Colon(key) if c == ':' => Place::Value(key),
            Place::Value(key) if white => Place::Value(key),
            Place::Value(key) if c == ',' || c == '}' || c == ']' => {
                drop(key);
                Place::Broken
            }
            Place::Value(key) => self.value(key, Value::default(), c),
            Place::In(key, value) => self.value(key, value, c),
            // What follows the object is not of the call.
            Place::Behind => Place::Behind,
            Place::Before | Place::Members | Place::Colon(_) | Place::Broken => Place::Broken,
        }
    }

    /// One character of a member's value.
    fn value(&mut self, key: String, mut value: Value, c: char) -> Place {
        let streams = is_arguments(&key) && (value.text.starts_with('{') || (value.text.is_empty() && c == '{'));
        let first = value.text.is_empty();
        let mut whole = false;
        if value.string {
            match c {
                _ if value.escaped => value.escaped = false,
                '\\' => value.escaped = true,
                '"' => {
                    value.string = false;
                    whole = value.depth == 0;
                }
                _ => {}
            }
        } else {
            match c {
                '"' => value.string = true,
                '{' | '[' => value.depth += 1,
                '}' | ']' if value.depth > 0 => {
                    value.depth -= 1;
                    whole = value.depth == 0;
                }
                // A number or a word ends with what is behind it.
                ',' | '}' if value.depth == 0 => {
                    return if self.member(&key, &value.text) {
                        if c == '}' { Place::Behind } else { Place::Members }
                    } else {
                        Place::Broken
                    };
                }
                _ => {}
            }
        }
        if streams {
            self.arguments.push(c);
            // The text says only that it began: the whole went out as it came.
            if first {
                value.text.push(c);
            }
            return if whole { Place::Members } else { Place::In(key, value) };
        }
        value.text.push(c);
        if !whole {
            return Place::In(key, value);
        }
        if self.member(&key, &value.text) { Place::Members } else { Place::Broken }
    }

    /// A member that did not stream is whole; whether it is what a call may have.
    fn member(&mut self, key: &str, text: &str) -> bool {
        let parsed: serde_json::Value = serde_json::from_str(text.trim()).unwrap_or_default();
        if key == "name" {
            self.name = parsed.as_str().filter(|n| !n.is_empty()).map(str::to_owned);
            return self.name.is_some();
        }
        if is_arguments(key) {
            // Some models write the object as a string.
            let object = parsed.as_str().filter(|s| serde_json::from_str::<serde_json::Map<_, _>>(s).is_ok());
            if let Some(object) = object {
                self.arguments.push_str(object);
            }
            self.refused = object.is_none() && text.trim() != "null";
            return !self.refused;
        }
        true
    }
}

fn is_arguments(key: &str) -> bool {
    matches!(key, "arguments" | "parameters")
}
