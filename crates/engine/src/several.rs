//! Several models in one process as one [`Engine`]: a model with its adapters, each under its own id.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;

use crate::contract::{
    Conversation, Engine, EngineError, EventStream, Job, Load, ModelCard, Source, TokenCount, Tokens,
};

/// Engines whose ids differ; a job goes to the one that has its model.
pub struct Several {
    engines: Vec<Arc<dyn Engine>>,
    /// By the ids of its models.
    of: HashMap<String, Arc<dyn Engine>>,
}

impl Several {
    /// # Errors
    /// One sentence when two engines answer for the same id.
    pub fn new(engines: Vec<Arc<dyn Engine>>) -> Result<Self, String> {
        let mut of = HashMap::new();
        for (card, engine) in engines.iter().flat_map(|e| e.models().into_iter().map(move |card| (card, e))) {
            if of.insert(card.id.clone(), Arc::clone(engine)).is_some() {
                return Err(format!("two models have the id '{}'", card.id));
            }
        }
        Ok(Self { engines, of })
    }

    fn of(&self, model: &str) -> Result<&Arc<dyn Engine>, EngineError> {
        self.of.get(model).ok_or_else(|| EngineError::NoSuchModel(model.to_owned()))
    }
}

#[async_trait]
impl Engine for Several {
    fn models(&self) -> Vec<ModelCard> {
        self.engines.iter().flat_map(|e| e.models()).collect()
    }

    async fn generate(&self, job: Job) -> Result<EventStream, EngineError> {
        self.of(&job.model)?.generate(job).await
    }

    async fn count(&self, model: &str, conversation: &Conversation) -> Result<TokenCount, EngineError> {
        self.of(model)?.count(model, conversation).await
    }

    async fn tokens(&self, model: &str, source: Source<'_>) -> Result<Tokens, EngineError> {
        self.of(model)?.tokens(model, source).await
    }

    async fn text(&self, model: &str, tokens: &[u32]) -> Result<String, EngineError> {
        self.of(model)?.text(model, tokens).await
    }

    /// Sums; ready when all are; the last step of the one that is longest without one while it runs.
    fn load(&self) -> Load {
        let sum = |a: Option<u64>, b: Option<u64>| a.or(b).map(|_| a.unwrap_or(0) + b.unwrap_or(0));
        let loads = self.engines.iter().map(|e| e.load());
        loads
            .reduce(|a, b| Load {
                ready: a.ready && b.ready,
                running: a.running + b.running,
                waiting: a.waiting + b.waiting,
                capacity: a.capacity.zip(b.capacity).map(|(a, b)| a.saturating_add(b)),
                free_kv_blocks: sum(a.free_kv_blocks, b.free_kv_blocks),
                total_kv_blocks: sum(a.total_kv_blocks, b.total_kv_blocks),
                last_step_age: match (a.running > 0, b.running > 0) {
                    (true, false) => a.last_step_age,
                    (false, true) => b.last_step_age,
                    _ => a.last_step_age.max(b.last_step_age),
                },
                restarts: a.restarts + b.restarts,
                prefix_hit_tokens: a.prefix_hit_tokens + b.prefix_hit_tokens,
                prompt_tokens: a.prompt_tokens + b.prompt_tokens,
                generated_tokens: a.generated_tokens + b.generated_tokens,
                embedding_hits: a.embedding_hits + b.embedding_hits,
            })
            .unwrap_or_default()
    }
}
