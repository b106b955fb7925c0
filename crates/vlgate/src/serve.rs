//! `vlgate serve`: settings to a model, an engine, a server.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use vlgate_engine::{Engine, ModelCard, ModelDir};
use vlgate_media::{MediaConfig, Resolver};
use vlgate_server::ServerConfig;

use crate::{data, hub, runtime, settings::Settings};

/// Runs until a signal ends it.
///
/// # Errors
/// What keeps it from starting, in one sentence.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let began = std::time::Instant::now();
    let (engine, id) = engine(&settings).await?;
    let resolver = Resolver::new(media_config(&settings))?;
    say_what_is_missing(&resolver);
    tracing::info!(ms = began.elapsed().as_millis(), "the model is ready");
    let config = server_config(&settings, &id);
    vlgate_server::serve(config, engine, Arc::new(resolver)).await.context("the server failed")
}

/// The model of the settings, loaded, and its id.
///
/// # Errors
/// What keeps it from loading, in one sentence.
pub async fn engine(settings: &Settings) -> anyhow::Result<(Arc<dyn Engine>, String)> {
    let (id, folder) = find(settings).await?;
    let model = Arc::new(ModelDir::open(&folder)?);
    let card = card(settings, &model, id)?;
    let id = card.id.clone();
    tracing::info!(model = %id, folder = %folder.display(), runtime = %card.runtime, quantization = %card.quantization, "loading the model");
    Ok((runtime::load(settings, model, card).await?, id))
}

/// The model's id and folder.
async fn find(settings: &Settings) -> anyhow::Result<(String, PathBuf)> {
    if settings.model == "demo" {
        let folder = vlgate_demo_model::unpack(&cache()).context("the demo model cannot be unpacked")?;
        return Ok((vlgate_demo_model::ID.to_owned(), folder));
    }
    let (model, revision) = (settings.model.clone(), settings.revision.clone());
    let folder = tokio::task::spawn_blocking(move || hub::locate(&model, &revision)).await??;
    let id = if Path::new(&settings.model).is_dir() {
        let name = folder.canonicalize()?.file_name().map(|n| n.to_string_lossy().into_owned());
        name.unwrap_or_else(|| "model".to_owned())
    } else {
        settings.model.clone()
    };
    Ok((id, folder))
}

/// `$XDG_CACHE_HOME/vlgate`, `~/.cache/vlgate`, or below the temporary folder where there is no home.
fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|h| h.join(".cache")))
        .filter(|base| std::fs::create_dir_all(base.join("vlgate")).is_ok())
        .map_or_else(|| std::env::temp_dir().join("vlgate"), |base| base.join("vlgate"))
}

fn card(settings: &Settings, model: &ModelDir, id: String) -> anyhow::Result<ModelCard> {
    let context_length = match settings.context {
        0 => model.context_length,
        n => n.min(model.context_length),
    };
    let runtime = runtime::choose(settings.runtime)?;
    Ok(ModelCard {
        id: if settings.served_name.is_empty() { id } else { settings.served_name.clone() },
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        context_length,
        vision: Some(model.vision),
        // mistral.rs sees one frame of each pair.
        video: model.video_token.is_some(),
        thinking: model.thinking,
        quantization: settings.quantize.clone(),
        runtime: runtime.to_owned(),
        defaults: model.defaults.clone(),
    })
}

fn media_config(settings: &Settings) -> MediaConfig {
    let (limits, media) = (&settings.limits, &settings.media);
    let time = Duration::from_secs(media.read_seconds.max(1));
    MediaConfig {
        allow_private_hosts: media.allow_hosts.clone(),
        allow_hosts: media.allow_domains.clone(),
        deny_hosts: media.deny_domains.clone(),
        folders: media.file_folders.clone(),
        image_bytes: media.image_bytes,
        image_pixels: media.image_pixels,
        fetches: media.fetches,
        fetches_per_host: media.fetches_per_host,
        fetch_timeout: Duration::from_secs(media.fetch_seconds.max(1)),
        decode_memory: media.decode_memory_mib << 20,
        decode_wait: Duration::from_secs(media.decode_wait_seconds),
        decode_timeout: Duration::from_secs(media.decode_seconds.max(1)),
        decoders: media.decoders,
        cache_bytes: media.pixel_cache_mib << 20,
        fetched_bytes: media.fetch_cache_mib << 20,
        named_bytes: media.named_cache_mib << 20,
        video_bytes: media.video_bytes,
        video_frames: limits.frames_per_video.max(1),
        document_bytes: media.document_bytes,
        document_pages: limits.pages_per_request,
        document_text: media.document_characters,
        read_timeout: time,
        child_cpu: time,
        child_memory: media.child_memory_mib << 20,
        tools: (!media.tools.is_empty()).then(|| media.tools.clone().into()),
        ..MediaConfig::default()
    }
}

