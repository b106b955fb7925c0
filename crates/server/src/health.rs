//! Probes and numbers.

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
    let media = state.resolver.counts();
    let rows: [(&str, &str, u64); 17] = [
        ("vlgate_ready", "gauge", u64::from(load.ready)),
        ("vlgate_requests_running", "gauge", load.running.into()),
        ("vlgate_requests_waiting", "gauge", load.waiting.into()),
        ("vlgate_runtime_restarts_total", "counter", load.restarts),
        ("vlgate_prompt_tokens_total", "counter", load.prompt_tokens),
        ("vlgate_generated_tokens_total", "counter", load.generated_tokens),
        ("vlgate_prefix_hit_tokens_total", "counter", load.prefix_hit_tokens),
        ("vlgate_embedding_hits_total", "counter", load.embedding_hits),
        ("vlgate_media_fetches_total", "counter", media.fetches),
        ("vlgate_media_fetch_hits_total", "counter", media.fetch_hits),
        ("vlgate_media_fetch_confirmed_total", "counter", media.confirmed),
        ("vlgate_media_decodes_total", "counter", media.decodes),
        ("vlgate_media_pixel_hits_total", "counter", media.pixel_hits),
        ("vlgate_media_decoder_panics_total", "counter", media.panics),
        ("vlgate_media_busy_total", "counter", media.busy),
        ("vlgate_media_memory_free_bytes", "gauge", media.memory_free),
        ("vlgate_request_body_bytes", "gauge", state.bodies.load(Ordering::Relaxed) as u64),
    ];
    let mut text = String::new();
    for (name, kind, value) in rows {
        let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
    }
    // Only a runtime that has blocks reports them.
    let blocks = [("vlgate_kv_blocks_free", load.free_kv_blocks), ("vlgate_kv_blocks_total", load.total_kv_blocks)];
    for (name, value) in blocks.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        let _ = writeln!(text, "# TYPE {name} gauge\n{name} {value}");
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
