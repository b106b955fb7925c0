//! What can go wrong that is not a programming error.

/// Why weights or a cache could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system gave no memory.
    #[error("no memory for {bytes} bytes: {source}")]
    Memory {
        /// What was asked for.
        bytes: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// A packed weight that was not written by this version, or is cut off.
    #[error("not a packed weight of this version: {0}")]
    Format(&'static str),
}
