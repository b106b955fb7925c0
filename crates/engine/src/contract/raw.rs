//! Prompts without a chat template, and what a prompt of either kind is made of.

use super::{Conversation, TokenCount};

/// A prompt as the caller wrote it: the model goes on from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// Text. The family's special tokens are read as such, since a caller may spell out a whole conversation; only those that
    /// stand for pictures are neutralised, as there are none.
    Text(String),
    /// Token ids.
    Tokens(Vec<u32>),
}

/// What a model goes on from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// Messages, through the chat template.
    Conversation(&'a Conversation),
    /// A prompt without one.
    Raw(&'a Raw),
}

/// A prompt's tokens as the model gets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Ids in order; a picture's placeholder is there once for each of its tokens.
    pub ids: Vec<u32>,
    /// How many of what.
    pub count: TokenCount,
}
