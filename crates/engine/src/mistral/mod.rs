//! The mistral.rs runtime (0.8.1). It renders nothing and samples nothing of its own: its chat template is replaced by
//! one that passes our prompt through, and a logits processor chooses every token and leaves it no other.
//!
//! Without paged attention (CPU) one job runs at a time: its default scheduler batches only sequences of equal
//! length, four at once are slower in total than one after another (DESIGN section 4, fact 2), and a decode step that
//! mixes sequences with and without pictures loses the MRoPE offset of those with.

mod choose;
mod load;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use indexmap::IndexMap;
use mistralrs::{
    Constraint, MessageContent, Model, NormalRequest, Request, RequestLike, Response, SamplingParams, TextMessages,
};
use tokio::sync::{
    RwLock, Semaphore,
    mpsc::{self, UnboundedReceiver, UnboundedSender},
};

use crate::{
    contract::{EngineError, Load},
    runtime::{Clips, Prepared, Runtime, Step},
};

pub use load::{LoadOptions, Quantization, paged_attention};

/// mistral.rs under supervision: a model that died is loaded again while the server stays up.
pub struct MistralRuntime {
    shared: Arc<Shared>,
}

struct Shared {
    options: LoadOptions,
    model: RwLock<Option<Arc<Model>>>,
    /// Counts the models loaded; a failure of an older one is not a failure of this one.
    generation: AtomicU64,
    ready: AtomicBool,
    permits: Semaphore,
    /// Permits in all.
    slots: usize,
    waiting: AtomicU32,
    running: AtomicU32,
    prompt_tokens: AtomicU64,
    generated: AtomicU64,
    /// Milliseconds since `born` at the last token.
    last_step: AtomicU64,
    born: Instant,
}

impl MistralRuntime {
    /// Loads the model; returns when it can answer.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when mistral.rs cannot load the folder.
    pub async fn load(options: LoadOptions) -> Result<Self, EngineError> {
        let model = load::load(options.clone()).await?;
        let permits = if paged_attention() { options.max_running.max(1) } else { 1 };
        let shared = Arc::new(Shared {
            options,
            model: RwLock::new(Some(Arc::new(model))),
            generation: AtomicU64::new(0),
            ready: AtomicBool::new(true),
            permits: Semaphore::new(permits),
            slots: permits,
            waiting: AtomicU32::new(0),
            running: AtomicU32::new(0),
            prompt_tokens: AtomicU64::new(0),
            generated: AtomicU64::new(0),
            last_step: AtomicU64::new(0),
            born: Instant::now(),
        });
        Ok(Self { shared })
    }
}

#[async_trait]
impl Runtime for MistralRuntime {
    async fn start(&self, job: Prepared) -> Result<UnboundedReceiver<Step>, EngineError> {
        let shared = Arc::clone(&self.shared);
        if !shared.ready.load(Ordering::Acquire) {
            return Err(EngineError::NotReady("it is being started again".into()));
        }
        let waiting = shared.waiting.fetch_add(1, Ordering::AcqRel);
        if waiting >= shared.options.max_waiting {
            shared.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(EngineError::Overloaded { waiting });
        }
        let (steps, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move { shared.run(job, steps).await });
        Ok(receiver)
    }

    fn load(&self) -> Load {
        let s = &self.shared;
        let since = Duration::from_millis(s.last_step.load(Ordering::Relaxed));
        Load {
            ready: s.ready.load(Ordering::Acquire),
            running: s.running.load(Ordering::Relaxed),
            waiting: s.waiting.load(Ordering::Relaxed),
            capacity: u32::try_from(s.slots).ok().map(|slots| slots.saturating_add(s.options.max_waiting)),
            last_step_age: Some(s.born.elapsed().saturating_sub(since)),
            restarts: s.generation.load(Ordering::Relaxed),
            prompt_tokens: s.prompt_tokens.load(Ordering::Relaxed),
            generated_tokens: s.generated.load(Ordering::Relaxed),
            ..Load::default()
        }
    }

    /// One frame of each pair: its vision path has pictures only.
    fn clips(&self) -> Clips {
        Clips::Stills
    }
}

impl Shared {
    /// One job from the queue to its end. The permit is held until mistral.rs is done with the sequence, also when
    /// the client is gone: the logits processor then ends it at the next token.
    async fn run(self: Arc<Self>, job: Prepared, steps: UnboundedSender<Step>) {
        let permit = tokio::select! {
            () = steps.closed() => None,
            permit = self.permits.acquire() => permit.ok(),
        };
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let Some(_permit) = permit else { return };
        let generation = self.generation.load(Ordering::Acquire);
        let model = self.model.read().await.clone();
        let Some(model) = model else {
            let _ = steps.send(Step::Failed(EngineError::NotReady("it is being started again".into())));
            return;
        };
        self.running.fetch_add(1, Ordering::Relaxed);
        self.prompt_tokens.fetch_add(job.tokens.len() as u64, Ordering::Relaxed);
        let _ = steps.send(Step::Prefill { cached: 0 });
        let id = job.id.clone();
        let outcome = self.drive(&model, job, &steps).await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        drop(model);
        match outcome {
            Ok(()) => {
                let _ = steps.send(Step::End);
            }
            Err(Died::Refused(message)) => {
                tracing::warn!(job = %id, "mistral.rs refused a job: {message}");
                let _ = steps.send(Step::Failed(EngineError::Failed(message)));
            }
            Err(Died::Runtime(message)) => {
                let _ = steps.send(Step::Failed(EngineError::Failed(message)));
                self.replace(generation);
            }
        }
    }

