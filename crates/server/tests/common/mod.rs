//! A real server on a free port, in front of an engine that says what a test wants.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use vlgate_engine::{
    Conversation, Engine, EngineError, Event, EventStream, FinishReason, Job, Load, ModelCard, Sampling, Timings,
    TokenCount, TokenLogprob, Usage,
};
use vlgate_media::{MediaConfig, Resolver, VisionSpec};
use vlgate_server::{ServerConfig, listen};

/// How the engine behaves; chosen by the text of the last message.
pub struct MockEngine {
    pub jobs: Mutex<Vec<Job>>,
    pub live: Arc<AtomicUsize>,
    pub ready: bool,
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
        let script = format!("{:?}", job.conversation.messages.last());
        let parallel = job.tools.parallel;
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
            s if s.contains("deadline") => vec![Err(EngineError::Deadline)],
            s if s.contains("calls-tools") => vec![vec![started], calling(parallel)].into_iter().flatten().collect(),
            s if s.contains("thinks") => {
                vec![started, thought("Hm"), thought("m."), text("Hel"), text("lo"), finished()]
            }
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
        let forever = script.contains("forever");
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

    async fn count(&self, _: &str, _: &Conversation) -> Result<TokenCount, EngineError> {
        Ok(TokenCount::default())
    }

    fn load(&self) -> Load {
        Load { ready: self.ready, capacity: Some(40), running: 2, waiting: 1, ..Load::default() }
    }
}

/// A running server.
pub struct Server {
    pub base: String,
    pub engine: Arc<MockEngine>,
    pub http: reqwest::Client,
}

pub fn start(config: ServerConfig) -> Server {
    start_with(config, true)
}

pub fn start_with(config: ServerConfig, ready: bool) -> Server {
    let engine = Arc::new(MockEngine { jobs: Mutex::default(), live: Arc::default(), ready });
    let (send, receive) = std::sync::mpsc::channel();
    let shared: Arc<dyn Engine> = engine.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let resolver = Arc::new(Resolver::new(MediaConfig::default()).unwrap());
            let aliases = [("gpt-4o".to_owned(), "Org/Model".to_owned())].into();
            let config = ServerConfig { port: 0, aliases, ..config };
            let (server, addresses) = listen(config, shared, resolver).unwrap();
            send.send(addresses[0]).unwrap();
            server.await.unwrap();
        });
    });
    let base = format!("http://{}", receive.recv().unwrap());
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().unwrap();
    Server { base, engine, http }
}

impl Server {
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

    /// The `data:` lines of a stream.
    pub async fn stream(&self, body: Value) -> Vec<String> {
        let response = self.send(body.to_string()).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        let text = response.text().await.unwrap();
        text.split("\n\n").filter_map(|l| l.strip_prefix("data: ").map(str::to_owned)).collect()
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
