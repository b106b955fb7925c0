//! What the types cannot say, each refusal with its path.

use serde_json::Value;

use super::{Block, ChoiceKind, Message, MessageRequest, Tool};
use crate::{
    ApiError, TextOr,
    chat::{self, AnswerFormat, FunctionDefinition, MOST_TOOLS, bad_name, name_fits, parameters},
    check::{Checked, clip, missing, one_of, range, unsupported, unsupported_value, whole},
};

impl MessageRequest {
    /// Checks the whole request.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Checked {
        let asked = |value: &Option<Value>| value.as_ref().is_some_and(|v| !v.is_null());
        for (param, value, why) in [
            ("container", &self.container, "asks for a container, and this server has none."),
            ("mcp_servers", &self.mcp_servers, "names MCP servers, which this server does not connect to."),
            ("context_management", &self.context_management, "asks for edits that this server does not do."),
        ] {
            if asked(value) {
                return Err(unsupported(param, why));
            }
        }
        whole("max_tokens", Some(self.max_tokens), 1, i64::MAX)?;
        whole("top_k", self.top_k, 0, i64::from(u32::MAX))?;
        range("temperature", self.temperature, 0.0, 1.0)?;
        range("top_p", self.top_p, 0.0, 1.0)?;
        one_of("service_tier", self.service_tier.as_deref(), &["auto", "standard_only"])?;
        if self.stop_sequences.as_ref().is_some_and(|s| s.len() > 64 || s.iter().any(String::is_empty)) {
            return Err(ApiError::invalid("stop_sequences", "At most 64 texts are accepted, none of them empty."));
        }
        self.thinking()?;
        self.answer_format()?;
        self.check_tools()?;
        if let TextOr::Parts(blocks) = &self.system {
            each(blocks, &["text"], "system")?;
        }
        if self.messages.is_empty() {
            return Err(ApiError::invalid("messages", "At least one message is required."));
        }
        let mut open = Vec::new();
        for (i, message) in self.messages.iter().enumerate() {
            check(message, &format!("messages[{i}]"))?;
            results(message, i, &mut open)?;
        }
        Ok(())
    }

    /// Whether the model may think: only where the request says so.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn thinking(&self) -> Result<bool, ApiError> {
        let Some(thinking) = self.thinking.as_ref().filter(|t| !t.is_null()) else { return Ok(false) };
        match thinking.get("type").and_then(Value::as_str) {
            Some("enabled" | "adaptive") => Ok(true),
            Some("disabled") => Ok(false),
            other => {
                one_of("thinking.type", Some(other.unwrap_or_default()), &["enabled", "disabled", "adaptive"])?;
                Ok(false)
            }
        }
    }

    /// The form that is asked for.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn answer_format(&self) -> Result<AnswerFormat, ApiError> {
        let format = self.output_config.as_ref().and_then(|c| c.get("format")).filter(|f| !f.is_null());
        let Some(format) = format else { return Ok(AnswerFormat::Text) };
        let kind = format.get("type").and_then(Value::as_str).unwrap_or_default();
        one_of("output_config.format.type", Some(kind), &["json_schema"])?;
        let path = "output_config.format.schema";
        let schema = format.get("schema").ok_or_else(|| missing(path))?;
        chat::checked(schema, path)?;
        Ok(AnswerFormat::JsonSchema { schema: schema.clone(), strict: true })
    }

    /// Which tools may or must be called.
    #[must_use]
    pub fn choice(&self) -> chat::ToolChoice {
        let any = self.tools.as_ref().is_some_and(|t| !t.is_empty());
        let kind = self.tool_choice.as_ref().map_or(ChoiceKind::Auto, |c| c.kind);
        match (any, kind) {
            (false, _) | (_, ChoiceKind::None) => chat::ToolChoice::None,
            (_, ChoiceKind::Auto) => chat::ToolChoice::Auto(None),
            (_, ChoiceKind::Any) => chat::ToolChoice::Required(None),
            (_, ChoiceKind::Tool) => {
                chat::ToolChoice::Required(self.tool_choice.as_ref().and_then(|c| c.name.clone()).map(|n| vec![n]))
            }
        }
    }

    fn check_tools(&self) -> Checked {
        if self.tools.as_ref().is_some_and(|t| t.len() > MOST_TOOLS) {
            return Err(ApiError::invalid("tools", format!("At most {MOST_TOOLS} tools are accepted.")));
        }
        let mut names = std::collections::HashSet::new();
        for (i, tool) in self.tools.iter().flatten().enumerate() {
            let path = format!("tools[{i}]");
            if let Some(kind) = tool.kind.as_deref().filter(|k| *k != "custom") {
                let why = format!("is '{}', a tool that this server does not run.", clip(kind));
                return Err(unsupported_value(&format!("{path}.type"), &why));
            }
            if !name_fits(&tool.name) {
                return Err(bad_name(&format!("{path}.name")));
            }
            if !names.insert(tool.name.as_str()) {
                return Err(ApiError::invalid(format!("{path}.name"), "Tool names must be unique."));
            }
            if tool.input_schema.is_none() {
                return Err(missing(&format!("{path}.input_schema")));
            }
            parameters(&tool.function(), &format!("{path}.input_schema"))?;
        }
        let Some(choice) = &self.tool_choice else { return Ok(()) };
        if self.tools.as_ref().is_none_or(Vec::is_empty) && matches!(choice.kind, ChoiceKind::Any | ChoiceKind::Tool) {
            return Err(ApiError::invalid("tool_choice", "'tool_choice' may only be given together with 'tools'."));
        }
        match (choice.kind, &choice.name) {
            (ChoiceKind::Tool, None) => Err(missing("tool_choice.name")),
            (ChoiceKind::Tool, Some(name)) if !names.contains(name.as_str()) => {
                Err(ApiError::invalid("tool_choice.name", format!("Tool '{}' not found in 'tools'.", clip(name))))
            }
            _ => Ok(()),
        }
    }
}

