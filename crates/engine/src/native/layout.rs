//! Where a prompt's pictures stand, the three positions of each token, and the keys that its KV blocks are found by.

use std::sync::Arc;

use super::{
    config::ModelConfig,
    kv::{Frames, Key, Keys},
    pixels::{Pair, grid},
};
use crate::{contract::EngineError, runtime::Prepared};

/// A prompt, measured.
#[derive(Debug)]
pub struct Layout {
    /// Pictures and temporal patches of clips, in order.
    pub spans: Vec<Span>,
    /// Time, height and width of each token (transformers' `get_rope_index`).
    pub positions: Vec<[u32; 3]>,
    /// The position, on all three axes, of the first token of the answer.
    pub next: u32,
    /// One for each token.
    pub keys: Vec<Key>,
}

/// The tokens of one picture or of one temporal patch of a clip.
#[derive(Debug, Clone)]
pub struct Span {
    /// First token.
    pub start: usize,
    /// Tokens.
    pub len: usize,
    /// The pixels.
    pub pair: Pair,
    /// Their hashes.
    pub frames: Frames,
}

impl Layout {
    /// Finds each picture's and each temporal patch's tokens in the prompt.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when the pads in the prompt are not those of its pictures and clips.
    pub fn new(config: &ModelConfig, keys: &Keys, job: &Prepared) -> Result<Self, EngineError> {
        let wrong = || EngineError::Invalid {
            message: "The prompt's picture tokens do not fit its pictures.".into(),
            param: Some("messages".into()),
        };
        let still = job.images.iter().map(|p| [Arc::clone(p), Arc::clone(p)]);
        let moving = job.clips.iter().flat_map(|clip| {
            clip.frames.chunks(2).filter_map(|pair| {
                let (first, last) = (pair.first()?, pair.last()?);
                Some([Arc::new(first.clone()), Arc::new(last.clone())])
            })
        });
        let (mut still, mut moving) = (still, moving);
        let mut layout =
            Self { spans: Vec::new(), positions: Vec::new(), next: 0, keys: Vec::with_capacity(job.tokens.len()) };
        let mut at = 0;
        while let Some(token) = job.tokens.get(at) {
            let pair = match *token {
                t if t == config.image_token => Some(still.next().ok_or_else(wrong)?),
                t if t == config.video_token => Some(moving.next().ok_or_else(wrong)?),
                _ => None,
            };
            let Some(pair) = pair else {
                layout.positions.push([layout.next; 3]);
                layout.keys.push(Keys::token(*token));
                layout.next += 1;
                at += 1;
                continue;
            };
            let len = layout.span(config, keys, at, pair);
            let same = job.tokens.get(at..at + len).is_some_and(|all| all.iter().all(|t| t == token));
            if len == 0 || !same {
                return Err(wrong());
            }
            at += len;
        }
        if still.next().is_some() || moving.next().is_some() {
            return Err(wrong());
        }
        Ok(layout)
    }

    /// Adds a picture's tokens; returns how many.
    fn span(&mut self, config: &ModelConfig, keys: &Keys, start: usize, pair: Pair) -> usize {
        let (rows, columns) = grid(&config.vision, &pair);
        let (rows, columns) = (rows / config.vision.merge, columns / config.vision.merge);
        let frames = Frames(pair.each_ref().map(|p| p.hash));
        let first = self.next;
        for row in 0..rows as u32 {
            for column in 0..columns as u32 {
                self.positions.push([first, first + row, first + column]);
                self.keys.push(keys.row(&frames, (row as usize) * columns + column as usize));
            }
        }
        self.next += rows.max(columns) as u32;
        self.spans.push(Span { start, len: rows * columns, pair, frames });
        rows * columns
    }

    /// The position of token `at`, of the prompt or of the answer.
    #[must_use]
    pub fn position(&self, at: usize) -> [u32; 3] {
        match self.positions.get(at) {
            Some(position) => *position,
            None => [self.next.saturating_add((at - self.positions.len()) as u32); 3],
        }
    }
}
