//! A real server on a free port, in front of an engine that says what a test wants.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use vlgate_engine::{
    Conversation, Engine, EngineError, Event, EventStream, FinishReason, Job, Load, ModelCard, Raw, Sampling, Source,
    Timings, TokenCount, TokenLogprob, Tokens, Usage,
};
use vlgate_media::{MediaConfig, Resolver, VisionSpec};
use vlgate_server::{ServerConfig, listen};

/// How the engine behaves; chosen by the text of the last message.
pub struct MockEngine {
    pub jobs: Mutex<Vec<Job>>,
    pub live: Arc<AtomicUsize>,
    pub ready: bool,
    /// Jobs that wait, as far as the server sees.
    pub waiting: AtomicU32,
    /// Whether "forever" is.
    pub patient: bool,
}

impl Default for MockEngine {
    fn default() -> Self {
        Self { jobs: Mutex::default(), live: Arc::default(), ready: true, waiting: AtomicU32::new(0), patient: true }
    }
}

impl MockEngine {
    /// What was asked, each job's last message or prompt.
    pub fn asked(&self) -> Vec<String> {
        self.jobs.lock().unwrap().iter().map(script).collect()
    }
}

/// A job's last message, or its prompt.
fn script(job: &Job) -> String {
    match &job.raw {
        Some(raw) => format!("{raw:?}"),
        None => format!("{:?}", job.conversation.messages.last()),
    }
}

/// Counts streams that are not dropped yet.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn text(delta: &str) -> Result<Event, EngineError> {
    let one = TokenLogprob { token: delta.into(), bytes: delta.into(), logprob: -0.5, top: Vec::new() };
    Ok(Event::Text { delta: delta.into(), logprobs: vec![one] })
}

fn call(index: u32, name: &str) -> [Result<Event, EngineError>; 3] {
    let (id, name) = (format!("call_{index}"), name.to_owned());
    let more = |delta: &str| Ok(Event::ToolArguments { index, delta: delta.into() });
    [Ok(Event::ToolCall { index, id, name }), more("{\"x\""), more(": 1}")]
}

fn thought(delta: &str) -> Result<Event, EngineError> {
    Ok(Event::Reasoning { delta: delta.into() })
}

/// With two calls, or with one where several may not be made.
fn calling(parallel: bool) -> Vec<Result<Event, EngineError>> {
    let mut all = vec![text("Look.")];
    all.extend(call(0, "f"));
    if parallel {
        all.extend(call(1, "g"));
    }
    let usage = Usage { prompt: 7, completion: 9, ..Usage::default() };
    all.push(Ok(Event::Finished { reason: FinishReason::ToolCalls, usage, timings: Timings::default() }));
    all
}

fn finished() -> Result<Event, EngineError> {
    let usage = Usage { prompt: 7, completion: 2, image: 4, ..Usage::default() };
    Ok(Event::Finished { reason: FinishReason::Stop { stop: None }, usage, timings: Timings::default() })
}

fn cut() -> Result<Event, EngineError> {
    let usage = Usage { prompt: 7, completion: 1, ..Usage::default() };
    Ok(Event::Finished { reason: FinishReason::Length, usage, timings: Timings::default() })
}

#[async_trait]
impl Engine for MockEngine {
    fn models(&self) -> Vec<ModelCard> {
        vec![ModelCard {
            id: "Org/Model".into(),
            created: 1_700_000_000,
            context_length: 4096,
            vision: Some(VisionSpec::QWEN3_VL),
            video: true,
            thinking: false,
            quantization: "none".into(),
            runtime: "mock".into(),
            defaults: Sampling::default(),
        }]
    }

