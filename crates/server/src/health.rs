//! Probes, numbers, and the page that says what runs here.

use std::{fmt::Write, sync::atomic::Ordering};

use actix_web::{HttpResponse, web};

use crate::State;

/// The process runs.
#[utoipa::path(get, path = "/livez", tag = "operation", responses((status = 200, description = "It runs.", body = String, content_type = "text/plain")))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// The model can answer.
#[utoipa::path(get, path = "/readyz", tag = "operation", responses(
    (status = 200, description = "It can.", body = String, content_type = "text/plain"),
    (status = 503, description = "Not now.", body = String, content_type = "text/plain"),
))]
pub async fn ready(state: web::Data<State>) -> HttpResponse {
    if state.engine.load().ready {
        HttpResponse::Ok().content_type("text/plain").body("ready\n")
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header(("retry-after", "2"))
            .content_type("text/plain")
            .body("not ready\n")
    }
}

/// Numbers in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, description = "The numbers.", body = String, content_type = "text/plain")))]
pub async fn metrics(state: web::Data<State>) -> HttpResponse {
    let load = state.engine.load();
    let rows: [(&str, &str, u64); 8] = [
        ("vlgate_ready", "gauge", u64::from(load.ready)),
        ("vlgate_requests_running", "gauge", load.running.into()),
        ("vlgate_requests_waiting", "gauge", load.waiting.into()),
        ("vlgate_runtime_restarts_total", "counter", load.restarts),
        ("vlgate_prompt_tokens_total", "counter", load.prompt_tokens),
        ("vlgate_generated_tokens_total", "counter", load.generated_tokens),
        ("vlgate_prefix_hit_tokens_total", "counter", load.prefix_hit_tokens),
        ("vlgate_request_body_bytes", "gauge", state.bodies.load(Ordering::Relaxed) as u64),
    ];
    let mut text = String::new();
    for (name, kind, value) in rows {
        let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
    }
    text.push_str("# TYPE vlgate_http_responses_total counter\n");
    for (class, count) in state.answered.iter().enumerate() {
        let _ = writeln!(
            text,
            "vlgate_http_responses_total{{class=\"{}xx\"}} {}",
            class + 1,
            count.load(Ordering::Relaxed)
        );
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text)
}

/// `GET /`.
pub async fn page(state: web::Data<State>) -> HttpResponse {
    let escape = |s: &str| s.replace('&', "&amp;").replace('<', "&lt;");
    let models: String = state
        .engine
        .models()
        .iter()
        .map(|m| {
            format!(
                "<li><code>{}</code>: {} tokens of context, runtime {}, quantisation {}</li>",
                escape(&m.id),
                m.context_length,
                escape(&m.runtime),
                escape(&m.quantization)
            )
        })
        .collect();
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>vlgate</title>\
         <style>body{{font:16px/1.5 system-ui;max-width:44rem;margin:3rem auto;padding:0 1rem}}pre{{background:#8881;padding:1rem;overflow:auto}}:root{{color-scheme:light dark}}</style>\
         <h1>vlgate</h1><p>An OpenAI-compatible gateway for Qwen3-VL is running here. Point your client's base URL at <code>/v1</code>.</p>\
         <h2>Models</h2><ul>{models}</ul><h2>Try it</h2><pre>curl {host}/v1/chat/completions -H 'content-type: application/json' -d '\
         {{\"model\":\"gpt-4o\",\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"data:image/png;base64,...\"}}}},{{\"type\":\"text\",\"text\":\"What is this?\"}}]}}]}}'</pre>",
        host = format_args!("http://{}:{}", escape(&state.config.host), state.config.port),
    );
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"))
        .body(html)
}
