//! Functions on offer and which of them may or must be called, in the flat form that responses have.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ResponseRequest;
use crate::{
    ApiError,
    chat::{FunctionDefinition, MOST_TOOLS, ToolChoice, bad_name, mode_of, name_fits, parameters, unknown_mode},
    check::{Checked, clip, missing, unsupported_value},
};

/// A tool on offer, flat: only functions are taken.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Tool {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub parameters: Option<Value>,
    pub strict: Option<bool>,
    #[serde(skip_serializing)]
    pub defer_loading: Option<bool>,
    #[serde(skip_serializing)]
    pub allowed_callers: Option<Value>,
}

impl Tool {
    /// The function as chat completions have it.
    #[must_use]
    pub fn function(&self) -> FunctionDefinition {
        FunctionDefinition {
            name: self.name.clone(),
            description: self.description.clone(),
            parameters: self.parameters.clone(),
            strict: self.strict,
        }
    }
}

impl ResponseRequest {
    /// Which functions may or must be called.
    ///
    /// # Errors
    /// When the choice is malformed, or names what is not on offer.
    pub fn choice(&self) -> Result<ToolChoice, ApiError> {
        let any = self.tools.as_ref().is_some_and(|t| !t.is_empty());
        let Some(choice) = self.asked_choice()? else {
            return Ok(if any { ToolChoice::Auto(None) } else { ToolChoice::None });
        };
        let (names, must) = match &choice {
            ToolChoice::None => return Ok(ToolChoice::None),
            ToolChoice::Auto(names) => (names, false),
            ToolChoice::Required(names) => (names, true),
        };
        if !any && (must || names.is_some()) {
            let message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.";
            return Err(ApiError::invalid("tool_choice", message));
        }
        let offered = |name: &String| self.tools.iter().flatten().any(|t| t.name == *name);
        if let Some(name) = names.iter().flatten().find(|name| !offered(name)) {
            let message = format!("Tool choice '{}' not found in 'tools' parameter.", clip(name));
            return Err(ApiError::invalid("tool_choice", message));
        }
        Ok(if any { choice } else { ToolChoice::None })
    }

    fn asked_choice(&self) -> Result<Option<ToolChoice>, ApiError> {
        let Some(choice) = &self.tool_choice else { return Ok(None) };
        if let Value::String(mode) = choice {
            return mode_of(mode).map(Some);
        }
        match choice.get("type").and_then(Value::as_str) {
            Some("function") => Ok(Some(ToolChoice::Required(Some(vec![name(choice, "tool_choice.name")?])))),
            Some("allowed_tools") => allowed(choice).map(Some),
            Some(other) => Err(foreign("tool_choice.type", other)),
            None => Err(missing("tool_choice.type")),
        }
    }

    /// Checks what is on offer, and the choice.
    pub(super) fn check_tools(&self) -> Checked {
        let mut names = std::collections::HashSet::new();
        if self.tools.as_ref().is_some_and(|t| t.len() > MOST_TOOLS) {
            let message =
                format!("Invalid 'tools': array too long. Expected an array with maximum length {MOST_TOOLS}.");
            return Err(ApiError::new(400, "invalid_request_error", "array_above_max_length", message).at("tools"));
        }
        for (i, tool) in self.tools.iter().flatten().enumerate() {
            let path = format!("tools[{i}]");
            if tool.kind != "function" {
                return Err(foreign(&format!("{path}.type"), &tool.kind));
            }
            if tool.name.is_empty() {
                return Err(missing(&format!("{path}.name")));
            }
            if !name_fits(&tool.name) {
                return Err(bad_name(&format!("{path}.name")));
            }
            if !names.insert(tool.name.as_str()) {
                let message = format!("Invalid '{path}.name': the name '{}' is used twice.", tool.name);
                return Err(ApiError::invalid(format!("{path}.name"), message));
            }
            parameters(&tool.function(), &format!("{path}.parameters"))?;
        }
        self.choice().map(|_| ())
    }
}

fn allowed(choice: &Value) -> Result<ToolChoice, ApiError> {
    let path = "tool_choice.tools";
    let Some(tools) = choice.get("tools").and_then(Value::as_array) else { return Err(missing(path)) };
    if tools.is_empty() {
        return Err(ApiError::invalid(path, format!("Invalid '{path}': expected at least one tool.")));
    }
    let each = tools.iter().enumerate().map(|(i, tool)| match tool.get("type").and_then(Value::as_str) {
        Some("function") => name(tool, &format!("{path}[{i}].name")),
        Some(other) => Err(foreign(&format!("{path}[{i}].type"), other)),
        None => Err(missing(&format!("{path}[{i}].type"))),
    });
    let names = each.collect::<Result<Vec<_>, _>>()?;
    match choice.get("mode").and_then(Value::as_str) {
        Some("auto") => Ok(ToolChoice::Auto(Some(names))),
        Some("required") => Ok(ToolChoice::Required(Some(names))),
        Some(other) => Err(unknown_mode("tool_choice.mode", other, "'auto' and 'required'")),
        None => Err(missing("tool_choice.mode")),
    }
}

fn name(tool: &Value, path: &str) -> Result<String, ApiError> {
    tool.get("name").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| missing(path))
}

/// A tool that OpenAI runs itself, or another one that is no function.
fn foreign(path: &str, kind: &str) -> ApiError {
    let why = format!(
        "is '{}', a tool that this server does not run. It offers the model your own functions only: use tools of the type 'function'.",
        clip(kind)
    );
    unsupported_value(path, &why)
}