    async fn drive(self: &Arc<Self>, model: &Model, job: Prepared, steps: &UnboundedSender<Step>) -> Result<(), Died> {
        let eos = self.options.eos.first().copied().unwrap_or_default();
        let counted = Arc::clone(self);
        let on_token = move || {
            counted.generated.fetch_add(1, Ordering::Relaxed);
            counted.last_step.store(counted.born.elapsed().as_millis() as u64, Ordering::Relaxed);
        };
        let processor = choose::Chooser::new(job.sampler, steps.clone(), eos, on_token);
        let (response, mut responses) = mpsc::channel(64);
        let request = NormalRequest {
            messages: messages(job.text, &job.images)?,
            sampling_params: SamplingParams { max_len: Some(job.max_tokens as usize), ..SamplingParams::neutral() },
            response,
            return_logprobs: false,
            is_streaming: true,
            id: model.inner().next_request_id(),
            constraint: Constraint::None,
            suffix: None,
            tools: None,
            tool_choice: None,
            logits_processors: Some(vec![Arc::new(processor)]),
            return_raw_logits: false,
            web_search_options: None,
            model_id: None,
            truncate_sequence: false,
        };
        let sender = model.inner().get_sender(None).map_err(|e| Died::Runtime(e.to_string()))?;
        let sent = sender.send(Request::Normal(Box::new(request))).await;
        sent.map_err(|_| Died::Runtime("the runtime stopped".into()))?;
        while let Some(response) = responses.recv().await {
            match response {
                Response::Chunk(chunk) => {
                    if chunk.choices.iter().any(|c| c.finish_reason.is_some()) {
                        return Ok(());
                    }
                }
                Response::Done(_) => return Ok(()),
                Response::InternalError(e) => return Err(Died::Runtime(e.to_string())),
                Response::ValidationError(e) => return Err(Died::Refused(e.to_string())),
                Response::ModelError(e, _) => return Err(Died::Runtime(e)),
                _ => {}
            }
        }
        Err(Died::Runtime("the runtime stopped in the middle of the job".into()))
    }

    /// Loads the model again in the background, once for all the jobs that a death took down.
    fn replace(self: &Arc<Self>, generation: u64) {
        let next = generation + 1;
        if self.generation.compare_exchange(generation, next, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        self.ready.store(false, Ordering::Release);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            tracing::error!("the mistral.rs runtime died; loading the model again");
            *shared.model.write().await = None;
            let mut pause = Duration::from_millis(250);
            loop {
                match load::load(shared.options.clone()).await {
                    Ok(model) => {
                        *shared.model.write().await = Some(Arc::new(model));
                        shared.ready.store(true, Ordering::Release);
                        tracing::info!("the mistral.rs runtime is back");
                        return;
                    }
                    Err(error) => {
                        tracing::error!("loading the model again failed: {error}");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_secs(30));
                    }
                }
            }
        });
    }
}

/// Why a job ended without a result.
enum Died {
    /// This job only.
    Refused(String),
    /// The runtime is not to be trusted any more.
    Runtime(String),
}

/// Our rendered prompt as the one message that the pass-through template prints.
fn messages(text: String, images: &[Arc<vlgate_media::Picture>]) -> Result<mistralrs::core::RequestMessage, Died> {
    use mistralrs::core::RequestMessage;
    let mut message: IndexMap<String, MessageContent> = TextMessages::new()
        .add_message(mistralrs::TextMessageRole::User, text)
        .take_messages_inner()
        .ok_or_else(|| Died::Refused("the prompt is empty".into()))?;
    message.retain(|key, _| key == "role" || key == "content");
    let messages = vec![message];
    if images.is_empty() {
        return Ok(RequestMessage::Chat { messages, enable_thinking: None, reasoning_effort: None });
    }
    let images = images
        .iter()
        .map(|p| {
            image::RgbImage::from_raw(p.width, p.height, p.rgb.to_vec())
                .map(image::DynamicImage::ImageRgb8)
                .ok_or_else(|| Died::Refused("a picture's size does not fit its pixels".into()))
        })
        .collect::<Result<_, _>>()?;
    Ok(RequestMessage::MultimodalChat {
        images,
        audios: Vec::new(),
        videos: Vec::new(),
        messages,
        enable_thinking: None,
        reasoning_effort: None,
    })
}

trait TakeOne {
    fn take_messages_inner(self) -> Option<IndexMap<String, MessageContent>>;
}

impl TakeOne for TextMessages {
    fn take_messages_inner(mut self) -> Option<IndexMap<String, MessageContent>> {
        match self.take_messages() {
            mistralrs::core::RequestMessage::Chat { messages, .. } => messages.into_iter().next(),
            _ => None,
        }
    }
}