impl Tool {
    /// The function as chat completions have it.
    #[must_use]
    pub fn function(&self) -> FunctionDefinition {
        FunctionDefinition {
            name: self.name.clone(),
            description: self.description.clone(),
            parameters: self.input_schema.clone(),
            strict: self.strict,
        }
    }
}

fn check(message: &Message, path: &str) -> Checked {
    one_of(&format!("{path}.role"), Some(&message.role), &["user", "assistant"])?;
    let known: &[&str] = match message.role.as_str() {
        "user" => &["text", "image", "document", "tool_result"],
        _ => &["text", "tool_use", "thinking"],
    };
    match &message.content {
        TextOr::None => Err(missing(&format!("{path}.content"))),
        TextOr::Text(_) => Ok(()),
        TextOr::Parts(blocks) => each(blocks, known, &format!("{path}.content")),
    }
}

fn each(blocks: &[Block], known: &[&str], path: &str) -> Checked {
    blocks.iter().enumerate().try_for_each(|(i, block)| {
        let path = format!("{path}[{i}]");
        one_of(&format!("{path}.type"), Some(&block.kind), known)?;
        let needed: &[(&str, bool)] = match block.kind.as_str() {
            "text" => &[("text", block.text.is_some())],
            "thinking" => &[("thinking", block.thinking.is_some())],
            "tool_use" => &[
                ("id", block.id.is_some()),
                ("name", block.name.as_deref().is_some_and(name_fits)),
                ("input", block.input.as_ref().is_some_and(Value::is_object)),
            ],
            "tool_result" => &[("tool_use_id", block.tool_use_id.is_some())],
            _ => &[("source", block.source.is_some())],
        };
        if let Some((field, _)) = needed.iter().find(|(_, there)| !there) {
            return Err(missing(&format!("{path}.{field}")));
        }
        if let TextOr::Parts(inner) = &block.content {
            each(inner, &["text", "image", "document"], &format!("{path}.content"))?;
        }
        match &block.source {
            Some(_) => source(block, &format!("{path}.source")),
            None => Ok(()),
        }
    })
}

fn source(block: &Block, path: &str) -> Checked {
    let Some(source) = &block.source else { return Ok(()) };
    let known: &[&str] =
        if block.kind == "image" { &["base64", "url", "file"] } else { &["base64", "url", "file", "text"] };
    one_of(&format!("{path}.type"), Some(&source.kind), known)?;
    let (field, there) = match source.kind.as_str() {
        "url" => ("url", source.url.is_some()),
        "file" => ("file_id", source.file_id.is_some()),
        _ if source.media_type.is_none() => ("media_type", false),
        _ => ("data", source.data.is_some()),
    };
    if there { Ok(()) } else { Err(missing(&format!("{path}.{field}"))) }
}

