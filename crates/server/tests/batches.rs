//! `/v1/batches` over real sockets: from a file of requests to files of answers, over restarts, cancels and closed windows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::{sync::atomic::Ordering, time::Duration};

use common::{Folder, MockEngine, Server, encoded, say, start, start_engine};
use serde_json::{Value, json};
use vlgate_server::{ServerConfig, StoreConfig};

fn kept(folder: &Folder) -> ServerConfig {
    let store = StoreConfig { path: Some(folder.0.clone()), ..StoreConfig::default() };
    ServerConfig { store, batch_requests_at_once: 1, ..ServerConfig::default() }
}

fn line(id: &str, body: Value) -> Value {
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body})
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|l| format!("{l}\n")).collect()
}

async fn create(server: &Server, key: &str, input: &str) -> Value {
    let (status, file) = server.upload(key, "batch", "in.jsonl", input.as_bytes()).await;
    assert_eq!(status, 200, "{file}");
    let batch = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"a": "b"}});
    let (status, batch) = server.call("POST", "/v1/batches", key, Some(batch)).await;
    assert_eq!((status, &batch["status"]), (200, &json!("validating")), "{batch}");
    batch
}

/// Waits until `done`; what a test waits for happens at some time, however loaded the machine is.
async fn until(server: &Server, key: &str, id: &Value, done: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1200 {
        let (status, batch) = server.call("GET", &format!("/v1/batches/{}", id.as_str().unwrap()), key, None).await;
        assert_eq!(status, 200, "{batch}");
        if done(&batch) {
            return batch;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the batch never got there");
}

fn over(batch: &Value) -> bool {
    ["completed", "failed", "expired", "cancelled"].iter().any(|s| batch["status"] == *s)
}

fn done(batch: &Value) -> u64 {
    batch["request_counts"]["completed"].as_u64().unwrap()
}

async fn lines(server: &Server, key: &str, id: &Value) -> Vec<Value> {
    let mut request = server.http.get(format!("{}/v1/files/{}/content", server.base, id.as_str().unwrap()));
    if !key.is_empty() {
        request = request.bearer_auth(key);
    }
    let text = request.send().await.unwrap().text().await.unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn said(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|l| l["custom_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn requests_become_answers_and_errors_in_their_order() {
    let server = start(ServerConfig::default());
    let png = encoded(&image::DynamicImage::new_rgb8(64, 48), image::ImageFormat::Png);
    let picture = server.upload("", "vision", "a.png", &png).await.1["id"].clone();
    let look = json!([{"type": "file", "file": {"file_id": picture}}]);
    let input = text(&[
        line("a", say("hi", json!({}))),
        line("b", say("hi", json!({"temperature": 9}))),
        line("c", say(look, json!({}))),
        line("d", say("hi", json!({"stream": true}))),
        line("e", say("fails-first", json!({}))),
        line("f", say("busy-once", json!({}))),
    ]);
    let batch = create(&server, "", &format!("\u{FEFF}{}\n\n", input.replace('\n', "\r\n"))).await;
    let end = until(&server, "", &batch["id"], over).await;
    assert_eq!(
        (&end["status"], &end["object"], &end["errors"]),
        (&json!("completed"), &json!("batch"), &json!(null)),
        "{end}"
    );
    assert_eq!(end["request_counts"], json!({"total": 6, "completed": 3, "failed": 3}));
    assert_eq!((&end["usage"]["input_tokens"], &end["usage"]["output_tokens"]), (&json!(21), &json!(6)));
    assert_eq!((&end["model"], &end["metadata"]), (&json!("gpt-4o"), &json!({"a": "b"})));
    for time in ["created_at", "in_progress_at", "finalizing_at", "completed_at", "expires_at"] {
        assert!(end[time].is_i64(), "{time}");
    }
    for time in ["failed_at", "expired_at", "cancelling_at", "cancelled_at"] {
        assert!(end[time].is_null(), "{time}");
    }
    let good = lines(&server, "", &end["output_file_id"]).await;
    assert_eq!(said(&good), ["a", "c", "f"]);
    assert!(good[0]["id"].as_str().unwrap().starts_with("batch_req_") && good[0]["error"].is_null());
    let response = &good[0]["response"];
    assert!(response["status_code"] == 200 && response["request_id"].as_str().unwrap().starts_with("req_"));
    assert_eq!(response["body"]["choices"][0]["message"]["content"], "Hello");
    let bad = lines(&server, "", &end["error_file_id"]).await;
    assert_eq!(said(&bad), ["b", "d", "e"]);
    let why: Vec<_> =
        bad.iter().map(|l| (&l["response"]["status_code"], &l["response"]["body"]["error"]["param"])).collect();
    assert_eq!(
        why,
        [(&json!(400), &json!("temperature")), (&json!(400), &json!("stream")), (&json!(500), &json!(null))]
    );
    assert!(!bad[2].to_string().contains("secret"));
    // What failed was tried again, what found no room too.
    let asked = server.engine.asked();
    assert_eq!(asked.iter().filter(|a| a.contains("fails-first")).count(), 3);
    assert_eq!(asked.iter().filter(|a| a.contains("busy-once")).count(), 2);
    let (_, file) = server.get(&format!("/v1/files/{}", end["output_file_id"].as_str().unwrap())).await;
    assert_eq!(
        (&file["purpose"], &file["filename"]),
        (&json!("batch_output"), &json!(format!("{}_output.jsonl", end["id"].as_str().unwrap())))
    );
}

#[tokio::test]
async fn a_file_that_is_no_batch_fails_with_what_is_wrong_in_which_line() {
    let server = start(ServerConfig { body_bytes: 10_000, ..ServerConfig::default() });
    let fine = line("a", say("hi", json!({})));
    let mut url = fine.clone();
    url["url"] = json!("/v1/embeddings");
    let input = format!(
        "{fine}\n{fine}\n{{broken\n\n{url}\n{}\n{}\n",
        line("m", json!({"model": "gpt-9"})),
        line("n", json!({}))
    );
    let batch = create(&server, "", &input).await;
    let end = until(&server, "", &batch["id"], over).await;
    assert_eq!((&end["status"], &end["output_file_id"]), (&json!("failed"), &json!(null)));
    assert!(end["failed_at"].is_i64());
    let errors: Vec<_> = end["errors"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["line"].as_u64(), e["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        errors,
        [
            (Some(2), "duplicate_custom_id"),
            (Some(3), "invalid_json_line"),
            (Some(5), "invalid_url"),
            (Some(6), "model_not_found"),
            (Some(7), "missing_required_parameter"),
        ]
    );
    let long = text(&[fine.clone(), line("b", say("x".repeat(20_000), json!({})))]);
    for (input, code) in [("\n \n".to_owned(), "empty_file"), (long, "line_too_long")] {
        let batch = create(&server, "", &input).await;
        assert_eq!(until(&server, "", &batch["id"], over).await["errors"]["data"][0]["code"], code);
    }
    assert!(server.engine.asked().is_empty());
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was_and_repeats_nothing() {
    let folder = Folder::new();
    let input: Vec<Value> = ["one", "two", "forever", "three"].iter().map(|t| line(t, say(*t, json!({})))).collect();
    let first = start(kept(&folder));
    let batch = create(&first, "", &text(&input)).await;
    until(&first, "", &batch["id"], |b| done(b) == 2).await;
    while first.engine.asked().len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.stop().await;
    let second = start_engine(kept(&folder), MockEngine { patient: false, ..MockEngine::default() });
    let end = until(&second, "", &batch["id"], over).await;
    assert_eq!(
        (&end["status"], &end["request_counts"]),
        (&json!("completed"), &json!({"total": 4, "completed": 4, "failed": 0}))
    );
    assert_eq!(said(&lines(&second, "", &end["output_file_id"]).await), ["one", "two", "forever", "three"]);
    let asked = second.engine.asked();
    assert!(asked.len() == 2 && asked[0].contains("forever") && asked[1].contains("three"), "{asked:?}");
    assert_eq!(end["usage"]["total_tokens"], 36);
    second.stop().await;
}

#[tokio::test]
async fn two_servers_on_one_folder_answer_each_request_once() {
    let folder = Folder::new();
    let (first, second) = (start(kept(&folder)), start(kept(&folder)));
    let input: Vec<Value> = (0..10).map(|i| line(&format!("{i}"), say("hi", json!({})))).collect();
    // Created at the one that may not be the one that runs it.
    let (a, b) = (create(&first, "", &text(&input)).await, create(&second, "", &text(&input)).await);
    for id in [&a["id"], &b["id"]] {
        for server in [&first, &second] {
            let end = until(server, "", id, over).await;
            assert_eq!(end["request_counts"], json!({"total": 10, "completed": 10, "failed": 0}));
        }
    }
    assert_eq!(first.engine.asked().len() + second.engine.asked().len(), 20);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_cancelled_batch_stops_in_the_engine_and_keeps_its_answers() {
    let folder = Folder::new();
    let server = start(kept(&folder));
    let input = text(&["one", "forever", "two"].map(|t| line(t, say(t, json!({})))));
    let batch = create(&server, "", &input).await;
    until(&server, "", &batch["id"], |b| done(b) == 1).await;
    while server.engine.live.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let path = format!("/v1/batches/{}/cancel", batch["id"].as_str().unwrap());
    let (status, cancelling) = server.call("POST", &path, "", None).await;
    assert_eq!((status, &cancelling["status"]), (200, &json!("cancelling")));
    let end = until(&server, "", &batch["id"], over).await;
    assert_eq!((&end["status"], done(&end)), (&json!("cancelled"), 1));
    assert!(end["cancelling_at"].is_i64() && end["cancelled_at"].is_i64() && end["error_file_id"].is_null());
    assert_eq!(said(&lines(&server, "", &end["output_file_id"]).await), ["one"]);
    assert_eq!(server.engine.live.load(Ordering::SeqCst), 0);
    let (status, again) = server.call("POST", &path, "", None).await;
    assert_eq!(status, 400);
    assert_eq!(again["error"]["message"], "Cannot cancel a batch with status 'cancelled'.");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_answered_when_the_window_closes_expires() {
    let folder = Folder::new();
    let server = start(kept(&folder));
    let input = text(&["one", "forever", "two"].map(|t| line(t, say(t, json!({})))));
    let batch = create(&server, "", &input).await;
    until(&server, "", &batch["id"], |b| done(b) == 1).await;
    // The clock of 24 hours is turned forward where it stands: in the store.
    let database = rusqlite::Connection::open(folder.0.join("store.sqlite")).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    database.execute("UPDATE batches SET json = json_set(json, '$.expires_at', 1)", []).unwrap();
    let end = until(&server, "", &batch["id"], over).await;
    assert_eq!(
        (&end["status"], &end["request_counts"]),
        (&json!("expired"), &json!({"total": 3, "completed": 1, "failed": 2}))
    );
    assert!(end["expired_at"].is_i64() && end["completed_at"].is_null());
    assert_eq!(said(&lines(&server, "", &end["output_file_id"]).await), ["one"]);
    let bad = lines(&server, "", &end["error_file_id"]).await;
    assert_eq!(said(&bad), ["forever", "two"]);
    assert!(bad.iter().all(|l| l["error"]["code"] == "batch_expired" && l["response"].is_null()));
    server.stop().await;
}

#[tokio::test]
async fn people_go_first() {
    let server = start(ServerConfig::default());
    let url = format!("{}/v1/chat/completions", server.base);
    let open = server.http.post(&url).body(say("forever", json!({"stream": true})).to_string()).send().await.unwrap();
    let batch = create(&server, "", &text(&[line("a", say("batched", json!({})))])).await;
    until(&server, "", &batch["id"], |b| b["status"] == "in_progress").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.engine.asked().len(), 1, "someone waits for an answer");
    server.engine.waiting.store(1, Ordering::SeqCst);
    drop(open);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.engine.asked().len(), 1, "the engine has a queue");
    server.engine.waiting.store(0, Ordering::SeqCst);
    assert_eq!(until(&server, "", &batch["id"], over).await["status"], "completed");
}

#[tokio::test]
async fn one_key_never_sees_anothers_batches() {
    let keys = ["k1", "k2"].map(String::from).to_vec();
    let server = start(ServerConfig { api_keys: keys, ..ServerConfig::default() });
    let batch = create(&server, "k1", &text(&[line("a", say("hi", json!({})))])).await;
    let id = batch["id"].as_str().unwrap();
    for (method, path) in [("GET", String::new()), ("POST", "/cancel".into())] {
        let (status, body) = server.call(method, &format!("/v1/batches/{id}{path}"), "k2", None).await;
        assert_eq!(
            (status, body["error"]["message"].as_str()),
            (404, Some(&*format!("No batch found with id '{id}'.")))
        );
    }
    let (_, list) = server.call("GET", "/v1/batches", "k2", None).await;
    assert_eq!(list, json!({"object": "list", "data": [], "has_more": false}));
    let (status, _) = server.call("GET", &format!("/v1/batches?after={id}"), "k2", None).await;
    assert_eq!(status, 404);
    let end = until(&server, "k1", &batch["id"], over).await;
    let output = format!("/v1/files/{}", end["output_file_id"].as_str().unwrap());
    assert_eq!(server.call("GET", &output, "k2", None).await.0, 404);
    assert_eq!(server.call("GET", &output, "k1", None).await.0, 200);
}

#[tokio::test]
async fn lists_are_cut_and_requests_checked() {
    let server = start(ServerConfig::default());
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(create(&server, "", &text(&[line("a", say("hi", json!({})))])).await["id"].clone());
    }
    let (_, list) = server.get("/v1/batches?limit=2").await;
    assert_eq!((&list["first_id"], &list["last_id"], &list["has_more"]), (&ids[2], &ids[1], &json!(true)));
    let (_, list) = server.get(&format!("/v1/batches?limit=2&after={}", ids[1].as_str().unwrap())).await;
    assert_eq!((&list["data"][0]["id"], &list["has_more"]), (&ids[0], &json!(false)));
    for (query, param) in [("limit=101", "limit"), ("limit=x", "limit"), ("order=up", "order")] {
        let (status, body) = server.get(&format!("/v1/batches?{query}")).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!(param)), "{query}");
    }
    let vision = server.upload("", "vision", "a", b"{}").await.1["id"].clone();
    let base = json!({"input_file_id": vision, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    for (field, value, param) in [
        ("input_file_id", json!("file-none"), "input_file_id"),
        ("metadata", json!({}), "input_file_id"),
        ("endpoint", json!("/v1/embeddings"), "endpoint"),
        ("completion_window", json!("1h"), "completion_window"),
    ] {
        let mut body = base.clone();
        body[field] = value;
        let (status, answer) = server.call("POST", "/v1/batches", "", Some(body)).await;
        assert_eq!((status, &answer["error"]["param"]), (400, &json!(param)), "{answer}");
    }
    assert_eq!(server.get("/v1/batches/batch_none").await.0, 404);
    assert_eq!(server.call("DELETE", &format!("/v1/batches/{}", ids[0].as_str().unwrap()), "", None).await.0, 405);
}

#[tokio::test]
async fn old_completions_in_a_batch_and_an_input_that_goes_away() {
    let folder = Folder::new();
    let server = start(kept(&folder));
    let old = |id: &str, prompt: &str| json!({"custom_id": id, "method": "POST", "url": "/v1/completions", "body": {"model": "gpt-4o", "prompt": prompt}});
    let (_, file) =
        server.upload("", "batch", "in.jsonl", text(&[old("a", "Once"), old("b", "forever")]).as_bytes()).await;
    let batch = json!({"input_file_id": file["id"], "endpoint": "/v1/completions", "completion_window": "24h"});
    let (_, batch) = server.call("POST", "/v1/batches", "", Some(batch)).await;
    until(&server, "", &batch["id"], |b| done(b) == 1).await;
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, "", None).await.0, 200);
    server.stop().await;
    let server = start(kept(&folder));
    let end = until(&server, "", &batch["id"], over).await;
    assert_eq!((&end["status"], &end["errors"]["data"][0]["code"]), (&json!("failed"), &json!("file_not_found")));
    let kept = lines(&server, "", &end["output_file_id"]).await;
    assert_eq!((said(&kept), &kept[0]["response"]["body"]["object"]), (vec!["a"], &json!("text_completion")));
    server.stop().await;
}
