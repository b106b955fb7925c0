//! Tools, forms and reasoning on the wire: what the request becomes, and what the events become.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{picture, say, start};
use serde_json::{Value, json};
use vlgate_engine::{Format, Part, Role, ToolPolicy};
use vlgate_server::ServerConfig;

fn tools() -> Value {
    json!([
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}, "strict": true}},
        {"type": "function", "function": {"name": "g"}},
    ])
}

fn chunks(lines: &[String]) -> Vec<Value> {
    lines.iter().filter(|l| *l != "[DONE]").map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[tokio::test]
async fn calls_come_back_in_the_completion() {
    let server = start(ServerConfig::default());
    let (status, body) = server.chat(say("calls-tools", json!({"tools": tools()}))).await;
    assert_eq!(status, 200, "{body}");
    let choice = &body["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &json!("Look.")));
    let expected = json!([
        {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
        {"id": "call_1", "type": "function", "function": {"name": "g", "arguments": "{\"x\": 1}"}},
    ]);
    assert_eq!(choice["message"]["tool_calls"], expected);
    assert!(choice["message"].get("function_call").is_none());
    let jobs = server.engine.jobs.lock().unwrap();
    let specs = &jobs[0].conversation.tools;
    assert_eq!((specs[0].name.as_str(), specs[0].strict, specs[1].strict), ("f", true, false));
    assert_eq!(jobs[0].tools, ToolPolicy { required: false, allowed: None, parallel: true });
}

/// As the Node SDK's accumulator and the Python SDK's put a stream together, with what they throw at.
fn accumulate(chunks: &[Value]) -> Vec<(String, String, String)> {
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for delta in chunks.iter().flat_map(|c| c["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten()) {
        let index = delta["index"].as_u64().unwrap() as usize;
        let function = &delta["function"];
        if index == calls.len() {
            assert_eq!(delta["type"], "function");
            calls.push((
                delta["id"].as_str().unwrap().into(),
                function["name"].as_str().unwrap().into(),
                String::new(),
            ));
            assert_eq!(function["arguments"], "");
        } else {
            assert!(
                delta.get("id").is_none() && delta.get("type").is_none() && function.get("name").is_none(),
                "{delta}"
            );
            calls[index].2.push_str(function["arguments"].as_str().unwrap());
        }
    }
    calls
}

#[tokio::test]
async fn calls_stream_with_their_heads_once() {
    let server = start(ServerConfig::default());
    let lines = server.stream(say("calls-tools", json!({"tools": tools(), "stream": true}))).await;
    let chunks = chunks(&lines);
    let call = |i: u32, name: &str| (format!("call_{i}"), name.to_owned(), "{\"x\": 1}".to_owned());
    assert_eq!(accumulate(&chunks), [call(0, "f"), call(1, "g")]);
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    assert!(chunks.iter().all(|c| c["choices"][0]["finish_reason"].is_null() || c["choices"][0]["delta"] == json!({})));
}

#[tokio::test]
async fn the_old_form_is_answered_in_the_old_form() {
    let server = start(ServerConfig::default());
    let old = json!({"functions": [{"name": "f", "parameters": {"type": "object"}}], "function_call": {"name": "f"}});
    let (_, body) = server.chat(say("calls-tools", old.clone())).await;
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call");
    assert_eq!(choice["message"]["function_call"], json!({"name": "f", "arguments": "{\"x\": 1}"}));
    assert!(choice["message"].get("tool_calls").is_none());
    let mut streamed = old;
    streamed["stream"] = json!(true);
    let chunks = chunks(&server.stream(say("calls-tools", streamed)).await);
    let deltas: Vec<&Value> = chunks.iter().filter_map(|c| c["choices"][0]["delta"].get("function_call")).collect();
    assert_eq!(deltas[0], &json!({"name": "f", "arguments": ""}));
    assert_eq!(deltas[1..].iter().map(|d| d["arguments"].as_str().unwrap()).collect::<String>(), "{\"x\": 1}");
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "function_call");
    let jobs = server.engine.jobs.lock().unwrap();
    assert_eq!(jobs[0].tools, ToolPolicy { required: true, allowed: Some(vec!["f".into()]), parallel: false });
}

#[tokio::test]
async fn choices_and_forms_reach_the_engine() {
    let server = start(ServerConfig::default());
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let formatted = |strict: Value| json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": strict, "schema": schema}}});
    for extra in [
        json!({"tools": tools(), "tool_choice": "none"}),
        json!({"tools": tools(), "tool_choice": "required", "parallel_tool_calls": false}),
        json!({"tools": tools(), "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}}}),
        formatted(json!(true)),
        formatted(Value::Null),
        json!({"response_format": {"type": "json_object"}}),
        json!({"guided_regex": "a+"}),
        json!({"structured_outputs": {"choice": ["x"]}}),
        json!({"guided_grammar": "start: \"a\""}),
        json!({"guided_json": schema.to_string()}),
    ] {
        assert_eq!(server.chat(say("hi", extra.clone())).await.0, 200, "{extra}");
    }
    let jobs = server.engine.jobs.lock().unwrap();
    assert!(jobs[0].conversation.tools.is_empty());
    assert!(jobs[1].tools.required && !jobs[1].tools.parallel);
    assert_eq!((jobs[2].tools.allowed.clone(), jobs[2].conversation.tools.len()), (Some(vec!["g".to_owned()]), 2));
    let json = |strict| Format::JsonSchema { schema: schema.clone(), strict };
    let formats: Vec<Format> = jobs[3..].iter().map(|j| j.format.clone()).collect();
    let expected = [
        json(true),
        json(false),
        Format::JsonObject,
        Format::Regex("a+".into()),
        Format::Choice(vec!["x".into()]),
        Format::Lark("start: \"a\"".into()),
        json(true),
    ];
    assert_eq!(formats, expected);
}

#[tokio::test]
async fn an_engines_refusal_names_the_field_that_asked() {
    let server = start(ServerConfig::default());
    let schema = json!({"type": "object"});
    for (text, extra, param) in [
        (
            "bad-schema",
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}),
            "response_format.json_schema.schema",
        ),
        ("bad-schema", json!({"guided_json": schema}), "guided_json"),
        ("bad-schema", json!({"structured_outputs": {"json": schema}}), "structured_outputs.json"),
        ("bad-schema tools", json!({"tools": tools()}), "tools[1].function.parameters"),
        ("bad-schema tools", json!({"functions": [{"name": "f"}, {"name": "g"}]}), "functions[1].parameters"),
    ] {
        let (status, body) = server.chat(say(text, extra)).await;
        assert_eq!((status, body["error"]["param"].as_str()), (400, Some(param)), "{body}");
    }
}

#[tokio::test]
async fn results_with_pictures_are_fed_back() {
    let server = start(ServerConfig::default());
    let messages = json!([
        {"role": "user", "content": "Open the menu."},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "computer_use", "arguments": "{\"action\": \"left_click\", \"coordinate\": [500, 20]}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "done"}, {"type": "image_url", "image_url": {"url": picture()}}]},
    ]);
    let (status, body) = server.chat(json!({"model": "gpt-4o", "messages": messages})).await;
    assert_eq!(status, 200, "{body}");
    let jobs = server.engine.jobs.lock().unwrap();
    let said = &jobs[0].conversation.messages;
    assert_eq!((said[1].tool_calls[0].name.as_str(), said[2].role), ("computer_use", Role::Tool));
    assert!(matches!(said[2].parts[..], [Part::Text(_), Part::Image(_)]));
}

#[tokio::test]
async fn reasoning_is_apart_under_both_names_and_may_be_left_out() {
    let server = start(ServerConfig::default());
    let (_, body) = server.chat(say("thinks", json!({}))).await;
    let message = &body["choices"][0]["message"];
    assert_eq!(
        (&message["content"], &message["reasoning_content"], &message["reasoning"]),
        (&json!("Hello"), &json!("Hmm."), &json!("Hmm."))
    );
    let lines = server.stream(say("thinks", json!({"stream": true}))).await;
    for field in ["reasoning", "reasoning_content"] {
        let text: String =
            chunks(&lines).iter().filter_map(|c| c["choices"][0]["delta"][field].as_str().map(str::to_owned)).collect();
        assert_eq!(text, "Hmm.");
    }
    let (_, body) = server.chat(say("thinks", json!({"include_reasoning": false}))).await;
    assert!(body["choices"][0]["message"].get("reasoning").is_none());
    for (extra, thinking) in [
        (json!({"reasoning_effort": "none"}), Some(false)),
        (json!({"reasoning_effort": "high"}), Some(true)),
        (json!({"enable_thinking": false}), Some(false)),
        (json!({"chat_template_kwargs": {"enable_thinking": true}}), Some(true)),
        (json!({}), None),
    ] {
        server.chat(say("hi", extra.clone())).await;
        let jobs = server.engine.jobs.lock().unwrap();
        assert_eq!(jobs.last().unwrap().conversation.template.enable_thinking, thinking, "{extra}");
    }
}

#[tokio::test]
async fn what_openai_echoes_is_echoed() {
    let server = start(ServerConfig::default());
    let (_, body) = server.chat(say("hi", json!({"metadata": {"a": "b"}, "store": true, "service_tier": "auto", "prediction": {"type": "content", "content": "x"}}))).await;
    assert_eq!((&body["metadata"], &body["service_tier"]), (&json!({"a": "b"}), &json!("default")));
    assert_eq!(body["usage"]["completion_tokens_details"]["accepted_prediction_tokens"], 0);
    let lines =
        server.stream(say("hi", json!({"stream": true, "stream_options": {"include_obfuscation": true}}))).await;
    assert!(chunks(&lines).iter().all(|c| c["obfuscation"].as_str().is_some_and(|o| !o.is_empty())));
    let (status, body) = server.chat(say("hi", json!({"n": 41}))).await;
    assert_eq!((status, body["error"]["param"].as_str()), (400, Some("n")), "{body}");
}
