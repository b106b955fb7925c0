//! The whole answer from its events.

use std::time::{SystemTime, UNIX_EPOCH};

use futures::{StreamExt, future::try_join_all};
use vlgate_engine::{self as engine, Event, EventStream, FinishReason};
use vlgate_openai::{
    ApiError,
    chat::{ChatRequest, Choice, ChoiceLogprobs, Completion, ResponseMessage, TokenLogprob, TopLogprob, Usage},
};

use crate::reply;

/// What completion and chunks share.
#[derive(Debug, Clone)]
pub struct Head {
    pub id: String,
    pub created: u64,
    pub model: String,
}

impl Head {
    /// `model` is the name that the client used.
    pub fn new(model: &str) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Self { id: format!("chatcmpl-{}", uuid::Uuid::new_v4().simple()), created, model: model.to_owned() }
    }
}

/// Names this build and its settings as OpenAI's fingerprint does.
pub fn fingerprint() -> String {
    format!("vlgate-{}", env!("CARGO_PKG_VERSION"))
}

/// Waits for all choices.
pub async fn collect(streams: Vec<EventStream>, head: Head, request: &ChatRequest) -> Result<Completion, ApiError> {
    let logprobs = request.logprobs == Some(true);
    let choices = streams.into_iter().enumerate().map(|(i, s)| choice(i as u32, s, logprobs));
    let done = try_join_all(choices).await?;
    let mut usage: Option<Usage> = None;
    let mut choices = Vec::with_capacity(done.len());
    for (choice, one) in done {
        match &mut usage {
            Some(all) => all.add_completion(&one),
            None => usage = Some(one),
        }
        choices.push(choice);
    }
    Ok(Completion {
        id: head.id,
        object: "chat.completion",
        created: head.created,
        model: head.model,
        choices,
        usage: usage.unwrap_or_default(),
        service_tier: "default",
        system_fingerprint: fingerprint(),
    })
}

async fn choice(index: u32, mut events: EventStream, logprobs: bool) -> Result<(Choice, Usage), ApiError> {
    let (mut text, mut reasoning, mut tokens) = (String::new(), String::new(), Vec::new());
    while let Some(event) = events.next().await {
        match event.map_err(|e| reply::engine(&e))? {
            Event::Text { delta, logprobs } => {
                text.push_str(&delta);
                tokens.extend(logprobs.into_iter().map(token));
            }
            Event::Reasoning { delta } => reasoning.push_str(&delta),
            Event::Finished { reason, usage: counts, .. } => {
                let message = ResponseMessage {
                    role: "assistant",
                    content: Some(text),
                    refusal: None,
                    annotations: Vec::new(),
                    reasoning_content: (!reasoning.is_empty()).then_some(reasoning),
                };
                let logprobs = logprobs.then_some(ChoiceLogprobs { content: Some(tokens), refusal: None });
                return Ok((Choice { index, message, logprobs, finish_reason: finish(&reason) }, usage(&counts)));
            }
            Event::Started { .. } | Event::ToolCall { .. } | Event::ToolArguments { .. } => {}
        }
    }
    Err(reply::engine(&engine::EngineError::Failed("the engine ended without a result".into())))
}

pub fn finish(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop { .. } => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
    }
}

pub fn usage(u: &engine::Usage) -> Usage {
    Usage::new(u.prompt, u.completion, u.cached, u.image, u.video, u.reasoning)
}

pub fn token(t: engine::TokenLogprob) -> TokenLogprob {
    let top = t.top.into_iter().map(|t| TopLogprob { token: t.token, logprob: t.logprob, bytes: Some(t.bytes) });
    TokenLogprob { token: t.token, logprob: t.logprob, bytes: Some(t.bytes), top_logprobs: top.collect() }
}