/// Every call has its result in the next message, and every result its call in the one before.
fn results<'a>(message: &'a Message, i: usize, open: &mut Vec<&'a str>) -> Checked {
    let blocks: &[Block] = match &message.content {
        TextOr::Parts(blocks) => blocks,
        _ => &[],
    };
    for (j, block) in blocks.iter().enumerate().filter(|(_, b)| b.kind == "tool_result") {
        let id = block.tool_use_id.as_deref().unwrap_or_default();
        let before = open.len();
        open.retain(|o| *o != id);
        if open.len() == before {
            let message = format!(
                "unexpected `tool_use_id` found in `tool_result` blocks: {}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
                clip(id)
            );
            return Err(ApiError::invalid(format!("messages[{i}].content[{j}].tool_use_id"), message));
        }
    }
    if let Some(id) = open.first() {
        let message =
            format!("`tool_use` ids were found without `tool_result` blocks immediately after: {}.", clip(id));
        return Err(ApiError::invalid(format!("messages[{i}]"), message));
    }
    open.extend(blocks.iter().filter(|b| b.kind == "tool_use").filter_map(|b| b.id.as_deref()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::MessageRequest;
    use crate::chat::ToolChoice;

    fn parse(extra: Value) -> Result<MessageRequest, crate::ApiError> {
        let mut body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        MessageRequest::parse(body.to_string().as_bytes())
    }

    fn said(block: Value) -> Value {
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}, block]}]})
    }

    fn tools() -> Value {
        json!([{"name": "f", "description": "d", "input_schema": {"type": "object"}}])
    }

    #[test]
    fn what_anthropic_accepts_is_accepted() {
        let call = json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "t"}, {"type": "tool_use", "id": "a", "name": "f", "input": {}}]});
        let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]}]});
        for extra in [
            json!({"system": "s"}),
            json!({"system": [{"type": "text", "text": "s"}], "metadata": {"user_id": "u"}, "service_tier": "auto"}),
            json!({"stop_sequences": ["x"], "temperature": 0.5, "top_p": 0.5, "top_k": 5, "stream": false}),
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"}}),
            json!({"tools": tools(), "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
            said(json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}})),
            json!({"messages": [{"role": "user", "content": "x"}, call, result]}),
        ] {
            assert!(parse(extra.clone()).is_ok(), "{extra}: {:?}", parse(extra.clone()));
        }
        let choice = |kind: Value| parse(json!({"tools": tools(), "tool_choice": kind})).unwrap().choice();
        assert_eq!(choice(json!({"type": "any"})), ToolChoice::Required(None));
        assert_eq!(choice(json!({"type": "tool", "name": "f"})), ToolChoice::Required(Some(vec!["f".into()])));
        assert_eq!(choice(json!({"type": "none"})), ToolChoice::None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let user = json!({"role": "user", "content": "x"});
        let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]});
        for (extra, param) in [
            (json!({"max_tokens": 0}), "max_tokens"),
            (json!({"messages": []}), "messages"),
            (json!({"messages": [{"role": "system", "content": "x"}]}), "messages[0].role"),
            (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
            (json!({"temperature": 1.5}), "temperature"),
            (json!({"bogus": 1}), "bogus"),
            (json!({"mcp_servers": [{}]}), "mcp_servers"),
            (json!({"thinking": {"type": "maybe"}}), "thinking.type"),
            (json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}), "tools[0].type"),
            (json!({"tools": [{"name": "f"}]}), "tools[0].input_schema"),
            (json!({"tools": tools(), "tool_choice": {"type": "tool", "name": "g"}}), "tool_choice.name"),
            (json!({"tool_choice": {"type": "any"}}), "tool_choice"),
            (
                json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "int"}}}}),
                "output_config.format.schema",
            ),
            (said(json!({"type": "image"})), "messages[0].content[1].source"),
            (
                said(json!({"type": "image", "source": {"type": "base64", "media_type": "image/png"}})),
                "messages[0].content[1].source.data",
            ),
            (said(json!({"type": "image", "source": {"type": "ftp"}})), "messages[0].content[1].source.type"),
            (said(json!({"type": "document", "source": {"type": "url"}})), "messages[0].content[1].source.url"),
            (said(json!({"type": "tool_use", "id": "a", "name": "f", "input": {}})), "messages[0].content[1].type"),
            (said(json!({"type": "tool_result", "tool_use_id": "a"})), "messages[0].content[1].tool_use_id"),
            (json!({"messages": [user, call, user]}), "messages[2]"),
        ] {
            let error = parse(extra.clone()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{extra}: {error:?}");
        }
    }
}
