//! `/v1/responses` over real sockets: what a request becomes, what comes back, what is kept and for whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::{sync::atomic::Ordering, time::Duration};

use common::{Server, picture, start};
use serde_json::{Value, json};
use vlgate_engine::{Format, Part, Role, ToolPolicy};
use vlgate_server::ServerConfig;

fn ask(input: Value, extra: Value) -> Value {
    let mut body = json!({"model": "gpt-4o", "input": input});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

async fn create(server: &Server, input: Value, extra: Value) -> Value {
    let (status, body) = server.v1("POST", "/responses", "k", ask(input, extra)).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn stream(server: &Server, input: Value, extra: Value) -> Vec<(String, Value)> {
    let mut body = ask(input, extra);
    body["stream"] = json!(true);
    let request = server.http.post(format!("{}/v1/responses", server.base)).bearer_auth("k").body(body.to_string());
    let events = server.events(request.send().await.unwrap()).await;
    for (i, (name, event)) in events.iter().enumerate() {
        assert_eq!((event["sequence_number"].as_u64(), event["type"].as_str()), (Some(i as u64), Some(name.as_str())));
    }
    events
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|e| e.0.strip_prefix("response.").unwrap_or(&e.0)).collect()
}

fn tools() -> Value {
    json!([{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true}, {"type": "function", "name": "g"}])
}

/// Until the condition holds; a loaded machine may take long.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it never came to be");
}

