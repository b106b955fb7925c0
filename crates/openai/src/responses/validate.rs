//! What the types cannot say: ranges, combinations, and what this server cannot do, each refusal with its path.

use serde_json::Value;

use super::{Input, ResponseRequest};
use crate::{
    ApiError,
    chat::pixels,
    check::{self, Checked, one_of, unsupported, whole},
};

const INCLUDES: [&str; 8] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];
const SUMMARIES: [&str; 3] = ["auto", "concise", "detailed"];

impl ResponseRequest {
    /// Checks the whole request.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Checked {
        self.unsupported()?;
        self.numbers()?;
        self.texts()?;
        self.combinations()?;
        self.check_tools()?;
        self.answer_format()?;
        match &self.input {
            Input::None if self.previous_response_id.is_none() => Err(ApiError::new(
                400,
                "invalid_request_error",
                "missing_required_parameter",
                "One of \"input\" or \"previous_response_id\" must be provided.",
            )
            .at("input")),
            Input::Parts(items) => {
                items.iter().enumerate().try_for_each(|(i, item)| item.check(&format!("input[{i}]")))
            }
            _ => Ok(()),
        }
    }

    fn numbers(&self) -> Checked {
        self.sampling().check()?;
        whole("top_logprobs", self.top_logprobs, 0, 20)?;
        whole("max_tool_calls", self.max_tool_calls, 1, i64::MAX)?;
        whole("max_output_tokens", self.max_output_tokens, 16, i64::MAX)
    }

    fn texts(&self) -> Checked {
        check::metadata(self.metadata.as_ref())?;
        check::short("safety_identifier", self.safety_identifier.as_deref())?;
        check::short("user", self.user.as_deref())?;
        for (i, one) in self.include.iter().flatten().enumerate() {
            one_of(&format!("include[{i}]"), Some(one), &INCLUDES)?;
        }
        if let Some(reasoning) = &self.reasoning {
            one_of("reasoning.effort", reasoning.effort.as_deref(), &check::EFFORTS)?;
            one_of("reasoning.summary", reasoning.summary.as_deref(), &SUMMARIES)?;
            one_of("reasoning.generate_summary", reasoning.generate_summary.as_deref(), &SUMMARIES)?;
            one_of("reasoning.context", reasoning.context.as_deref(), &["auto", "current_turn", "all_turns"])?;
        }
        let verbosity = self.text.as_ref().and_then(|t| t.verbosity.as_deref());
        one_of("text.verbosity", verbosity, &["low", "medium", "high"])?;
        one_of("truncation", self.truncation.as_deref(), &["auto", "disabled"])?;
        one_of("prompt_cache_retention", self.prompt_cache_retention.as_deref(), &["in_memory", "24h"])?;
        let tiers = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
        one_of("service_tier", self.service_tier.as_deref(), &tiers)
    }

    /// Fields that go only with others.
    fn combinations(&self) -> Checked {
        if self.background == Some(true) && !self.stored() {
            let message = "Cannot use 'background' without 'store': the response must be kept to be polled.";
            return Err(ApiError::invalid("background", message));
        }
        if self.stream_options.is_some() && self.stream != Some(true) {
            let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(ApiError::invalid("stream_options", message));
        }
        let options = self.mm_processor_kwargs.clone().unwrap_or_default();
        pixels(options.min_pixels, options.max_pixels, "mm_processor_kwargs")?;
        let size = options.size.unwrap_or_default();
        pixels(size.shortest_edge, size.longest_edge, "mm_processor_kwargs.size")
    }

    /// What would change the answer and cannot be done here is refused, never dropped.
    fn unsupported(&self) -> Checked {
        let asked = |value: &Option<Value>| value.as_ref().is_some_and(|v| !v.is_null());
        for (param, value, why) in [
            (
                "conversation",
                &self.conversation,
                "names a conversation; this server keeps responses: use 'previous_response_id'.",
            ),
            (
                "prompt",
                &self.prompt,
                "names a stored prompt, and this server has none: send 'instructions' and 'input'.",
            ),
            ("context_management", &self.context_management, "asks for compaction, which this server does not do."),
            ("moderation", &self.moderation, "asks for moderation, which this server does not do."),
        ] {
            if asked(value) {
                return Err(unsupported(param, why));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{chat::ToolChoice, responses::ResponseRequest};

    fn parse(extra: Value) -> Result<ResponseRequest, crate::ApiError> {
        let mut body = json!({"model": "m", "input": "hi"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ResponseRequest::parse(body.to_string().as_bytes())
    }

    fn said(part: Value) -> Value {
        json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "t"}, part]}]})
    }

    fn tool(name: &str) -> Value {
        json!({"type": "function", "name": name, "parameters": {"type": "object"}})
    }

    #[test]
    fn what_openai_accepts_is_accepted() {
        let nullable = "background conversation context_management include instructions max_output_tokens max_tool_calls metadata moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options temperature top_logprobs top_p truncation";
        for field in nullable.split(' ') {
            assert!(parse(json!({field: null})).is_ok(), "{field}");
        }
        for extra in [
            json!({"input": [{"role": "user", "content": "x"}, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "t", "annotations": []}, {"type": "refusal", "refusal": "no"}], "id": "msg_1", "status": "completed", "phase": "final_answer"}]}),
            said(json!({"type": "input_image", "image_url": "data:,", "detail": "original"})),
            json!({"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "r"}]}, {"type": "item_reference", "id": "msg_1"}]}),
            json!({"input": null, "previous_response_id": "resp_1"}),
            json!({"include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "top_logprobs": 2}),
            json!({"reasoning": {"effort": "high", "summary": "auto"}, "truncation": "auto", "service_tier": "ultrafast"}),
            json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"}}),
            json!({"tools": [tool("f"), {"type": "function", "name": "g", "parameters": null, "strict": null}], "tool_choice": "auto"}),
            json!({"background": true, "stream": true, "stream_options": {"include_obfuscation": false}}),
            json!({"max_output_tokens": 16, "top_k": -1, "seed": -1, "enable_thinking": false}),
        ] {
            assert!(parse(extra.clone()).is_ok(), "{extra}: {:?}", parse(extra.clone()));
        }
    }

    #[test]
    fn every_choice_is_understood() {
        let some = |name: &str| Some(vec![name.to_owned()]);
        let with = |choice: Value| json!({"tools": [tool("f"), tool("g")], "tool_choice": choice});
        for (extra, choice) in [
            (json!({}), ToolChoice::None),
            (json!({"tools": [tool("f")]}), ToolChoice::Auto(None)),
            (with(json!("none")), ToolChoice::None),
            (with(json!("required")), ToolChoice::Required(None)),
            (with(json!({"type": "function", "name": "g"})), ToolChoice::Required(some("g"))),
            (
                with(json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]})),
                ToolChoice::Auto(some("f")),
            ),
        ] {
            assert_eq!(parse(extra.clone()).map(|r| r.choice().unwrap()), Ok(choice), "{extra}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
        let without = |field: &str| {
            let mut item = call.clone();
            item.as_object_mut().unwrap().remove(field);
            json!({"input": [item]})
        };
        for (extra, param) in [
            (json!({"input": null}), "input"),
            (json!({"input": 5}), "input"),
            (json!({"bogus": 1}), "bogus"),
            (json!({"temperature": 3}), "temperature"),
            (json!({"max_output_tokens": 15}), "max_output_tokens"),
            (json!({"top_logprobs": 21}), "top_logprobs"),
            (json!({"include": ["all"]}), "include[0]"),
            (json!({"reasoning": {"effort": "huge"}}), "reasoning.effort"),
            (json!({"reasoning": {"bogus": 1}}), "reasoning.bogus"),
            (json!({"conversation": "conv_1"}), "conversation"),
            (json!({"prompt": {"id": "p"}}), "prompt"),
            (json!({"context_management": [{"type": "compaction"}]}), "context_management"),
            (json!({"moderation": {"model": "m"}}), "moderation"),
            (json!({"background": true, "store": false}), "background"),
            (json!({"stream_options": {}}), "stream_options"),
            (json!({"truncation": "some"}), "truncation"),
            (json!({"metadata": {"k": "v".repeat(513)}}), "metadata"),
            (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
            (json!({"tools": [{"type": "function"}]}), "tools[0].name"),
            (json!({"tools": [tool("f"), tool("f")]}), "tools[1].name"),
            (
                json!({"tools": [{"type": "function", "name": "f", "parameters": {"type": "string"}}]}),
                "tools[0].parameters",
            ),
            (json!({"tools": [tool("f")], "tool_choice": {"type": "web_search_preview"}}), "tool_choice.type"),
            (json!({"tools": [tool("f")], "tool_choice": {"type": "function", "name": "g"}}), "tool_choice"),
            (json!({"tool_choice": "required"}), "tool_choice"),
            (json!({"text": {"format": {"type": "xml"}}}), "text.format.type"),
            (json!({"text": {"format": {"type": "json_schema", "name": "n"}}}), "text.format.schema"),
            (
                json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "int"}}}}),
                "text.format.schema",
            ),
            (json!({"input": [{"role": "robot", "content": "x"}]}), "input[0].role"),
            (json!({"input": [{"role": "user"}]}), "input[0].content"),
            (json!({"input": [{"content": "x"}]}), "input[0].role"),
            (json!({"input": [{"type": "computer_call"}]}), "input[0].type"),
            (json!({"input": [{"type": "item_reference"}]}), "input[0].id"),
            (
                json!({"input": [{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x"}]}),
                "input[0].encrypted_content",
            ),
            (without("call_id"), "input[0].call_id"),
            (without("arguments"), "input[0].arguments"),
            (json!({"input": [{"type": "function_call_output", "call_id": "c"}]}), "input[0].output"),
            (
                json!({"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image"}]}]}),
                "input[0].output[0].image_url",
            ),
            (
                json!({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "t"}]}]}),
                "input[0].content[0].type",
            ),
            (said(json!({"type": "image_url", "image_url": "u"})), "input[0].content[1].type"),
            (said(json!({"type": "input_audio", "input_audio": {}})), "input[0].content[1]"),
            (said(json!({"type": "input_image"})), "input[0].content[1].image_url"),
            (said(json!({"type": "input_image", "image_url": {"url": "u"}})), "input[0].content[1].image_url"),
            (said(json!({"type": "input_image", "image_url": "u", "detail": "LOW"})), "input[0].content[1].detail"),
            (said(json!({"type": "input_image", "image_url": "u", "file_id": "f"})), "input[0].content[1].file_id"),
            (
                said(json!({"type": "input_file", "file_data": "data:,", "file_url": "u"})),
                "input[0].content[1].file_url",
            ),
            (said(json!({"type": "input_file"})), "input[0].content[1].file_data"),
            (said(json!({"type": "input_text"})), "input[0].content[1].text"),
        ] {
            let error = parse(extra.clone()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{extra}: {error:?}");
        }
    }

    #[test]
    fn calls_and_results_belong_together() {
        use crate::responses::{Item, check_calls};
        let items = |value: Value| serde_json::from_value::<Vec<Item>>(value).unwrap();
        let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
        let result = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "1"});
        let checked = |value: Value| check_calls(items(value).iter()).map_err(|e| e.message);
        assert_eq!(checked(json!([call("a"), call("b"), result("b"), result("a")])), Ok(()));
        assert_eq!(
            checked(json!([result("a")])),
            Err("No tool call found for function call output with call_id a.".into())
        );
        assert_eq!(
            checked(json!([call("a"), call("b"), result("a")])),
            Err("No tool output found for function call b.".into())
        );
    }
}
