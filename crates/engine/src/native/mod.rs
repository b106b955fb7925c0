//! The native runtime: Qwen3-VL on the CPU with continuous batching and a paged KV cache (DESIGN section 5).
//!
//! From a prompt to tokens: [`layout`] finds the pictures and positions, [`scheduler`] plans a step over the blocks of [`kv`],
//! [`vision`] encodes pictures a block at a time, [`text`] computes all planned tokens in one batch, [`crate::Sampler`] chooses.
//! `engine.rs` is the thread that does it over and over.

mod adapter;
pub mod checkpoint;
pub mod config;
mod engine;
mod experts;
mod gelu;
mod job;
pub mod kv;
mod layer;
pub mod layout;
pub mod model;
mod options;
mod pace;
mod packed;
pub mod pixels;
pub mod rope;
mod rows;
pub mod scheduler;
mod status;
pub mod text;
pub mod vision;
pub mod weights;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::Ordering::Relaxed,
    mpsc::{self, Sender},
};

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub use options::NativeOptions;
pub use vlgate_kernels::KvKind;
pub use weights::Precision;

use crate::{
    contract::{EngineError, Load},
    runtime::{Clips, Prepared, Runtime, Step},
};
use engine::{Command, Engine};
use job::Job;
use kv::{BLOCK, Keys, Store};
use layout::Layout;
use model::Model;
use status::Status;

/// A loaded model with its engine thread. Dropping it ends the thread after its step.
pub struct NativeRuntime {
    model: Arc<Model>,
    keys: Keys,
    status: Arc<Status>,
    commands: Mutex<Sender<Command>>,
    thread: Option<std::thread::JoinHandle<()>>,
    max_waiting: u32,
    /// Jobs that run and wait together.
    capacity: u32,
    context: usize,
}

impl NativeRuntime {
    /// Loads the model; returns when it can answer. The blocking work runs beside the async threads.
    ///
    /// # Errors
    /// [`EngineError::Failed`] with one sentence.
    pub async fn load(options: NativeOptions) -> Result<Self, EngineError> {
        let loading = tokio::task::spawn_blocking(|| Self::open(options)).await;
        loading.unwrap_or_else(|e| Err(EngineError::Failed(format!("loading the model failed: {e}"))))
    }

    /// The same, blocking.
    ///
    /// # Errors
    /// [`EngineError::Failed`] with one sentence.
    pub fn open(options: NativeOptions) -> Result<Self, EngineError> {
        let pool = options.threads.map_or_else(vlgate_kernels::Pool::default, vlgate_kernels::Pool::new);
        let tenth = std::sync::atomic::AtomicU32::new(0);
        let progress = |share: f64| {
            let now = (share * 10.0) as u32;
            if tenth.fetch_max(now, Relaxed) < now {
                tracing::info!("packing the weights: {}%", now * 10);
            }
        };
        let (adapters, cache) = (options.adapters.as_slice(), options.cache.as_deref());
        let model = Model::load(&options.folder, options.vision, options.precision, pool, adapters, cache, &progress);
        let model = Arc::new(model.map_err(EngineError::Failed)?);
        Self::with_model(model, options)
    }

    /// A further engine over weights that are loaded already.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when there is no room for a KV cache.
    pub fn with_model(model: Arc<Model>, options: NativeOptions) -> Result<Self, EngineError> {
        let blocks = blocks(&model, &options).map_err(EngineError::Failed)?;
        let kv = options.kv_kind(model.pool.level());
        let context = options.context.min(model.config.text.context).min(blocks as usize * BLOCK);
        tracing::info!(
            weights_mib = model.bytes() >> 20,
            kv_type = ?kv,
            kv_blocks = blocks,
            kv_bytes_per_token = Store::block_bytes(&model.config.text, kv) / BLOCK,
            threads = model.pool.threads(),
            level = model.pool.level().name(),
            "the native runtime is ready"
        );
        let (keys, status) = (Keys::default(), Arc::new(Status::default()));
        let (commands, receiver) = mpsc::channel();
        status.total.store(u64::from(blocks), Relaxed);
        status.free.store(u64::from(blocks), Relaxed);
        let max_waiting = options.max_waiting;
        let capacity = u32::try_from(options.max_running).unwrap_or(u32::MAX).saturating_add(max_waiting);
        let engine = Engine {
            model: Arc::clone(&model),
            options,
            blocks,
            keys: keys.clone(),
            status: Arc::clone(&status),
            commands: receiver,
        };
        let thread = std::thread::Builder::new().name("vlgate-engine".into()).spawn(move || engine.run());
        let thread = thread.map_err(|e| EngineError::Failed(format!("no thread for the engine: {e}")))?;
        Ok(Self {
            model,
            keys,
            status,
            commands: Mutex::new(commands),
            thread: Some(thread),
            max_waiting,
            capacity,
            context,
        })
    }

