//! The whole answer from its events, and what chunks share with it.

use futures::{StreamExt, future::try_join_all};
use vlgate_engine::{Event, EventStream, FinishReason, TokenLogprob, Usage as Counts};
use vlgate_openai::{
    ApiError,
    chat::Usage,
    completions::{CompletionRequest, OldChoice, OldCompletion, OldFinishReason, OldKind, OldLogprobs},
};

use super::start::Begun;
use crate::{
    chat::fingerprint,
    reply, sse,
    store::{new_id, now},
};

/// A completion without choices.
pub fn head(request: &CompletionRequest) -> OldCompletion {
    OldCompletion {
        id: new_id("cmpl-"),
        object: OldKind::TextCompletion,
        created: now(),
        model: request.model.clone(),
        system_fingerprint: fingerprint(),
        choices: Vec::new(),
        usage: None,
    }
}

/// An answer that ended.
struct Done {
    prompt: usize,
    text: String,
    logprobs: Track,
    reason: FinishReason,
    usage: Counts,
}

/// Waits for all answers; of each prompt's candidates the likeliest are given.
pub async fn collect(begun: Vec<Begun>, request: &CompletionRequest) -> Result<OldCompletion, ApiError> {
    let done = try_join_all(begun.into_iter().map(one)).await?;
    let mut sums = Sums::default();
    for answer in &done {
        sums.add(answer.prompt, &answer.usage);
    }
    let wanted = usize::try_from(request.n.unwrap_or(1)).unwrap_or(1);
    let mut completion = head(request);
    let mut done = done.into_iter().peekable();
    while let Some(prompt) = done.peek().map(|d| d.prompt) {
        let mut candidates = Vec::new();
        while let Some(candidate) = done.next_if(|d| d.prompt == prompt) {
            candidates.push(candidate);
        }
        if candidates.len() > wanted {
            candidates.sort_by(|a, b| b.logprobs.mean().total_cmp(&a.logprobs.mean()));
        }
        for answer in candidates.into_iter().take(wanted) {
            completion.choices.push(OldChoice {
                text: answer.text,
                index: u32::try_from(completion.choices.len()).unwrap_or(u32::MAX),
                logprobs: request.logprobs.map(|_| answer.logprobs.told),
                finish_reason: Some(finish(&answer.reason)),
            });
        }
    }
    completion.usage = Some(Some(sums.usage()));
    Ok(completion)
}

async fn one(begun: Begun) -> Result<Done, ApiError> {
    let Begun { prompt, echo: mut text, mut events } = begun;
    let mut logprobs = Track::default();
    while let Some(event) = EventStream::next(&mut events).await {
        match event.map_err(|e| reply::engine(&e))? {
            Event::Text { delta, logprobs: tokens } => {
                text.push_str(&delta);
                logprobs.extend(tokens);
            }
            Event::Finished { reason, usage, .. } => return Ok(Done { prompt, text, logprobs, reason, usage }),
            Event::Started { .. } | Event::Reasoning { .. } | Event::ToolCall { .. } | Event::ToolArguments { .. } => {}
        }
    }
    Err(reply::engine(&sse::unfinished()))
}

/// Log-probabilities in the old form, and how far their text has come.
#[derive(Debug, Default)]
pub struct Track {
    /// What was not taken yet.
    pub told: OldLogprobs,
    characters: u64,
    sum: f64,
    tokens: u32,
}

impl Track {
    /// Adds tokens.
    pub fn extend(&mut self, tokens: Vec<TokenLogprob>) {
        for token in tokens {
            self.tokens += 1;
            self.sum += f64::from(token.logprob);
            let name = shown(&token.token, &token.bytes);
            let mut top: vlgate_openai::completions::OldTop =
                token.top.iter().map(|t| (shown(&t.token, &t.bytes), t.logprob)).collect();
            top.entry(name.clone()).or_insert(token.logprob);
            self.told.text_offset.push(self.characters);
            self.told.token_logprobs.push(token.logprob);
            self.told.tokens.push(name);
            self.told.top_logprobs.push(top);
            // A character counts where it begins: it may lie across tokens.
            self.characters += token.bytes.iter().filter(|b| **b & 0xC0 != 0x80).count() as u64;
        }
    }

    /// Of the tokens so far; the likeliest answer has the largest.
    fn mean(&self) -> f64 {
        self.sum / f64::from(self.tokens.max(1))
    }
}

/// A token's text; one that is not whole characters is shown as OpenAI does, by its bytes.
fn shown(token: &str, bytes: &[u8]) -> String {
    if std::str::from_utf8(bytes).is_ok() {
        return token.to_owned();
    }
    let hex: String = bytes.iter().map(|b| format!("\\x{b:02x}")).collect();
    format!("bytes:{hex}")
}

/// Why it ended.
pub const fn finish(reason: &FinishReason) -> OldFinishReason {
    match reason {
        FinishReason::Length => OldFinishReason::Length,
        FinishReason::Stop { .. } | FinishReason::ToolCalls => OldFinishReason::Stop,
    }
}

/// Token counts of several prompts: each prompt counts once, whatever the number of its answers.
#[derive(Debug, Default)]
pub struct Sums {
    counted: Vec<usize>,
    all: Counts,
}

impl Sums {
    /// Adds an answer.
    pub fn add(&mut self, prompt: usize, usage: &Counts) {
        if !self.counted.contains(&prompt) {
            self.counted.push(prompt);
            self.all.prompt += usage.prompt;
            self.all.cached += usage.cached;
        }
        self.all.completion += usage.completion;
    }

    /// Their sum.
    pub fn usage(&self) -> Usage {
        Usage::new(self.all.prompt, self.all.completion, self.all.cached, 0, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_characters_also_those_that_lie_across_tokens() {
        let token = |text: &str, bytes: &[u8]| TokenLogprob {
            token: text.into(),
            bytes: bytes.to_vec(),
            logprob: -1.0,
            top: vec![vlgate_engine::TopLogprob { token: "x".into(), bytes: b"x".to_vec(), logprob: -0.5 }],
        };
        let mut track = Track::default();
        track.extend(vec![token("é", "é".as_bytes()), token("\u{FFFD}", b"\xF0\x9F"), token("\u{FFFD}", b"\x98\x80")]);
        track.extend(vec![token(" a", b" a")]);
        assert_eq!(track.told.text_offset, [0, 1, 2, 2]);
        assert_eq!(track.told.tokens, ["é", "bytes:\\xf0\\x9f", "bytes:\\x98\\x80", " a"]);
        assert_eq!(track.told.top_logprobs[0].iter().collect::<Vec<_>>(), [(&"x".into(), &-0.5), (&"é".into(), &-1.0)]);
        assert!((track.mean() + 1.0).abs() < 1e-9);
    }
}
