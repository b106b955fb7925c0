//! A runtime in this process as an [`Engine`]: prompt, counts, sampling defaults, text, stop texts and usage are the
//! same whatever computes the logits.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use tokio::sync::mpsc;
use vlgate_media::Picture;

use crate::{
    contract::{
        Conversation, Engine, EngineError, EventStream, Job, Load, ModelCard, Part, Sampling, TokenCount, Usage,
    },
    delivery::Delivery,
    grammar::{Constraint, Grammars},
    model_dir::ModelDir,
    prompt::leaves_thinking_open,
    runtime::{Prepared, Runtime},
    sampler::Sampler,
    speech::Speech,
};

/// One model on one runtime.
pub struct LocalEngine<R> {
    card: ModelCard,
    model: Arc<ModelDir>,
    runtime: R,
    grammars: Arc<Grammars>,
}

impl<R: Runtime> LocalEngine<R> {
    /// `card` is what the outside may know of the model.
    #[must_use]
    pub fn new(card: ModelCard, model: Arc<ModelDir>, runtime: R) -> Self {
        let grammars = Grammars::new(Arc::clone(&model));
        Self { card, model, runtime, grammars }
    }

    /// The model's prompt for a conversation: text, tokens with pictures expanded, and the pictures in order.
    fn prompt(&self, conversation: &Conversation) -> Result<(String, Vec<u32>, Vec<Arc<Picture>>, TokenCount), EngineError> {
        let images = pictures(conversation)?;
        let text = self.model.template.render(conversation)?;
        let encoding = self
            .model
            .tokenizer
            .encode_fast(text.as_str(), false)
            .map_err(|e| EngineError::Failed(format!("the prompt cannot be tokenised: {e}")))?;
        let mut left = images.iter();
        let mut tokens = Vec::with_capacity(encoding.get_ids().len());
        let mut image = 0;
        for id in encoding.get_ids() {
            let repeat = if *id == self.model.image_token {
                let n = left.next().map_or(0, |p| p.tokens(&self.model.vision));
                image += n;
                n
            } else {
                1
            };
            tokens.extend(std::iter::repeat_n(*id, repeat as usize));
        }
        let count = TokenCount { prompt: u32::try_from(tokens.len()).unwrap_or(u32::MAX), image, video: 0 };
        Ok((text, tokens, images, count))
    }

    fn sampling(&self, job: &Job) -> Sampling {
        let (s, d) = (job.sampling.clone(), &self.card.defaults);
        Sampling {
            temperature: s.temperature.or(d.temperature),
            top_p: s.top_p.or(d.top_p),
            top_k: s.top_k.or(d.top_k),
            min_p: s.min_p.or(d.min_p),
            repetition_penalty: s.repetition_penalty.or(d.repetition_penalty),
            ..s
        }
    }

    fn budget(&self, job: &Job, prompt: u32) -> Result<u32, EngineError> {
        let context = self.card.context_length;
        let left = context.saturating_sub(prompt);
        match job.max_tokens {
            _ if left == 0 => Err(EngineError::ContextLength { context, prompt, requested: job.max_tokens }),
            Some(asked) if asked > left => {
                Err(EngineError::ContextLength { context, prompt, requested: Some(asked) })
            }
            Some(asked) => Ok(asked.max(1)),
            None => Ok(left),
        }
    }
}

fn pictures(conversation: &Conversation) -> Result<Vec<Arc<Picture>>, EngineError> {
    let parts = conversation.messages.iter().flat_map(|m| &m.parts);
    parts
        .filter_map(|part| match part {
            Part::Image(picture) => Some(Ok(Arc::clone(picture))),
            Part::Video(_) => Some(Err(EngineError::Invalid {
                message: "This model's runtime does not take video.".into(),
                param: Some("messages".into()),
            })),
            Part::Text(_) => None,
        })
        .collect()
}

#[async_trait]
impl<R: Runtime + 'static> Engine for LocalEngine<R> {
    fn models(&self) -> Vec<ModelCard> {
        vec![self.card.clone()]
    }

    async fn generate(&self, job: Job) -> Result<EventStream, EngineError> {
        if job.model != self.card.id {
            return Err(EngineError::NoSuchModel(job.model));
        }
        let began = Instant::now();
        let (text, tokens, images, count) = self.prompt(&job.conversation)?;
        let max_tokens = self.budget(&job, count.prompt)?;
        let banned = if job.ignore_eos { self.model.eos.clone() } else { Vec::new() };
        let thinking = leaves_thinking_open(&text);
        let constraint = self.grammars.constraint(&job, thinking).await?;
        let failure = constraint.as_ref().map(Constraint::failure).unwrap_or_default();
        let sampler = Sampler::new(self.sampling(&job), job.logprobs, &tokens, banned).held_to(constraint);
        let prepared = Prepared { id: job.id.clone(), text, tokens, images, sampler, max_tokens };
        let steps = self.runtime.start(prepared).await?;
        let usage = Usage { prompt: count.prompt, image: count.image, video: count.video, ..Usage::default() };
        let (events, stream) = mpsc::channel(64);
        let speech = Speech::new(thinking, self.model.thinks, !job.conversation.tools.is_empty());
        let delivery = Delivery { model: Arc::clone(&self.model), job, usage, max_tokens, began, events, speech, failure };
        tokio::spawn(delivery.run(steps));
        Ok(Box::pin(futures::stream::unfold(stream, |mut rx| async move { rx.recv().await.map(|e| (e, rx)) })))
    }

    async fn count(&self, model: &str, conversation: &Conversation) -> Result<TokenCount, EngineError> {
        if model != self.card.id {
            return Err(EngineError::NoSuchModel(model.to_owned()));
        }
        Ok(self.prompt(conversation)?.3)
    }

    fn load(&self) -> Load {
        self.runtime.load()
    }
}
