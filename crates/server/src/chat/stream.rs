//! Server-sent events: the role first, deltas, the reason, the usage where it was asked for, `[DONE]`.

use actix_web::HttpResponse;
use vlgate_engine::{Event, EventStream};
use vlgate_openai::{
    ApiError,
    chat::{
        AssistantRole, CallDelta, CallKind, ChatRequest, ChoiceLogprobs, Chunk, ChunkChoice, ChunkKind, Delta,
        FinishReason, FunctionDelta, Usage,
    },
};

use super::{
    answer::{Growing, Head, fingerprint, finish, token, usage, whole},
    kept::Keeper,
};
use crate::{
    rate::Stopwatch,
    reply,
    sse::{self, Events, Gone, Lines},
};

/// Answers 200 once the first event is there, or the error that came in its place.
pub async fn respond(
    streams: Vec<EventStream>,
    head: Head,
    request: &ChatRequest,
    keeper: Option<Keeper>,
    stopwatch: Stopwatch,
) -> Result<HttpResponse, ApiError> {
    let count = streams.len();
    let events = Events::begin(streams).await?;
    let (lines, response) = sse::open();
    let record = keeper.map(|keeper| Record { keeper, choices: (0..count).map(|_| Growing::default()).collect() });
    let writer = Writer {
        lines,
        head,
        record,
        with_usage: request.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false),
        obfuscated: request.stream_options.as_ref().and_then(|o| o.include_obfuscation).unwrap_or(false),
        total: None,
        _stopwatch: stopwatch,
    };
    tokio::spawn(writer.run(events, count));
    Ok(response)
}

/// What was streamed of a completion that is to be kept.
struct Record {
    keeper: Keeper,
    choices: Vec<Growing>,
}

struct Writer {
    lines: Lines,
    head: Head,
    record: Option<Record>,
    with_usage: bool,
    obfuscated: bool,
    total: Option<Usage>,
    _stopwatch: Stopwatch,
}

impl Writer {
    async fn run(mut self, events: Events, count: usize) {
        let _ = self.write(events, count).await;
    }

    async fn write(&mut self, mut events: Events, count: usize) -> Result<(), Gone> {
        for index in 0..count as u32 {
            let delta =
                Delta { role: Some(AssistantRole::Assistant), content: Some(String::new()), ..Delta::default() };
            self.chunk(index, delta, Vec::new(), None).await?;
        }
        while let Some((index, event)) = events.next(&self.lines).await? {
            let event = match event {
                Ok(event) => event,
                Err(error) => return self.lines.data(&reply::engine(&error).body()).await,
            };
            let wants = self.head.wants;
            if let Some(growing) = self.record.as_mut().and_then(|r| r.choices.get_mut(index)) {
                growing.take(event.clone(), wants);
            }
            self.event(index as u32, event).await?;
        }
        // Kept before the client hears that this was all, so that it can ask for it at once.
        if let Some(record) = self.record.take() {
            record.keeper.keep(&whole(self.head.clone(), record.choices)).await;
        }
        if self.with_usage {
            let usage = self.total.take().unwrap_or_default();
            let chunk = self.envelope(Vec::new(), Some(usage));
            self.lines.data(&chunk).await?;
        }
        self.lines.text("data: [DONE]\n\n").await
    }

    async fn event(&mut self, index: u32, event: Event) -> Result<(), Gone> {
        match event {
            Event::Text { delta, logprobs } => {
                let delta = Delta { content: Some(delta), ..Delta::default() };
                self.chunk(index, delta, logprobs, None).await
            }
            Event::Reasoning { delta } if self.head.wants.reasoning => {
                let delta =
                    Delta { reasoning: Some(delta.clone()), reasoning_content: Some(delta), ..Delta::default() };
                self.chunk(index, delta, Vec::new(), None).await
            }
            Event::ToolCall { index: call, id, name } => {
                let function = FunctionDelta { name: Some(name), arguments: String::new() };
                self.chunk(index, self.call(call, Some(id), function), Vec::new(), None).await
            }
            Event::ToolArguments { index: call, delta } => {
                let function = FunctionDelta { name: None, arguments: delta };
                self.chunk(index, self.call(call, None, function), Vec::new(), None).await
            }
            Event::Finished { reason, usage: counts, .. } => {
                let one = usage(&counts);
                match &mut self.total {
                    Some(all) => all.add_completion(&one),
                    None => self.total = Some(one),
                }
                let reason = finish(&reason, self.head.wants.functions);
                self.chunk(index, Delta::default(), Vec::new(), Some(reason)).await
            }
            Event::Started { .. } | Event::Reasoning { .. } => Ok(()),
        }
    }

    /// A call's head (with its id) or more of its arguments.
    fn call(&self, index: u32, id: Option<String>, function: FunctionDelta) -> Delta {
        if self.head.wants.functions {
            return Delta { function_call: Some(function), ..Delta::default() };
        }
        let kind = id.is_some().then_some(CallKind::Function);
        Delta { tool_calls: vec![CallDelta { index, id, kind, function }], ..Delta::default() }
    }

    async fn chunk(
        &self,
        index: u32,
        delta: Delta,
        logprobs: Vec<vlgate_engine::TokenLogprob>,
        finish_reason: Option<FinishReason>,
    ) -> Result<(), Gone> {
        let content: Vec<_> = logprobs.into_iter().map(token).collect();
        let asked = self.head.wants.logprobs && !content.is_empty();
        let logprobs = asked.then_some(ChoiceLogprobs { content: Some(content), refusal: None });
        let first = index == 0 && delta.role.is_some();
        let mut chunk = self.envelope(vec![ChunkChoice { index, delta, logprobs, finish_reason }], None);
        chunk.vlgate = self.head.notes.clone().filter(|_| first);
        if self.obfuscated {
            chunk.obfuscation = Some(sse::noise(&chunk));
        }
        self.lines.data(&chunk).await
    }

    /// A chunk; with `include_usage` its usage is null unless given.
    fn envelope(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>) -> Chunk {
        Chunk {
            id: self.head.id.clone(),
            object: ChunkKind::Chunk,
            created: self.head.created,
            model: self.head.model.clone(),
            service_tier: "default",
            system_fingerprint: fingerprint(),
            choices,
            usage: self.with_usage.then_some(usage),
            obfuscation: None,
            vlgate: None,
        }
    }
}
