//! `/v1/files` over real sockets: uploads, whose they are, how large they may be, and what a `file_id` stands for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{Folder, Server, encoded, form, say, start};
use serde_json::{Value, json};
use vlgate_engine::Part;
use vlgate_server::{ServerConfig, StoreConfig};

const KEYS: [&str; 2] = ["k1", "k2"];

fn keyed() -> ServerConfig {
    ServerConfig { api_keys: KEYS.map(Into::into).to_vec(), ..ServerConfig::default() }
}

fn png() -> Vec<u8> {
    encoded(&image::DynamicImage::new_rgb8(64, 48), image::ImageFormat::Png)
}

/// The store's files on the disk, those that arrive included.
fn on_disk(folder: &Folder) -> usize {
    ["files", "arriving"].iter().map(|f| std::fs::read_dir(folder.0.join(f)).unwrap().count()).sum()
}

async fn ids(server: &Server, key: &str, query: &str) -> (Vec<String>, bool) {
    let (status, list) = server.call("GET", &format!("/v1/files{query}"), key, None).await;
    assert_eq!((status, &list["object"]), (200, &json!("list")), "{list}");
    let ids: Vec<String> =
        list["data"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(list["first_id"], ids.first().cloned().unwrap_or_default());
    assert_eq!(list["last_id"], ids.last().cloned().unwrap_or_default());
    (ids, list["has_more"].as_bool().unwrap())
}

#[tokio::test]
async fn a_file_is_uploaded_shown_downloaded_and_deleted() {
    let server = start(ServerConfig::default());
    let fields =
        [("purpose", "user_data"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")];
    let file = form(&fields, Some(("notes.txt", b"hello")));
    let object: Value = server.post_form("", file).await.json().await.unwrap();
    let id = object["id"].as_str().unwrap();
    assert!(id.starts_with("file-"), "{object}");
    let created = object["created_at"].as_i64().unwrap();
    assert_eq!(
        object,
        json!({"id": id, "object": "file", "bytes": 5, "created_at": created, "expires_at": created + 3600,
            "filename": "notes.txt", "purpose": "user_data", "status": "processed"})
    );
    assert_eq!(server.get(&format!("/v1/files/{id}")).await, (200, object.clone()));
    assert_eq!(ids(&server, "", "").await, (vec![id.to_owned()], false));
    let url = format!("{}/v1/files/{id}/content", server.base);
    let content = server.http.get(url).send().await.unwrap();
    assert_eq!(content.headers()["content-disposition"], "attachment; filename=\"notes.txt\"");
    assert_eq!(content.headers()["content-type"], "application/octet-stream");
    assert_eq!(content.headers()["x-content-type-options"], "nosniff");
    assert_eq!((content.content_length(), content.text().await.unwrap().as_str()), (Some(5), "hello"));
    let (status, gone) = server.call("DELETE", &format!("/v1/files/{id}"), "", None).await;
    assert_eq!((status, gone), (200, json!({"id": id, "object": "file", "deleted": true})));
    for (method, path) in [("GET", ""), ("GET", "/content"), ("DELETE", "")] {
        let (status, body) = server.call(method, &format!("/v1/files/{id}{path}"), "", None).await;
        let error = json!({"message": format!("No such File object: {id}"), "type": "invalid_request_error", "param": "id", "code": null});
        assert_eq!((status, &body["error"]), (404, &error));
    }
    assert_eq!(ids(&server, "", "").await, (vec![], false));
    assert_eq!(server.call("PUT", "/v1/files", "", None).await.0, 405);
}

#[tokio::test]
async fn files_are_kept_over_a_restart_and_a_large_one_arrives_whole() {
    let folder = Folder::new();
    // Larger than any request's body may be: it goes to the disk as it comes.
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let store = StoreConfig { path: Some(folder.0.clone()), ..StoreConfig::default() };
    let config =
        ServerConfig { body_bytes: 100_000, bodies_in_flight_bytes: 100_000, store, ..ServerConfig::default() };
    let first = start(config.clone());
    let (status, object) = first.upload("", "user_data", "large.bin", &bytes).await;
    assert_eq!((status, &object["bytes"]), (200, &json!(3_000_000)));
    first.stop().await;
    let second = start(config);
    let url = format!("{}/v1/files/{}/content", second.base, object["id"].as_str().unwrap());
    assert_eq!(second.http.get(url).send().await.unwrap().bytes().await.unwrap(), bytes);
    second.stop().await;
}

#[tokio::test]
async fn one_key_never_sees_anothers_files() {
    let server = start(keyed());
    let (_, mine) = server.upload("k1", "vision", "a.png", &png()).await;
    let id = mine["id"].as_str().unwrap();
    for (method, path) in [("GET", ""), ("GET", "/content"), ("DELETE", "")] {
        assert_eq!(server.call(method, &format!("/v1/files/{id}{path}"), "k2", None).await.0, 404);
        assert_eq!(server.call(method, &format!("/v1/files/{id}{path}"), "", None).await.0, 401);
    }
    assert_eq!(ids(&server, "k2", "").await.0, [""; 0]);
    let (status, body) = server.call("GET", &format!("/v1/files?after={id}"), "k2", None).await;
    assert_eq!((status, &body["error"]["param"]), (404, &json!("after")));
    let chat = say(json!([{"type": "file", "file": {"file_id": id}}]), json!({}));
    let (status, body) = server.call("POST", "/v1/chat/completions", "k2", Some(chat.clone())).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("file_not_found")));
    let batch = json!({"input_file_id": id, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let (status, body) = server.call("POST", "/v1/batches", "k2", Some(batch)).await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("input_file_id")));
    assert!(body["error"]["message"].as_str().unwrap().contains("No such File object"), "{body}");
    assert_eq!(server.call("POST", "/v1/chat/completions", "k1", Some(chat)).await.0, 200);
    assert_eq!(ids(&server, "k1", "").await.0, [id]);
}

#[tokio::test]
async fn an_upload_beyond_a_limit_is_refused_and_leaves_nothing() {
    let folder = Folder::new();
    let store = StoreConfig {
        path: Some(folder.0.clone()),
        file_bytes: 400_000,
        total_bytes: 1_000_000,
        ..StoreConfig::default()
    };
    let server = start(ServerConfig { store, ..ServerConfig::default() });
    let (status, body) = server.upload("", "user_data", "a", &vec![b'x'; 400_001]).await;
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["param"]),
        (413, &json!("file_too_large"), &json!("file"))
    );
    let fits = vec![b'x'; 400_000];
    let (_, kept) = server.upload("", "user_data", "a", &fits).await;
    assert_eq!(server.upload("", "user_data", "a", &fits).await.0, 200);
    let refused = server.post_form("", form(&[("purpose", "user_data")], Some(("a", &fits)))).await;
    // SDKs would send all of it again, and again in vain.
    assert_eq!(refused.headers()["x-should-retry"], "false");
    assert_eq!(refused.status(), 429);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(
        (&body["error"]["type"], &body["error"]["code"]),
        (&json!("insufficient_quota"), &json!("storage_quota_exceeded"))
    );
    assert_eq!(on_disk(&folder), 2);
    let path = format!("/v1/files/{}", kept["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, "", None).await.0, 200);
    assert_eq!(server.upload("", "user_data", "a", &fits).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn names_and_ids_are_no_paths() {
    let folder = Folder::new();
    let store = StoreConfig { path: Some(folder.0.clone()), ..StoreConfig::default() };
    let server = start(ServerConfig { store, ..ServerConfig::default() });
    for (sent, shown) in [
        ("../../../etc/cron.d/x", "x"),
        ("..\\\\..\\\\boot.ini", "boot.ini"),
        ("..\\..\\boot.ini", "....boot.ini"),
        ("/etc/passwd", "passwd"),
        ("..", "file"),
        ("", "file"),
        ("a\u{202E}gpj.exe", "agpj.exe"),
        ("日本.pdf", "日本.pdf"),
    ] {
        let (status, object) = server.upload("", "user_data", sent, b"x").await;
        assert_eq!((status, object["filename"].as_str()), (200, Some(shown)), "{sent:?}: {object}");
        let url = format!("{}/v1/files/{}/content", server.base, object["id"].as_str().unwrap());
        assert_eq!(server.http.get(url).send().await.unwrap().text().await.unwrap(), "x");
    }
    assert_eq!(on_disk(&folder), 8);
    let mut inside: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    inside.sort();
    let known = ["arriving", "background.lock", "files", "store.sqlite", "store.sqlite-shm", "store.sqlite-wal"];
    assert_eq!(inside, known.map(std::ffi::OsString::from));
    for id in
        ["..%2Fstore.sqlite", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e", "file-%00", "%FF", "'%20OR%20''='", "file-x"]
    {
        for path in [format!("/v1/files/{id}"), format!("/v1/files/{id}/content"), format!("/v1/batches/{id}")] {
            let (status, body) = server.get(&path).await;
            assert!(status == 404 && body["error"]["message"].is_string(), "{path}: {status} {body}");
        }
        assert_eq!(server.call("DELETE", &format!("/v1/files/{id}"), "", None).await.0, 404, "{id}");
    }
    assert_eq!(on_disk(&folder), 8);
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_form_is_named() {
    let folder = Folder::new();
    let store = StoreConfig { path: Some(folder.0.clone()), ..StoreConfig::default() };
    let server = start(ServerConfig { store, ..ServerConfig::default() });
    let file = Some(("a", &b"x"[..]));
    let mut two = form(&[("purpose", "vision")], file);
    two.truncate(two.len() - "--XX--\r\n".len());
    two.extend(form(&[], file));
    let mut cut = form(&[("purpose", "vision")], file);
    cut.truncate(cut.len() - 20);
    let many: Vec<(&str, &str)> = (0..20).map(|_| ("purpose", "vision")).collect();
    let long = "x".repeat(2000);
    for (body, param, code) in [
        (form(&[("purpose", "vision")], None), json!("file"), json!("missing_required_parameter")),
        (form(&[], file), json!("purpose"), json!("missing_required_parameter")),
        (form(&[("purpose", "fun")], file), json!("purpose"), json!("invalid_value")),
        (form(&[("purpose", "fine-tune")], file), json!("purpose"), json!("unsupported_value")),
        (form(&[("purpose", "vision"), ("color", "red")], file), json!("color"), json!("unknown_parameter")),
        (form(&[("purpose", &long)], file), json!("purpose"), json!("invalid_value")),
        (form(&[("purpose", "vision")], Some(("a", b""))), json!("file"), json!("empty_file")),
        (form(&many, file), json!("file"), json!("invalid_value")),
        (two, json!("file"), json!("invalid_value")),
        (cut, json!(null), json!("invalid_multipart_form_data")),
        (b"nonsense".to_vec(), json!(null), json!("invalid_multipart_form_data")),
        (Vec::new(), json!(null), json!("invalid_multipart_form_data")),
        (
            form(
                &[("purpose", "vision"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "5")],
                file,
            ),
            json!("expires_after.seconds"),
            json!("integer_below_min_value"),
        ),
    ] {
        let shown = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
        let response = server.post_form("", body).await;
        let (status, answer) = (response.status(), response.json::<Value>().await.unwrap());
        assert_eq!(
            (status.as_u16(), &answer["error"]["param"], &answer["error"]["code"]),
            (400, &param, &code),
            "{shown}: {answer}"
        );
    }
    // No form at all.
    let (status, body) = server.call("POST", "/v1/files", "", Some(json!({"file": "x"}))).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid_multipart_form_data")));
    assert_eq!(on_disk(&folder), 0);
    server.stop().await;
}

#[tokio::test]
async fn lists_are_cut_sorted_and_filtered() {
    let server = start(ServerConfig::default());
    let mut all = Vec::new();
    for purpose in ["vision", "batch", "vision", "assistants", "vision"] {
        all.push(server.upload("", purpose, "a", b"{}").await.1["id"].as_str().unwrap().to_owned());
    }
    let newest: Vec<String> = all.iter().rev().cloned().collect();
    assert_eq!(ids(&server, "", "").await, (newest.clone(), false));
    assert_eq!(ids(&server, "", "?limit=2&order=asc").await, (all[..2].to_vec(), true));
    assert_eq!(ids(&server, "", &format!("?limit=2&after={}", newest[1])).await, (newest[2..4].to_vec(), true));
    let vision = vec![all[4].clone(), all[2].clone(), all[0].clone()];
    assert_eq!(ids(&server, "", "?purpose=vision").await, (vision, false));
    assert_eq!(ids(&server, "", "?purpose=batch&limit=1").await, (vec![all[1].clone()], false));
    for (query, status, param) in [
        ("limit=0", 400, "limit"),
        ("limit=10001", 400, "limit"),
        ("order=up", 400, "order"),
        ("after=file-x", 404, "after"),
    ] {
        let (got, body) = server.get(&format!("/v1/files?{query}")).await;
        assert_eq!((got, &body["error"]["param"]), (status, &json!(param)), "{query}");
    }
}

#[tokio::test]
async fn a_file_id_is_a_picture_wherever_a_part_may_carry_one() {
    let server = start(ServerConfig::default());
    let id = |object: (u16, Value)| object.1["id"].as_str().unwrap().to_owned();
    let picture = id(server.upload("", "user_data", "a.png", &png()).await);
    let text = id(server.upload("", "user_data", "a.png", b"not a picture").await);
    for part in [
        json!({"type": "file", "file": {"file_id": picture}}),
        json!({"type": "image_url", "image_url": {"file_id": picture, "detail": "low"}}),
    ] {
        let (status, body) = server.chat(say(json!([{"type": "text", "text": "What?"}, part]), json!({}))).await;
        assert_eq!(status, 200, "{body}");
        let jobs = server.engine.jobs.lock().unwrap();
        let parts = &jobs.last().unwrap().conversation.messages[0].parts;
        assert!(matches!(&parts[..], [Part::Text(_), Part::Image(p)] if p.width > p.height), "{parts:?}");
    }
    // What is a text by its bytes is read as one, whatever its name says.
    let read = json!({"type": "file", "file": {"file_id": text}});
    let (status, body) = server.chat(say(json!([read]), json!({}))).await;
    assert_eq!(status, 200, "{body}");
    assert!(server.engine.asked().last().unwrap().contains("not a picture"), "{:?}", server.engine.asked().last());
    for (part, param, code) in [
        (json!({"type": "file", "file": {"file_id": "file-none"}}), "file.file_id", "file_not_found"),
        (json!({"type": "file", "file": {"file_id": "../store.sqlite"}}), "file.file_id", "file_not_found"),
        (json!({"type": "image_url", "image_url": {"file_id": "file-none"}}), "image_url.file_id", "file_not_found"),
        (json!({"type": "image_url", "image_url": {"file_id": text}}), "image_url.file_id", "unsupported_content"),
        (
            json!({"type": "image_url", "image_url": {"file_id": text, "url": "data:,"}}),
            "image_url.file_id",
            "invalid_value",
        ),
        (json!({"type": "image_url", "image_url": {}}), "image_url.url", "missing_required_parameter"),
    ] {
        let (status, body) = server.chat(say(json!([part]), json!({}))).await;
        let path = format!("messages[0].content[0].{param}");
        assert_eq!(
            (status, &body["error"]["param"], &body["error"]["code"]),
            (400, &json!(path), &json!(code)),
            "{body}"
        );
    }
    // The same through Responses.
    let ask = |id: &str| json!({"model": "gpt-4o", "input": [{"role": "user", "content": [{"type": "input_image", "file_id": id}]}]});
    let (status, body) = server.call("POST", "/v1/responses", "", Some(ask(&picture))).await;
    assert_eq!(status, 200, "{body}");
    assert!(server.engine.asked().last().unwrap().contains("Picture("), "{:?}", server.engine.asked().last());
    let (status, body) = server.call("POST", "/v1/responses", "", Some(ask("file-none"))).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("file_not_found")), "{body}");
}
