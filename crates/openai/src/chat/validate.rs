//! What the types cannot say: ranges, combinations, and what this server cannot do, each refusal with its path.

use serde_json::Value;

use super::{ChatRequest, Content, Message, Part};
use crate::ApiError;

type Checked = Result<(), ApiError>;

impl ChatRequest {
    /// Checks the whole request; the contract page's section 1 has the ranges.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Checked {
        if self.messages.is_empty() {
            return Err(ApiError::new(400, "invalid_request_error", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.").at("messages"));
        }
        range("temperature", self.temperature, 0.0, 2.0)?;
        range("top_p", self.top_p, 0.0, 1.0)?;
        range("min_p", self.min_p, 0.0, 1.0)?;
        range("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        range("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        range("repetition_penalty", self.repetition_penalty, 0.01, 10.0)?;
        range("n", self.n.map(|n| n as f32), 1.0, 128.0)?;
        range("top_logprobs", self.top_logprobs.map(f32::from), 0.0, 20.0)?;
        range("max_tokens", self.max_tokens.map(|n| n as f32), 1.0, f32::MAX)?;
        range("max_completion_tokens", self.max_completion_tokens.map(|n| n as f32), 1.0, f32::MAX)?;
        if self.top_logprobs.is_some() && self.logprobs != Some(true) {
            return Err(ApiError::invalid("top_logprobs", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."));
        }
        if self.stream_options.is_some() && self.stream != Some(true) {
            return Err(ApiError::invalid("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled."));
        }
        self.texts()?;
        self.unsupported()?;
        self.messages.iter().enumerate().try_for_each(|(i, m)| message(m, &format!("messages[{i}]")))
    }

    /// Stops, biases, metadata and the enumerations.
    fn texts(&self) -> Checked {
        match &self.stop {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(Value::Array(all)) if (1..=4).contains(&all.len()) && all.iter().all(Value::is_string) => {}
            Some(_) => return Err(ApiError::invalid("stop", "Invalid 'stop': a string or an array of 1 to 4 strings is expected.")),
        }
        for (token, bias) in self.logit_bias.iter().flatten() {
            if token.parse::<u32>().is_err() {
                return Err(ApiError::invalid("logit_bias", format!("Invalid key in 'logit_bias': '{}'. Token ids are expected.", clip(token))));
            }
            range("logit_bias", Some(*bias), -100.0, 100.0)?;
        }
        let metadata = self.metadata.iter().flatten();
        if metadata.clone().count() > 16 || metadata.clone().any(|(k, v)| k.chars().count() > 64 || v.chars().count() > 512) {
            return Err(ApiError::invalid("metadata", "Invalid 'metadata': at most 16 pairs with keys of up to 64 and values of up to 512 characters."));
        }
        one_of("verbosity", self.verbosity.as_deref(), &["low", "medium", "high"])?;
        one_of("reasoning_effort", self.reasoning_effort.as_deref(), &["none", "minimal", "low", "medium", "high", "xhigh", "max"])?;
        one_of("service_tier", self.service_tier.as_deref(), &["auto", "default", "flex", "scale", "priority"])
    }

    /// What would change the answer and cannot be done here is refused, never dropped.
    fn unsupported(&self) -> Checked {
        let refuse = |param: &str, why: &str| {
            Err(ApiError::new(400, "invalid_request_error", "unsupported_parameter", format!("Unsupported parameter: '{param}' {why}")).at(param))
        };
        if self.audio.as_ref().is_some_and(|v| !v.is_null()) {
            return refuse("audio", "asks for speech, which this server does not make.");
        }
        if self.modalities.iter().flatten().any(|m| m != "text") {
            return refuse("modalities", "may only be ['text'] with this server.");
        }
        if self.web_search_options.is_some() {
            return refuse("web_search_options", "asks for a web search, which this server does not do.");
        }
        if self.guided_json.is_some() || self.guided_regex.is_some() || self.guided_choice.is_some() {
            return refuse("guided_json", "(and guided_regex, guided_choice) are not supported by this server yet.");
        }
        match self.response_format.as_ref().and_then(|f| f.get("type")).and_then(Value::as_str) {
            None if self.response_format.is_none() => {}
            Some("text") => {}
            Some("json_object" | "json_schema") => return refuse("response_format", "of this type is not supported by this server yet."),
            _ => return Err(ApiError::invalid("response_format.type", "Invalid value. Supported values are: 'text', 'json_object', and 'json_schema'.")),
        }
        let choice = self.tool_choice.as_ref().and_then(Value::as_str);
        let offered = self.tools.as_ref().is_some_and(|t| !t.is_empty());
        if offered && choice != Some("none") {
            return refuse("tools", "is not supported by this server yet.");
        }
        if self.functions.as_ref().is_some_and(|f| !f.is_empty()) && self.function_call.as_ref().and_then(Value::as_str) != Some("none") {
            return refuse("functions", "is not supported by this server yet.");
        }
        Ok(())
    }
}

fn message(m: &Message, path: &str) -> Checked {
    let known = ["developer", "system", "user", "assistant", "tool", "function"];
    one_of(&format!("{path}.role"), Some(&m.role), &known)?;
    if m.name.as_ref().is_some_and(|n| n.chars().count() > 256) {
        return Err(ApiError::invalid(format!("{path}.name"), "Invalid 'name': at most 256 characters."));
    }
    let calls = m.tool_calls.as_ref().is_some_and(|c| !c.is_empty()) || m.function_call.is_some() || m.refusal.is_some();
    match &m.content {
        Content::None if m.role == "assistant" && calls => Ok(()),
        Content::None => Err(ApiError::invalid(format!("{path}.content"), format!("Invalid value for 'content': expected a string or an array, got null. It is required for the role '{}'.", m.role))),
        Content::Text(_) => Ok(()),
        Content::Parts(parts) if parts.is_empty() => Err(ApiError::invalid(format!("{path}.content"), "Invalid 'content': expected at least one part.")),
        Content::Parts(parts) => parts.iter().enumerate().try_for_each(|(i, p)| part(p, &m.role, &format!("{path}.content[{i}]"))),
    }
}

fn part(p: &Part, role: &str, path: &str) -> Checked {
    let missing = |field: &str| {
        let param = format!("{path}.{field}");
        Err(ApiError::new(400, "invalid_request_error", "missing_required_parameter", format!("Missing required parameter: '{param}'.")).at(param))
    };
    match p.kind.as_str() {
        "text" if p.text.is_none() => missing("text"),
        "text" => Ok(()),
        "refusal" if p.refusal.is_none() => missing("refusal"),
        "refusal" => Ok(()),
        "image_url" if !matches!(role, "user" | "tool") => Err(ApiError::invalid(path, format!("Image parts are not allowed in messages of the role '{role}'."))),
        "image_url" => match &p.image_url {
            None => missing("image_url"),
            Some(image) => one_of(&format!("{path}.image_url.detail"), image.detail.as_deref(), &["low", "high", "auto"]),
        },
        "input_audio" | "file" | "video_url" | "video" => Err(ApiError::new(400, "invalid_request_error", "unsupported_content", format!("Content parts of the type '{}' are not supported by this server yet.", p.kind)).at(path)),
        other => Err(ApiError::invalid(format!("{path}.type"), format!("Invalid value: '{}'. Supported values are: 'text', 'image_url', and 'refusal'.", clip(other)))),
    }
}

fn range(param: &str, value: Option<f32>, low: f32, high: f32) -> Checked {
    match value {
        Some(v) if !(low..=high).contains(&v) => {
            let bound = if v > high { format!("above maximum value. Expected a value <= {high}") } else { format!("below minimum value. Expected a value >= {low}") };
            let code = if v > high { "decimal_above_max_value" } else { "decimal_below_min_value" };
            Err(ApiError::new(400, "invalid_request_error", code, format!("Invalid '{param}': {bound}, but got {v} instead.")).at(param))
        }
        _ => Ok(()),
    }
}

fn one_of(param: &str, value: Option<&str>, known: &[&str]) -> Checked {
    match value {
        Some(v) if !known.contains(&v) => {
            let quoted: Vec<String> = known.iter().map(|k| format!("'{k}'")).collect();
            let list = match quoted.split_last() {
                Some((last, rest)) if !rest.is_empty() => format!("{}, and {last}", rest.join(", ")),
                _ => quoted.join(", "),
            };
            Err(ApiError::invalid(param, format!("Invalid value: '{}'. Supported values are: {list}.", clip(v))))
        }
        _ => Ok(()),
    }
}

/// A client's text, short enough to repeat.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::chat::ChatRequest;

    fn with(extra: Value) -> Value {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    }

    #[test]
    fn what_openai_accepts_is_accepted() {
        let nullable = "audio frequency_penalty logit_bias logprobs max_completion_tokens max_tokens metadata modalities moderation n prediction presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort safety_identifier seed service_tier stop store stream stream_options temperature top_logprobs top_p verbosity";
        for field in nullable.split(' ') {
            let body = with(json!({field: null}));
            assert!(ChatRequest::parse(body.to_string().as_bytes()).is_ok(), "{field}");
        }
        for extra in [
            json!({"stop": "x"}), json!({"stop": ["a", "b"]}), json!({"max_tokens": 5, "max_completion_tokens": 6}), json!({"seed": -1}),
            json!({"verbosity": "low"}), json!({"reasoning_effort": "none"}), json!({"logit_bias": {"5": -100}}),
            json!({"tools": [], "response_format": {"type": "text"}}),
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "content": "1", "tool_call_id": "1"}]}),
        ] {
            let parsed = ChatRequest::parse(with(extra.clone()).to_string().as_bytes());
            assert!(parsed.is_ok(), "{extra}: {parsed:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let image = |detail: Value| json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "u", "detail": detail}}]}]});
        for (extra, param) in [
            (json!({"messages": []}), "messages"),
            (json!({"temperature": 3}), "temperature"),
            (json!({"temperature": "hot"}), "temperature"),
            (json!({"n": 0}), "n"),
            (json!({"stop": [1]}), "stop"),
            (json!({"logit_bias": {"x": 1}}), "logit_bias"),
            (json!({"top_logprobs": 2}), "top_logprobs"),
            (json!({"stream_options": {}}), "stream_options"),
            (json!({"bogus": 1}), "bogus"),
            (image(json!("LOW")), "messages[1].content[1].image_url.detail"),
            (image(json!(5)), "messages[1].content[1].image_url.detail"),
            (json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}), "messages[0].content[0].image_url"),
            (json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}), "messages[0].content[0].image_url.url"),
            (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
            (json!({"messages": [{"role": "robot", "content": "x"}]}), "messages[0].role"),
        ] {
            let error = ChatRequest::parse(with(extra.clone()).to_string().as_bytes()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{extra}: {error:?}");
        }
        let error = ChatRequest::parse(with(image(json!("LOW"))).to_string().as_bytes()).unwrap_err();
        assert_eq!(error.message, "Invalid value: 'LOW'. Supported values are: 'low', 'high', and 'auto'.");
        assert_eq!(ChatRequest::parse(b"{broken").unwrap_err().param, None);
        assert_eq!(ChatRequest::parse("[".repeat(100_000).as_bytes()).unwrap_err().status, 400);
    }
}
