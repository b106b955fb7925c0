//! The specification of this server, made from the types that it reads and writes, and a page to read it offline.

use actix_web::{HttpResponse, web};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use crate::{batches, chat, completions, files, health, messages, models, responses, tokens};

#[derive(OpenApi)]
#[openapi(
    info(title = "vlgate", description = "An OpenAI-compatible gateway for Qwen3-VL.", license(name = "MIT OR Apache-2.0")),
    paths(chat::create, tokens::count, completions::create, files::create, files::list, files::retrieve, files::content,
        files::delete, batches::create, batches::list, batches::retrieve, batches::cancel, tokens::tokenize,
        tokens::detokenize, responses::create, responses::input_tokens, responses::kept::retrieve, responses::kept::delete,
        responses::kept::cancel, responses::kept::input_items, messages::create, messages::count, models::list, models::retrieve, health::live, health::ready, health::metrics),
    tags(
        (name = "chat", description = "Conversations with text and pictures."),
        (name = "responses", description = "The same, with a memory."),
        (name = "messages", description = "The same in Anthropic's shape."),
        (name = "completions", description = "Text that goes on from a prompt, without a conversation."),
        (name = "files", description = "Uploads, and the answers of batches."),
        (name = "batches", description = "Many requests in a file, answered in the background."),
        (name = "tokens", description = "Counting and showing tokens."),
        (name = "models", description = "What is served."),
        (name = "operation", description = "Probes and numbers."),
    ),
    security(("key" = []), ()),
    modifiers(&Key)
)]
struct Specification;

struct Key;

impl Modify for Key {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// `openapi/openapi.json` as it is checked in.
#[must_use]
pub fn specification() -> String {
    let mut text = Specification::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// `GET /openapi.json`.
pub async fn document() -> HttpResponse {
    static TEXT: std::sync::LazyLock<web::Bytes> = std::sync::LazyLock::new(|| specification().into());
    HttpResponse::Ok().content_type("application/json").body(TEXT.clone())
}

/// `GET /docs`: a page without anything from elsewhere.
pub async fn viewer() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
        ))
        .body(include_str!("docs.html"))
}
