//! Chat completions that are kept: what is kept and what is not, whose it is, and what its operations answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::{sync::atomic::Ordering, time::Duration};

use common::{Folder, Server, form, picture, say, start};
use futures::StreamExt;
use serde_json::{Value, json};
use vlgate_server::{ServerConfig, StoreConfig};

const PATH: &str = "/v1/chat/completions";

fn keeping(extra: Value) -> Value {
    let mut fields = json!({"store": true});
    fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    fields
}

/// Keeps a completion with metadata, and gives its id.
async fn kept(server: &Server, key: &str, metadata: Value) -> String {
    let body = say("hi", keeping(json!({"metadata": metadata})));
    let (status, body) = server.call("POST", PATH, key, Some(body)).await;
    assert_eq!(status, 200, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

async fn ids(server: &Server, key: &str, query: &str) -> Vec<String> {
    let (status, list) = server.call("GET", &format!("{PATH}?{query}"), key, None).await;
    assert_eq!(status, 200, "{list}");
    list["data"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect()
}

fn said(lines: &[String]) -> Vec<Value> {
    lines.iter().filter(|l| *l != "[DONE]").map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[tokio::test]
async fn a_completion_is_shown_as_it_was_answered() {
    let server = start(ServerConfig::default());
    let asked = say(
        "hi",
        keeping(json!({"metadata": {"a": "1"}, "logprobs": true, "n": 2, "vlgate": {"explain_media": true}})),
    );
    let (status, answered) = server.chat(asked).await;
    assert_eq!(status, 200, "{answered}");
    let path = format!("{PATH}/{}", answered["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await, (200, answered));
    // Without metadata there is an empty object to look into.
    let (_, plain) = server.chat(say("hi", json!({"store": true}))).await;
    let (_, shown) = server.get(&format!("{PATH}/{}", plain["id"].as_str().unwrap())).await;
    assert_eq!(shown["metadata"], json!({}));
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_not() {
    let server = start(ServerConfig::default());
    for extra in [json!({}), json!({"store": false}), json!({"store": null})] {
        let (status, body) = server.chat(say("hi", extra)).await;
        assert_eq!(status, 200);
        let (status, error) = server.get(&format!("{PATH}/{}", body["id"].as_str().unwrap())).await;
        assert_eq!((status, &error["error"]["type"]), (404, &json!("invalid_request_error")), "{error}");
    }
    // What failed is no completion, from the start or in the middle.
    assert_eq!(server.chat(say("fails-midway", json!({"store": true}))).await.0, 500);
    let lines = server.stream(say("fails-midway", keeping(json!({"stream": true})))).await;
    assert!(lines.last().unwrap().contains("server_error"), "{lines:?}");
    let (status, list) = server.get(PATH).await;
    let empty = json!({"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": false});
    assert_eq!((status, list), (200, empty));
}

#[tokio::test]
async fn a_stream_is_kept_as_the_completion_that_it_tells() {
    let server = start(ServerConfig::default());
    let tools =
        json!([{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}]);
    for (text, extra) in [
        ("hi", json!({"logprobs": true, "n": 2, "metadata": {"a": "1"}})),
        ("calls-tools", json!({"tools": tools})),
        ("thinks", json!({})),
        ("is-cut", json!({"include_reasoning": false})),
    ] {
        let (_, mut whole) = server.chat(say(text, keeping(extra.clone()))).await;
        let mut asked = say(text, keeping(extra));
        asked["stream"] = json!(true);
        let chunks = said(&server.stream(asked).await);
        // It is there once [DONE] is.
        let (status, shown) = server.get(&format!("{PATH}/{}", chunks[0]["id"].as_str().unwrap())).await;
        assert_eq!(status, 200, "{shown}");
        whole["id"] = chunks[0]["id"].clone();
        whole["created"] = chunks[0]["created"].clone();
        if whole.get("metadata").is_none() {
            whole["metadata"] = json!({});
        }
        assert_eq!(shown, whole, "{text}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    let server = start(ServerConfig::default());
    let mut stream = server.send(say("forever", keeping(json!({"stream": true}))).to_string()).await.bytes_stream();
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: "));
    drop(stream);
    let whole = say("forever", json!({"store": true})).to_string();
    let whole =
        server.http.post(format!("{}{PATH}", server.base)).body(whole).timeout(Duration::from_millis(500)).send();
    assert!(whole.await.is_err());
    while server.engine.live.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(ids(&server, "", "").await.is_empty());
}

#[tokio::test]
async fn lists_are_cut_ordered_and_filtered() {
    let server = start(ServerConfig::default());
    let mut all = Vec::new();
    for metadata in [json!({"k": "1", "l": "x"}), json!({"k": "2", "odd \"key\"": "é&"}), json!({"k": "1"}), json!({})]
    {
        all.push(kept(&server, "", metadata).await);
    }
    let own = say("hi", json!({"store": true, "model": "Org/Model"}));
    all.push(server.chat(own).await.1["id"].as_str().unwrap().to_owned());
    assert_eq!(ids(&server, "", "").await, all);
    assert_eq!(ids(&server, "", "order=desc&limit=2").await, [all[4].clone(), all[3].clone()]);
    assert_eq!(ids(&server, "", &format!("limit=2&after={}", all[1])).await, all[2..4]);
    assert_eq!(ids(&server, "", "model=gpt-4o").await, all[..4]);
    assert_eq!(ids(&server, "", "model=Org/Model").await, all[4..]);
    assert_eq!(ids(&server, "", "metadata[k]=1").await, [all[0].clone(), all[2].clone()]);
    assert_eq!(ids(&server, "", "metadata%5Bk%5D=1&metadata%5Bl%5D=x").await, all[..1]);
    assert_eq!(ids(&server, "", "metadata[odd%20%22key%22]=%C3%A9%26").await, all[1..2]);
    assert_eq!(ids(&server, "", "metadata[k]=1&order=desc&limit=1&model=gpt-4o").await, all[2..3]);
    assert!(ids(&server, "", "metadata[k]=3").await.is_empty());
    let (_, list) = server.get(&format!("{PATH}?limit=2")).await;
    assert_eq!((&list["object"], &list["has_more"]), (&json!("list"), &json!(true)));
    assert_eq!((&list["first_id"], &list["last_id"]), (&json!(all[0]), &json!(all[1])));
    assert_eq!(list["data"][0], server.get(&format!("{PATH}/{}", all[0])).await.1);
    for (query, status, param) in [
        ("limit=0", 400, "limit"),
        ("limit=x", 400, "limit"),
        ("order=up", 400, "order"),
        ("metadata=x", 400, "metadata"),
        ("after=chatcmpl-none", 404, "after"),
    ] {
        let (got, error) = server.get(&format!("{PATH}?{query}")).await;
        assert_eq!((got, &error["error"]["param"]), (status, &json!(param)), "{query}: {error}");
    }
}

#[tokio::test]
async fn metadata_is_replaced_and_nothing_else_is() {
    let server = start(ServerConfig::default());
    let id = kept(&server, "", json!({"a": "1", "b": "2"})).await;
    let path = format!("{PATH}/{id}");
    let (_, before) = server.get(&path).await;
    let (status, after) = server.call("POST", &path, "", Some(json!({"metadata": {"c": "3"}}))).await;
    let mut wanted = before;
    wanted["metadata"] = json!({"c": "3"});
    assert_eq!((status, &after), (200, &wanted));
    assert_eq!(server.get(&path).await.1, wanted);
    assert_eq!((ids(&server, "", "metadata[a]=1").await.len(), ids(&server, "", "metadata[c]=3").await.len()), (0, 1));
    let (_, cleared) = server.call("POST", &path, "", Some(json!({"metadata": null}))).await;
    assert_eq!(cleared["metadata"], json!({}));
    for (body, param) in [
        (json!({}), "metadata"),
        (json!({"metadata": {"a": 1}}), "metadata.a"),
        (json!({"metadata": {"a": "x".repeat(513)}}), "metadata"),
        (json!({"metadata": {}, "model": "m"}), "model"),
    ] {
        let (status, error) = server.call("POST", &path, "", Some(body)).await;
        assert_eq!((status, &error["error"]["param"]), (400, &json!(param)), "{error}");
    }
}

#[tokio::test]
async fn what_was_said_is_listed() {
    let server = start(ServerConfig::default());
    let parts = json!([{"type": "image_url", "image_url": {"url": picture(), "detail": "low"}}, {"type": "text", "text": "hi"}]);
    let messages = json!([{"role": "system", "content": "Be brief.", "name": "me"}, {"role": "user", "content": parts}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "hi"}]);
    let (_, body) = server.chat(json!({"model": "gpt-4o", "messages": messages, "store": true})).await;
    let id = body["id"].as_str().unwrap();
    let path = format!("{PATH}/{id}/messages");
    let (status, list) = server.get(&path).await;
    assert_eq!((status, &list["object"], &list["has_more"]), (200, &json!("list"), &json!(false)), "{list}");
    let first = json!({"id": format!("{id}-0"), "role": "system", "content": "Be brief.", "content_parts": null, "refusal": null, "name": "me"});
    assert_eq!(list["data"][0], first);
    assert_eq!((&list["data"][1]["content"], &list["data"][1]["content_parts"]), (&Value::Null, &parts));
    assert_eq!((&list["first_id"], &list["last_id"]), (&json!(format!("{id}-0")), &json!(format!("{id}-3"))));
    let (_, page) = server.get(&format!("{path}?limit=2&order=desc&after={id}-3")).await;
    assert_eq!(
        (&page["first_id"], &page["last_id"], &page["has_more"]),
        (&json!(format!("{id}-2")), &json!(format!("{id}-1")), &json!(true))
    );
    for (query, param) in [("limit=0", "limit"), ("order=up", "order"), ("after=x", "after")] {
        let (status, error) = server.get(&format!("{path}?{query}")).await;
        assert_eq!((status, &error["error"]["param"]), (400, &json!(param)), "{error}");
    }
}

#[tokio::test]
async fn a_completion_is_its_keys_alone_and_gone_when_it_is_deleted() {
    let folder = Folder::new();
    let config = || ServerConfig {
        api_keys: vec!["one".into(), "two".into()],
        store: StoreConfig { path: Some(folder.0.clone()), ..StoreConfig::default() },
        ..ServerConfig::default()
    };
    let server = start(config());
    let id = kept(&server, "one", json!({})).await;
    server.stop().await;
    let server = start(config());
    let path = format!("{PATH}/{id}");
    let messages = format!("{path}/messages");
    assert_eq!(ids(&server, "one", "").await, std::slice::from_ref(&id), "it outlives the server");
    assert!(ids(&server, "two", "").await.is_empty());
    let change = || Some(json!({"metadata": {}}));
    for (method, path, body) in
        [("GET", &path, None), ("POST", &path, change()), ("DELETE", &path, None), ("GET", &messages, None)]
    {
        let (status, error) = server.call(method, path, "two", body).await;
        let message = format!("Chat completion with id '{id}' not found.");
        assert_eq!((status, &error["error"]["message"]), (404, &json!(message)), "{method} {path}");
    }
    let (status, gone) = server.call("DELETE", &path, "one", None).await;
    assert_eq!((status, gone), (200, json!({"object": "chat.completion.deleted", "id": id, "deleted": true})));
    for (method, path, body) in
        [("GET", &path, None), ("POST", &path, change()), ("DELETE", &path, None), ("GET", &messages, None)]
    {
        assert_eq!(server.call(method, path, "one", body).await.0, 404, "{method} {path}");
    }
    assert_eq!(server.call("PUT", &path, "one", None).await.0, 405);
    let left = rusqlite::Connection::open(folder.0.join("store.sqlite")).unwrap();
    let left: i64 = left.query_row("SELECT count(*) FROM completion_messages", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "what was said goes with it");
}

#[tokio::test]
async fn a_store_that_is_full_or_fails_does_not_fail_the_answer() {
    let folder = Folder::new();
    let with = |store: StoreConfig| ServerConfig { store, ..ServerConfig::default() };
    let full = start(with(StoreConfig { total_bytes: 1, ..StoreConfig::default() }));
    let broken = start(with(StoreConfig { path: Some(folder.0.clone()), ..StoreConfig::default() }));
    let database = rusqlite::Connection::open(folder.0.join("store.sqlite")).unwrap();
    database.execute_batch("ALTER TABLE completions RENAME TO others").unwrap();
    for (server, status) in [(&full, 404), (&broken, 500)] {
        let (answered, body) = server.chat(say("hi", json!({"store": true}))).await;
        assert_eq!((answered, &body["choices"][0]["message"]["content"]), (200, &json!("Hello")));
        let lines = server.stream(say("hi", keeping(json!({"stream": true})))).await;
        assert_eq!(lines.last().unwrap(), "[DONE]");
        assert!(!lines.iter().any(|line| line.contains("error")), "{lines:?}");
        assert_eq!(server.get(&format!("{PATH}/{}", body["id"].as_str().unwrap())).await.0, status);
    }
}

#[tokio::test]
async fn completions_of_batches_are_kept_for_their_key() {
    let config = ServerConfig { api_keys: vec!["one".into(), "two".into()], ..ServerConfig::default() };
    let server = start(config);
    let body = say("hi", keeping(json!({"metadata": {"from": "batch"}})));
    let line = json!({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string();
    let sent = form(&[("purpose", "batch")], Some(("in.jsonl", line.as_bytes())));
    let file: Value = server.post_form("one", sent).await.json().await.unwrap();
    let asked = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let (status, mut batch) = server.call("POST", "/v1/batches", "one", Some(asked)).await;
    assert_eq!(status, 200, "{batch}");
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    while batch["status"] != "completed" {
        tokio::time::sleep(Duration::from_millis(20)).await;
        batch = server.call("GET", &path, "one", None).await.1;
    }
    assert_eq!(ids(&server, "one", "metadata[from]=batch").await.len(), 1);
    assert!(ids(&server, "two", "").await.is_empty());
}
