//! Tools on offer and which of them may or must be called, in the new form and in the old (`functions`).

use serde_json::Value;

use super::{
    ChatRequest, FunctionDefinition,
    format::{bad_name, name_fits},
    schema,
};
use crate::{
    ApiError,
    check::{clip, missing},
};

/// Most tools, as OpenAI has it.
pub const MOST: usize = 128;

/// What may or must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// Nothing; the model is not shown the tools.
    None,
    /// What the model likes, of these where some are named.
    Auto(Option<Vec<String>>),
    /// At least one, of these where some are named.
    Required(Option<Vec<String>>),
}

impl ChatRequest {
    /// Whether the request speaks the old form, and wants its answer in it.
    #[must_use]
    pub fn speaks_functions(&self) -> bool {
        self.functions.as_ref().is_some_and(|f| !f.is_empty())
    }

    /// The functions on offer.
    pub fn offered(&self) -> impl Iterator<Item = &FunctionDefinition> {
        let new = self.tools.iter().flatten().filter_map(|t| t.function.as_ref());
        new.chain(self.functions.iter().flatten())
    }

    /// Which of them may or must be called.
    ///
    /// # Errors
    /// When the choice is malformed, or names what is not on offer.
    pub fn choice(&self) -> Result<ToolChoice, ApiError> {
        let any = self.offered().next().is_some();
        let choice = if self.speaks_functions() || (self.function_call.is_some() && self.tool_choice.is_none()) {
            self.old_choice()?
        } else {
            self.new_choice()?
        };
        let (names, must) = match &choice {
            None => return Ok(if any { ToolChoice::Auto(None) } else { ToolChoice::None }),
            Some(ToolChoice::None) => return Ok(ToolChoice::None),
            Some(ToolChoice::Auto(names)) => (names, false),
            Some(ToolChoice::Required(names)) => (names, true),
        };
        let path = if self.speaks_functions() { "function_call" } else { "tool_choice" };
        if !any && (must || names.is_some()) {
            let message = format!("Invalid value for '{path}': '{path}' is only allowed when 'tools' are specified.");
            return Err(ApiError::invalid(path, message));
        }
        let unknown = names.iter().flatten().find(|name| !self.offered().any(|f| f.name == **name));
        if let Some(name) = unknown {
            let name = clip(name);
            let message = format!(
                "Invalid value for '{path}': no function named '{name}' was specified in the 'tools' parameter."
            );
            return Err(ApiError::invalid(path, message));
        }
        Ok(match choice {
            Some(choice) if any => choice,
            _ => ToolChoice::None,
        })
    }

    fn new_choice(&self) -> Result<Option<ToolChoice>, ApiError> {
        let Some(choice) = &self.tool_choice else { return Ok(None) };
        if let Value::String(mode) = choice {
            return mode_of(mode).map(Some);
        }
        match choice.get("type").and_then(Value::as_str) {
            Some("function") => {
                Ok(Some(ToolChoice::Required(Some(vec![name(choice.get("function"), "tool_choice.function.name")?]))))
            }
            Some("allowed_tools") => allowed(choice.get("allowed_tools")).map(Some),
            Some("custom") => Err(custom("tool_choice")),
            Some(other) => Err(unknown_mode("tool_choice.type", other, "'function', 'allowed_tools', and 'custom'")),
            None => Err(missing("tool_choice.type")),
        }
    }

    fn old_choice(&self) -> Result<Option<ToolChoice>, ApiError> {
        match &self.function_call {
            None => Ok(None),
            Some(Value::String(mode)) => match mode.as_str() {
                "none" => Ok(Some(ToolChoice::None)),
                "auto" => Ok(Some(ToolChoice::Auto(None))),
                other => Err(unknown_mode("function_call", other, "'none' and 'auto'")),
            },
            named => Ok(Some(ToolChoice::Required(Some(vec![name(named.as_ref(), "function_call.name")?])))),
        }
    }

