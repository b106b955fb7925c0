//! A runtime in this process as an [`Engine`]: prompt, counts, sampling defaults, text, stop texts and usage are the
//! same whatever computes the logits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use vlgate_media::{Clip, Picture};

use crate::{
    contract::{
        Conversation, Engine, EngineError, Event, EventStream, FinishReason, Format, Job, Load, ModelCard, Part,
        Sampling, Timings, TokenCount, TokenLogprob, TopLogprob, Usage,
    },
    model_dir::ModelDir,
    pads::Prompt,
    runtime::{Prepared, Runtime, Step},
    sampler::{Sampled, Sampler},
    text::{Piece, TextStream, token_bytes},
};

/// One model on one runtime.
pub struct LocalEngine<R> {
    card: ModelCard,
    model: Arc<ModelDir>,
    runtime: R,
}

impl<R: Runtime> LocalEngine<R> {
    /// `card` is what the outside may know of the model.
    #[must_use]
    pub const fn new(card: ModelCard, model: Arc<ModelDir>, runtime: R) -> Self {
        Self { card, model, runtime }
    }

    /// The model's prompt for a conversation.
    fn prompt(&self, conversation: &Conversation) -> Result<Prompt, EngineError> {
        let (images, clips) = pictures(conversation);
        let video = self.runtime.takes_video() && self.model.video_token.is_some();
        if !clips.is_empty() && !video {
            return Err(EngineError::Invalid {
                message: "This model's runtime does not take video.".into(),
                param: Some("messages".into()),
            });
        }
        Prompt::new(&self.model, conversation, images, clips)
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

/// What is asked of the answer's form and this engine cannot hold it to.
fn unsupported(job: &Job) -> Option<EngineError> {
    let refuse = |message: &str, param: &str| {
        Some(EngineError::Invalid { message: message.into(), param: Some(param.into()) })
    };
    if job.format != Format::Text {
        return refuse("Structured output is not supported by this model's runtime yet.", "response_format");
    }
    if job.tools.required || !job.conversation.tools.is_empty() {
        return refuse("Tool calling is not supported by this model's runtime yet.", "tools");
    }
    None
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
        if let Some(refusal) = unsupported(&job) {
            return Err(refusal);
        }
        let began = Instant::now();
        let Prompt { text, tokens, images, clips, count } = self.prompt(&job.conversation)?;
        let max_tokens = self.budget(&job, count.prompt)?;
        let banned = if job.ignore_eos { self.model.eos.clone() } else { Vec::new() };
        let sampler = Sampler::new(self.sampling(&job), job.logprobs, &tokens, banned);
        let deadline = job.deadline.and_then(|d| began.checked_add(d));
        let prepared = Prepared { id: job.id.clone(), text, tokens, images, clips, sampler, max_tokens, deadline };
        let steps = self.runtime.start(prepared).await?;
        let usage = Usage { prompt: count.prompt, image: count.image, video: count.video, ..Usage::default() };
        let (events, stream) = mpsc::channel(64);
        let decode = Decode { model: Arc::clone(&self.model), job, usage, max_tokens, began, events };
        tokio::spawn(decode.run(steps));
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

/// One job's way from tokens to events.
struct Decode {
    model: Arc<ModelDir>,
    job: Job,
    usage: Usage,
    max_tokens: u32,
    began: Instant,
    events: mpsc::Sender<Result<Event, EngineError>>,
}

impl Decode {
    /// Runs until the job ends; returns early (and so drops `steps`, which cancels the work) when nobody listens.
    async fn run(mut self, mut steps: UnboundedReceiver<Step>) {
        let mut text = TextStream::new(&self.model.tokenizer, std::mem::take(&mut self.job.stop));
        let deadline = self.job.deadline.unwrap_or(Duration::from_secs(86_400));
        let mut timings = Timings::default();
        let mut waiting: Vec<TokenLogprob> = Vec::new();
        loop {
            let step = tokio::select! {
                () = self.events.closed() => return,
                () = tokio::time::sleep(deadline.saturating_sub(self.began.elapsed())) => {
                    let _ = self.events.send(Err(EngineError::Deadline)).await;
                    return;
                }
                step = steps.recv() => step,
            };
            let (delta, reason) = match step {
                Some(Step::Prefill { cached }) => {
                    timings.queue = self.began.elapsed();
                    self.usage.cached = cached;
                    let usage = self.usage;
                    if self.events.send(Ok(Event::Started { usage })).await.is_err() {
                        return;
                    }
                    continue;
                }
                Some(Step::Token(token)) => {
                    if self.usage.completion == 0 {
                        timings.first_token = self.began.elapsed();
                    }
                    self.usage.completion += 1;
                    if self.model.eos.contains(&token.id) && !self.job.ignore_eos {
                        (text.finish(), Some(FinishReason::Stop { stop: None }))
                    } else {
                        if self.job.logprobs.is_some() {
                            waiting.push(self.logprob(&token));
                        }
                        match text.push(token.id) {
                            Piece::Stopped(last, stop) => (last, Some(FinishReason::Stop { stop: Some(stop) })),
                            Piece::Text(t) if self.usage.completion >= self.max_tokens => {
                                (t + &text.finish(), Some(FinishReason::Length))
                            }
                            Piece::Text(t) => (t, None),
                        }
                    }
                }
                Some(Step::End) => (text.finish(), Some(FinishReason::Length)),
                Some(Step::Failed(error)) => {
                    let _ = self.events.send(Err(error)).await;
                    return;
                }
                None => {
                    let _ = self.events.send(Err(EngineError::Failed("the runtime stopped".into()))).await;
                    return;
                }
            };
            if !delta.is_empty() || (reason.is_some() && !waiting.is_empty()) {
                let event = Event::Text { delta, logprobs: std::mem::take(&mut waiting) };
                if self.events.send(Ok(event)).await.is_err() {
                    return;
                }
            }
            if let Some(reason) = reason {
                timings.total = self.began.elapsed();
                let _ = self.events.send(Ok(Event::Finished { reason, usage: self.usage, timings })).await;
                return;
            }
        }
    }

    fn logprob(&self, token: &Sampled) -> TokenLogprob {
        let name = |id: u32| {
            let bytes = token_bytes(&self.model.tokenizer, id);
            (String::from_utf8_lossy(&bytes).into_owned(), bytes)
        };
        let top = token.top.iter().map(|(id, logprob)| {
            let (token, bytes) = name(*id);
            TopLogprob { token, bytes, logprob: *logprob }
        });
        let (text, bytes) = name(token.id);
        TokenLogprob { token: text, bytes, logprob: token.logprob, top: top.collect() }
    }
}