    async fn generate(&self, job: Job) -> Result<EventStream, EngineError> {
        let script = script(&job);
        let (parallel, job_messages) = (job.tools.parallel, job.conversation.messages.len());
        let before = self.asked().iter().filter(|asked| **asked == script).count();
        self.jobs.lock().unwrap().push(job);
        let failed = || Err(EngineError::Failed("secret detail".into()));
        let started = Ok(Event::Started { usage: Usage { prompt: 7, ..Usage::default() } });
        let events = match script.as_str() {
            s if s.contains("too-long") => {
                return Err(EngineError::ContextLength { context: 10, prompt: 20, requested: None });
            }
            s if s.contains("bad-schema") => {
                let param = if s.contains("tools") {
                    "tools[1].function.parameters"
                } else {
                    "response_format.json_schema.schema"
                };
                return Err(EngineError::Invalid { message: "Invalid schema: no".into(), param: Some(param.into()) });
            }
            s if s.contains("crowded") && job_messages > 2 => {
                return Err(EngineError::ContextLength { context: 10, prompt: 12, requested: None });
            }
            s if s.contains("is-cut") => vec![started, text("Hel"), cut()],
            s if s.contains("says-nothing") => vec![started, finished()],
            s if s.contains("deadline") => vec![Err(EngineError::Deadline)],
            s if s.contains("calls-tools") => vec![vec![started], calling(parallel)].into_iter().flatten().collect(),
            s if s.contains("thinks") => {
                vec![started, thought("Hm"), thought("m."), text("Hel"), text("lo"), finished()]
            }
            s if s.contains("busy-once") && before == 0 => return Err(EngineError::Overloaded { waiting: 9 }),
            s if s.contains("says-when") => {
                vec![started, text("At <6"), text("1.5 sec"), text("onds>, <2"), finished()]
            }
            s if s.contains("overloaded") => return Err(EngineError::Overloaded { waiting: 9 }),
            s if s.contains("loading") => return Err(EngineError::NotReady("loading".into())),
            s if s.contains("fails-first") => vec![failed()],
            s if s.contains("fails-midway") => vec![started, text("Hel"), failed()],
            s if s.contains("ends-early") => vec![started, text("Hel")],
            _ => vec![started, text("Hel"), text("lo"), finished()],
        };
        self.live.fetch_add(1, Ordering::SeqCst);
        let alive = Alive(Arc::clone(&self.live));
        let forever = self.patient && script.contains("forever");
        let hang = stream::once(async move {
            if forever {
                std::future::pending::<()>().await;
            }
            drop(alive);
            None
        });
        let events = if forever { vec![events.into_iter().next().unwrap()] } else { events };
        Ok(stream::iter(events).map(Some).chain(hang).filter_map(|e| async { e }).boxed())
    }

    async fn count(&self, _: &str, conversation: &Conversation) -> Result<TokenCount, EngineError> {
        let parts = || conversation.messages.iter().flat_map(|m| &m.parts);
        let prompt = conversation.messages.len() * 10 + parts().count();
        let image = 4 * parts().filter(|p| matches!(p, vlgate_engine::Part::Image(_))).count();
        Ok(TokenCount { prompt: prompt as u32, image: image as u32, video: 0 })
    }

    async fn tokens(&self, _: &str, source: Source<'_>) -> Result<Tokens, EngineError> {
        let ids = match source {
            Source::Raw(Raw::Text(text)) => text.chars().map(u32::from).collect(),
            Source::Raw(Raw::Tokens(ids)) => ids.clone(),
            Source::Conversation(_) => vec![1, 2, 2, 2, 2, 3, 4],
        };
        Ok(Tokens { count: TokenCount { prompt: ids.len() as u32, ..TokenCount::default() }, ids })
    }

    async fn text(&self, _: &str, tokens: &[u32]) -> Result<String, EngineError> {
        let unknown =
            || EngineError::Invalid { message: "The model has no token.".into(), param: Some("prompt".into()) };
        tokens.iter().map(|id| char::from_u32(*id).ok_or_else(unknown)).collect()
    }

    fn load(&self) -> Load {
        let waiting = self.waiting.load(Ordering::SeqCst);
        Load { ready: self.ready, capacity: Some(40), running: 3, waiting, ..Load::default() }
    }
}

/// A running server.
pub struct Server {
    pub base: String,
    pub engine: Arc<MockEngine>,
    pub http: reqwest::Client,
    handle: actix_web::dev::ServerHandle,
    thread: std::thread::JoinHandle<()>,
}

pub fn start(config: ServerConfig) -> Server {
    start_with(config, true)
}

