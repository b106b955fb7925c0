//! Clips and documents over HTTP, in front of an engine that shows what it was given.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{data_url, picture, say, start};
use serde_json::{Value, json};
use vlgate_engine::Part;
use vlgate_server::ServerConfig;

const CLIP: &[u8] = include_bytes!("../../../tests/fixtures/clips/short.mp4");

fn file(name: &str, content: &str) -> Value {
    json!({"type": "file", "file": {"filename": name, "file_data": data_url("text/plain", content.as_bytes())}})
}

#[tokio::test]
async fn parts_reach_the_engine_in_their_order() {
    let server = start(ServerConfig::default());
    let clip = json!({"type": "video_url", "video_url": {"url": data_url("video/mp4", CLIP)}});
    let frames = json!({"type": "video", "video": [picture(), {"type": "image_url", "image_url": {"url": picture()}}], "fps": 0.5});
    let content = json!([{"type": "text", "text": "a"}, clip, {"type": "image_url", "image_url": {"url": picture()}}, file("n.md", "# hi"), frames]);
    let (status, body) = server.chat(say(content, json!({"vlgate": {"explain_media": true}}))).await;
    assert_eq!(status, 200, "{body}");
    let jobs = server.engine.jobs.lock().unwrap();
    let parts = jobs[0].conversation.messages[0].parts.as_slice();
    let [Part::Text(a), Part::Video(clip), Part::Image(_), Part::Text(note), Part::Video(frames)] = parts else {
        panic!("{parts:?}")
    };
    assert_eq!((a.as_str(), note.as_str()), ("a", "[File: n.md]\n# hi\n[End of File: n.md]\n"));
    // 3 frames at 25 a second: a pair, and the last with itself.
    assert_eq!((clip.frames.len(), clip.stamps.as_slice()), (4, &[0.02, 0.08][..]));
    assert_eq!(frames.stamps, [1.0]);
    let media = body["vlgate"]["media"].as_array().unwrap();
    let kinds: Vec<_> = media.iter().map(|m| (m["type"].as_str().unwrap(), m["format"].as_str().unwrap())).collect();
    assert_eq!(kinds, [("video", "mp4"), ("image", "png"), ("file", "md"), ("video", "frames")]);
    assert_eq!(media[0]["frames"][2], json!({"index": 2, "time": 0.08}));
    assert_eq!(media[3]["param"], "messages[0].content[4].video");
}

#[tokio::test]
async fn stamps_are_told_as_a_clock_does() {
    let server = start(ServerConfig::default());
    let (_, plain) = server.chat(say("says-when", json!({}))).await;
    assert_eq!(plain["choices"][0]["message"]["content"], "At <61.5 seconds>, <2");
    let clock = json!({"vlgate": {"timestamps": "mm:ss"}});
    let (_, body) = server.chat(say("says-when", clock.clone())).await;
    assert_eq!(body["choices"][0]["message"]["content"], "At 01:01, <2");
    let mut streamed = clock;
    streamed["stream"] = json!(true);
    let lines = server.stream(say("says-when", streamed)).await;
    let text: String = lines
        .iter()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok())
        .filter_map(|c| c["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(text, "At 01:01, <2");
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_part() {
    let server = start(ServerConfig { videos_per_request: 1, files_per_request: 1, ..ServerConfig::default() });
    let clip = json!({"type": "video_url", "video_url": {"url": data_url("video/mp4", CLIP)}});
    let at = |i: usize, field: &str| format!("messages[0].content[{i}].{field}");
    for (content, code, param) in [
        (json!([clip, clip]), "invalid_value", at(1, "video_url.url")),
        (json!([file("a.txt", "a"), file("b.txt", "b")]), "invalid_value", at(1, "file")),
        (
            json!([{"type": "video_url", "video_url": {"url": "data:,no"}}]),
            "invalid_video_format",
            at(0, "video_url.url"),
        ),
        (json!([{"type": "video", "video": [picture(), "data:,no"]}]), "invalid_image_format", at(0, "video[1]")),
        (json!([{"type": "video", "video": [picture()], "times": [1, 2]}]), "invalid_value", at(0, "times")),
        (json!([{"type": "file", "file": {"file_id": "file-x"}}]), "file_not_found", at(0, "file.file_id")),
        (
            json!([{"type": "file", "file": {"file_data": "data:,x", "pages": "x"}}]),
            "invalid_page_range",
            at(0, "file.pages"),
        ),
        (
            json!([{"type": "file", "file": {"file_url": "http://127.0.0.1/a"}}]),
            "invalid_file_url",
            at(0, "file.file_url"),
        ),
        (json!([file("a.exe", "MZ\u{0}\u{0}")]), "invalid_file_format", at(0, "file")),
    ] {
        let (status, body) = server.chat(say(content.clone(), json!({}))).await;
        let error = &body["error"];
        assert_eq!(
            (status, error["code"].as_str(), error["param"].as_str()),
            (400, Some(code), Some(param.as_str())),
            "{body}"
        );
    }
    assert!(server.engine.jobs.lock().unwrap().is_empty());
}
