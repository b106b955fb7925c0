//! A runtime in this process as an [`Engine`]: prompt, counts, sampling defaults, text, stop texts and usage are the
//! same whatever computes the logits.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use tokio::sync::mpsc;
use vlgate_media::{Clip, Picture};

use crate::{
    contract::{
        Conversation, Engine, EngineError, EventStream, Job, Load, ModelCard, Part, Sampling, TokenCount, Usage,
    },
    delivery::Delivery,
    grammar::{Constraint, Grammars},
    model_dir::ModelDir,
    pads::Prompt,
    prompt::leaves_thinking_open,
    runtime::{Clips, Prepared, Runtime},
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

    /// The model's prompt for a conversation.
    fn prompt(&self, conversation: &Conversation) -> Result<Prompt, EngineError> {
        let (images, clips) = pictures(conversation);
        match self.runtime.clips() {
            _ if clips.is_empty() => Prompt::new(&self.model, conversation, images, clips),
            Clips::Pairs if self.model.video_token.is_some() => Prompt::new(&self.model, conversation, images, clips),
            Clips::Stills if self.model.video_token.is_some() => Prompt::of_stills(&self.model, conversation),
            _ => Err(EngineError::Invalid {
                message: "This model's runtime does not take video.".into(),
                param: Some("messages".into()),
            }),
        }
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
            Some(asked) if asked > left => Err(EngineError::ContextLength { context, prompt, requested: Some(asked) }),
            Some(asked) => Ok(asked.max(1)),
            None => Ok(left),
        }
    }
}

/// The conversation's pictures and clips, each in order.
fn pictures(conversation: &Conversation) -> (Vec<Arc<Picture>>, Vec<Arc<Clip>>) {
    let (mut images, mut clips) = (Vec::new(), Vec::new());
    for part in conversation.messages.iter().flat_map(|m| &m.parts) {
        match part {
            Part::Image(picture) => images.push(Arc::clone(picture)),
            Part::Video(clip) => clips.push(Arc::clone(clip)),
            Part::Text(_) => {}
        }
    }
    (images, clips)
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
        let Prompt { text, tokens, images, clips, count } = self.prompt(&job.conversation)?;
        let max_tokens = self.budget(&job, count.prompt)?;
        let banned = if job.ignore_eos { self.model.eos.clone() } else { Vec::new() };
        let thinking = leaves_thinking_open(&text);
        let constraint = self.grammars.constraint(&job, thinking).await?;
        let failure = constraint.as_ref().map(Constraint::failure).unwrap_or_default();
        let sampler = Sampler::new(self.sampling(&job), job.logprobs, &tokens, banned).held_to(constraint);
        let deadline = job.deadline.and_then(|d| began.checked_add(d));
        let prepared = Prepared { id: job.id.clone(), text, tokens, images, clips, sampler, max_tokens, deadline };
        let steps = self.runtime.start(prepared).await?;
        let usage = Usage { prompt: count.prompt, image: count.image, video: count.video, ..Usage::default() };
        let (events, stream) = mpsc::channel(64);
        let speech = Speech::new(thinking, self.model.thinks, !job.conversation.tools.is_empty());
        let delivery =
            Delivery { model: Arc::clone(&self.model), job, usage, max_tokens, began, events, speech, failure };
        tokio::spawn(delivery.run(steps));
        Ok(Box::pin(futures::stream::unfold(stream, |mut rx| async move { rx.recv().await.map(|e| (e, rx)) })))
    }

    async fn count(&self, model: &str, conversation: &Conversation) -> Result<TokenCount, EngineError> {
        if model != self.card.id {
            return Err(EngineError::NoSuchModel(model.to_owned()));
        }
        Ok(self.prompt(conversation)?.count)
    }

    fn load(&self) -> Load {
        self.runtime.load()
    }
}