#[tokio::test]
async fn a_picture_and_a_question_get_a_response() {
    let server = start(ServerConfig::default());
    let content = json!([{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": picture(), "detail": "low"}]);
    let extra = json!({
        "instructions": "Be short.", "max_output_tokens": 16, "temperature": 0.5, "metadata": {"a": "b"}, "seed": 3,
        "include": ["message.output_text.logprobs"], "top_logprobs": 2, "text": {"format": {"type": "json_object"}},
    });
    let body = create(&server, json!([{"role": "user", "content": content}]), extra).await;
    assert_eq!(
        (&body["object"], &body["status"], &body["model"]),
        (&json!("response"), &json!("completed"), &json!("gpt-4o"))
    );
    let item = &body["output"][0];
    assert_eq!(
        (&item["type"], &item["role"], &item["status"]),
        (&json!("message"), &json!("assistant"), &json!("completed"))
    );
    assert_eq!(item["content"][0]["text"], "Hello");
    assert_eq!(item["content"][0]["logprobs"].as_array().unwrap().len(), 2);
    assert_eq!(body["usage"]["total_tokens"], 9);
    assert_eq!(body["usage"]["input_tokens_details"]["image_tokens"], 4);
    assert_eq!(
        (&body["instructions"], &body["metadata"], &body["temperature"]),
        (&json!("Be short."), &json!({"a": "b"}), &json!(0.5))
    );
    for null in ["error", "incomplete_details", "previous_response_id"] {
        assert!(body.as_object().unwrap()[null].is_null(), "{null}");
    }
    let jobs = server.engine.jobs.lock().unwrap();
    let job = &jobs[0];
    assert_eq!((job.max_tokens, job.sampling.seed, job.logprobs), (Some(16), Some(3), Some(2)));
    assert_eq!(job.format, Format::JsonObject);
    let said = &job.conversation.messages;
    assert_eq!((said[0].role, said[1].role), (Role::System, Role::User));
    assert!(matches!(said[1].parts[..], [Part::Text(_), Part::Image(_)]));
}

#[tokio::test]
async fn a_stream_tells_everything_in_its_order() {
    let server = start(ServerConfig::default());
    let events = stream(&server, json!("hi"), json!({})).await;
    assert_eq!(
        names(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
    );
    assert_eq!(events[6].1["text"], "Hello");
    assert_eq!(
        (&events[0].1["response"]["status"], &events[0].1["response"]["output"]),
        (&json!("in_progress"), &json!([]))
    );
    let last = &events[9].1["response"];
    assert_eq!((&last["status"], &last["output"][0]["content"][0]["text"]), (&json!("completed"), &json!("Hello")));
    assert_eq!(last["output"][0], events[8].1["item"]);
    let (status, kept) =
        server.v1("GET", &format!("/responses/{}", last["id"].as_str().unwrap()), "k", Value::Null).await;
    assert_eq!((status, &kept), (200, last));

    let noisy = stream(&server, json!("hi"), json!({"stream_options": {"include_obfuscation": true}})).await;
    assert!(noisy.iter().filter(|e| e.0.ends_with("delta")).all(|e| !e.1["obfuscation"].as_str().unwrap().is_empty()));
}

#[tokio::test]
async fn reasoning_is_an_item_of_its_own() {
    let server = start(ServerConfig::default());
    let events = stream(&server, json!("thinks"), json!({"reasoning": {"effort": "high", "summary": "auto"}})).await;
    assert_eq!(
        names(&events)[2..9],
        [
            "output_item.added",
            "content_part.added",
            "reasoning_text.delta",
            "reasoning_text.delta",
            "reasoning_text.done",
            "content_part.done",
            "output_item.done",
        ]
    );
    let output = &events.last().unwrap().1["response"]["output"];
    assert_eq!((&output[0]["type"], &output[0]["content"][0]["text"]), (&json!("reasoning"), &json!("Hmm.")));
    assert_eq!((&output[1]["type"], &events[9].1["output_index"]), (&json!("message"), &json!(1)));
    assert_eq!(server.engine.jobs.lock().unwrap()[0].conversation.template.enable_thinking, Some(true));
    create(&server, json!("hi"), json!({"reasoning": {"effort": "none"}})).await;
    assert_eq!(server.engine.jobs.lock().unwrap()[1].conversation.template.enable_thinking, Some(false));
}

#[tokio::test]
async fn calls_are_items_and_their_results_are_fed_back() {
    let server = start(ServerConfig::default());
    let events = stream(&server, json!("calls-tools"), json!({"tools": tools()})).await;
    assert_eq!(
        names(&events)[8..14],
        [
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
        ]
    );
    assert_eq!((&events[11].1["name"], &events[11].1["arguments"]), (&json!("f"), &json!("{\"x\": 1}")));
    let first = &events.last().unwrap().1["response"];
    let output = first["output"].as_array().unwrap();
    assert_eq!(
        output.iter().map(|o| o["type"].as_str().unwrap()).collect::<Vec<_>>(),
        ["message", "function_call", "function_call"]
    );
    let result =
        |i: usize, out: Value| json!({"type": "function_call_output", "call_id": output[i]["call_id"], "output": out});
    let shown = json!([{"type": "input_text", "text": "done"}, {"type": "input_image", "image_url": picture()}]);
    let next = json!({"tools": tools(), "previous_response_id": first["id"]});
    create(&server, json!([result(1, shown), result(2, json!("2"))]), next).await;
    {
        let jobs = server.engine.jobs.lock().unwrap();
        let said = &jobs[1].conversation.messages;
        let roles: Vec<Role> = said.iter().map(|m| m.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool]);
        assert_eq!((said[1].tool_calls.len(), said[1].tool_calls[1].name.as_str()), (2, "g"));
        assert!(matches!(said[2].parts[..], [Part::Text(_), Part::Image(_)]));
    }
    // The same, sent back by the client itself.
    let mut whole = vec![json!({"role": "user", "content": "calls-tools"})];
    whole.extend(output.iter().cloned());
    whole.extend([result(1, json!("1")), result(2, json!("2"))]);
    create(&server, Value::Array(whole.clone()), json!({"tools": tools(), "store": false})).await;
    whole.pop();
    let (status, body) = server.v1("POST", "/responses", "k", ask(Value::Array(whole), json!({}))).await;
    assert_eq!((status, body["error"]["param"].as_str()), (400, Some("input")), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().starts_with("No tool output found for function call call_"));
}

#[tokio::test]
async fn choices_reach_the_engine() {
    let server = start(ServerConfig::default());
    for choice in [
        json!("none"),
        json!("required"),
        json!({"type": "function", "name": "g"}),
        json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}),
    ] {
        create(&server, json!("hi"), json!({"tools": tools(), "tool_choice": choice, "parallel_tool_calls": false}))
            .await;
    }
    let jobs = server.engine.jobs.lock().unwrap();
    let allowed = |name: &str| Some(vec![name.to_owned()]);
    assert!(jobs[0].conversation.tools.is_empty() && jobs[1].conversation.tools[0].strict);
    let policies: Vec<_> = jobs.iter().skip(1).map(|j| j.tools.clone()).collect();
    assert_eq!(
        policies,
        [
            ToolPolicy { required: true, allowed: None, parallel: false },
            ToolPolicy { required: true, allowed: allowed("g"), parallel: false },
            ToolPolicy { required: false, allowed: allowed("f"), parallel: false },
        ]
    );
}

#[tokio::test]
async fn a_conversation_goes_on_from_what_was_kept() {
    let server = start(ServerConfig::default());
    let first = create(&server, json!("One."), json!({"instructions": "Old."})).await;
    let second =
        create(&server, json!("Two."), json!({"previous_response_id": first["id"], "instructions": "New."})).await;
    let third =
        create(&server, json!([{"role": "user", "content": "Three."}]), json!({"previous_response_id": second["id"]}))
            .await;
    {
        let jobs = server.engine.jobs.lock().unwrap();
        let text = |m: &vlgate_engine::Message| match &m.parts[..] {
            [Part::Text(text)] => text.clone(),
            _ => panic!(),
        };
        let said = |i: usize| jobs[i].conversation.messages.iter().map(text).collect::<Vec<_>>();
        assert_eq!(said(1), ["New.", "One.", "Hello", "Two."]);
        assert_eq!(said(2), ["One.", "Hello", "Two.", "Hello", "Three."]);
    }
    let path = format!("/responses/{}/input_items", third["id"].as_str().unwrap());
    let (_, list) = server.v1("GET", &format!("{path}?order=asc&limit=2"), "k", Value::Null).await;
    assert_eq!((&list["data"][0]["content"][0]["text"], &list["has_more"]), (&json!("One."), &json!(true)));
    assert_eq!(
        (&list["data"][0]["type"], &list["data"][0]["role"], &list["data"][0]["status"]),
        (&json!("message"), &json!("user"), &json!("completed"))
    );
    let (_, rest) = server
        .v1("GET", &format!("{path}?order=asc&after={}", list["last_id"].as_str().unwrap()), "k", Value::Null)
        .await;
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["has_more"]), (3, &json!(false)));
    let (_, newest) = server.v1("GET", &format!("{path}?limit=1"), "k", Value::Null).await;
    assert_eq!(newest["data"][0]["content"][0], json!({"type": "input_text", "text": "Three."}));
    for (query, param) in [("limit=0", "limit"), ("order=up", "order"), ("after=msg_x", "after")] {
        let (status, body) = server.v1("GET", &format!("{path}?{query}"), "k", Value::Null).await;
        assert_eq!((status, body["error"]["param"].as_str()), (400, Some(param)), "{body}");
    }
    // An item of it, by its id.
    let reference =
        json!([{"type": "item_reference", "id": second["output"][0]["id"]}, {"role": "user", "content": "Four."}]);
    create(&server, reference, json!({})).await;
    assert_eq!(server.engine.jobs.lock().unwrap().last().unwrap().conversation.messages.len(), 2);
    // A missing link breaks the chain.
    let (status, gone) =
        server.v1("DELETE", &format!("/responses/{}", first["id"].as_str().unwrap()), "k", Value::Null).await;
    assert_eq!((status, gone), (200, json!({"id": first["id"], "object": "response", "deleted": true})));
    let (status, body) =
        server.v1("POST", "/responses", "k", ask(json!("x"), json!({"previous_response_id": third["id"]}))).await;
    assert_eq!((status, body["error"]["code"].as_str()), (400, Some("previous_response_not_found")), "{body}");
}

