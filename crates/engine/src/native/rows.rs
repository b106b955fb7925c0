//! The rows of one call of the text model: working memory, and which of them ask for attention and logits.

use std::ops::Range;

use vlgate_kernels::{Activations, SequenceQueries};

use super::text::{Segment, Wanted};

/// Working memory that calls share.
#[derive(Debug, Default)]
pub struct Room {
    pub(super) acts: Activations,
    pub(super) hidden: Vec<f32>,
    pub(super) normed: Vec<f32>,
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) gate_up: Vec<f32>,
    pub(super) inside: Vec<f32>,
    pub(super) cos: Vec<f32>,
    pub(super) sin: Vec<f32>,
    pub(super) slots: Vec<u32>,
    pub(super) logits: Vec<f32>,
}

/// Rows of a step whose outputs are wanted.
#[derive(Debug)]
pub struct Pick {
    /// The segment.
    pub segment: usize,
    /// Rows, counted over all segments.
    pub rows: Range<usize>,
    /// Tokens of the sequence before them.
    pub start: usize,
}

/// The wanted rows of each segment.
#[must_use]
pub fn picks(segments: &[Segment<'_>]) -> Vec<Pick> {
    let (mut first, mut out) = (0, Vec::with_capacity(segments.len()));
    for (segment, s) in segments.iter().enumerate() {
        let n = s.tokens.len();
        let skip = match s.logits {
            Wanted::Nothing => n,
            Wanted::Last => n.saturating_sub(1),
            Wanted::All => 0,
        };
        out.push(Pick { segment, rows: first + skip..first + n, start: s.start + skip });
        first += n;
    }
    out
}

/// Who asks in a layer where all rows do.
#[must_use]
pub fn all_queries<'a>(segments: &[Segment<'a>]) -> Vec<SequenceQueries<'a>> {
    let mut first = 0;
    let query = |s: &Segment<'a>| {
        let rows = first..first + s.tokens.len();
        first = rows.end;
        SequenceQueries { rows, start: s.start, blocks: s.blocks }
    };
    segments.iter().map(query).collect()
}

/// Who asks where only the picked rows are left.
#[must_use]
pub fn last_queries<'a>(segments: &[Segment<'a>], picks: &[Pick]) -> Vec<SequenceQueries<'a>> {
    let mut first = 0;
    let query = |p: &Pick| {
        let rows = first..first + p.rows.len();
        first = rows.end;
        segments.get(p.segment).map(|s| SequenceQueries { rows, start: p.start, blocks: s.blocks })
    };
    picks.iter().filter_map(query).collect()
}

impl Room {
    /// Takes back what [`super::text::TextModel::forward`] gave: megabytes that need not be asked of the system again.
    pub fn recycle(&mut self, logits: Vec<f32>) {
        self.logits = logits;
    }

    /// Leaves only the picked rows of the hidden state, its norm and the rotary tables.
    pub fn keep(&mut self, picks: &[Pick], hidden: usize, half: usize) {
        for (list, width) in
            [(&mut self.hidden, hidden), (&mut self.normed, hidden), (&mut self.cos, half), (&mut self.sin, half)]
        {
            let mut to = 0;
            for p in picks {
                let (from, end) = (p.rows.start * width, p.rows.end * width);
                if end <= list.len() {
                    list.copy_within(from..end, to);
                    to += end - from;
                }
            }
            list.truncate(to);
        }
    }
}
