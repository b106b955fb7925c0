//! The server over real sockets: what a client sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::{io::Write, sync::atomic::Ordering, time::Duration};

use common::{picture, say, start, start_with};
use serde_json::{Value, json};
use vlgate_engine::Part;
use vlgate_server::ServerConfig;

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[tokio::test]
async fn a_picture_and_a_question_get_a_completion() {
    let server = start(ServerConfig::default());
    let content = json!([{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": picture()}}]);
    let (status, body) = server.chat(say(content, json!({"max_tokens": 5, "logprobs": true, "seed": 3}))).await;
    assert_eq!(status, 200, "{body}");
    let choice = &body["choices"][0];
    assert_eq!(choice["message"]["content"], "Hello");
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["logprobs"]["content"].as_array().unwrap().len(), 2);
    let message = choice["message"].as_object().unwrap();
    assert!(message["refusal"].is_null() && message["annotations"] == json!([]));
    assert_eq!(body["usage"]["total_tokens"], 9);
    assert_eq!(body["usage"]["prompt_tokens_details"]["image_tokens"], 4);
    let jobs = server.engine.jobs.lock().unwrap();
    assert_eq!((jobs[0].model.as_str(), jobs[0].max_tokens, jobs[0].sampling.seed), ("Org/Model", Some(5), Some(3)));
    assert!(matches!(jobs[0].conversation.messages[0].parts[..], [Part::Text(_), Part::Image(_)]));
}

#[tokio::test]
async fn several_choices_have_their_own_seeds_and_one_usage() {
    let server = start(ServerConfig::default());
    let (_, body) = server.chat(say("hi", json!({"n": 3, "seed": 10}))).await;
    assert_eq!(body["choices"].as_array().unwrap().len(), 3);
    assert_eq!(body["choices"][2]["index"], 2);
    assert!(body["choices"][0].as_object().unwrap()["logprobs"].is_null());
    assert_eq!(body["usage"]["prompt_tokens"], 7);
    assert_eq!(body["usage"]["completion_tokens"], 6);
    let seeds: Vec<_> = server.engine.jobs.lock().unwrap().iter().map(|j| j.sampling.seed).collect();
    assert_eq!(seeds, [Some(10), Some(11), Some(12)]);
}

#[tokio::test]
async fn a_stream_keeps_the_order_that_sdks_rely_on() {
    let server = start(ServerConfig::default());
    let lines = server.stream(say("hi", json!({"stream": true}))).await;
    assert_eq!(lines.last().unwrap(), "[DONE]");
    let chunks: Vec<Value> = lines[..lines.len() - 1].iter().map(|l| parsed(l)).collect();
    assert!(chunks.iter().all(|c| c["id"] == chunks[0]["id"] && c["object"] == "chat.completion.chunk"));
    assert!(chunks.iter().all(|c| c.get("usage").is_none()));
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "Hello");
    let last = chunks.last().unwrap();
    assert_eq!((&last["choices"][0]["delta"], &last["choices"][0]["finish_reason"]), (&json!({}), &json!("stop")));

    let asked = json!({"stream": true, "n": 2, "stream_options": {"include_usage": true}});
    let lines = server.stream(say("hi", asked)).await;
    let chunks: Vec<Value> = lines[..lines.len() - 1].iter().map(|l| parsed(l)).collect();
    let (usage, rest) = chunks.split_last().unwrap();
    assert!(rest.iter().all(|c| c.get("usage").is_some_and(Value::is_null)));
    assert_eq!((&usage["choices"], &usage["usage"]["completion_tokens"]), (&json!([]), &json!(4)));
}

#[tokio::test]
async fn errors_have_openais_shape_and_say_nothing_secret() {
    let server = start(ServerConfig::default());
    for stream in [false, true] {
        for (text, status, code) in [
            ("too-long", 400, "context_length_exceeded"),
            ("overloaded", 429, "server_is_overloaded"),
            ("loading", 503, "server_is_overloaded"),
            ("fails-first", 500, "server_error"),
            ("deadline", 500, "server_error"),
        ] {
            let response = server.send(say(text, json!({"stream": stream})).to_string()).await;
            assert_eq!(response.status(), status, "{text}");
            let retry = response.headers()["x-should-retry"].to_str().unwrap();
            assert_eq!(retry == "true", status >= 429 && text != "deadline", "{text}");
            assert_eq!(response.headers().contains_key("retry-after"), matches!(status, 429 | 503), "{text}");
            let body: Value = response.json().await.unwrap();
            let error = body["error"].as_object().unwrap();
            assert!(["message", "type", "param", "code"].iter().all(|k| error.contains_key(*k)));
            assert_eq!(error["code"], code);
            assert!(!body.to_string().contains("secret"));
        }
    }
    for text in ["fails-midway", "ends-early"] {
        let lines = server.stream(say(text, json!({"stream": true}))).await;
        assert_eq!(parsed(lines.last().unwrap())["error"]["type"], "server_error");
        assert_eq!(server.chat(say(text, json!({}))).await.0, 500);
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_request_is_named() {
    let server = start(ServerConfig::default());
    let image = |url: &str| json!([{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": url}}]);
    for (body, param, code) in [
        (say(image("data:;base64,"), json!({})), "messages[0].content[1].image_url.url", "empty_image_file"),
        (say(image("data:;base64,AAAA"), json!({})), "messages[0].content[1].image_url.url", "invalid_image_format"),
        (
            say(image("http://169.254.169.254/x"), json!({})),
            "messages[0].content[1].image_url.url",
            "invalid_image_url",
        ),
        (say("hi", json!({"temperature": 9})), "temperature", "decimal_above_max_value"),
        (say("hi", json!({"stream_options": {"include_usage": true}})), "stream_options", "invalid_value"),
    ] {
        let (status, answer) = server.chat(body).await;
        assert_eq!((status, answer["error"]["param"].as_str()), (400, Some(param)), "{answer}");
        assert_eq!(answer["error"]["code"], code);
    }
    let (status, answer) = server.chat(json!({"model": "gpt-9", "messages": [{"role": "user", "content": "x"}]})).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("model_not_found")));
    let broken = server.send("{\"model\":").await;
    assert_eq!(broken.status(), 400);
    assert!(server.engine.jobs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_work() {
    let server = start(ServerConfig::default());
    for stream in [true, false] {
        let body = say("forever", json!({"stream": stream})).to_string();
        let url = format!("{}/v1/chat/completions", server.base);
        let http = server.http.clone();
        let client = tokio::spawn(async move {
            let response = http.post(url).body(body).send().await.unwrap();
            response.text().await
        });
        let live = &server.engine.live;
        let until = async |n: usize| {
            for _ in 0..100 {
                if live.load(Ordering::SeqCst) == n {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("stream={stream}: {} jobs live instead of {n}", live.load(Ordering::SeqCst));
        };
        until(1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.abort();
        until(0).await;
    }
}

#[tokio::test]
async fn a_silent_stream_says_that_it_lives() {
    let server = start(ServerConfig::default());
    let mut response = server.send(say("forever", json!({"stream": true})).to_string()).await;
    let mut text = String::new();
    let read = async {
        while !text.contains(": ping\n\n") {
            let chunk = response.chunk().await.unwrap().expect("the stream ended");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(18), read).await.unwrap();
    assert!(text.starts_with("data: {"), "{text}");
}

#[tokio::test]
async fn the_key_opens_everything_but_the_probes() {
    let config = ServerConfig { api_keys: vec!["k1".into(), "k2".into()], ..ServerConfig::default() };
    let server = start(config);
    for path in ["/livez", "/readyz", "/health", "/"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    let (status, body) = server.get("/v1/models").await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("invalid_api_key")));
    for (key, status) in [("k2", 200), ("k3", 401), ("", 401)] {
        let request = server.http.get(format!("{}/v1/models", server.base)).bearer_auth(key);
        assert_eq!(request.send().await.unwrap().status(), status, "{key}");
    }
    let preflight = server
        .http
        .request(reqwest::Method::OPTIONS, format!("{}/v1/chat/completions", server.base))
        .header("origin", "https://page.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-stainless-lang");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap().to_ascii_lowercase();
    assert!(allowed.contains("authorization") && allowed.contains("x-stainless-lang"), "{allowed}");
}

#[tokio::test]
async fn models_by_id_escaped_id_and_alias() {
    let server = start(ServerConfig::default());
    let (_, list) = server.get("/v1/models").await;
    assert_eq!((&list["object"], &list["data"][0]["id"]), (&json!("list"), &json!("Org/Model")));
    for path in ["Org/Model", "Org%2FModel", "gpt-4o"] {
        assert_eq!(server.get(&format!("/v1/models/{path}")).await.0, 200, "{path}");
    }
    assert_eq!(server.get("/v1/models/none").await.0, 404);
    assert_eq!(server.get("//v1/models/").await.0, 200);
    assert_eq!(server.get("/nothing").await.1["error"]["type"], "invalid_request_error");
    assert_eq!(server.get("/v1/completions").await.0, 405);
    assert_eq!(start_with(ServerConfig::default(), false).get("/readyz").await.0, 503);
}

#[tokio::test]
async fn bodies_are_bounded_also_when_compressed() {
    let server =
        start(ServerConfig { body_bytes: 100_000, bodies_in_flight_bytes: 250_000, ..ServerConfig::default() });
    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let post = |body: Vec<u8>| {
        let url = format!("{}/v1/chat/completions", server.base);
        server.http.post(url).header("content-encoding", "gzip").body(body).send()
    };
    assert_eq!(post(gzip(say("hi", json!({})).to_string().as_bytes())).await.unwrap().status(), 200);
    assert_eq!(post(gzip(&vec![b' '; 5_000_000])).await.unwrap().status(), 413);
    let answer = server.send(vec![b' '; 200_000]).await;
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["type"], "invalid_request_error");
    // What was reserved is given back, however a request ends: none of these finds the budget taken.
    for _ in 0..10 {
        assert_eq!(post(gzip(say("hi", json!({})).to_string().as_bytes())).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_sdks_read() {
    let server = start(ServerConfig::default());
    let url = format!("{}/v1/models", server.base);
    let answer = server.http.get(&url).header("x-request-id", "mine-1").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "mine-1");
    assert_eq!(answer.headers()["openai-version"], "2020-10-01");
    assert!(answer.headers().contains_key("openai-processing-ms"));
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (header("x-ratelimit-limit-requests"), header("x-ratelimit-remaining-requests")),
        ("40".into(), "37".into())
    );
    assert_eq!(
        (header("x-ratelimit-limit-tokens"), header("x-ratelimit-remaining-tokens")),
        ((40 * 4096).to_string(), (37 * 4096).to_string())
    );
    assert!(header("x-ratelimit-reset-requests").ends_with('s') && header("x-ratelimit-reset-tokens").ends_with('s'));
    let answer = server.http.get(&url).header("x-request-id", "a b").send().await.unwrap();
    assert!(answer.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
}
