//! Reading JSON, and saying what is wrong with it in OpenAI's words and with the path.

use serde::de::DeserializeOwned;

use crate::ApiError;

/// Reads a body.
///
/// # Errors
/// A 400 that names the part.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let path = e.path().to_string();
        refusal(&path, &e.into_inner())
    })?;
    reader.end().map_err(|e| refusal("", &e))?;
    Ok(value)
}

fn refusal(path: &str, error: &serde_json::Error) -> ApiError {
    if error.is_syntax() || error.is_eof() {
        let message = "We could not parse the JSON body of your request. Please check that it is valid JSON.";
        return ApiError::new(400, "invalid_request_error", "", message);
    }
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let quoted: String = text.split('`').nth(1).unwrap_or_default().chars().take(100).collect();
    let path = if path == "." { "" } else { path };
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if text.starts_with("unknown field") {
        // The reader's path ends with the field itself.
        let whole = if path.ends_with(quoted.as_str()) { path.to_owned() } else { join(&quoted) };
        let message = format!("Unrecognized request argument supplied: {whole}");
        return ApiError::new(400, "invalid_request_error", "unknown_parameter", message).at(whole);
    }
    if text.starts_with("missing field") {
        let param = join(&quoted);
        let message = format!("Missing required parameter: '{param}'.");
        return ApiError::new(400, "invalid_request_error", "missing_required_parameter", message).at(param);
    }
    if text.starts_with("duplicate field") {
        let param = join(&quoted);
        return ApiError::invalid(param.clone(), format!("Invalid body: '{param}' is given twice."));
    }
    let message = format!("Invalid type for '{path}': expected {}, but got {} instead.", expected(text), got(text));
    let mut error = ApiError::new(400, "invalid_request_error", "invalid_type", message);
    error.param = (!path.is_empty()).then(|| path.to_owned());
    error
}

/// What was expected, from serde's message; nothing that the client sent is repeated.
fn expected(text: &str) -> &str {
    match text.rsplit_once(", expected ").map_or("", |(_, e)| e) {
        e if e.starts_with("struct") || e.starts_with("a map") => "an object",
        e if e.starts_with("a sequence") => "an array",
        e if e.starts_with("a string or") => "a string or an array of content parts",
        e if e.starts_with("a string") || e.starts_with("a borrowed") => "a string",
        e if e.starts_with("a boolean") => "a boolean",
        e if e.starts_with('f') => "a number",
        e if e.starts_with('u') || e.starts_with('i') => "an integer within its range",
        _ => "another value",
    }
}

fn got(text: &str) -> &str {
    let value = text.split_once(": ").map_or("", |(_, v)| v);
    match value {
        v if v.starts_with("string") => "a string",
        v if v.starts_with("integer") => "an integer",
        v if v.starts_with("floating") => "a decimal number",
        v if v.starts_with("boolean") => "a boolean",
        v if v.starts_with("null") || v.starts_with("unit") => "null",
        v if v.starts_with("map") => "an object",
        v if v.starts_with("sequence") => "an array",
        _ => "something else",
    }
}
