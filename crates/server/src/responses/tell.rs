//! What the engine's events are in a response: the response as it grows, and what a stream tells of it.

use serde_json::Value;
use vlgate_engine::{Event as Told, FinishReason, ModelCard, TokenLogprob};
use vlgate_openai::{
    ApiError,
    chat::AssistantRole,
    responses::{
        Call, CallStatus, Event, Incomplete, IncompleteReason, Logprob, Message, OutputItem, OutputPart, ReasoningItem,
        ReasoningText, Response, ResponseError, ResponseKind, ResponseRequest, Status, StreamEvent, TextEcho, TextPart,
        TopLogprob, Usage,
    },
};

use crate::{
    sse,
    store::{new_id, now},
};

/// A response that grows.
pub struct Telling {
    pub response: Response,
    sequence: u64,
    /// Whether the last item of the output still grows.
    open: bool,
    logprobs: bool,
    obfuscated: bool,
}

impl Telling {
    /// A response of which nothing is there yet.
    pub fn new(request: &ResponseRequest, card: &ModelCard) -> Self {
        let obfuscated = request.stream_options.as_ref().and_then(|o| o.include_obfuscation).unwrap_or(false);
        let logprobs = request.logprobs().is_some();
        Self { response: echo(request, card), sequence: 0, open: false, logprobs, obfuscated }
    }

    /// That it was asked for, and that it waits (in the background) or is worked on.
    pub fn begin(&mut self) -> Vec<StreamEvent> {
        let created = Event::Created { response: self.response.clone() };
        let next = match self.response.status {
            Status::Queued => Event::Queued { response: self.response.clone() },
            _ => Event::InProgress { response: self.response.clone() },
        };
        self.number(vec![created, next])
    }

    /// What an event of the engine adds.
    pub fn tell(&mut self, told: Told) -> Vec<StreamEvent> {
        let mut out = Vec::new();
        match told {
            Told::Started { .. } if self.response.status == Status::Queued => {
                self.response.status = Status::InProgress;
                out.push(Event::InProgress { response: self.response.clone() });
            }
            Told::Started { .. } => {}
            Told::Text { delta, logprobs } => {
                let logprobs: Vec<Logprob> =
                    if self.logprobs { logprobs.into_iter().map(token).collect() } else { Vec::new() };
                if !delta.is_empty() || !logprobs.is_empty() {
                    self.text(delta, logprobs, &mut out);
                }
            }
            Told::Reasoning { delta } => self.reasoning(delta, &mut out),
            Told::ToolCall { id, name, .. } => {
                let status = CallStatus::InProgress;
                let call = Call { id: new_id("fc_"), status, call_id: id, name, arguments: String::new() };
                self.add(OutputItem::FunctionCall(call), &mut out);
            }
            Told::ToolArguments { delta, .. } => self.arguments(delta, &mut out),
            Told::Finished { reason, usage, .. } => {
                self.response.usage = Some(counts(&usage));
                self.end(&reason, &mut out);
            }
        }
        self.number(out)
    }

    /// That the engine failed.
    pub fn fail(&mut self, error: &ApiError) -> Vec<StreamEvent> {
        let mut out = Vec::new();
        self.close(CallStatus::Incomplete, &mut out);
        let code = match error.status {
            400 => "invalid_prompt",
            429 => "rate_limit_exceeded",
            _ => "server_error",
        };
        self.response.status = Status::Failed;
        self.response.error = Some(ResponseError { code: code.into(), message: error.message.clone() });
        out.push(Event::Error { code: error.code.clone(), message: error.message.clone(), param: error.param.clone() });
        out.push(Event::Failed { response: self.response.clone() });
        self.number(out)
    }

    /// That the client wants no more of it. OpenAI has no event for this; the stream ends.
    pub fn cancel(&mut self) -> Vec<StreamEvent> {
        let mut out = Vec::new();
        self.close(CallStatus::Incomplete, &mut out);
        self.response.status = Status::Cancelled;
        self.number(out)
    }

