//! What every request sees: configuration, engine, media, counters.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
};

use vlgate_engine::{Engine, ModelCard};
use vlgate_media::Resolver;
use vlgate_openai::ApiError;

/// How the server listens and what it allows.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Keys that open the door; none means that it stands open.
    pub api_keys: Vec<String>,
    /// Other names of models.
    pub aliases: BTreeMap<String, String>,
    /// Bytes of one request body, after decompression.
    pub body_bytes: usize,
    /// Bytes of all request bodies together.
    pub bodies_in_flight_bytes: usize,
    /// Pictures in one request.
    pub images_per_request: usize,
    /// Clips in one request.
    pub videos_per_request: usize,
    /// Files in one request.
    pub files_per_request: usize,
    /// Pages of all files of one request together.
    pub pages_per_request: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8080,
            api_keys: Vec::new(),
            aliases: BTreeMap::new(),
            body_bytes: 64 << 20,
            bodies_in_flight_bytes: 512 << 20,
            images_per_request: 64,
            videos_per_request: 8,
            files_per_request: 16,
            pages_per_request: 100,
        }
    }
}

/// Shared by all workers.
pub struct State {
    /// The configuration.
    pub config: ServerConfig,
    /// What answers.
    pub engine: Arc<dyn Engine>,
    /// What takes pictures in.
    pub resolver: Arc<Resolver>,
    /// Bytes of request bodies being worked on.
    pub(crate) bodies: AtomicUsize,
    /// Requests answered, by status class 1xx to 5xx.
    pub(crate) answered: [AtomicU64; 5],
    /// Mean time of a request in milliseconds, the last ones counting most.
    pub(crate) pace: AtomicU64,
}

impl State {
    /// A server's state.
    #[must_use]
    pub fn new(config: ServerConfig, engine: Arc<dyn Engine>, resolver: Arc<Resolver>) -> Self {
        Self {
            config,
            engine,
            resolver,
            bodies: AtomicUsize::new(0),
            answered: Default::default(),
            pace: AtomicU64::new(0),
        }
    }

    /// The model that a name or an alias means.
    ///
    /// # Errors
    /// 404 `model_not_found`.
    pub fn model(&self, name: &str) -> Result<ModelCard, ApiError> {
        let id = self.config.aliases.get(name).map_or(name, String::as_str);
        self.engine.models().into_iter().find(|m| m.id == id).ok_or_else(|| {
            let shown: String = name.chars().take(100).collect();
            let message = format!("The model '{shown}' does not exist or you do not have access to it.");
            ApiError::new(404, "invalid_request_error", "model_not_found", message).at("model")
        })
    }
}