#[tokio::test]
async fn what_is_kept_is_its_owners_alone() {
    let server = start(ServerConfig { api_keys: vec!["k".into(), "other".into()], ..ServerConfig::default() });
    let mine = create(&server, json!("hi"), json!({})).await;
    let unkept = create(&server, json!("hi"), json!({"store": false})).await;
    assert_eq!(unkept["store"], false);
    let id = mine["id"].as_str().unwrap();
    for (key, id) in [("other", id), ("k", unkept["id"].as_str().unwrap()), ("k", "resp_none")] {
        for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")] {
            let (status, body) = server.v1(method, &format!("/responses/{id}{path}"), key, Value::Null).await;
            assert_eq!(
                (status, body["error"]["type"].as_str()),
                (404, Some("invalid_request_error")),
                "{method} {path}"
            );
        }
        let (status, body) =
            server.v1("POST", "/responses", key, ask(json!("x"), json!({"previous_response_id": id}))).await;
        assert_eq!((status, body["error"]["param"].as_str()), (400, Some("previous_response_id")), "{body}");
    }
    let item = json!([{"type": "item_reference", "id": mine["output"][0]["id"]}]);
    let (status, body) = server.v1("POST", "/responses", "other", ask(item, json!({}))).await;
    assert_eq!((status, body["error"]["param"].as_str()), (400, Some("input[0].id")), "{body}");
    assert_eq!(server.v1("GET", &format!("/responses/{id}"), "k", Value::Null).await, (200, mine.clone()));
    let (status, body) = server.v1("POST", &format!("/responses/{id}/cancel"), "k", Value::Null).await;
    assert_eq!((status, body["error"]["message"].as_str()), (400, Some("Cannot cancel a synchronous response.")));
}

