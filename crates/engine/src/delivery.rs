//! One job's way from tokens to events.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::{
    contract::{EngineError, Event, FinishReason, Job, Timings, TokenLogprob, TopLogprob, Usage},
    grammar::Failure,
    model_dir::ModelDir,
    runtime::Step,
    sampler::Sampled,
    speech::{Speech, Utterance},
    text::{Piece, Stops, TextStream, token_bytes},
};

/// What a job needs to deliver its answer.
pub struct Delivery {
    pub model: Arc<ModelDir>,
    pub job: Job,
    pub usage: Usage,
    pub max_tokens: u32,
    pub began: Instant,
    pub events: mpsc::Sender<Result<Event, EngineError>>,
    pub speech: Speech,
    pub failure: Failure,
}

/// Nobody listens any more.
struct Gone;

/// What is between tokens and events.
struct Flow {
    stops: Stops,
    /// Log-probabilities of tokens whose text was not sent yet.
    waiting: Vec<TokenLogprob>,
}

impl Delivery {
    /// Runs until the job ends; returns early (and so drops `steps`, which cancels the work) when nobody listens.
    pub async fn run(mut self, mut steps: UnboundedReceiver<Step>) {
        let _ = self.deliver(&mut steps).await;
    }

    async fn deliver(&mut self, steps: &mut UnboundedReceiver<Step>) -> Result<(), Gone> {
        let model = Arc::clone(&self.model);
        let mut text = TextStream::new(&model.tokenizer);
        let mut flow = Flow { stops: Stops::new(std::mem::take(&mut self.job.stop)), waiting: Vec::new() };
        let deadline = self.job.deadline.unwrap_or(Duration::from_secs(86_400));
        let (mut timings, mut last) = (Timings::default(), None::<Instant>);
        let reason = loop {
            let step = tokio::select! {
                () = self.events.closed() => return Err(Gone),
                () = tokio::time::sleep(deadline.saturating_sub(self.began.elapsed())) => {
                    return self.send(Err(EngineError::Deadline)).await;
                }
                step = steps.recv() => step,
            };
            match step {
                Some(Step::Prefill { cached }) => {
                    timings.queue = self.began.elapsed();
                    self.usage.cached = cached;
                    self.send(Ok(Event::Started { usage: self.usage })).await?;
                }
                Some(Step::Token(token)) => {
                    let now = Instant::now();
                    match last.replace(now) {
                        None => timings.first_token = now - self.began,
                        Some(last) => timings.worst_gap = timings.worst_gap.max(now - last),
                    }
                    if let Some(reason) = self.token(&token, &mut text, &mut flow).await? {
                        break reason;
                    }
                }
                Some(Step::End) => match self.failed() {
                    Some(error) => return self.send(Err(error)).await,
                    None => break FinishReason::Length,
                },
                Some(Step::Failed(error)) => return self.send(Err(self.failed().unwrap_or(error))).await,
                None => {
                    let error = self.failed().unwrap_or_else(|| EngineError::Failed("the runtime stopped".into()));
                    return self.send(Err(error)).await;
                }
            }
        };
        let reason = self.finish(reason, &mut text, &mut flow).await?;
        timings.total = self.began.elapsed();
        self.send(Ok(Event::Finished { reason, usage: self.usage, timings })).await
    }

    /// One token; the reason when the answer ends with it.
    async fn token(
        &mut self,
        token: &Sampled,
        text: &mut TextStream<'_>,
        flow: &mut Flow,
    ) -> Result<Option<FinishReason>, Gone> {
        self.usage.completion += 1;
        if self.model.eos.contains(&token.id) && !self.job.ignore_eos {
            return Ok(Some(FinishReason::Stop { stop: None }));
        }
        let reasoned = self.speech.reasoning();
        if self.job.logprobs.is_some() && self.speech.speaks() {
            flow.waiting.push(self.logprob(token));
        }
        let said = self.speech.push(&text.push(token.id));
        if let Some(stop) = self.say(said, flow).await? {
            return Ok(Some(FinishReason::Stop { stop: Some(stop) }));
        }
        self.usage.reasoning += u32::from(reasoned || self.speech.reasoning());
        if !self.speech.speaks() {
            // The tokens of a mark are not text.
            flow.waiting.clear();
        }
        Ok(match () {
            () if token.last => Some(FinishReason::Stop { stop: None }),
            () if !self.job.tools.parallel && self.speech.completed() > 0 => Some(FinishReason::ToolCalls),
            () if self.usage.completion >= self.max_tokens => Some(FinishReason::Length),
            () => None,
        })
    }

    /// Sends what was said; the stop text when one was met.
    async fn say(&mut self, said: Vec<Utterance>, flow: &mut Flow) -> Result<Option<String>, Gone> {
        for utterance in said {
            let event = match utterance {
                Utterance::Text(text) => match flow.stops.admit(&text) {
                    Piece::Text(text) => {
                        self.text(text, flow).await?;
                        continue;
                    }
                    Piece::Stopped(text, stop) => {
                        self.text(text, flow).await?;
                        return Ok(Some(stop));
                    }
                },
                Utterance::Reasoning(delta) => Event::Reasoning { delta },
                Utterance::Call { index, name } => {
                    let id = format!("call_{:024x}", rand::random::<u128>() >> 32);
                    Event::ToolCall { index, id, name }
                }
                Utterance::Arguments { index, delta } => Event::ToolArguments { index, delta },
            };
            let held = flow.stops.finish();
            self.text(held, flow).await?;
            self.send(Ok(event)).await?;
        }
        Ok(None)
    }

    async fn text(&mut self, delta: String, flow: &mut Flow) -> Result<(), Gone> {
        if delta.is_empty() {
            return Ok(());
        }
        self.send(Ok(Event::Text { delta, logprobs: std::mem::take(&mut flow.waiting) })).await
    }

    /// What was held back, and the reason as the client shall see it.
    async fn finish(
        &mut self,
        reason: FinishReason,
        text: &mut TextStream<'_>,
        flow: &mut Flow,
    ) -> Result<FinishReason, Gone> {
        let stopped = matches!(reason, FinishReason::Stop { stop: Some(_) });
        if !stopped {
            let mut said = self.speech.push(&text.finish());
            said.extend(self.speech.finish());
            if let Some(stop) = self.say(said, flow).await? {
                return Ok(FinishReason::Stop { stop: Some(stop) });
            }
            let held = flow.stops.finish();
            self.text(held, flow).await?;
        }
        if !flow.waiting.is_empty() {
            let logprobs = std::mem::take(&mut flow.waiting);
            self.send(Ok(Event::Text { delta: String::new(), logprobs })).await?;
        }
        Ok(match reason {
            FinishReason::Stop { stop: None } if self.speech.begun() > 0 => FinishReason::ToolCalls,
            reason => reason,
        })
    }

    /// Why the grammar gave up, if it did.
    fn failed(&self) -> Option<EngineError> {
        let why = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(EngineError::Invalid { message: format!("The grammar is too complex to go on: {why}"), param: None })
    }

    async fn send(&self, event: Result<Event, EngineError>) -> Result<(), Gone> {
        self.events.send(event).await.map_err(|_| Gone)
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