    /// Checks what is on offer.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_tools(&self) -> Result<(), ApiError> {
        if self.speaks_functions() && self.tools.as_ref().is_some_and(|t| !t.is_empty()) {
            return Err(ApiError::invalid(
                "functions",
                "'functions' is the old form of 'tools'; they cannot be used together.",
            ));
        }
        if self.functions.as_ref().is_some_and(Vec::is_empty) {
            return Err(ApiError::new(400, "invalid_request_error", "empty_array", "Invalid 'functions': empty array. Expected an array with minimum length 1, but got an empty array instead.").at("functions"));
        }
        let list = if self.speaks_functions() { "functions" } else { "tools" };
        if self.offered().count().max(self.tools.as_ref().map_or(0, Vec::len)) > MOST {
            let message = format!("Invalid '{list}': array too long. Expected an array with maximum length {MOST}.");
            return Err(ApiError::new(400, "invalid_request_error", "array_above_max_length", message).at(list));
        }
        for (i, tool) in self.tools.iter().flatten().enumerate() {
            match (tool.kind.as_str(), &tool.function) {
                ("function", Some(_)) => {}
                ("function", None) => return Err(missing(&format!("tools[{i}].function"))),
                ("custom", _) => return Err(custom(&format!("tools[{i}].type"))),
                (other, _) => return Err(unknown_mode(&format!("tools[{i}].type"), other, "'function' and 'custom'")),
            }
        }
        let mut names = std::collections::HashSet::new();
        for (i, function) in self.offered().enumerate() {
            let path = if list == "tools" { format!("tools[{i}].function") } else { format!("functions[{i}]") };
            if !name_fits(&function.name) {
                return Err(bad_name(&format!("{path}.name")));
            }
            if !names.insert(function.name.as_str()) {
                let message = format!("Invalid '{path}.name': the name '{}' is used twice.", function.name);
                return Err(ApiError::invalid(format!("{path}.name"), message));
            }
            parameters(function, &format!("{path}.parameters"))?;
        }
        self.choice().map(|_| ())
    }
}

/// The schema of a function's arguments is one of an object.
pub fn parameters(function: &FunctionDefinition, path: &str) -> Result<(), ApiError> {
    let refuse = |what: String| {
        let message = format!("Invalid schema for function '{}': {what}.", function.name);
        Err(ApiError::new(400, "invalid_request_error", "invalid_function_parameters", message).at(path))
    };
    let Some(schema) = &function.parameters else { return Ok(()) };
    let Value::Object(map) = schema else { return refuse("an object is expected".into()) };
    if let Some(kind) = map.get("type").filter(|k| k.as_str() != Some("object")) {
        let kind: String = kind.to_string().chars().take(40).collect();
        return refuse(format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: {kind}'"));
    }
    match schema::check(schema) {
        Ok(()) => Ok(()),
        Err(mistake) => refuse(format!("in '{}', {}", mistake.at, mistake.what)),
    }
}

fn allowed(choice: Option<&Value>) -> Result<ToolChoice, ApiError> {
    let Some(choice) = choice else { return Err(missing("tool_choice.allowed_tools")) };
    let path = "tool_choice.allowed_tools.tools";
    let Some(tools) = choice.get("tools").and_then(Value::as_array) else { return Err(missing(path)) };
    if tools.is_empty() {
        return Err(ApiError::invalid(path, format!("Invalid '{path}': expected at least one tool.")));
    }
    let each = tools.iter().enumerate().map(|(i, tool)| match tool.get("type").and_then(Value::as_str) {
        Some("function") => name(tool.get("function"), &format!("{path}[{i}].function.name")),
        Some("custom") => Err(custom(&format!("{path}[{i}].type"))),
        _ => Err(unknown_mode(&format!("{path}[{i}].type"), "", "'function'")),
    });
    let names = each.collect::<Result<Vec<_>, _>>()?;
    match choice.get("mode").and_then(Value::as_str) {
        Some("auto") => Ok(ToolChoice::Auto(Some(names))),
        Some("required") => Ok(ToolChoice::Required(Some(names))),
        Some(other) => Err(unknown_mode("tool_choice.allowed_tools.mode", other, "'auto' and 'required'")),
        None => Err(missing("tool_choice.allowed_tools.mode")),
    }
}

fn name(function: Option<&Value>, path: &str) -> Result<String, ApiError> {
    function.and_then(|f| f.get("name")).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| missing(path))
}

fn custom(path: &str) -> ApiError {
    let message = format!(
        "Unsupported value: '{path}' asks for a custom tool. Qwen3-VL calls functions with JSON arguments only; use a tool of the type 'function'."
    );
    ApiError::new(400, "invalid_request_error", "unsupported_value", message).at(path)
}

