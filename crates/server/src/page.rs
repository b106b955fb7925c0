//! The web page: the built files of `ui/`, embedded, each in the form that the browser takes; and what the page asks to know.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use serde_json::{Value, json};
use vlgate_engine::ModelCard;
use vlgate_openai::ApiError;

use crate::{State, reply::refuse};

struct File {
    name: &'static str,
    kind: &'static str,
    tag: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// Written by `ui/build.mjs`.
static FILES: &[File] = include!("../ui/dist/files.rs");

/// The page runs its own scripts, talks to its own server, and nothing else; a hostile answer finds no way out.
static PAGE_POLICY: &str = include_str!("../ui/policy-page.txt");
/// The frame in which an HTML answer comes alive: an origin of its own, and no network.
static PREVIEW_POLICY: &str = include_str!("../ui/policy-preview.txt");

/// `GET /`.
pub async fn index(request: HttpRequest) -> HttpResponse {
    send(&request, "index.html")
}

/// `GET /ui/{name}`.
pub async fn file(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    send(&request, &name)
}

/// `GET /server.json`: what runs here, for the page's settings and its "Server" tab.
pub async fn server(state: web::Data<State>) -> HttpResponse {
    let models: Vec<Value> = state.engine.models().iter().map(|card| model(&state, card)).collect();
    let limits = json!({"body_bytes": state.config.body_bytes, "images_per_request": state.config.images_per_request});
    let documents = json!({"pdf": state.resolver.tools().pdf()});
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({"version": env!("CARGO_PKG_VERSION"), "models": models, "limits": limits, "documents": documents}))
}

fn model(state: &State, card: &ModelCard) -> Value {
    let aliases: Vec<&String> =
        state.config.aliases.iter().filter(|(_, id)| **id == card.id).map(|(alias, _)| alias).collect();
    let vision =
        card.vision.map(|v| json!({"factor": v.factor(), "min_pixels": v.min_pixels, "max_pixels": v.max_pixels}));
    let d = &card.defaults;
    // A model that takes clips needs what decodes them.
    let video = card.video && state.resolver.tools().video();
    json!({
        "id": card.id, "aliases": aliases, "context_length": card.context_length, "runtime": card.runtime,
        "quantization": card.quantization, "video": video, "thinking": card.thinking, "vision": vision,
        "defaults": {"temperature": d.temperature, "top_p": d.top_p, "top_k": d.top_k},
    })
}

fn send(request: &HttpRequest, name: &str) -> HttpResponse {
    let Some(file) = FILES.iter().find(|f| f.name == name) else {
        let message = format!("Invalid URL ({} {})", request.method(), request.path());
        return refuse(&ApiError::new(404, "invalid_request_error", "unknown_url", message));
    };
    // A name with a hash always means the same bytes; the files without one are asked for anew.
    let named = matches!(name, "index.html" | "preview.html" | "licences.txt");
    let caching = if named { "no-cache" } else { "public, max-age=31536000, immutable" };
    let policy = if name == "preview.html" { PREVIEW_POLICY } else { PAGE_POLICY };
    let sent = |name: header::HeaderName| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let known = sent(header::IF_NONE_MATCH).split(',').any(|tag| tag.trim().trim_start_matches("W/") == file.tag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, caching))
        .insert_header((header::ETAG, file.tag))
        .insert_header((header::VARY, "accept-encoding"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy.trim()))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        // A link in an answer is not looked up before it is pressed: the name itself can carry something out.
        .insert_header((header::X_DNS_PREFETCH_CONTROL, "off"));
    if known {
        return response.finish();
    }
    response.content_type(file.kind);
    let (bytes, form) = packed(file, sent(header::ACCEPT_ENCODING));
    if let Some(form) = form {
        response.insert_header((header::CONTENT_ENCODING, form));
    }
    response.body(bytes)
}

/// The smallest form that the browser takes.
fn packed(file: &File, accepted: &str) -> (&'static [u8], Option<&'static str>) {
    let takes = |wanted: &str| {
        accepted.split(',').any(|one| {
            let (name, weight) = one.split_once(';').unwrap_or((one, ""));
            name.trim().eq_ignore_ascii_case(wanted) && !matches!(weight.trim(), "q=0" | "q=0.0")
        })
    };
    match (file.brotli, file.gzip) {
        (Some(bytes), _) if takes("br") => (bytes, Some("br")),
        (_, Some(bytes)) if takes("gzip") => (bytes, Some("gzip")),
        _ => (file.plain, None),
    }
}
