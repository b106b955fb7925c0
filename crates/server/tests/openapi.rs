//! The specification that is checked in is the one that is served, and the page that shows it needs nothing from elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::start;
use serde_json::Value;
use vlgate_server::{ServerConfig, specification};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/openapi.json");

#[test]
fn the_file_is_current() {
    if std::env::var_os("VLGATE_WRITE_OPENAPI").is_some() {
        std::fs::write(FILE, specification()).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        file == specification(),
        "openapi/openapi.json is not current; write it with: VLGATE_WRITE_OPENAPI=1 cargo test --release -p vlgate-server --test openapi"
    );
}

#[tokio::test]
async fn it_is_served_with_a_page_also_where_keys_are_needed() {
    let server = start(ServerConfig { api_keys: vec!["k".into()], ..ServerConfig::default() });
    let (status, served) = server.get("/openapi.json").await;
    assert_eq!(
        (status, served.to_string()),
        (200, serde_json::from_str::<Value>(&specification()).unwrap().to_string())
    );
    let page = server.http.get(format!("{}/docs", server.base)).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let html = page.text().await.unwrap();
    assert!(html.contains("openapi.json") && !html.contains("http://") && !html.contains("https://"));
    // Every reference in it leads somewhere.
    let text = served.to_string();
    for name in text.split("\"#/components/schemas/").skip(1).filter_map(|r| r.split('"').next()) {
        assert!(served["components"]["schemas"].get(name).is_some(), "{name}");
    }
}
