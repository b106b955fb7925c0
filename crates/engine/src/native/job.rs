//! A job inside the engine thread.

use std::{ops::Range, sync::Arc, time::Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::{
    kv::{Embedding, Frames},
    layout::Layout,
    text::Visual,
};
use crate::{runtime::Step, sampler::Sampler};

/// What the engine knows of a job beside what the scheduler does.
pub struct Job {
    /// For the log.
    pub id: String,
    /// Prompt and answer.
    pub tokens: Vec<u32>,
    /// The prompt, measured.
    pub layout: Layout,
    /// One for each span, once it is encoded or found.
    pub embeddings: Vec<Option<Arc<Embedding>>>,
    /// Chooses the tokens.
    pub sampler: Sampler,
    /// Answer tokens that are left.
    pub left: u32,
    /// Whom to tell; closed means cancelled.
    pub steps: UnboundedSender<Step>,
    /// When it is given up.
    pub deadline: Option<Instant>,
    /// Whether it was admitted before (and maybe sent back).
    pub seen: bool,
}

impl Job {
    /// The first picture behind token `computed` that is not encoded yet.
    #[must_use]
    pub fn missing(&self, computed: usize) -> Option<usize> {
        let spans = self.layout.spans.iter().zip(&self.embeddings);
        spans.into_iter().position(|(s, e)| e.is_none() && s.start + s.len > computed)
    }

    /// Rows of pictures that are encoded and wait to be computed.
    #[must_use]
    pub fn ahead(&self, computed: usize) -> usize {
        let spans = self.layout.spans.iter().zip(&self.embeddings);
        spans.filter(|(s, e)| e.is_some() && s.start + s.len > computed).map(|(s, _)| s.len).sum()
    }

    /// Tokens before this one can be computed.
    #[must_use]
    pub fn ready(&self, computed: usize) -> usize {
        match self.missing(computed).and_then(|nth| self.layout.spans.get(nth)) {
            Some(span) => span.start,
            None => usize::MAX,
        }
    }

    /// Takes what was encoded; whether it was for this job.
    pub fn take(&mut self, frames: &Frames, embedding: &Arc<Embedding>) -> bool {
        let mut mine = false;
        for (span, slot) in self.layout.spans.iter().zip(&mut self.embeddings) {
            if span.frames == *frames {
                *slot = Some(Arc::clone(embedding));
                mine = true;
            }
        }
        mine
    }

    /// Whether any of its pictures are these.
    #[must_use]
    pub fn waits_for(&self, frames: &Frames) -> bool {
        let spans = self.layout.spans.iter().zip(&self.embeddings);
        spans.into_iter().any(|(span, slot)| slot.is_none() && span.frames == *frames)
    }

    /// Forgets the encoded pictures before token `computed`: their keys and values are in the cache.
    pub fn forget(&mut self, computed: usize) {
        for (span, slot) in self.layout.spans.iter().zip(&mut self.embeddings) {
            if span.start + span.len <= computed {
                *slot = None;
            }
        }
    }

    /// Rows of pictures among tokens `range`.
    #[must_use]
    pub fn visual(&self, range: &Range<usize>) -> Vec<Visual> {
        let spans = self.layout.spans.iter().zip(&self.embeddings);
        let rows = spans.filter_map(|(span, embedding)| {
            let (from, to) = (span.start.max(range.start), (span.start + span.len).min(range.end));
            let embedding = Arc::clone(embedding.as_ref()?);
            (from < to).then(|| Visual { at: from - range.start, from: from - span.start, count: to - from, embedding })
        });
        rows.collect()
    }
}
