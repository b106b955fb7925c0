//! Items of a conversation, read flat, and the form in which they are kept and listed.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ApiError, TextOr,
    chat::{bad_name, name_fits, pixels},
    check::{Checked, clip, missing, one_of, unsupported_value},
};

/// A request's input: one text of the user, or items.
pub type Input = TextOr<Item>;
/// A tool's result: a text, or parts.
pub type Output = TextOr<Part>;

/// An item, flat: `type` says which of the others must be there (checked by [`Item::check`], which names the path).
#[derive(Debug, Clone, Default, Deserialize)]
#[allow(missing_docs)]
pub struct Item {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub id: Option<String>,
    pub role: Option<String>,
    #[serde(default)]
    pub content: TextOr<Part>,
    pub status: Option<String>,
    pub call_id: Option<String>,
    pub name: Option<String>,
    pub arguments: Option<String>,
    #[serde(default)]
    pub output: Output,
    pub summary: Option<Vec<Part>>,
    pub encrypted_content: Option<String>,
}

/// A content part, flat.
#[derive(Debug, Clone, Default, Deserialize)]
#[allow(missing_docs)]
pub struct Part {
    #[serde(rename = "type")]
    pub kind: String,
    pub text: Option<String>,
    pub refusal: Option<String>,
    pub image_url: Option<String>,
    pub detail: Option<String>,
    pub file_id: Option<String>,
    pub filename: Option<String>,
    pub file_data: Option<String>,
    pub file_url: Option<String>,
    /// vLLM: bounds of a picture's area in pixels.
    pub min_pixels: Option<u64>,
    pub max_pixels: Option<u64>,
}

impl Item {
    /// A user's text.
    #[must_use]
    pub fn user(text: &str) -> Self {
        Self { role: Some("user".into()), content: TextOr::Text(text.to_owned()), ..Self::default() }
    }

    /// `message` where nothing is said: the easy form of messages has no type.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("message")
    }

    /// Checks one item.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn check(&self, path: &str) -> Checked {
        if let Some(status) = &self.status {
            one_of(&format!("{path}.status"), Some(status), &["in_progress", "completed", "incomplete"])?;
        }
        match self.kind() {
            "message" => self.message(path),
            "function_call" => {
                let fields = [("call_id", &self.call_id), ("name", &self.name), ("arguments", &self.arguments)];
                if let Some((field, _)) = fields.iter().find(|(_, v)| v.is_none()) {
                    return Err(missing(&format!("{path}.{field}")));
                }
                match &self.name {
                    Some(name) if !name_fits(name) => Err(bad_name(&format!("{path}.name"))),
                    _ => Ok(()),
                }
            }
            "function_call_output" => {
                if self.call_id.is_none() {
                    return Err(missing(&format!("{path}.call_id")));
                }
                let known = ["input_text", "input_image", "input_file"];
                match &self.output {
                    TextOr::None => Err(missing(&format!("{path}.output"))),
                    TextOr::Text(_) => Ok(()),
                    TextOr::Parts(parts) => each(parts, &known, &format!("{path}.output")),
                }
            }
            "reasoning" => {
                let open = matches!(&self.content, TextOr::Parts(parts) if !parts.is_empty());
                if self.encrypted_content.is_some() && !open {
                    let why = "was encrypted by another server, and cannot be read by this one.";
                    return Err(unsupported_value(&format!("{path}.encrypted_content"), why));
                }
                match &self.content {
                    TextOr::Parts(parts) => each(parts, &["reasoning_text"], &format!("{path}.content")),
                    _ => Ok(()),
                }
            }
            "item_reference" if self.id.is_none() => Err(missing(&format!("{path}.id"))),
            "item_reference" => Ok(()),
            other => {
                let why = format!(
                    "is '{}'. This server takes items of the types 'message', 'function_call', 'function_call_output', 'reasoning', and 'item_reference'.",
                    clip(other)
                );
                Err(unsupported_value(&format!("{path}.type"), &why))
            }
        }
    }

    fn message(&self, path: &str) -> Checked {
        let Some(role) = &self.role else { return Err(missing(&format!("{path}.role"))) };
        one_of(&format!("{path}.role"), Some(role), &["user", "assistant", "system", "developer"])?;
        let known: &[&str] = match role.as_str() {
            "user" => &["input_text", "input_image", "input_file"],
            "assistant" => &["output_text", "refusal"],
            _ => &["input_text"],
        };
        match &self.content {
            TextOr::None => Err(missing(&format!("{path}.content"))),
            TextOr::Text(_) => Ok(()),
            TextOr::Parts(parts) => each(parts, known, &format!("{path}.content")),
        }
    }

    /// The item as it is kept and listed: whole, in the long form.
    #[must_use]
    pub fn resource(&self, id: &str) -> Value {
        let status = self.status.as_deref().unwrap_or("completed");
        match self.kind() {
            "function_call" => json!({
                "id": id, "type": "function_call", "status": status,
                "call_id": self.call_id, "name": self.name, "arguments": self.arguments,
            }),
            "function_call_output" => json!({
                "id": id, "type": "function_call_output", "status": status,
                "call_id": self.call_id, "output": parts(&self.output, None),
            }),
            "reasoning" => {
                let summary: Vec<Value> = self.summary.iter().flatten().map(Part::resource).collect();
                json!({"id": id, "type": "reasoning", "summary": summary, "content": parts(&self.content, Some("reasoning_text"))})
            }
            _ => {
                let kind = if self.role.as_deref() == Some("assistant") { "output_text" } else { "input_text" };
                json!({
                    "id": id, "type": "message", "role": self.role, "status": status,
                    "content": parts(&self.content, Some(kind)),
                })
            }
        }
    }
}

