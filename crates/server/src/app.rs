//! The routes, and the server around them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use actix_cors::Cors;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::Server, guard, http::Method, middleware, web};
use vlgate_engine::Engine;
use vlgate_media::Resolver;
use vlgate_openai::ApiError;

use crate::{
    ServerConfig, State, Store, background, batches, chat, completions, door, files, health, messages, models, openapi,
    page, rate, reply::refuse_at, responses, tokens,
};

/// Serves until SIGTERM or SIGINT; requests that run may finish within 30 seconds.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(config: ServerConfig, engine: Arc<dyn Engine>, resolver: Arc<Resolver>) -> io::Result<()> {
    listen(config, engine, resolver)?.0.await
}

/// Listens; the returned server runs when it is awaited. Port 0 takes a free one.
///
/// # Errors
/// When the address cannot be listened on, or the store not opened. Must be called on a tokio runtime.
pub fn listen(
    config: ServerConfig,
    engine: Arc<dyn Engine>,
    resolver: Arc<Resolver>,
) -> io::Result<(Server, Vec<SocketAddr>)> {
    let address = (config.host.clone(), config.port);
    let store = Store::open(config.store.clone()).map_err(io::Error::other)?;
    let state = web::Data::new(State::new(config, engine, resolver, store));
    let state_behind = state.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .wrap(middleware::from_fn(door::pass))
            .wrap(cors())
            .wrap(middleware::NormalizePath::new(middleware::TrailingSlash::MergeOnly))
            .configure(|cfg| routes(cfg, &state))
    })
    .workers(std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8))
    // Longer than any load balancer's idle time and the SDKs' default timeout of 600 s.
    .keep_alive(Duration::from_secs(620))
    .client_request_timeout(Duration::from_secs(30))
    // A client that is gone wants no answer: its handler is dropped, and with it the engine's work.
    .h1_allow_half_closed(false)
    .shutdown_timeout(30)
    .bind(address)?;
    let addresses = server.addrs();
    for address in &addresses {
        tracing::info!("vlgate listens on http://{address} (API at /v1)");
    }
    tokio::spawn(background::run(state_behind));
    Ok((server.run(), addresses))
}

/// All routes; `state` gives the body limit.
pub fn routes(cfg: &mut web::ServiceConfig, state: &web::Data<State>) {
    cfg.app_data(web::PayloadConfig::new(state.config.body_bytes));
    for prefix in ["/v1", ""] {
        cfg.service(only(&format!("{prefix}/chat/completions"), web::post().to(chat::create)))
            .service(only(&format!("{prefix}/chat/completions/"), web::post().to(chat::create)))
            .service(only(&format!("{prefix}/messages"), web::post().to(messages::create)))
            .service(only(&format!("{prefix}/messages/count_tokens"), web::post().to(messages::count)))
            .service(only(&format!("{prefix}/responses"), web::post().to(responses::create)))
            .service(only(&format!("{prefix}/responses/input_tokens"), web::post().to(responses::input_tokens)))
            .service(only(&format!("{prefix}/responses/{{id}}/cancel"), web::post().to(responses::cancel)))
            .service(only(&format!("{prefix}/responses/{{id}}/input_items"), web::get().to(responses::input_items)))
            .service(two(
                &format!("{prefix}/responses/{{id}}"),
                web::get().to(responses::retrieve),
                web::delete().to(responses::delete),
            ))
            .service(only(&format!("{prefix}/chat/completions/input_tokens"), web::post().to(tokens::count)))
            .service(only(&format!("{prefix}/tokenize"), web::post().to(tokens::tokenize)))
            .service(only(&format!("{prefix}/detokenize"), web::post().to(tokens::detokenize)))
            .service(only(&format!("{prefix}/completions"), web::post().to(completions::create)))
            .service(two(&format!("{prefix}/files"), web::get().to(files::list), web::post().to(files::create)))
            .service(only(&format!("{prefix}/files/{{id}}/content"), web::get().to(files::content)))
            .service(two(
                &format!("{prefix}/files/{{id}}"),
                web::get().to(files::retrieve),
                web::delete().to(files::delete),
            ))
            .service(two(&format!("{prefix}/batches"), web::get().to(batches::list), web::post().to(batches::create)))
            .service(only(&format!("{prefix}/batches/{{id}}"), web::get().to(batches::retrieve)))
            .service(only(&format!("{prefix}/batches/{{id}}/cancel"), web::post().to(batches::cancel)))
            .service(only(&format!("{prefix}/models"), web::get().to(models::list)))
            .service(only(&format!("{prefix}/models/"), web::get().to(models::list)))
            .service(only(&format!("{prefix}/models/{{id:.+}}"), web::get().to(models::retrieve)));
    }
    cfg.service(only("/livez", web::get().to(health::live)))
        .service(only("/health", web::get().to(health::ready)))
        .service(only("/readyz", web::get().to(health::ready)))
        .service(only("/openapi.json", web::get().to(openapi::document)))
        .service(only("/docs", web::get().to(openapi::viewer)))
        .service(only("/metrics", web::get().to(health::metrics)))
        .service(only("/", web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(page::index)))
        .service(only("/ui/{name}", web::get().to(page::file)))
        .service(only("/server.json", web::get().to(page::server)))
        .default_service(web::to(unknown));
}

/// A resource with one method; any other gets 405 in OpenAI's shape.
fn only(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(route).default_service(web::to(wrong_method))
}

/// The same with two methods.
fn two(path: &str, one: actix_web::Route, other: actix_web::Route) -> actix_web::Resource {
    only(path, one).route(other)
}

async fn unknown(request: HttpRequest) -> HttpResponse {
    let message = format!("Invalid URL ({} {})", request.method(), request.path());
    refuse_at(request.path(), &ApiError::new(404, "invalid_request_error", "unknown_url", message))
}

async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let message = format!("Not allowed to {} on {}", request.method(), request.path());
    refuse_at(request.path(), &ApiError::new(405, "invalid_request_error", "method_not_supported", message))
}

/// Browsers may call from anywhere: the key, not the origin, opens the door.
fn cors() -> Cors {
    Cors::default()
        .allow_any_origin()
        .allowed_methods([Method::GET, Method::POST, Method::DELETE, Method::OPTIONS])
        .allow_any_header()
        .expose_headers(
            [
                "x-request-id",
                "request-id",
                "openai-processing-ms",
                "openai-version",
                "retry-after",
                "retry-after-ms",
                "x-should-retry",
            ]
            .into_iter()
            .chain(rate::NAMES),
        )
        .max_age(3600)
}
