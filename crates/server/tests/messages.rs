//! `/v1/messages` over real sockets: Anthropic's shape, in and out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{Server, picture, start};
use serde_json::{Value, json};
use vlgate_engine::{Format, Part, Role, ToolPolicy};
use vlgate_server::ServerConfig;

fn ask(content: Value, extra: Value) -> Value {
    let mut body = json!({"model": "gpt-4o", "max_tokens": 20, "messages": [{"role": "user", "content": content}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

async fn create(server: &Server, body: Value) -> Value {
    let (status, body) = server.v1("POST", "/messages", "k", body).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn stream(server: &Server, mut body: Value) -> Vec<(String, Value)> {
    body["stream"] = json!(true);
    let request = server.http.post(format!("{}/v1/messages", server.base)).body(body.to_string());
    let events = server.events(request.send().await.unwrap()).await;
    assert!(events.iter().all(|(name, event)| event["type"] == *name));
    events
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|e| e.0.as_str()).collect()
}

fn tools() -> Value {
    json!([{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true}, {"name": "g", "input_schema": {"type": "object"}}])
}

#[tokio::test]
async fn a_picture_and_a_question_get_a_message() {
    let server = start(ServerConfig::default());
    let data = picture().split_once(',').unwrap().1.to_owned();
    let content = json!([
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "text", "text": "What?"},
    ]);
    let extra = json!({"system": [{"type": "text", "text": "Be short."}], "stop_sequences": ["x"], "temperature": 0.5, "top_k": 7});
    let body = create(&server, ask(content, extra)).await;
    assert_eq!(
        (&body["type"], &body["role"], &body["model"]),
        (&json!("message"), &json!("assistant"), &json!("gpt-4o"))
    );
    assert_eq!(body["content"], json!([{"type": "text", "text": "Hello"}]));
    assert_eq!((&body["stop_reason"], &body["stop_sequence"]), (&json!("end_turn"), &Value::Null));
    assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(7), &json!(2)));
    let jobs = server.engine.jobs.lock().unwrap();
    let (job, said) = (&jobs[0], &jobs[0].conversation.messages);
    assert_eq!(
        (job.max_tokens, job.sampling.top_k, job.stop.as_slice()),
        (Some(20), Some(7), ["x".to_owned()].as_slice())
    );
    assert_eq!((said[0].role, said[1].role), (Role::System, Role::User));
    assert!(matches!(said[1].parts[..], [Part::Image(_), Part::Text(_)]));
    assert_eq!(job.conversation.template.enable_thinking, Some(false));
}

#[tokio::test]
async fn a_stream_tells_blocks_in_their_order() {
    let server = start(ServerConfig::default());
    let events =
        stream(&server, ask(json!("thinks"), json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}))).await;
    assert_eq!(
        names(&events),
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    assert_eq!(
        (&events[0].1["message"]["usage"]["input_tokens"], &events[0].1["message"]["content"]),
        (&json!(7), &json!([]))
    );
    assert_eq!(events[3].1["delta"], json!({"type": "thinking_delta", "thinking": "Hm"}));
    assert_eq!(
        (&events[7].1["index"], &events[7].1["delta"]),
        (&json!(1), &json!({"type": "text_delta", "text": "Hel"}))
    );
    assert_eq!(
        (&events[10].1["delta"]["stop_reason"], &events[10].1["usage"]["output_tokens"]),
        (&json!("end_turn"), &json!(2))
    );
    let body = create(&server, ask(json!("is-cut"), json!({}))).await;
    assert_eq!(body["stop_reason"], "max_tokens");
}

