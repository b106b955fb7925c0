//! What a runtime in this process must do; [`crate::LocalEngine`] adds everything that all runtimes share.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;
use vlgate_media::{Clip, Picture};

use crate::{
    contract::{EngineError, Load},
    sampler::{Sampled, Sampler},
};

/// A job that is ready to be computed.
#[derive(Debug)]
pub struct Prepared {
    /// For the log.
    pub id: String,
    /// The rendered prompt with one `<|image_pad|>` a picture, and for each temporal patch of a clip its time stamp and one
    /// `<|video_pad|>` between vision markers.
    pub text: String,
    /// The prompt's tokens with each pad repeated for its picture's or temporal patch's tokens.
    pub tokens: Vec<u32>,
    /// The pictures in prompt order.
    pub images: Vec<Arc<Picture>>,
    /// The clips in prompt order; none for a runtime that takes no video.
    pub clips: Vec<Arc<Clip>>,
    /// Chooses the tokens.
    pub sampler: Sampler,
    /// Tokens to generate at the most; at least 1.
    pub max_tokens: u32,
    /// When the job is given up, computed or not.
    pub deadline: Option<Instant>,
}

/// What a runtime sends for a job. The channel's end without [`Step::End`] means that the runtime died.
#[derive(Debug)]
pub enum Step {
    /// The prefill begins now: the job left the queue.
    Prefill {
        /// Prompt tokens whose KV was cached.
        cached: u32,
    },
    /// The next token.
    Token(Sampled),
    /// `max_tokens` or an end-of-sequence token was reached.
    End,
    /// The job failed.
    Failed(EngineError),
}

/// Computes prepared jobs. The receiver's drop cancels the job within one step.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Queues a job.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] when the queue is full, [`EngineError::NotReady`] while the runtime is (re)loading.
    async fn start(&self, job: Prepared) -> Result<UnboundedReceiver<Step>, EngineError>;

    /// How busy it is.
    fn load(&self) -> Load;

    /// How it takes clips.
    fn clips(&self) -> Clips {
        Clips::Refused
    }
}

/// How a runtime takes clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clips {
    /// Not at all.
    Refused,
    /// As pictures, one of each frame pair.
    Stills,
    /// As [`Prepared::clips`], frame pair by frame pair.
    Pairs,
}
