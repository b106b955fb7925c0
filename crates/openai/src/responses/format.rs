//! `text.format`.

use serde_json::Value;

use super::ResponseRequest;
use crate::{
    ApiError,
    chat::{AnswerFormat, bad_name, checked, name_fits, unknown_mode},
    check::missing,
};

impl ResponseRequest {
    /// The form that is asked for.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn answer_format(&self) -> Result<AnswerFormat, ApiError> {
        let Some(format) = self.text.as_ref().and_then(|t| t.format.as_ref()) else { return Ok(AnswerFormat::Text) };
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Ok(AnswerFormat::Text),
            Some("json_object") => Ok(AnswerFormat::JsonObject),
            Some("json_schema") => named_schema(format),
            None if format.get("type").is_none() => Err(missing("text.format.type")),
            other => Err(unknown_mode(
                "text.format.type",
                other.unwrap_or("something else"),
                "'json_object', 'json_schema', and 'text'",
            )),
        }
    }
}

fn named_schema(format: &Value) -> Result<AnswerFormat, ApiError> {
    match format.get("name") {
        None => return Err(missing("text.format.name")),
        Some(Value::String(name)) if name_fits(name) => {}
        Some(_) => return Err(bad_name("text.format.name")),
    }
    let strict = match format.get("strict") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(strict)) => *strict,
        Some(_) => {
            let message = "Invalid type for 'text.format.strict': expected a boolean.";
            return Err(ApiError::new(400, "invalid_request_error", "invalid_type", message).at("text.format.strict"));
        }
    };
    let Some(schema) = format.get("schema").filter(|s| !s.is_null()) else { return Err(missing("text.format.schema")) };
    checked(schema, "text.format.schema")?;
    Ok(AnswerFormat::JsonSchema { schema: schema.clone(), strict })
}
