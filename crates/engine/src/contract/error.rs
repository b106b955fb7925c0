//! What can go wrong in an engine, and whose fault it is.

use thiserror::Error;

/// Whose fault an [`EngineError`] is; the server maps it to a status once (400, 429/503, 500).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request cannot be served as it is; sending it again will not help.
    Caller,
    /// Nothing is free now; sending it again later may help.
    Capacity,
    /// The engine failed.
    Engine,
}

/// A job that failed, before it started or in its middle.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum EngineError {
    /// The prompt, or the prompt and the tokens asked for, do not fit the model's context.
    #[error(
        "This model's maximum context length is {context} tokens. However, your messages resulted in {prompt} tokens{}. Please reduce the length of the messages or completion.",
        requested.map(|n| format!(" and {n} were requested for the completion")).unwrap_or_default()
    )]
    ContextLength {
        /// The model's context in tokens.
        context: u32,
        /// The prompt's tokens.
        prompt: u32,
        /// The completion tokens asked for, where the request named a number.
        requested: Option<u32>,
    },
    /// Something in the request is not supported or not valid; `param` is the path of the part in the request
    /// (`response_format.json_schema.schema`), where one is known.
    #[error("{message}")]
    Invalid {
        /// What is wrong, for the caller.
        message: String,
        /// Which part.
        param: Option<String>,
    },
    /// No engine serves this model.
    #[error("The model '{0}' does not exist.")]
    NoSuchModel(String),
    /// The queue is full.
    #[error("The server is overloaded: {waiting} requests are waiting. Please try again later.")]
    Overloaded {
        /// Requests that wait.
        waiting: u32,
    },
    /// The runtime is loading or being started again.
    #[error("The model is not ready: {0}. Please try again later.")]
    NotReady(String),
    /// The job's deadline passed.
    #[error("The request took longer than its deadline.")]
    Deadline,
    /// The runtime failed; the text is for the log and says nothing secret.
    #[error("The engine failed: {0}")]
    Failed(String),
}

impl EngineError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::ContextLength { .. } | Self::Invalid { .. } | Self::NoSuchModel(_) => Fault::Caller,
            Self::Overloaded { .. } | Self::NotReady(_) => Fault::Capacity,
            Self::Deadline | Self::Failed(_) => Fault::Engine,
        }
    }
}