#[tokio::test]
async fn calls_and_their_results() {
    let server = start(ServerConfig::default());
    let body = create(&server, ask(json!("calls-tools"), json!({"tools": tools()}))).await;
    assert_eq!((&body["stop_reason"], &body["content"][0]["text"]), (&json!("tool_use"), &json!("Look.")));
    assert_eq!(body["content"][1], json!({"type": "tool_use", "id": "call_0", "name": "f", "input": {"x": 1}}));
    let events = stream(&server, ask(json!("calls-tools"), json!({"tools": tools()}))).await;
    let json: String =
        events.iter().filter(|e| e.1["index"] == 1).filter_map(|e| e.1["delta"]["partial_json"].as_str()).collect();
    assert_eq!(json, "{\"x\": 1}");

    let result = |id: &str, content: Value| json!({"type": "tool_result", "tool_use_id": id, "content": content});
    let shown =
        json!([{"type": "text", "text": "done"}, {"type": "image", "source": {"type": "url", "url": picture()}}]);
    let messages = json!([
        {"role": "user", "content": "Go."}, {"role": "assistant", "content": body["content"]},
        {"role": "user", "content": [result("call_0", shown), result("call_1", json!("2")), {"type": "text", "text": "And?"}]},
    ]);
    let choice = json!({"type": "tool", "name": "g", "disable_parallel_tool_use": true});
    create(&server, ask(json!(""), json!({"messages": messages, "tools": tools(), "tool_choice": choice}))).await;
    let jobs = server.engine.jobs.lock().unwrap();
    let job = jobs.last().unwrap();
    let said = &job.conversation.messages;
    let roles: Vec<Role> = said.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool, Role::User]);
    assert_eq!(
        (said[1].tool_calls[0].arguments.as_str(), said[2].tool_call_id.as_deref()),
        ("{\"x\":1}", Some("call_0"))
    );
    assert!(matches!(said[2].parts[..], [Part::Text(_), Part::Image(_)]));
    assert_eq!(job.tools, ToolPolicy { required: true, allowed: Some(vec!["g".into()]), parallel: false });
}

#[tokio::test]
async fn forms_and_beginnings_are_kept() {
    let server = start(ServerConfig::default());
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let begun = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "The"}]);
    let format = json!({"format": {"type": "json_schema", "schema": schema}});
    create(&server, ask(json!(""), json!({"messages": begun, "output_config": format}))).await;
    let jobs = server.engine.jobs.lock().unwrap();
    assert!(jobs[0].conversation.template.continue_final_message);
    assert_eq!(jobs[0].format, Format::JsonSchema { schema, strict: true });
}

#[tokio::test]
async fn errors_have_anthropics_shape() {
    let server = start(ServerConfig { api_keys: vec!["k".into()], ..ServerConfig::default() });
    let broken = json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]);
    for (body, status, kind, words) in [
        (ask(json!("too-long"), json!({})), 400, "invalid_request_error", "messages: "),
        (ask(json!("overloaded"), json!({})), 429, "rate_limit_error", ""),
        (ask(json!("loading"), json!({"stream": true})), 503, "overloaded_error", ""),
        (ask(json!("fails-first"), json!({"stream": true})), 500, "api_error", ""),
        (ask(json!("hi"), json!({"model": "none"})), 404, "not_found_error", "model: "),
        (ask(json!("hi"), json!({"max_tokens": null})), 400, "invalid_request_error", "max_tokens: "),
        (ask(broken, json!({})), 400, "invalid_request_error", "messages[0].content[0].source: "),
    ] {
        let (got, answer) = server.v1("POST", "/messages", "k", body).await;
        assert_eq!(
            (got, &answer["type"], &answer["error"]["type"]),
            (status, &json!("error"), &json!(kind)),
            "{answer}"
        );
        assert!(answer["error"]["message"].as_str().unwrap().starts_with(words), "{answer}");
    }
    let (status, body) = server.v1("POST", "/messages", "wrong", json!({})).await;
    assert_eq!((status, &body["error"]["type"]), (401, &json!("authentication_error")));
    let (status, body) = server.v1("GET", "/messages", "k", Value::Null).await;
    assert_eq!((status, &body["type"]), (405, &json!("error")));
    let url = format!("{}/v1/messages", server.base);
    let request = server.http.post(&url).header("x-api-key", "k").body(ask(json!("hi"), json!({})).to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["request-id"]),
        (200, &answer.headers()["x-request-id"].clone())
    );
    let broken = ask(json!("fails-midway"), json!({"stream": true})).to_string();
    let events = server.events(server.http.post(url).header("x-api-key", "k").body(broken).send().await.unwrap()).await;
    let last = events.last().unwrap();
    assert_eq!((last.0.as_str(), &last.1["error"]["type"]), ("error", &json!("api_error")));
    assert!(!last.1.to_string().contains("secret"));
}

#[tokio::test]
async fn prompts_are_counted() {
    let server = start(ServerConfig::default());
    let mut body = ask(json!("hi"), json!({"system": "Be short.", "tools": tools()}));
    body.as_object_mut().unwrap().shift_remove("max_tokens");
    let (status, body) = server.v1("POST", "/messages/count_tokens", "k", body).await;
    assert_eq!((status, body), (200, json!({"input_tokens": 22})));
}