/// Parts; a lone text becomes one part of a kind, where one is named.
fn parts(content: &TextOr<Part>, kind: Option<&str>) -> Value {
    match (content, kind) {
        (TextOr::Parts(parts), _) => parts.iter().map(Part::resource).collect(),
        (TextOr::Text(text), None) => json!(text),
        (TextOr::Text(text), Some(kind)) => {
            let one = Part { kind: kind.to_owned(), text: Some(text.clone()), ..Part::default() };
            Value::Array(vec![one.resource()])
        }
        (TextOr::None, _) => json!([]),
    }
}

impl Part {
    fn resource(&self) -> Value {
        let mut out = json!({"type": self.kind});
        let Value::Object(map) = &mut out else { return out };
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(name.to_owned(), value);
            }
        };
        let text = |value: &Option<String>| value.clone().map(Value::String);
        put("text", text(&self.text));
        put("refusal", text(&self.refusal));
        put("image_url", text(&self.image_url));
        put("file_id", text(&self.file_id));
        put("filename", text(&self.filename));
        put("file_data", text(&self.file_data));
        put("file_url", text(&self.file_url));
        put("detail", text(&self.detail));
        put("min_pixels", self.min_pixels.map(Value::from));
        put("max_pixels", self.max_pixels.map(Value::from));
        match self.kind.as_str() {
            "input_image" if self.detail.is_none() => put("detail", Some(json!("auto"))),
            "output_text" => {
                put("annotations", Some(json!([])));
                put("logprobs", Some(json!([])));
            }
            _ => {}
        }
        out
    }

    fn check(&self, path: &str) -> Checked {
        match self.kind.as_str() {
            "input_text" | "output_text" | "reasoning_text" if self.text.is_none() => {
                Err(missing(&format!("{path}.text")))
            }
            "refusal" if self.refusal.is_none() => Err(missing(&format!("{path}.refusal"))),
            "input_image" => {
                one_of(&format!("{path}.detail"), self.detail.as_deref(), &["low", "high", "auto", "original"])?;
                pixels(self.min_pixels, self.max_pixels, path)?;
                one_source(path, &[("image_url", &self.image_url), ("file_id", &self.file_id)])
            }
            "input_file" => {
                one_of(&format!("{path}.detail"), self.detail.as_deref(), &["low", "high", "auto"])?;
                let sources =
                    [("file_data", &self.file_data), ("file_id", &self.file_id), ("file_url", &self.file_url)];
                one_source(path, &sources)
            }
            _ => Ok(()),
        }
    }
}

/// A picture or a file comes from one place.
fn one_source(path: &str, sources: &[(&str, &Option<String>)]) -> Checked {
    let given: Vec<&str> = sources.iter().filter(|(_, v)| v.is_some()).map(|(n, _)| *n).collect();
    match given.as_slice() {
        [_] => Ok(()),
        [] => Err(missing(&format!("{path}.{}", sources.first().map_or("", |s| s.0)))),
        [first, second, ..] => {
            let message =
                format!("Mutually exclusive parameters: '{path}.{first}' and '{path}.{second}'. Give one of them.");
            Err(ApiError::new(400, "invalid_request_error", "mutually_exclusive_parameters", message)
                .at(format!("{path}.{second}")))
        }
    }
}

fn each(parts: &[Part], known: &[&str], path: &str) -> Checked {
    parts.iter().enumerate().try_for_each(|(i, part)| {
        let path = format!("{path}[{i}]");
        if part.kind == "input_audio" {
            return Err(unsupported_value(&path, "is sound, which this family of models does not hear."));
        }
        one_of(&format!("{path}.type"), Some(&part.kind), known)?;
        part.check(&path)
    })
}

/// Whether every result answers a call before it, and every call has its result; over the whole conversation.
///
/// # Errors
/// 400 `input`, in OpenAI's words.
pub fn check_calls<'a>(items: impl Iterator<Item = &'a Item>) -> Checked {
    let (mut made, mut open) = (std::collections::HashSet::new(), indexmap::IndexSet::new());
    for item in items {
        let id = item.call_id.as_deref().unwrap_or_default();
        match item.kind() {
            "function_call" => {
                made.insert(id);
                open.insert(id);
            }
            "function_call_output" if !made.contains(id) => {
                let message = format!("No tool call found for function call output with call_id {}.", clip(id));
                return Err(ApiError::new(400, "invalid_request_error", "", message).at("input"));
            }
            "function_call_output" => {
                open.shift_remove(id);
            }
            _ => {}
        }
    }
    match open.first() {
        None => Ok(()),
        Some(id) => {
            let message = format!("No tool output found for function call {}.", clip(id));
            Err(ApiError::new(400, "invalid_request_error", "", message).at("input"))
        }
    }
}
