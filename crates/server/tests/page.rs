//! The web page over HTTP: its files, their forms, caching and policy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::start;
use serde_json::json;
use vlgate_server::ServerConfig;

#[tokio::test]
async fn the_page_and_its_files_come_with_policy_forms_and_caching() {
    let config = ServerConfig { api_keys: vec!["k1".into()], ..ServerConfig::default() };
    let server = start(config);
    let get = |path: &str, name: &'static str, value: String| {
        server.http.get(format!("{}{path}", server.base)).header(name, value).send()
    };

    let page = get("/", "accept-encoding", "identity".into()).await.unwrap();
    assert_eq!(page.status(), 200);
    let headers = page.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("script-src 'self'")
            && policy.contains("connect-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        (&headers["cache-control"], &headers["x-content-type-options"]),
        (&"no-cache".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    assert_eq!(headers["x-dns-prefetch-control"], "off");
    let html = page.text().await.unwrap();
    let script = html.split('"').find(|s| s.starts_with("/ui/main-")).unwrap().to_owned();

    let again = get("/", "if-none-match", headers["etag"].to_str().unwrap().into()).await.unwrap();
    assert_eq!(again.status(), 304);

    let plain = get(&script, "accept-encoding", "identity".into()).await.unwrap();
    assert!(plain.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert!(plain.headers().get("content-encoding").is_none());
    let packed = get(&script, "accept-encoding", "gzip;q=0, br".into()).await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "br");
    assert!(packed.bytes().await.unwrap().len() * 2 < plain.bytes().await.unwrap().len());

    let preview = get("/ui/preview.html", "accept-encoding", "identity".into()).await.unwrap();
    assert!(
        preview.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("sandbox allow-scripts; default-src 'none'")
    );
    for path in ["/ui/nothing.js", "/ui/..%2f..%2fCargo.toml", "/ui/files.rs"] {
        assert_eq!(get(path, "accept-encoding", "identity".into()).await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test]
async fn what_runs_here_is_told_to_those_with_the_key() {
    let config = ServerConfig { api_keys: vec!["k1".into()], ..ServerConfig::default() };
    let server = start(config);
    assert_eq!(server.get("/server.json").await.0, 401);
    let answer = server.http.get(format!("{}/server.json", server.base)).bearer_auth("k1").send().await.unwrap();
    let info: serde_json::Value = answer.json().await.unwrap();
    let model = &info["models"][0];
    assert_eq!(
        (&model["id"], &model["aliases"], &model["context_length"]),
        (&json!("Org/Model"), &json!(["gpt-4o"]), &json!(4096))
    );
    assert_eq!(model["vision"], json!({"factor": 32, "min_pixels": 65536, "max_pixels": 16_777_216}));
}
