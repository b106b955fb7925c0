//! Server-sent events: the prompt where it was asked for, pieces of text, the reason, the usage, `[DONE]`.

use actix_web::HttpResponse;
use vlgate_engine::Event;
use vlgate_openai::{
    ApiError,
    chat::Usage,
    completions::{CompletionRequest, OldChoice, OldCompletion, OldFinishReason, OldLogprobs},
};

use super::{
    answer::{Sums, Track, finish, head},
    start::Begun,
};
use crate::{
    rate::Stopwatch,
    reply,
    sse::{self, Events, Gone, Lines},
};

/// Answers 200 once the first event is there, or the error that came in its place.
pub async fn respond(
    begun: Vec<Begun>,
    request: &CompletionRequest,
    stopwatch: Stopwatch,
) -> Result<HttpResponse, ApiError> {
    let (mut answers, mut streams) = (Vec::new(), Vec::new());
    for one in begun {
        answers.push(Telling { prompt: one.prompt, echo: one.echo, logprobs: Track::default() });
        streams.push(one.events);
    }
    let events = Events::begin(streams).await?;
    let (lines, response) = sse::open();
    let writer = Writer {
        lines,
        head: head(request),
        wants_logprobs: request.logprobs.is_some(),
        with_usage: request.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false),
        answers,
        sums: Sums::default(),
        _stopwatch: stopwatch,
    };
    tokio::spawn(writer.run(events));
    Ok(response)
}

/// An answer that is being told.
struct Telling {
    prompt: usize,
    echo: String,
    logprobs: Track,
}

struct Writer {
    lines: Lines,
    head: OldCompletion,
    wants_logprobs: bool,
    with_usage: bool,
    answers: Vec<Telling>,
    sums: Sums,
    _stopwatch: Stopwatch,
}

impl Writer {
    async fn run(mut self, events: Events) {
        let _ = self.write(events).await;
    }

    async fn write(&mut self, mut events: Events) -> Result<(), Gone> {
        for index in 0..self.answers.len() {
            let echo = self.answers.get_mut(index).map(|a| std::mem::take(&mut a.echo)).unwrap_or_default();
            if !echo.is_empty() {
                self.chunk(index, echo, None, None).await?;
            }
        }
        while let Some((index, event)) = events.next(&self.lines).await? {
            match event {
                Ok(event) => self.event(index, event).await?,
                Err(error) => return self.lines.data(&reply::engine(&error).body()).await,
            }
        }
        if self.with_usage {
            let chunk = self.envelope(Vec::new(), Some(self.sums.usage()));
            self.lines.data(&chunk).await?;
        }
        self.lines.text("data: [DONE]\n\n").await
    }

    async fn event(&mut self, index: usize, event: Event) -> Result<(), Gone> {
        match event {
            Event::Text { delta, logprobs } => {
                let told = self.answers.get_mut(index).map(|answer| {
                    answer.logprobs.extend(logprobs);
                    std::mem::take(&mut answer.logprobs.told)
                });
                let told = told.filter(|told| self.wants_logprobs && !told.tokens.is_empty());
                self.chunk(index, delta, told, None).await
            }
            Event::Finished { reason, usage, .. } => {
                if let Some(answer) = self.answers.get(index) {
                    self.sums.add(answer.prompt, &usage);
                }
                self.chunk(index, String::new(), None, Some(finish(&reason))).await
            }
            Event::Started { .. } | Event::Reasoning { .. } | Event::ToolCall { .. } | Event::ToolArguments { .. } => {
                Ok(())
            }
        }
    }

    async fn chunk(
        &self,
        index: usize,
        text: String,
        logprobs: Option<OldLogprobs>,
        finish_reason: Option<OldFinishReason>,
    ) -> Result<(), Gone> {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.lines.data(&self.envelope(vec![OldChoice { text, index, logprobs, finish_reason }], None)).await
    }

    /// A chunk; with `include_usage` its usage is null unless given.
    fn envelope(&self, choices: Vec<OldChoice>, usage: Option<Usage>) -> OldCompletion {
        OldCompletion { choices, usage: self.with_usage.then_some(usage), ..self.head.clone() }
    }
}