    /// Prompt and answer together, in tokens: what the model, the settings and the KV cache allow.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.context
    }

    /// Times that a job went back to the queue because the KV cache was full.
    #[must_use]
    pub fn preemptions(&self) -> u64 {
        self.status.preemptions.load(Relaxed)
    }

    /// The weights, for another engine over them.
    #[must_use]
    pub const fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Makes the next step panic: how tests see what becomes of the jobs.
    #[doc(hidden)]
    pub fn inject_panic(&self) {
        let _ = self.say(Command::Panic);
    }

    fn say(&self, command: Command) -> Result<(), EngineError> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.send(command).map_err(|_| EngineError::Failed("the engine thread has ended".into()))
    }

    fn job(&self, prepared: Prepared, steps: tokio::sync::mpsc::UnboundedSender<Step>) -> Result<Job, EngineError> {
        let (prompt, vocab) = (prepared.tokens.len(), self.model.config.text.vocab);
        if prompt == 0 || prepared.tokens.iter().any(|t| *t as usize >= vocab) {
            let message = format!("The prompt must have tokens, all below {vocab}.");
            return Err(EngineError::Invalid { message, param: None });
        }
        if prompt >= self.context {
            return Err(EngineError::ContextLength {
                context: self.context as u32,
                prompt: prompt as u32,
                requested: None,
            });
        }
        let layout = Layout::new(&self.model.config, &self.keys, &prepared)?;
        Ok(Job {
            id: prepared.id,
            tokens: prepared.tokens,
            embeddings: vec![None; layout.spans.len()],
            layout,
            sampler: prepared.sampler,
            left: prepared.max_tokens.max(1).min((self.context - prompt) as u32),
            steps,
            deadline: prepared.deadline,
            seen: false,
        })
    }
}

/// How many KV blocks there are to be.
fn blocks(model: &Model, options: &NativeOptions) -> Result<u32, String> {
    let block = Store::block_bytes(&model.config.text, options.kv_kind(model.pool.level())) as u64;
    let context = options.context.min(model.config.text.context).max(BLOCK) as u64;
    let most = context.div_ceil(BLOCK as u64) * options.max_running.max(1) as u64;
    let bytes = options
        .kv_bytes
        .unwrap_or_else(|| weights::available_memory().unwrap_or(4 << 30) / 2 / options.sharers.max(1) as u64);
    let blocks = (bytes / block).min(most).min(u64::from(u32::MAX / 64));
    if blocks < 2 {
        return Err(format!("{bytes} bytes for the KV cache are fewer than two blocks of {block}"));
    }
    Ok(blocks as u32)
}

#[async_trait]
impl Runtime for NativeRuntime {
    async fn start(&self, job: Prepared) -> Result<UnboundedReceiver<Step>, EngineError> {
        let (steps, receiver) = unbounded_channel();
        let job = self.job(job, steps)?;
        let waiting = self.status.waiting.fetch_add(1, Relaxed);
        if waiting >= self.max_waiting {
            self.status.waiting.fetch_sub(1, Relaxed);
            return Err(EngineError::Overloaded { waiting });
        }
        self.say(Command::Start(Box::new(job)))?;
        Ok(receiver)
    }

    fn load(&self) -> Load {
        Load { capacity: Some(self.capacity), ..self.status.load() }
    }

    fn clips(&self) -> Clips {
        Clips::Pairs
    }
}

impl Drop for NativeRuntime {
    fn drop(&mut self) {
        let _ = self.say(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