/// Once at start, for the operator; a request that needs them is told the same.
fn say_what_is_missing(resolver: &Resolver) {
    if !resolver.tools().video() {
        tracing::warn!("ffmpeg and ffprobe were not found: clips are refused (Debian, Ubuntu: apt-get install ffmpeg)");
    }
    if !resolver.tools().svg() {
        tracing::warn!("rsvg-convert was not found: SVG is refused (Debian, Ubuntu: apt-get install librsvg2-bin)");
    }
    if !resolver.tools().heif() {
        tracing::warn!(
            "heif-dec or heif-convert was not found: AVIF and HEIC are refused (Debian, Ubuntu: apt-get install libheif-examples)"
        );
    }
    if !resolver.tools().pdf() {
        tracing::warn!(
            "poppler's programs were not found: PDFs are refused (Debian, Ubuntu: apt-get install poppler-utils)"
        );
    }
}

fn server_config(settings: &Settings, id: &str) -> ServerConfig {
    let aliases = settings.aliases.iter().map(|(alias, target)| {
        let target = if target.is_empty() { id } else { target.as_str() };
        (alias.clone(), target.to_owned())
    });
    ServerConfig {
        host: settings.host.to_string(),
        port: settings.port,
        api_keys: settings.api_keys.clone(),
        aliases: aliases.collect(),
        body_bytes: settings.limits.body_bytes,
        bodies_in_flight_bytes: settings.limits.bodies_in_flight_bytes,
        images_per_request: settings.limits.images_per_request,
        batch_requests_at_once: settings.limits.batch_requests_at_once,
        store: data::store(&settings.store),
        videos_per_request: settings.limits.videos_per_request,
        files_per_request: settings.limits.files_per_request,
        pages_per_request: settings.limits.pages_per_request as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_limits_are_the_settings_own() {
        let mut settings = Settings::default();
        settings.limits.body_bytes = 1;
        settings.limits.bodies_in_flight_bytes = 2;
        settings.limits.images_per_request = 3;
        settings.limits.batch_requests_at_once = 5;
        settings.store.path = "/nowhere".into();
        settings.store.days = 4;
        settings.limits.videos_per_request = 4;
        settings.limits.files_per_request = 5;
        settings.limits.pages_per_request = 6;
        settings.limits.frames_per_video = 7;
        settings.media.video_bytes = 8;
        settings.media.document_bytes = 9;
        settings.media.document_characters = 10;
        settings.media.read_seconds = 11;
        settings.media.child_memory_mib = 12;
        settings.media.tools = "/opt".into();
        settings.media.allow_domains = vec!["a.example".into()];
        settings.media.deny_domains = vec!["b.example".into()];
        settings.media.file_folders = vec!["/pictures".into()];
        (settings.media.fetches, settings.media.fetches_per_host) = (13, 14);
        (settings.media.decode_memory_mib, settings.media.pixel_cache_mib) = (15, 16);
        (settings.media.fetch_cache_mib, settings.media.named_cache_mib) = (17, 18);
        settings.aliases.insert("gpt-4o".into(), String::new());
        let config = server_config(&settings, "own");
        assert_eq!((config.body_bytes, config.bodies_in_flight_bytes, config.images_per_request), (1, 2, 3));
        assert_eq!((config.videos_per_request, config.files_per_request, config.pages_per_request), (4, 5, 6));
        let media = media_config(&settings);
        assert_eq!((media.document_pages, media.video_frames, media.video_bytes), (6, 7, 8));
        assert_eq!((media.document_bytes, media.document_text, media.child_memory), (9, 10, 12 << 20));
        assert_eq!((media.read_timeout, media.child_cpu), (Duration::from_secs(11), Duration::from_secs(11)));
        assert_eq!(media.tools, Some("/opt".into()));
        assert_eq!(config.batch_requests_at_once, 5);
        assert_eq!((config.store.path, config.store.days), (Some("/nowhere".into()), 4));
        assert_eq!((media.allow_hosts, media.deny_hosts), (vec!["a.example".to_owned()], vec!["b.example".to_owned()]));
        assert_eq!((media.folders, media.fetches, media.fetches_per_host), (vec!["/pictures".into()], 13, 14));
        assert_eq!((media.decode_memory, media.cache_bytes), (15 << 20, 16 << 20));
        assert_eq!((media.fetched_bytes, media.named_bytes), (17 << 20, 18 << 20));
        assert_eq!(config.aliases.get("gpt-4o").map(String::as_str), Some("own"));
    }
}
