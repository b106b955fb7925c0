//! `/v1/completions` and the tokens' endpoints over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{Server, picture, say, start};
use serde_json::{Value, json};
use vlgate_engine::Raw;
use vlgate_server::ServerConfig;

async fn complete(server: &Server, extra: Value) -> (u16, Value) {
    let mut body = json!({"model": "gpt-4o", "prompt": "Once"});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    server.call("POST", "/v1/completions", "", Some(body)).await
}

async fn stream(server: &Server, extra: Value) -> Vec<Value> {
    let mut body = json!({"model": "gpt-4o", "prompt": "Once", "stream": true});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let url = format!("{}/v1/completions", server.base);
    let text = server.http.post(url).body(body.to_string()).send().await.unwrap().text().await.unwrap();
    let lines: Vec<&str> = text.split("\n\n").filter_map(|l| l.strip_prefix("data: ")).collect();
    let (last, chunks) = lines.split_last().unwrap();
    if *last != "[DONE]" {
        return lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    }
    chunks.iter().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[tokio::test]
async fn a_prompt_goes_to_the_engine_as_it_is() {
    let server = start(ServerConfig::default());
    let (status, body) = complete(&server, json!({"max_tokens": 5, "seed": 3, "stop": "x", "logprobs": 2})).await;
    assert_eq!(status, 200, "{body}");
    assert!(body["id"].as_str().unwrap().starts_with("cmpl-"));
    assert_eq!((&body["object"], &body["model"]), (&json!("text_completion"), &json!("gpt-4o")));
    let choice = &body["choices"][0];
    assert_eq!(
        (&choice["text"], &choice["index"], &choice["finish_reason"]),
        (&json!("Hello"), &json!(0), &json!("stop"))
    );
    assert_eq!(
        choice["logprobs"],
        json!({"text_offset": [0, 3], "token_logprobs": [-0.5, -0.5], "tokens": ["Hel", "lo"], "top_logprobs": [{"Hel": -0.5}, {"lo": -0.5}]})
    );
    assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&json!(7), &json!(2)));
    let jobs = server.engine.jobs.lock().unwrap();
    let job = &jobs[0];
    assert_eq!((&job.raw, job.max_tokens, job.sampling.seed), (&Some(Raw::Text("Once".into())), Some(5), Some(3)));
    assert_eq!((job.logprobs, &job.stop, job.conversation.messages.len()), (Some(2), &vec!["x".to_owned()], 0));
}

#[tokio::test]
async fn several_prompts_several_answers_echo_and_no_tokens() {
    let server = start(ServerConfig::default());
    let (_, body) = complete(&server, json!({"prompt": ["a", "b"], "n": 2, "seed": 5, "echo": true})).await;
    let texts: Vec<_> = body["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["index"].as_u64().unwrap(), c["text"].as_str().unwrap()))
        .collect();
    assert_eq!(texts, [(0, "aHello"), (1, "aHello"), (2, "bHello"), (3, "bHello")]);
    assert_eq!(body["choices"][0]["logprobs"], json!(null));
    assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&json!(14), &json!(8)));
    {
        let jobs = server.engine.jobs.lock().unwrap();
        let mut seeds: Vec<_> = jobs.iter().map(|j| j.sampling.seed.unwrap()).collect();
        seeds.sort_unstable();
        assert_eq!((seeds, jobs[0].max_tokens), (vec![5, 5, 6, 6], Some(16)));
    }
    let (_, body) = complete(&server, json!({"n": 1, "best_of": 3})).await;
    assert_eq!((body["choices"].as_array().unwrap().len(), &body["usage"]["completion_tokens"]), (1, &json!(6)));
    assert_eq!(body["choices"][0]["logprobs"], json!(null));
    let before = server.engine.asked().len();
    let (_, body) = complete(&server, json!({"prompt": [[79, 110], [99]], "max_tokens": 0, "echo": true})).await;
    let texts: Vec<_> = body["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["text"].as_str().unwrap(), c["finish_reason"].as_str().unwrap()))
        .collect();
    assert_eq!(texts, [("On", "length"), ("c", "length")]);
    assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&json!(3), &json!(0)));
    assert_eq!(server.engine.asked().len(), before);
}

