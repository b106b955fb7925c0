//! The whole answer from its events.

use std::time::{SystemTime, UNIX_EPOCH};

use futures::{StreamExt, future::try_join_all};
use indexmap::IndexMap;
use vlgate_engine::{self as engine, Event, EventStream};
use vlgate_openai::{
    ApiError,
    chat::{
        AssistantRole, CallKind, ChatRequest, Choice, ChoiceLogprobs, Completion, CompletionKind, FinishReason,
        FunctionCall, MediaNote, ResponseMessage, ResponseToolCall, TokenLogprob, TopLogprob, Usage, VlgateNotes,
    },
};

use crate::reply;

/// What completion and chunks share.
#[derive(Debug, Clone)]
pub struct Head {
    pub id: String,
    pub created: u64,
    pub model: String,
    pub metadata: Option<IndexMap<String, String>>,
    pub wants: Wants,
    /// What the model saw, where the client asked.
    pub notes: Option<VlgateNotes>,
}

/// What of an answer the client wants, and how.
#[derive(Debug, Clone, Copy)]
pub struct Wants {
    pub logprobs: bool,
    pub reasoning: bool,
    /// Calls in the old form.
    pub functions: bool,
}

impl Head {
    /// `model` is the name that the client used.
    pub fn new(request: &ChatRequest, media: Vec<MediaNote>) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let wants = Wants {
            logprobs: request.logprobs == Some(true),
            reasoning: request.include_reasoning != Some(false),
            functions: request.speaks_functions(),
        };
        let notes = request.explains_media().then_some(VlgateNotes { media });
        let id = format!("chatcmpl-{}", uuid::Uuid::new_v4().simple());
        Self { id, created, model: request.model.clone(), metadata: request.metadata.clone(), wants, notes }
    }
}

/// Names this build and its settings as OpenAI's fingerprint does.
pub fn fingerprint() -> String {
    format!("vlgate-{}", env!("CARGO_PKG_VERSION"))
}

/// Waits for all choices.
pub async fn collect(streams: Vec<EventStream>, head: Head) -> Result<Completion, ApiError> {
    let choices = streams.into_iter().enumerate().map(|(i, s)| choice(i as u32, s, head.wants));
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
        object: CompletionKind::Completion,
        created: head.created,
        model: head.model,
        choices,
        usage: Some(usage.unwrap_or_default()),
        service_tier: "default",
        system_fingerprint: fingerprint(),
        metadata: head.metadata,
        vlgate: head.notes,
    })
}

async fn choice(index: u32, mut events: EventStream, wants: Wants) -> Result<(Choice, Usage), ApiError> {
    let (mut text, mut reasoning, mut tokens) = (String::new(), String::new(), Vec::new());
    let mut calls: Vec<ResponseToolCall> = Vec::new();
    while let Some(event) = events.next().await {
        match event.map_err(|e| reply::engine(&e))? {
            Event::Text { delta, logprobs } => {
                text.push_str(&delta);
                tokens.extend(logprobs.into_iter().map(token));
            }
            Event::Reasoning { delta } if wants.reasoning => reasoning.push_str(&delta),
            Event::ToolCall { id, name, .. } => {
                calls.push(ResponseToolCall {
                    id,
                    kind: CallKind::Function,
                    function: FunctionCall { name, arguments: String::new() },
                });
            }
            Event::ToolArguments { index, delta } => {
                if let Some(call) = calls.get_mut(index as usize) {
                    call.function.arguments.push_str(&delta);
                }
            }
            Event::Finished { reason, usage: counts, .. } => {
                let logprobs = wants.logprobs.then_some(ChoiceLogprobs { content: Some(tokens), refusal: None });
                let message = message(text, reasoning, calls, wants.functions);
                return Ok((
                    Choice { index, message, logprobs, finish_reason: finish(&reason, wants.functions) },
                    usage(&counts),
                ));
            }
            Event::Started { .. } | Event::Reasoning { .. } => {}
        }
    }
    Err(reply::engine(&engine::EngineError::Failed("the engine ended without a result".into())))
}

fn message(text: String, reasoning: String, mut calls: Vec<ResponseToolCall>, functions: bool) -> ResponseMessage {
    let reasoning = (!reasoning.is_empty()).then_some(reasoning);
    let content = (!text.is_empty() || calls.is_empty()).then_some(text);
    let function_call = if functions { calls.drain(..).next().map(|c| c.function) } else { None };
    ResponseMessage {
        role: AssistantRole::Assistant,
        content,
        refusal: None,
        annotations: Vec::new(),
        tool_calls: calls,
        function_call,
        reasoning_content: reasoning.clone(),
        reasoning,
    }
}

/// `functions`: the old form has its own word for a call.
pub const fn finish(reason: &engine::FinishReason, functions: bool) -> FinishReason {
    match reason {
        engine::FinishReason::Stop { .. } => FinishReason::Stop,
        engine::FinishReason::Length => FinishReason::Length,
        engine::FinishReason::ToolCalls if functions => FinishReason::FunctionCall,
        engine::FinishReason::ToolCalls => FinishReason::ToolCalls,
    }
}

pub fn usage(u: &engine::Usage) -> Usage {
    Usage::new(u.prompt, u.completion, u.cached, u.image, u.video, u.reasoning)
}

pub fn token(t: engine::TokenLogprob) -> TokenLogprob {
    let top = t.top.into_iter().map(|t| TopLogprob { token: t.token, logprob: t.logprob, bytes: Some(t.bytes) });
    TokenLogprob { token: t.token, logprob: t.logprob, bytes: Some(t.bytes), top_logprobs: top.collect() }
}
