//! The form that an answer is held to: `response_format`, and vLLM's `guided_*` and `structured_outputs`.

use serde_json::Value;

use super::{ChatRequest, schema};
use crate::{
    ApiError,
    check::{clip, missing},
};

/// The form of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerFormat {
    /// Anything.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// The schema.
        schema: Value,
        /// Refuse what cannot be enforced.
        strict: bool,
    },
    /// Text that matches as a whole.
    Regex(String),
    /// One of these.
    Choice(Vec<String>),
    /// A grammar in Lark's notation.
    Grammar(String),
}

/// A form and the field that asked for it.
pub type Asked = (AnswerFormat, &'static str);

const SCHEMA: &str = "response_format.json_schema.schema";
/// Texts of one choice, and their characters in all.
const CHOICES: (usize, usize) = (1000, 15_000);

impl ChatRequest {
    /// The form that is asked for, and the path of what says so.
    ///
    /// # Errors
    /// When it is malformed, or when two are asked for.
    pub fn answer_format(&self) -> Result<Asked, ApiError> {
        let mut all: Vec<Asked> = Vec::new();
        all.extend(
            self.response_format.as_ref().map(response_format).transpose()?.filter(|a| a.0 != AnswerFormat::Text),
        );
        let outputs = self.structured_outputs.clone().unwrap_or_default();
        for (json, path) in [(&self.guided_json, "guided_json"), (&outputs.json, "structured_outputs.json")] {
            if let Some(json) = json {
                all.push((json_schema(json, path)?, path));
            }
        }
        for (regex, path) in [(&self.guided_regex, "guided_regex"), (&outputs.regex, "structured_outputs.regex")] {
            all.extend(regex.clone().map(|r| (AnswerFormat::Regex(r), path)));
        }
        for (texts, path) in [(&self.guided_choice, "guided_choice"), (&outputs.choice, "structured_outputs.choice")] {
            if let Some(texts) = texts {
                all.push((choice(texts, path)?, path));
            }
        }
        for (grammar, path) in
            [(&self.guided_grammar, "guided_grammar"), (&outputs.grammar, "structured_outputs.grammar")]
        {
            all.extend(grammar.clone().map(|g| (AnswerFormat::Grammar(g), path)));
        }
        if outputs.json_object == Some(true) {
            all.push((AnswerFormat::JsonObject, "structured_outputs.json_object"));
        }
        if let [first, second, ..] = all.as_slice() {
            let message = format!("'{}' and '{}' cannot be used together: an answer has one form.", first.1, second.1);
            return Err(ApiError::invalid(second.1, message));
        }
        Ok(all.pop().unwrap_or((AnswerFormat::Text, "response_format")))
    }
}

fn response_format(format: &Value) -> Result<Asked, ApiError> {
    let kind = format.get("type").and_then(Value::as_str);
    match kind {
        Some("text") => Ok((AnswerFormat::Text, "response_format")),
        Some("json_object") => Ok((AnswerFormat::JsonObject, "response_format")),
        Some("json_schema") => named_schema(format.get("json_schema")),
        None if format.get("type").is_none() => Err(missing("response_format.type")),
        other => {
            let got = clip(other.unwrap_or("something else"));
            let message =
                format!("Invalid value: '{got}'. Supported values are: 'json_object', 'json_schema', and 'text'.");
            Err(ApiError::invalid("response_format.type", message))
        }
    }
}

fn named_schema(format: Option<&Value>) -> Result<Asked, ApiError> {
    let Some(format) = format else { return Err(missing("response_format.json_schema")) };
    let path = "response_format.json_schema.name";
    match format.get("name") {
        None => return Err(missing(path)),
        Some(Value::String(name)) if name_fits(name) => {}
        Some(_) => return Err(bad_name(path)),
    }
    let strict = match format.get("strict") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(strict)) => *strict,
        Some(_) => {
            return Err(ApiError::invalid(
                "response_format.json_schema.strict",
                "Invalid type for 'response_format.json_schema.strict': expected a boolean.",
            ));
        }
    };
    // OpenAI accepts a format without a schema: any object.
    let Some(schema) = format.get("schema").filter(|s| !s.is_null()) else {
        return Ok((AnswerFormat::JsonObject, SCHEMA));
    };
    checked(schema, SCHEMA)?;
    Ok((AnswerFormat::JsonSchema { schema: schema.clone(), strict }, SCHEMA))
}

/// vLLM takes a schema as an object or as its text.
fn json_schema(json: &Value, path: &str) -> Result<AnswerFormat, ApiError> {
    let schema = match json {
        Value::String(text) => {
            serde_json::from_str(text).map_err(|_| ApiError::invalid(path, format!("Invalid '{path}': not JSON.")))?
        }
        other => other.clone(),
    };
    checked(&schema, path)?;
    Ok(AnswerFormat::JsonSchema { schema, strict: true })
}

/// A schema, an object without mistakes.
pub fn checked(schema: &Value, path: &str) -> Result<(), ApiError> {
    if !schema.is_object() {
        return Err(ApiError::invalid(path, format!("Invalid schema for '{path}': an object is expected.")));
    }
    schema::check(schema).map_err(|mistake| {
        ApiError::invalid(path, format!("Invalid schema for '{path}': in '{}', {}.", mistake.at, mistake.what))
    })
}

fn choice(texts: &[String], path: &str) -> Result<AnswerFormat, ApiError> {
    let length: usize = texts.iter().map(String::len).sum();
    if texts.is_empty() || texts.len() > CHOICES.0 || length > CHOICES.1 || texts.iter().any(String::is_empty) {
        let message =
            format!("Invalid '{path}': 1 to {} texts are expected, none empty, {} bytes in all.", CHOICES.0, CHOICES.1);
        return Err(ApiError::invalid(path, message));
    }
    Ok(AnswerFormat::Choice(texts.to_vec()))
}

/// `[A-Za-z0-9_-]{1,64}`.
pub fn name_fits(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A name that does not fit.
pub fn bad_name(param: &str) -> ApiError {
    let message = format!(
        "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]{{1,64}}$'."
    );
    ApiError::invalid(param, message)
}