#[tokio::test]
async fn chunks_have_the_same_shape() {
    let server = start(ServerConfig::default());
    let chunks = stream(&server, json!({"echo": true})).await;
    assert!(
        chunks
            .iter()
            .all(|c| c["object"] == "text_completion" && c["id"] == chunks[0]["id"] && c.get("usage").is_none())
    );
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, "OnceHello");
    let reasons: Vec<_> = chunks.iter().map(|c| c["choices"][0]["finish_reason"].clone()).collect();
    assert_eq!(reasons.last().unwrap(), "stop");
    assert!(reasons[..reasons.len() - 1].iter().all(Value::is_null));
    let chunks =
        stream(&server, json!({"prompt": ["a", "b"], "logprobs": 0, "stream_options": {"include_usage": true}})).await;
    let (usage, rest) = chunks.split_last().unwrap();
    assert!(rest.iter().all(|c| c["usage"].is_null() && c.get("usage").is_some()));
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(18)));
    let offsets: Vec<_> = rest
        .iter()
        .filter(|c| c["choices"][0]["index"] == 1)
        .flat_map(|c| c["choices"][0]["logprobs"]["text_offset"].as_array().cloned().unwrap_or_default())
        .collect();
    assert_eq!(offsets, [json!(0), json!(3)]);
    let broken = stream(&server, json!({"prompt": "fails-midway"})).await;
    assert_eq!(broken.last().unwrap()["error"]["type"], "server_error");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let server = start(ServerConfig::default());
    for (extra, status, param) in [
        (json!({"suffix": "end"}), 400, json!("suffix")),
        (json!({"prompt": []}), 400, json!("prompt")),
        (json!({"prompt": ["a", {}]}), 400, json!("prompt[1]")),
        (json!({"prompt": ["a", "too-long"]}), 400, json!("prompt[1]")),
        (json!({"prompt": "too-long"}), 400, json!("prompt")),
        (json!({"prompt": [4_000_000_000u32], "echo": true}), 400, json!("prompt")),
        (json!({"prompt": vec!["a"; 41]}), 400, json!("prompt")),
        (json!({"n": 41}), 400, json!("n")),
        (json!({"messages": []}), 400, json!("messages")),
        (json!({"model": "gpt-9"}), 404, json!("model")),
        (json!({"prompt": "overloaded"}), 429, json!(null)),
        (json!({"prompt": "fails-first"}), 500, json!(null)),
    ] {
        for streamed in [false, true] {
            let mut extra = extra.clone();
            extra["stream"] = json!(streamed);
            let (got, body) = complete(&server, extra.clone()).await;
            assert_eq!((got, &body["error"]["param"]), (status, &param), "{extra}: {body}");
        }
    }
}

#[tokio::test]
async fn tokens_are_counted_and_shown() {
    let server = start(ServerConfig::default());
    let look = say(json!([{"type": "image_url", "image_url": {"url": picture()}}]), json!({"max_tokens": 5}));
    let (status, count) = server.call("POST", "/v1/chat/completions/input_tokens", "", Some(look.clone())).await;
    assert_eq!(status, 200, "{count}");
    let details = json!({"text_tokens": 7, "image_tokens": 4, "video_tokens": 0});
    assert_eq!(
        count,
        json!({"object": "chat.completion.input_tokens", "input_tokens": 11, "input_tokens_details": details})
    );
    assert!(server.engine.asked().is_empty(), "nothing is computed");
    let (_, shown) =
        server.call("POST", "/tokenize", "", Some(json!({"prompt": "abc", "return_token_strs": true}))).await;
    assert_eq!(
        shown,
        json!({"count": 3, "max_model_len": 4096, "tokens": [97, 98, 99], "token_strs": ["a", "b", "c"]})
    );
    let (status, shown) = server.call("POST", "/v1/tokenize", "", Some(look)).await;
    assert_eq!((status, &shown["tokens"], &shown["token_strs"]), (200, &json!([1, 2, 2, 2, 2, 3, 4]), &json!(null)));
    let (_, text) = server.call("POST", "/detokenize", "", Some(json!({"model": "gpt-4o", "tokens": [97, 98]}))).await;
    assert_eq!(text, json!({"prompt": "ab"}));
    for (path, body, status, param) in [
        ("/tokenize", json!({}), 400, "prompt"),
        ("/tokenize", json!({"prompt": "a", "model": "gpt-9"}), 404, "model"),
        ("/tokenize", json!({"messages": [{"role": "user"}]}), 400, "messages[0].content"),
        ("/detokenize", json!({"tokens": [4_000_000_000u32]}), 400, "tokens"),
        ("/detokenize", json!({"tokens": [-1]}), 400, "tokens[0]"),
        ("/v1/chat/completions/input_tokens", json!({"model": "gpt-4o"}), 400, "messages"),
        (
            "/v1/chat/completions/input_tokens",
            say(json!([{"type": "image_url", "image_url": {"url": "data:,x"}}]), json!({})),
            400,
            "messages[0].content[0].image_url.url",
        ),
    ] {
        let (got, answer) = server.call("POST", path, "", Some(body.clone())).await;
        assert_eq!((got, &answer["error"]["param"]), (status, &json!(param)), "{path} {body}: {answer}");
    }
}
