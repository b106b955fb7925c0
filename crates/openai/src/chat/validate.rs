//! What the types cannot say: ranges, combinations, and what this server cannot do, each refusal with its path.

use serde_json::Value;

use super::{ChatRequest, Content, messages, messages::pixels};
use crate::{
    ApiError,
    check::{self, Checked, clip, one_of, range, whole},
};

impl ChatRequest {
    /// Checks the whole request; the contract page's section 1 has the ranges.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Checked {
        if self.messages.is_empty() {
            return Err(ApiError::new(400, "invalid_request_error", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.").at("messages"));
        }
        self.numbers()?;
        self.combinations()?;
        self.texts()?;
        self.unsupported()?;
        self.check_tools()?;
        self.answer_format()?;
        self.check_media()?;
        messages::check(&self.messages, self.continue_final_message == Some(true))
    }

    fn numbers(&self) -> Checked {
        self.sampling().check()?;
        whole("n", self.n, 1, 128)?;
        whole("top_logprobs", self.top_logprobs, 0, 20)?;
        whole("max_tokens", self.max_tokens, 1, i64::MAX)?;
        whole("max_completion_tokens", self.max_completion_tokens, 1, i64::MAX)
    }

    /// Fields that go only with others.
    fn combinations(&self) -> Checked {
        if self.top_logprobs.is_some() && self.logprobs != Some(true) {
            return Err(ApiError::invalid(
                "top_logprobs",
                "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            ));
        }
        if self.stream_options.is_some() && self.stream != Some(true) {
            return Err(ApiError::invalid(
                "stream_options",
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            ));
        }
        if self.continue_final_message == Some(true) {
            let last = self.messages.last().map(|m| m.role.as_str());
            if last != Some("assistant") {
                return Err(ApiError::invalid(
                    "continue_final_message",
                    "Cannot use 'continue_final_message': the last message is not an assistant's.",
                ));
            }
            if self.add_generation_prompt == Some(true) {
                return Err(ApiError::invalid(
                    "continue_final_message",
                    "Cannot set both 'continue_final_message' and 'add_generation_prompt' to true.",
                ));
            }
        }
        let options = self.mm_processor_kwargs.clone().unwrap_or_default();
        pixels(options.min_pixels, options.max_pixels, "mm_processor_kwargs")?;
        let size = options.size.unwrap_or_default();
        pixels(size.shortest_edge, size.longest_edge, "mm_processor_kwargs.size")
    }

    /// Stops, biases, metadata and the enumerations.
    fn texts(&self) -> Checked {
        match &self.stop {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(Value::Array(all)) if (1..=4).contains(&all.len()) && all.iter().all(Value::is_string) => {}
            Some(_) => {
                return Err(ApiError::invalid(
                    "stop",
                    "Invalid 'stop': a string or an array of 1 to 4 strings is expected.",
                ));
            }
        }
        for (token, bias) in self.logit_bias.iter().flatten() {
            if token.parse::<u32>().is_err() {
                return Err(ApiError::invalid(
                    "logit_bias",
                    format!("Invalid key in 'logit_bias': '{}'. Token ids are expected.", clip(token)),
                ));
            }
            range("logit_bias", Some(*bias), -100.0, 100.0)?;
        }
        check::metadata(self.metadata.as_ref())?;
        check::short("user", self.user.as_deref())?;
        check::short("safety_identifier", self.safety_identifier.as_deref())?;
        one_of("verbosity", self.verbosity.as_deref(), &["low", "medium", "high"])?;
        one_of("reasoning_effort", self.reasoning_effort.as_deref(), &check::EFFORTS)?;
        one_of(
            "service_tier",
            self.service_tier.as_deref(),
            &["auto", "default", "flex", "scale", "priority", "fast"],
        )?;
        one_of("prompt_cache_retention", self.prompt_cache_retention.as_deref(), &["in_memory", "24h"])?;
        prediction(self.prediction.as_ref())
    }

    /// What would change the answer and cannot be done here is refused, never dropped.
    fn unsupported(&self) -> Checked {
        let refuse = |param: &str, why: &str| Err(check::unsupported(param, why));
        let asked = |value: &Option<Value>| value.as_ref().is_some_and(|v| !v.is_null());
        if asked(&self.audio) {
            return refuse("audio", "asks for speech, which this server does not make.");
        }
        if self.modalities.iter().flatten().any(|m| m != "text") {
            return refuse("modalities", "may only be ['text'] with this server.");
        }
        if asked(&self.web_search_options) {
            return refuse("web_search_options", "asks for a web search, which this server does not do.");
        }
        if asked(&self.moderation) {
            return refuse("moderation", "asks for moderation, which this server does not do.");
        }
        for (param, differs, why) in [
            ("skip_special_tokens", self.skip_special_tokens == Some(false), "may only be true with this server."),
            (
                "add_special_tokens",
                self.add_special_tokens == Some(true),
                "may only be false: the chat template has them.",
            ),
            ("min_tokens", self.min_tokens.unwrap_or(0) != 0, "may only be 0 with this server."),
            (
                "stop_token_ids",
                self.stop_token_ids.iter().flatten().next().is_some(),
                "is not supported by this server; use 'stop'.",
            ),
            ("priority", self.priority.unwrap_or(0) != 0, "may only be 0: requests are served in their order."),
            ("echo", self.echo == Some(true), "may only be false with this server."),
        ] {
            if differs {
                return refuse(param, why);
            }
        }
        Ok(())
    }
}

/// `{type: "content", content: …}`; what it predicts is not used, and its tokens are counted as neither accepted nor rejected.
fn prediction(value: Option<&Value>) -> Checked {
    let Some(value) = value.filter(|v| !v.is_null()) else { return Ok(()) };
    if value.get("type").and_then(Value::as_str) != Some("content") {
        return Err(ApiError::invalid("prediction.type", "Invalid value. Supported values are: 'content'."));
    }
    match value.get("content").map(|c| serde_json::from_value::<Content>(c.clone())) {
        Some(Ok(Content::Text(_))) => Ok(()),
        Some(Ok(Content::Parts(parts)))
            if !parts.is_empty() && parts.iter().all(|p| p.kind == "text" && p.text.is_some()) =>
        {
            Ok(())
        }
        _ => Err(ApiError::invalid(
            "prediction.content",
            "Invalid 'prediction.content': a string or an array of text parts is expected.",
        )),
    }
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
            json!({"stop": "x"}),
            json!({"stop": ["a", "b"]}),
            json!({"max_tokens": 5, "max_completion_tokens": 6}),
            json!({"seed": -1}),
            json!({"verbosity": "low"}),
            json!({"reasoning_effort": "none"}),
            json!({"logit_bias": {"5": -100}}),
            json!({"tools": [], "response_format": {"type": "text"}}),
            json!({"tools": null, "tool_choice": null, "response_format": null}),
            json!({"prediction": {"type": "content", "content": [{"type": "text", "text": "t"}]}}),
            json!({"top_k": -1, "min_p": 0.1, "ignore_eos": true}),
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": null, "schema": {"type": "object"}}}}),
            json!({"guided_json": "{\"type\": \"object\"}"}),
            json!({"structured_outputs": {"choice": ["a", "b"]}}),
            json!({"include_reasoning": false}),
            json!({"mm_processor_kwargs": {"max_pixels": 100000, "size": {"longest_edge": 5}}}),
            json!({"chat_template_kwargs": {"enable_thinking": false}}),
            json!({"service_tier": "auto", "store": true, "metadata": {"a": "b"}, "prompt_cache_key": "k", "prompt_cache_options": {"mode": "implicit"}}),
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
            (json!({"n": 129}), "n"),
            (json!({"max_tokens": 0}), "max_tokens"),
            (json!({"max_tokens": -1}), "max_tokens"),
            (json!({"max_completion_tokens": "5"}), "max_completion_tokens"),
            (json!({"top_logprobs": 21, "logprobs": true}), "top_logprobs"),
            (json!({"user": "u".repeat(65)}), "user"),
            (json!({"safety_identifier": "u".repeat(65)}), "safety_identifier"),
            (json!({"audio": {"voice": "alloy", "format": "wav"}}), "audio"),
            (json!({"modalities": ["text", "audio"]}), "modalities"),
            (json!({"moderation": {"model": "m"}}), "moderation"),
            (json!({"web_search_options": {}}), "web_search_options"),
            (json!({"prediction": {"type": "content"}}), "prediction.content"),
            (json!({"prediction": {"type": "x"}}), "prediction.type"),
            (json!({"service_tier": "gold"}), "service_tier"),
            (json!({"prompt_cache_retention": "1h"}), "prompt_cache_retention"),
            (json!({"continue_final_message": true}), "continue_final_message"),
            (json!({"min_tokens": 5}), "min_tokens"),
            (json!({"mm_processor_kwargs": {"min_pixels": 5, "max_pixels": 4}}), "mm_processor_kwargs.max_pixels"),
            (json!({"metadata": {"k": "v".repeat(513)}}), "metadata"),
            (json!({"seed": 1.5}), "seed"),
            (json!({"response_format": {"type": "xml"}}), "response_format.type"),
            (json!({"response_format": {}}), "response_format.type"),
            (json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema"),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}),
                "response_format.json_schema.name",
            ),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}}),
                "response_format.json_schema.name",
            ),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "int"}}}}),
                "response_format.json_schema.schema",
            ),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": "yes"}}}),
                "response_format.json_schema.strict",
            ),
            (json!({"guided_regex": "a", "guided_choice": ["b"]}), "guided_choice"),
            (json!({"guided_choice": []}), "guided_choice"),
            (json!({"guided_json": "{"}), "guided_json"),
            (json!({"structured_outputs": {"json": []}}), "structured_outputs.json"),
            (
                json!({"response_format": {"type": "json_object"}, "structured_outputs": {"regex": "a"}}),
                "structured_outputs.regex",
            ),
            (json!({"stop": [1]}), "stop"),
            (json!({"logit_bias": {"x": 1}}), "logit_bias"),
            (json!({"top_logprobs": 2}), "top_logprobs"),
            (json!({"stream_options": {}}), "stream_options"),
            (json!({"bogus": 1}), "bogus"),
            (image(json!("LOW")), "messages[1].content[1].image_url.detail"),
            (image(json!(5)), "messages[1].content[1].image_url.detail"),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
                "messages[0].content[0].image_url",
            ),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
                "messages[0].content[0].image_url.url",
            ),
            (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
            (json!({"messages": [{"role": "robot", "content": "x"}]}), "messages[0].role"),
        ] {
            let error = ChatRequest::parse(with(extra.clone()).to_string().as_bytes()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{extra}: {error:?}");
        }
        let error = ChatRequest::parse(with(image(json!("LOW"))).to_string().as_bytes()).unwrap_err();
        assert_eq!(error.message, "Invalid value: 'LOW'. Supported values are: 'low', 'high', and 'auto'.");
        let long = "x".repeat(1 << 20);
        let error = ChatRequest::parse(
            with(json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": long}]}]}))
                .to_string()
                .as_bytes(),
        )
        .unwrap_err();
        assert_eq!(
            error.message,
            "Invalid type for 'messages[0].content[0].image_url': expected an object, but got a string instead."
        );
        assert_eq!(ChatRequest::parse(b"{broken").unwrap_err().param, None);
        assert_eq!(ChatRequest::parse("[".repeat(100_000).as_bytes()).unwrap_err().status, 400);
    }
}