pub fn start_with(config: ServerConfig, ready: bool) -> Server {
    start_engine(config, MockEngine { ready, ..MockEngine::default() })
}

pub fn start_engine(config: ServerConfig, engine: MockEngine) -> Server {
    let engine = Arc::new(engine);
    let (send, receive) = std::sync::mpsc::channel();
    let shared: Arc<dyn Engine> = engine.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let resolver = Arc::new(Resolver::new(MediaConfig::default()).unwrap());
            let aliases = [("gpt-4o".to_owned(), "Org/Model".to_owned())].into();
            let config = ServerConfig { port: 0, aliases, ..config };
            let (server, addresses) = listen(config, shared, resolver).unwrap();
            send.send((addresses[0], server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (address, handle) = receive.recv().unwrap();
    let base = format!("http://{address}");
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().unwrap();
    Server { base, engine, http, handle, thread }
}

impl Server {
    /// Ends it at once, and everything that it does in the background.
    pub async fn stop(self) {
        self.handle.stop(false).await;
        tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap();
    }

    /// Any request, with a key where one is given; the answer's JSON, or null.
    pub async fn call(&self, method: &str, path: &str, key: &str, body: Option<Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !key.is_empty() {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    /// An upload of a form as it is.
    pub async fn post_form(&self, key: &str, form: Vec<u8>) -> reqwest::Response {
        let mut request = self.http.post(format!("{}/v1/files", self.base));
        if !key.is_empty() {
            request = request.bearer_auth(key);
        }
        request.header("content-type", "multipart/form-data; boundary=XX").body(form).send().await.unwrap()
    }

    pub async fn upload(&self, key: &str, purpose: &str, name: &str, bytes: &[u8]) -> (u16, Value) {
        let form = form(&[("purpose", purpose)], Some((name, bytes)));
        let response = self.post_form(key, form).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    pub async fn send(&self, body: impl Into<reqwest::Body>) -> reqwest::Response {
        self.http.post(format!("{}/v1/chat/completions", self.base)).body(body).send().await.unwrap()
    }

    pub async fn chat(&self, body: Value) -> (u16, Value) {
        let response = self.send(body.to_string()).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// The same under `/v1`; null is no body.
    pub async fn v1(&self, method: &str, path: &str, key: &str, body: Value) -> (u16, Value) {
        self.call(method, &format!("/v1{path}"), key, Some(body).filter(|b| !b.is_null())).await
    }

    /// The events of a stream, each with its name.
    pub async fn events(&self, response: reqwest::Response) -> Vec<(String, Value)> {
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        let event = |block: &str| {
            let (name, data) = block.strip_prefix("event: ")?.split_once("\ndata: ")?;
            Some((name.to_owned(), serde_json::from_str(data).unwrap()))
        };
        text.split("\n\n").filter_map(event).collect()
    }

    /// The `data:` lines of a stream.
    pub async fn stream(&self, body: Value) -> Vec<String> {
        let response = self.send(body.to_string()).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        let text = response.text().await.unwrap();
        text.split("\n\n").filter_map(|l| l.strip_prefix("data: ").map(str::to_owned)).collect()
    }
}

/// A form whose boundary is `XX`.
pub fn form(fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        let head = format!("--XX\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        out.extend_from_slice(head.as_bytes());
    }
    if let Some((name, bytes)) = file {
        let head = format!(
            "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: application/octet-stream\r\n\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"--XX--\r\n");
    out
}

/// A folder for a store, removed when this goes.
pub struct Folder(pub std::path::PathBuf);

impl Folder {
    pub fn new() -> Self {
        Self(std::env::temp_dir().join(format!("vlgate-test-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A request with one user message and further fields.
pub fn say(content: impl Into<Value>, extra: Value) -> Value {
    let mut body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": content.into()}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

/// A PNG as a data URL.
pub fn picture() -> String {
    data_url("image/png", &encoded(&image::DynamicImage::new_rgb8(64, 48), image::ImageFormat::Png))
}

pub fn encoded(picture: &image::DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

pub fn data_url(mime: &str, bytes: &[u8]) -> String {
    use base64::Engine;
    format!("data:{mime};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}