    fn end(&mut self, reason: &FinishReason, out: &mut Vec<Event>) {
        let cut = *reason == FinishReason::Length;
        self.close(if cut { CallStatus::Incomplete } else { CallStatus::Completed }, out);
        let says = |item: &OutputItem| !matches!(item, OutputItem::Reasoning(_));
        if !cut && !self.response.output.iter().any(says) {
            // The model had nothing to say; clients read a message all the same.
            self.message(out);
            self.close(CallStatus::Completed, out);
        }
        let response = &mut self.response;
        if cut {
            response.status = Status::Incomplete;
            response.incomplete_details = Some(Incomplete { reason: IncompleteReason::MaxOutputTokens });
            out.push(Event::Incomplete { response: response.clone() });
        } else {
            response.status = Status::Completed;
            response.completed_at = Some(now().unsigned_abs());
            out.push(Event::Completed { response: response.clone() });
        }
    }

    fn text(&mut self, delta: String, logprobs: Vec<Logprob>, out: &mut Vec<Event>) {
        if !(self.open && matches!(self.response.output.last(), Some(OutputItem::Message(_)))) {
            self.message(out);
        }
        let (output_index, obfuscation) = (self.last(), self.noise(&delta));
        let Some(OutputItem::Message(message)) = self.response.output.last_mut() else { return };
        let Some(part) = message.content.last_mut() else { return };
        part.text.push_str(&delta);
        part.logprobs.extend(logprobs.iter().cloned());
        let item_id = message.id.clone();
        out.push(Event::TextDelta { item_id, output_index, content_index: 0, delta, logprobs, obfuscation });
    }

    /// A message with an empty part.
    fn message(&mut self, out: &mut Vec<Event>) {
        let (id, status) = (new_id("msg_"), CallStatus::InProgress);
        let message = Message { id: id.clone(), status, role: AssistantRole::Assistant, content: Vec::new() };
        self.add(OutputItem::Message(message), out);
        let (output_index, part) = (self.last(), TextPart::default());
        if let Some(OutputItem::Message(message)) = self.response.output.last_mut() {
            message.content.push(part.clone());
        }
        out.push(Event::PartAdded { item_id: id, output_index, content_index: 0, part: OutputPart::Text(part) });
    }

    fn reasoning(&mut self, delta: String, out: &mut Vec<Event>) {
        if !(self.open && matches!(self.response.output.last(), Some(OutputItem::Reasoning(_)))) {
            let (id, status) = (new_id("rs_"), CallStatus::InProgress);
            let item = ReasoningItem { id: id.clone(), summary: Vec::new(), content: Vec::new(), status };
            self.add(OutputItem::Reasoning(item), out);
            let (output_index, part) = (self.last(), ReasoningText::default());
            if let Some(OutputItem::Reasoning(item)) = self.response.output.last_mut() {
                item.content.push(part.clone());
            }
            out.push(Event::PartAdded {
                item_id: id,
                output_index,
                content_index: 0,
                part: OutputPart::Reasoning(part),
            });
        }
        let (output_index, obfuscation) = (self.last(), self.noise(&delta));
        let Some(OutputItem::Reasoning(item)) = self.response.output.last_mut() else { return };
        let Some(part) = item.content.last_mut() else { return };
        part.text.push_str(&delta);
        out.push(Event::ReasoningDelta {
            item_id: item.id.clone(),
            output_index,
            content_index: 0,
            delta,
            obfuscation,
        });
    }

    fn arguments(&mut self, delta: String, out: &mut Vec<Event>) {
        let (output_index, obfuscation) = (self.last(), self.noise(&delta));
        let Some(OutputItem::FunctionCall(call)) = self.response.output.last_mut().filter(|_| self.open) else {
            return;
        };
        call.arguments.push_str(&delta);
        out.push(Event::ArgumentsDelta { item_id: call.id.clone(), output_index, delta, obfuscation });
    }

    /// A further item; the one before it is whole.
    fn add(&mut self, item: OutputItem, out: &mut Vec<Event>) {
        self.close(CallStatus::Completed, out);
        out.push(Event::ItemAdded { output_index: self.response.output.len(), item: item.clone() });
        self.response.output.push(item);
        self.open = true;
    }

