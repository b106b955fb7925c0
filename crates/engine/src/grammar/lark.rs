//! What an answer is held to, as grammars in llguidance's Lark notation.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::contract::{Format, ToolSpec};

/// Most calls in one answer: what the Node SDK takes.
pub const MAX_CALLS: usize = 128;

/// How JSON is written: no space but the one behind `,` and `:`, so that a model cannot lose itself in white space.
/// Answers may leave that one out, arguments are written as Qwen was trained (Python's `json.dumps`).
fn layout(spaced: bool, lenient: bool) -> Value {
    let (item, key) = if spaced { (", ", ": ") } else { (", ?", ": ?") };
    json!({"item_separator": item, "key_separator": key, "whitespace_flexible": false, "coerce_one_of": lenient, "lenient": lenient})
}

/// A schema with our layout in the place of any that the caller wrote into it.
pub fn json_rule(schema: &Value, spaced: bool, lenient: bool) -> Value {
    let mut schema = match schema {
        Value::Object(map) => Value::Object(map.clone()),
        _ => json!({}),
    };
    if let Value::Object(map) = &mut schema {
        map.insert("x-guidance".into(), layout(spaced, lenient));
    }
    schema
}

/// The rule `answer` of a format; `None` for free text. A caller's own Lark grammar is not a rule but the whole.
pub fn answer(format: &Format) -> Option<String> {
    Some(match format {
        Format::Text | Format::Lark(_) => return None,
        Format::JsonObject => format!("answer: %json {}\n", json_rule(&json!({"type": "object"}), false, false)),
        Format::JsonSchema { schema, strict } => format!("answer: %json {}\n", json_rule(schema, false, !strict)),
        Format::Regex(regex) => format!("answer: /{}/\n", llguidance::regex_to_lark(regex, "")),
        Format::Choice(texts) => {
            let texts: Vec<String> = texts.iter().map(|t| escape(t)).collect();
            format!("answer: /(?:{})/\n", llguidance::regex_to_lark(&texts.join("|"), ""))
        }
    })
}

/// A text as a regular expression that matches it and nothing else.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Where a call begins and ends, as Lark has it: the special token where the tokenizer has one, else its text.
pub struct Marks {
    /// `<tool_call>`.
    pub open: String,
    /// `</tool_call>`.
    pub close: String,
}

/// The rules `call` (with its opening mark) and `body` (without), and one for the arguments of each tool.
/// `schemas` holds what each tool's arguments are held to.
pub fn calls(tools: &[(&ToolSpec, Value)], marks: &Marks) -> String {
    let mut out = format!("call: {} body\nbody: ", marks.open);
    let quoted = |text: String| Value::String(text).to_string();
    for (i, _) in tools.iter().enumerate() {
        let _ = write!(out, "{}body{i}", if i == 0 { "" } else { " | " });
    }
    out.push('\n');
    for (i, (tool, schema)) in tools.iter().enumerate() {
        let head = quoted(format!("\n{{\"name\": {}, \"arguments\": ", Value::String(tool.name.clone())));
        let _ = writeln!(out, "body{i}: {head} args{i} \"}}\\n\" {}\nargs{i}: %json {schema}", marks.close);
    }
    out
}
