//! The completion and the chunk: required-but-nullable fields are written as null, never left out.

use serde::Serialize;
use serde_json::{Map, Value};

/// A whole completion.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Completion {
    pub id: String,
    pub object: &'static str,
    pub created: u64,
    pub model: String,
    pub choices: Vec<Choice>,
    pub usage: Usage,
    pub service_tier: &'static str,
    pub system_fingerprint: String,
}

/// One answer.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Choice {
    pub index: u32,
    pub message: ResponseMessage,
    pub logprobs: Option<ChoiceLogprobs>,
    pub finish_reason: &'static str,
}

/// An answer's message.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct ResponseMessage {
    pub role: &'static str,
    pub content: Option<String>,
    pub refusal: Option<String>,
    pub annotations: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
}

/// Log-probabilities of an answer.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(missing_docs)]
pub struct ChoiceLogprobs {
    pub content: Option<Vec<TokenLogprob>>,
    pub refusal: Option<Vec<TokenLogprob>>,
}

/// A token.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f32,
    pub bytes: Option<Vec<u8>>,
    pub top_logprobs: Vec<TopLogprob>,
}

/// What a token might have been.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct TopLogprob {
    pub token: String,
    pub logprob: f32,
    pub bytes: Option<Vec<u8>>,
}

/// Token counts.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(missing_docs)]
pub struct Usage {
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    pub total_tokens: u32,
    pub prompt_tokens_details: PromptDetails,
    pub completion_tokens_details: CompletionDetails,
}

/// Of the prompt.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(missing_docs)]
pub struct PromptDetails {
    pub cached_tokens: u32,
    pub audio_tokens: u32,
    pub image_tokens: u32,
    pub video_tokens: u32,
}

/// Of the completion.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(missing_docs)]
pub struct CompletionDetails {
    pub reasoning_tokens: u32,
    pub audio_tokens: u32,
    pub accepted_prediction_tokens: u32,
    pub rejected_prediction_tokens: u32,
}

impl Usage {
    /// Counts of one answer.
    #[must_use]
    pub fn new(prompt: u32, completion: u32, cached: u32, image: u32, video: u32, reasoning: u32) -> Self {
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: PromptDetails { cached_tokens: cached, audio_tokens: 0, image_tokens: image, video_tokens: video },
            completion_tokens_details: CompletionDetails { reasoning_tokens: reasoning, ..CompletionDetails::default() },
        }
    }

    /// Adds another answer to the same prompt.
    pub fn add_completion(&mut self, other: &Self) {
        self.completion_tokens += other.completion_tokens;
        self.completion_tokens_details.reasoning_tokens += other.completion_tokens_details.reasoning_tokens;
        self.total_tokens = self.prompt_tokens + self.completion_tokens;
    }
}

/// A piece of a streamed completion.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Chunk {
    pub id: String,
    pub object: &'static str,
    pub created: u64,
    pub model: String,
    pub service_tier: &'static str,
    pub system_fingerprint: String,
    pub choices: Vec<ChunkChoice>,
    /// Left out without `include_usage`; with it null in every chunk but the last.
    #[serde(flatten)]
    pub usage: Map<String, Value>,
}

/// A piece of one answer.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct ChunkChoice {
    pub index: u32,
    pub delta: Delta,
    pub logprobs: Option<ChoiceLogprobs>,
    pub finish_reason: Option<&'static str>,
}

/// What is new.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(missing_docs)]
pub struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
}
