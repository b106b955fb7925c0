//! What a job produces while it runs.

use std::time::Duration;

/// One thing that happened to a job. Order: `Started`, any of the deltas, `Finished`.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The prompt was accepted and measured.
    Started {
        /// Prompt-side counts; the completion's are still 0.
        usage: Usage,
    },
    /// Text of the answer. `logprobs` holds the tokens that this text came from, in order, when the job asked for
    /// them; a token's text may lie across two deltas.
    Text {
        /// Whole UTF-8 characters; may be empty when only log-probabilities arrive.
        delta: String,
        /// One entry a token.
        logprobs: Vec<TokenLogprob>,
    },
    /// Text of the model's reasoning (between `<think>` and `</think>`).
    Reasoning {
        /// Whole UTF-8 characters.
        delta: String,
    },
    /// A tool call begins. Sent once a call, before its arguments.
    ToolCall {
        /// 0, 1, … in the order of the calls.
        index: u32,
        /// `call_` and a random text.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A further fragment of a call's arguments (JSON text).
    ToolArguments {
        /// The call.
        index: u32,
        /// The fragment.
        delta: String,
    },
    /// The end.
    Finished {
        /// Why.
        reason: FinishReason,
        /// The final counts.
        usage: Usage,
        /// How long it took.
        timings: Timings,
    },
}

/// Why a job ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// An end-of-sequence token, or a stop text (then it is named; never part of the answer).
    Stop {
        /// The stop text that was met; `None` for an end-of-sequence token.
        stop: Option<String>,
    },
    /// `max_tokens` or the context's end.
    Length,
    /// The model called tools.
    ToolCalls,
}

/// Token counts of one job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All prompt tokens, pictures and clips included.
    pub prompt: u32,
    /// Tokens generated, reasoning included.
    pub completion: u32,
    /// Of the prompt: tokens whose KV was found in a prefix cache.
    pub cached: u32,
    /// Of the prompt: tokens of pictures.
    pub image: u32,
    /// Of the prompt: tokens of clips.
    pub video: u32,
    /// Of the completion: tokens of reasoning.
    pub reasoning: u32,
}

/// Times of one job, measured in the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From acceptance to the start of the prefill.
    pub queue: Duration,
    /// From acceptance to the first token.
    pub first_token: Duration,
    /// Between two tokens, the longest.
    pub worst_gap: Duration,
    /// From acceptance to the end.
    pub total: Duration,
}

/// A generated token and what it might have been.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token's text, with U+FFFD where its bytes are not UTF-8 on their own.
    pub token: String,
    /// The token's bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability under the raw distribution (temperature 1, before any filter).
    pub logprob: f32,
    /// The most likely tokens at this place, best first.
    pub top: Vec<TopLogprob>,
}

/// One alternative of a [`TokenLogprob`].
#[derive(Debug, Clone, PartialEq)]
pub struct TopLogprob {
    /// The token's text.
    pub token: String,
    /// The token's bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}