/// `tool_choice` as one word.
pub fn mode_of(mode: &str) -> Result<ToolChoice, ApiError> {
    match mode {
        "none" => Ok(ToolChoice::None),
        "auto" => Ok(ToolChoice::Auto(None)),
        "required" => Ok(ToolChoice::Required(None)),
        other => Err(unknown_mode("tool_choice", other, "'none', 'auto', and 'required'")),
    }
}

pub fn unknown_mode(path: &str, got: &str, known: &str) -> ApiError {
    let got = clip(got);
    ApiError::invalid(path, format!("Invalid value: '{got}'. Supported values are: {known}."))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::ToolChoice;
    use crate::chat::ChatRequest;

    fn parse(extra: Value) -> Result<ChatRequest, crate::ApiError> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ChatRequest::parse(body.to_string().as_bytes())
    }

    fn tools(names: &[&str]) -> Value {
        names
            .iter()
            .map(|n| json!({"type": "function", "function": {"name": n, "parameters": {"type": "object"}}}))
            .collect()
    }

    #[test]
    fn every_choice_is_understood() {
        let some = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        for (extra, choice) in [
            (json!({}), ToolChoice::None),
            (json!({"tools": []}), ToolChoice::None),
            (json!({"tool_choice": "none"}), ToolChoice::None),
            (json!({"tool_choice": "auto"}), ToolChoice::None),
            (json!({"tools": tools(&["f"])}), ToolChoice::Auto(None)),
            (json!({"tools": tools(&["f"]), "tool_choice": "none"}), ToolChoice::None),
            (json!({"tools": tools(&["f"]), "tool_choice": "required"}), ToolChoice::Required(None)),
            (
                json!({"tools": tools(&["f", "g"]), "tool_choice": {"type": "function", "function": {"name": "g"}}}),
                ToolChoice::Required(some(&["g"])),
            ),
            (
                json!({"tools": tools(&["f", "g"]), "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}}}),
                ToolChoice::Auto(some(&["f"])),
            ),
            (json!({"functions": [{"name": "f"}]}), ToolChoice::Auto(None)),
            (json!({"functions": [{"name": "f"}], "function_call": {"name": "f"}}), ToolChoice::Required(some(&["f"]))),
            (json!({"functions": [{"name": "f"}], "function_call": "none"}), ToolChoice::None),
        ] {
            assert_eq!(parse(extra.clone()).map(|r| r.choice().unwrap()), Ok(choice), "{extra}");
        }
    }

    #[test]
    fn what_is_wrong_with_tools_is_named() {
        let many: Vec<String> = (0..129).map(|i| format!("f{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let with = |parameters: Value| json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]});
        for (extra, param) in [
            (json!({"tools": tools(&many)}), "tools"),
            (json!({"tools": tools(&["f", "f"])}), "tools[1].function.name"),
            (json!({"tools": tools(&["a b"])}), "tools[0].function.name"),
            (json!({"tools": [{"type": "function"}]}), "tools[0].function"),
            (json!({"tools": [{"type": "custom", "custom": {"name": "c"}}]}), "tools[0].type"),
            (json!({"tools": [{"type": "magic"}]}), "tools[0].type"),
            (with(json!([])), "tools[0].function.parameters"),
            (with(json!({"type": "string"})), "tools[0].function.parameters"),
            (with(json!({"type": "object", "properties": {"x": {"type": "int"}}})), "tools[0].function.parameters"),
            (json!({"tool_choice": "required"}), "tool_choice"),
            (json!({"tools": tools(&["f"]), "tool_choice": "maybe"}), "tool_choice"),
            (
                json!({"tools": tools(&["f"]), "tool_choice": {"type": "function", "function": {"name": "g"}}}),
                "tool_choice",
            ),
            (
                json!({"tools": tools(&["f"]), "tool_choice": {"type": "custom", "custom": {"name": "g"}}}),
                "tool_choice",
            ),
            (json!({"tools": tools(&["f"]), "tool_choice": {"type": "function"}}), "tool_choice.function.name"),
            (
                json!({"tools": tools(&["f"]), "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}}),
                "tool_choice.allowed_tools.tools",
            ),
            (json!({"functions": []}), "functions"),
            (json!({"functions": [{"name": "f"}], "tools": tools(&["f"])}), "functions"),
            (json!({"functions": [{"name": "f"}], "function_call": {"name": "g"}}), "function_call"),
        ] {
            let error = parse(extra.clone()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{extra}: {error:?}");
        }
    }
}