    /// The last item grows no more.
    fn close(&mut self, end: CallStatus, out: &mut Vec<Event>) {
        let (open, output_index) = (std::mem::take(&mut self.open), self.last());
        let Some(item) = self.response.output.last_mut().filter(|_| open) else { return };
        match item {
            OutputItem::Message(message) => {
                message.status = end;
                let Some(part) = message.content.last().cloned() else { return };
                let (text, logprobs) = (part.text.clone(), part.logprobs.clone());
                let item_id = message.id.clone();
                out.push(Event::TextDone { item_id: item_id.clone(), output_index, content_index: 0, text, logprobs });
                out.push(Event::PartDone { item_id, output_index, content_index: 0, part: OutputPart::Text(part) });
            }
            OutputItem::Reasoning(reasoning) => {
                reasoning.status = end;
                let Some(part) = reasoning.content.last().cloned() else { return };
                let (text, item_id) = (part.text.clone(), reasoning.id.clone());
                out.push(Event::ReasoningDone { item_id: item_id.clone(), output_index, content_index: 0, text });
                out.push(Event::PartDone {
                    item_id,
                    output_index,
                    content_index: 0,
                    part: OutputPart::Reasoning(part),
                });
            }
            OutputItem::FunctionCall(call) => {
                call.status = end;
                let (item_id, name, arguments) = (call.id.clone(), call.name.clone(), call.arguments.clone());
                out.push(Event::ArgumentsDone { item_id, output_index, name, arguments });
            }
        }
        out.push(Event::ItemDone { output_index, item: item.clone() });
    }

    /// The index of the last item.
    fn last(&self) -> usize {
        self.response.output.len().saturating_sub(1)
    }

    fn noise(&self, delta: &str) -> Option<String> {
        self.obfuscated.then(|| sse::noise(&delta))
    }

    fn number(&mut self, events: Vec<Event>) -> Vec<StreamEvent> {
        let mut numbered = Vec::with_capacity(events.len());
        for event in events {
            numbered.push(StreamEvent { event, sequence_number: self.sequence });
            self.sequence += 1;
        }
        numbered
    }
}

/// The response as the request makes it.
fn echo(request: &ResponseRequest, card: &ModelCard) -> Response {
    let background = request.background == Some(true);
    let text = request.text.clone().unwrap_or_default();
    Response {
        id: new_id("resp_"),
        object: ResponseKind::Response,
        created_at: now().unsigned_abs(),
        status: if background { Status::Queued } else { Status::InProgress },
        background: Some(background),
        completed_at: None,
        error: None,
        incomplete_details: None,
        instructions: request.instructions.clone(),
        max_output_tokens: request.max_output_tokens,
        max_tool_calls: request.max_tool_calls,
        model: request.model.clone(),
        output: Vec::new(),
        parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
        previous_response_id: request.previous_response_id.clone(),
        prompt_cache_key: request.prompt_cache_key.clone(),
        prompt_cache_retention: request.prompt_cache_retention.clone(),
        reasoning: Some(request.reasoning.clone().unwrap_or_default()),
        safety_identifier: request.safety_identifier.clone(),
        service_tier: "default",
        store: request.stored(),
        temperature: request.temperature.or(card.defaults.temperature).unwrap_or(1.0),
        text: TextEcho {
            format: text.format.unwrap_or_else(|| serde_json::json!({"type": "text"})),
            verbosity: text.verbosity.unwrap_or_else(|| "medium".into()),
        },
        tool_choice: request.tool_choice.clone().unwrap_or_else(|| Value::String("auto".into())),
        tools: request.tools.clone().unwrap_or_default(),
        top_logprobs: Some(request.top_logprobs.unwrap_or(0)),
        top_p: request.top_p.or(card.defaults.top_p).unwrap_or(1.0),
        truncation: request.truncation.clone().unwrap_or_else(|| "disabled".into()),
        usage: None,
        user: request.user.clone(),
        metadata: request.metadata.clone().unwrap_or_default(),
    }
}

fn token(t: TokenLogprob) -> Logprob {
    let top = t.top.into_iter().map(|t| TopLogprob { token: t.token, logprob: t.logprob, bytes: t.bytes });
    Logprob { token: t.token, logprob: t.logprob, bytes: t.bytes, top_logprobs: top.collect() }
}

fn counts(u: &vlgate_engine::Usage) -> Usage {
    Usage::new(u.prompt, u.completion, u.cached, u.image, u.video, u.reasoning)
}