#[tokio::test]
async fn in_the_background_it_can_be_polled_and_cancelled() {
    let server = start(ServerConfig::default());
    let queued = create(&server, json!("forever"), json!({"background": true})).await;
    assert!(["queued", "in_progress"].contains(&queued["status"].as_str().unwrap()), "{queued}");
    let path = format!("/responses/{}", queued["id"].as_str().unwrap());
    until(async || server.v1("GET", &path, "k", Value::Null).await.1["status"] == "in_progress").await;
    let (status, body) =
        server.v1("POST", "/responses", "k", ask(json!("x"), json!({"previous_response_id": queued["id"]}))).await;
    assert_eq!((status, body["error"]["param"].as_str()), (400, Some("previous_response_id")), "{body}");
    let (status, cancelled) = server.v1("POST", &format!("{path}/cancel"), "k", Value::Null).await;
    assert_eq!((status, cancelled["status"].as_str()), (200, Some("cancelled")));
    assert_eq!(server.engine.live.load(Ordering::SeqCst), 0, "the engine has stopped");
    assert_eq!(server.v1("GET", &path, "k", Value::Null).await.1, cancelled);
    assert_eq!(server.v1("POST", &format!("{path}/cancel"), "k", Value::Null).await, (200, cancelled));

    let quick = create(&server, json!("hi"), json!({"background": true})).await;
    let path = format!("/responses/{}", quick["id"].as_str().unwrap());
    until(async || server.v1("GET", &path, "k", Value::Null).await.1["status"] == "completed").await;
    let (_, done) = server.v1("GET", &path, "k", Value::Null).await;
    assert_eq!((&done["output"][0]["content"][0]["text"], &done["background"]), (&json!("Hello"), &json!(true)));
    create(&server, json!("x"), json!({"previous_response_id": quick["id"]})).await;
    let (status, body) = server.v1("GET", &format!("{path}?stream=true"), "k", Value::Null).await;
    assert_eq!((status, body["error"]["param"].as_str()), (400, Some("stream")));

    let hanging = create(&server, json!("forever"), json!({"background": true})).await;
    let path = format!("/responses/{}", hanging["id"].as_str().unwrap());
    assert_eq!(server.v1("DELETE", &path, "k", Value::Null).await.0, 200);
    assert_eq!(server.engine.live.load(Ordering::SeqCst), 0);
    assert_eq!(server.v1("GET", &path, "k", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_story_can_be_taken_up_again() {
    let server = start(ServerConfig::default());
    let events = stream(&server, json!("hi"), json!({"background": true})).await;
    assert_eq!(names(&events)[..4], ["created", "queued", "in_progress", "output_item.added"]);
    let id = events[0].1["response"]["id"].as_str().unwrap().to_owned();
    let resume = async |after: usize| {
        let url = format!("{}/v1/responses/{id}?stream=true&starting_after={after}", server.base);
        server.events(server.http.get(url).bearer_auth("k").send().await.unwrap()).await
    };
    until(async || server.v1("GET", &format!("/responses/{id}"), "k", Value::Null).await.1["status"] == "completed")
        .await;
    assert_eq!(resume(4).await, events[5..]);
    // A client that leaves does not stop what is made in the background, and comes back to it.
    let mut body = ask(json!("forever"), json!({"background": true}));
    body["stream"] = json!(true);
    let request = server.http.post(format!("{}/v1/responses", server.base)).bearer_auth("k").body(body.to_string());
    let mut left = request.send().await.unwrap();
    let mut head = String::new();
    while !head.contains("response.in_progress") {
        head.push_str(std::str::from_utf8(&left.chunk().await.unwrap().unwrap()).unwrap());
    }
    drop(left);
    let id = head.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let url = format!("{}/v1/responses/{id}?stream=true&starting_after=1", server.base);
    let rest = tokio::spawn(server.http.get(url).bearer_auth("k").send());
    until(async || server.engine.live.load(Ordering::SeqCst) == 1).await;
    let response = rest.await.unwrap().unwrap();
    server.v1("POST", &format!("/responses/{id}/cancel"), "k", Value::Null).await;
    assert_eq!(names(&server.events(response).await), ["in_progress"]);
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_work() {
    let server = start(ServerConfig::default());
    let body = ask(json!("forever"), json!({"stream": true}));
    let request = server.http.post(format!("{}/v1/responses", server.base)).body(body.to_string());
    let mut response = request.send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    assert_eq!(server.engine.live.load(Ordering::SeqCst), 1);
    drop(response);
    until(async || server.engine.live.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn what_is_cut_or_empty_says_so() {
    let server = start(ServerConfig::default());
    let body = create(&server, json!("is-cut"), json!({})).await;
    assert_eq!(
        (&body["status"], &body["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    assert_eq!((&body["output"][0]["status"], &body["completed_at"]), (&json!("incomplete"), &Value::Null));
    let events = stream(&server, json!("is-cut"), json!({})).await;
    assert_eq!(events.last().unwrap().0, "response.incomplete");
    let body = create(&server, json!("says-nothing"), json!({})).await;
    assert_eq!((&body["status"], &body["output"][0]["content"][0]["text"]), (&json!("completed"), &json!("")));
}

#[tokio::test]
async fn errors_name_the_fields_of_responses() {
    let server = start(ServerConfig::default());
    let broken = json!([{"role": "user", "content": [{"type": "input_text", "text": "t"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]}]);
    let schema = json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}});
    for (input, extra, status, param) in [
        (broken, json!({}), 400, Some("input[0].content[1].image_url")),
        (json!("too-long"), json!({}), 400, Some("input")),
        (json!("bad-schema"), schema, 400, Some("text.format.schema")),
        (json!("bad-schema tools"), json!({"tools": tools()}), 400, Some("tools[1].parameters")),
        (json!("hi"), json!({"model": "none"}), 404, Some("model")),
        (json!("hi"), json!({"tools": [{"type": "web_search"}]}), 400, Some("tools[0].type")),
        (json!("overloaded"), json!({}), 429, None),
        (json!("overloaded"), json!({"background": true}), 429, None),
        (json!("fails-first"), json!({}), 500, None),
        (json!("fails-first"), json!({"stream": true}), 500, None),
        (json!("loading"), json!({"stream": true}), 503, None),
    ] {
        let (got, body) = server.v1("POST", "/responses", "k", ask(input.clone(), extra)).await;
        assert_eq!((got, body["error"]["param"].as_str()), (status, param), "{input}: {body}");
        assert!(!body.to_string().contains("secret"));
    }
    let events = stream(&server, json!("fails-midway"), json!({})).await;
    let (failed, rest) = events.split_last().unwrap();
    assert_eq!((failed.0.as_str(), &failed.1["response"]["status"]), ("response.failed", &json!("failed")));
    assert_eq!(failed.1["response"]["error"]["code"], "server_error");
    assert_eq!((rest.last().unwrap().0.as_str(), &rest.last().unwrap().1["code"]), ("error", &json!("server_error")));
    let ended = stream(&server, json!("ends-early"), json!({})).await;
    assert_eq!(ended.last().unwrap().0, "response.failed");
    let (status, _) = server.v1("PUT", "/responses/resp_1", "k", json!({})).await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn truncation_drops_the_oldest_turns() {
    let server = start(ServerConfig::default());
    let turns: Vec<Value> = (0..4).map(|i| json!({"role": "user", "content": format!("crowded {i}")})).collect();
    let (status, _) = server.v1("POST", "/responses", "k", ask(json!(turns), json!({}))).await;
    assert_eq!(status, 400);
    create(&server, json!(turns), json!({"truncation": "auto"})).await;
    let jobs = server.engine.jobs.lock().unwrap();
    let said = &jobs.last().unwrap().conversation.messages;
    assert_eq!(said.len(), 2);
    assert!(matches!(&said[1].parts[..], [Part::Text(text)] if text == "crowded 3"));
}

#[tokio::test]
async fn prompts_are_counted() {
    let server = start(ServerConfig::default());
    let first = create(&server, json!("One."), json!({})).await;
    let count =
        json!({"input": "Two.", "previous_response_id": first["id"], "instructions": "Be short.", "tools": tools()});
    let (status, body) = server.v1("POST", "/responses/input_tokens", "k", count).await;
    assert_eq!((status, body), (200, json!({"object": "response.input_tokens", "input_tokens": 44})));
    let (status, body) =
        server.v1("POST", "/responses/input_tokens", "k", json!({"model": "none", "input": "x"})).await;
    assert_eq!((status, body["error"]["param"].as_str()), (404, Some("model")));
    assert_eq!(server.engine.jobs.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn two_servers_on_one_folder_share_responses() {
    let folder = std::env::temp_dir().join(format!("vlgate-responses-{}", std::process::id()));
    let store = || vlgate_server::StoreConfig { path: Some(folder.clone()), ..Default::default() };
    let (one, two) = (
        ServerConfig { store: store(), ..ServerConfig::default() },
        ServerConfig { store: store(), ..ServerConfig::default() },
    );
    let (one, two) = (start(one), start(two));
    let queued = create(&one, json!("forever"), json!({"background": true})).await;
    let path = format!("/responses/{}", queued["id"].as_str().unwrap());
    // The other server sees it, and has it cancelled where it is made.
    assert!(
        ["queued", "in_progress"].contains(&two.v1("GET", &path, "k", Value::Null).await.1["status"].as_str().unwrap())
    );
    assert_eq!(two.v1("POST", &format!("{path}/cancel"), "k", Value::Null).await.1["status"], "cancelled");
    assert_eq!(one.engine.live.load(Ordering::SeqCst), 0);
    std::fs::remove_dir_all(folder).unwrap();
}
