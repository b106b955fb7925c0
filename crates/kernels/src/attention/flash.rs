//! One tile of queries against a stretch of the cache: scores, online softmax and weighted values, a chunk of context at a
//! time, so that nothing quadratic is ever stored.
// Chunks are never empty.
#![allow(clippy::indexing_slicing)]

use super::element::{Bf16, Element, F16, F32, Q8};
use super::kv::{KvKind, KvLayout, pair};
use super::piece::{At, Piece, Softmax};
use super::state::{Finish, Merge, state_len};
use crate::Level;
use crate::simd::dispatch_float;
use std::cell::RefCell;
use std::ops::Range;

/// Tokens of context per chunk: its keys and values stay in the second-level cache while all rows of a tile pass over it.
pub(super) const CHUNK: usize = 128;

/// Tokens of context per split. A query's result is put together from its splits in order, wherever they were computed,
/// so it does not depend on how the work was shared out.
pub(super) const SPLIT: usize = 512;

/// The most query rows (queries times the heads that share a key head) in one tile.
pub(super) const TILE: usize = 64;

/// The most rows in a microtile at any level, see [`Level::rows`].
const MOST_ROWS: usize = 8;

/// The most rows per head for which all heads pass over the cache together, see [`Tile::split`].
pub(super) const STREAM: usize = 8;

/// Query rows of some key-value heads of one sequence, over the splits `splits`.
///
/// Row `r` of a head is query `r / group` of the tile and head `r % group` of the group.
pub(super) struct Tile<'a> {
    pub layout: KvLayout,
    /// The pool of blocks.
    pub kv: *const u8,
    /// The sequence's blocks.
    pub blocks: &'a [u32],
    /// Key-value heads; several only if `queries * group <= STREAM`.
    pub heads: Range<usize>,
    /// Query heads per key-value head.
    pub group: usize,
    /// First query's first head of the first group; floats from one query to the next.
    pub q: *const f32,
    pub q_stride: usize,
    /// Queries in the tile; `queries * group <= TILE`.
    pub queries: usize,
    /// Tokens that the first query sees; each further query sees `step` more.
    pub limit: usize,
    pub step: usize,
    pub scale: f32,
    /// Splits of the context to go over.
    pub splits: Range<usize>,
    pub out: Out,
}

/// Where a tile's results go.
#[derive(Clone, Copy)]
pub(super) enum Out {
    /// Finished rows.
    Rows(*mut f32),
    /// For each split, head and row: peak, sum, and the weighted sum of values, [`state_len`] floats.
    States(*mut f32),
}

/// Working memory of one thread.
#[derive(Default)]
struct Scratch {
    /// Rows in microtiles, [`Tile::pack_queries`].
    q: Vec<f32>,
    scores: Vec<f32>,
    /// What each row's earlier values are to be multiplied by.
    fades: Vec<f32>,
    /// States of the split at hand, and of all splits so far.
    split: Vec<f32>,
    total: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn grow(v: &mut Vec<f32>, len: usize) {
    if v.len() < len {
        v.resize(len, 0.0);
    }
}

impl Tile<'_> {
    /// # Safety
    /// The processor has `level`, and pointers are good for what the struct says.
    pub(super) unsafe fn run(&self, level: Level) {
        let mut scratch = SCRATCH.with(|s| s.try_borrow_mut().map(|mut s| std::mem::take(&mut *s)).unwrap_or_default());
        let (dim, state, padded) = (self.layout.head_dim, state_len(&self.layout), self.layout.padded_dim());
        let words = self.words();
        let (per_head, heads) = (self.rows(), self.heads.len());
        let rows = per_head * heads;
        grow(&mut scratch.q, rows * words);
        grow(&mut scratch.scores, if heads > 1 { rows } else { rows.min(MOST_ROWS) } * CHUNK);
        grow(&mut scratch.fades, rows);
        grow(&mut scratch.split, rows * state);
        grow(&mut scratch.total, rows * state);
        // SAFETY: the caller's word; scratch was sized above.
        unsafe {
            for head in 0..heads {
                self.pack_queries(level.rows(), head, scratch.q.as_mut_ptr().add(head * per_head * words));
            }
            let total = scratch.total.as_mut_ptr();
            for (i, split) in self.splits.clone().enumerate() {
                let states = match self.out {
                    Out::States(p) => p.add(i * rows * state),
                    Out::Rows(_) if i == 0 => total,
                    Out::Rows(_) => scratch.split.as_mut_ptr(),
                };
                let (q, scores, fades) = (scratch.q.as_ptr(), scratch.scores.as_mut_ptr(), scratch.fades.as_mut_ptr());
                let at = At { q, scores, fades, states };
                match self.layout.kind {
                    KvKind::F32 => self.split::<F32>(level, split, at),
                    KvKind::F16 => self.split::<F16>(level, split, at),
                    KvKind::Bf16 => self.split::<Bf16>(level, split, at),
                    KvKind::Q8 => self.split::<Q8>(level, split, at),
                }
                if i > 0 && matches!(self.out, Out::Rows(_)) {
                    dispatch_float(level, Merge { total, split: states, rows, state, padded });
                }
            }
            if let Out::Rows(out) = self.out {
                for head in 0..heads {
                    let (group, stride, rows) = (self.group, self.q_stride, per_head);
                    let (states, out) = (total.add(head * rows * state), out.add(head * group * dim));
                    dispatch_float(level, Finish { states, state, rows, out, group, stride, dim });
                }
            }
        }
        SCRATCH.with(|s| {
            if let Ok(mut s) = s.try_borrow_mut() {
                *s = scratch;
            }
        });
    }

    /// Rows of one head.
    fn rows(&self) -> usize {
        self.queries * self.group
    }

    /// Words of one row of packed queries: a float each, or a pair of bf16 numbers.
    pub(super) fn words(&self) -> usize {
        if self.layout.kind == KvKind::Bf16 { self.layout.head_dim.div_ceil(2) } else { self.layout.head_dim }
    }

    /// Rows of each microtile side by side, word by word, times the scale.
    unsafe fn pack_queries(&self, most: usize, head: usize, to: *mut f32) {
        let (rows, dim, words) = (self.rows(), self.layout.head_dim, self.words());
        for (first, n) in microtiles(rows, most) {
            for r in 0..n {
                let (query, h) = ((first + r) / self.group, head * self.group + (first + r) % self.group);
                // SAFETY: `rows * words` words, and `dim` numbers of the query.
                unsafe {
                    let from = std::slice::from_raw_parts(self.q.add(query * self.q_stride + h * dim), dim);
                    let to = to.add(first * words + r);
                    if self.layout.kind == KvKind::Bf16 {
                        for (w, two) in from.chunks(2).enumerate() {
                            let second = two.get(1).copied().unwrap_or(0.0);
                            to.add(w * n).cast::<u32>().write(pair(two[0] * self.scale, second * self.scale));
                        }
                    } else {
                        for (d, x) in from.iter().enumerate() {
                            to.add(d * n).write(x * self.scale);
                        }
                    }
                }
            }
        }
    }

    /// Tokens that row `r` of a head sees.
    #[inline(always)]
    pub(super) fn seen(&self, r: usize) -> usize {
        self.limit + r / self.group * self.step
    }

    /// All rows over one split, from a fresh state.
    ///
    /// With many rows, each microtile goes over a chunk's scores, softmax and values before the next one does, and finds
    /// the cache's numbers in the second-level cache. With few, memory decides, and it is fast only where it is read in
    /// long runs: then all heads go over a block together, in the order in which the block holds them.
    unsafe fn split<E: Element>(&self, level: Level, split: usize, at: At) {
        let (rows, words, state, heads) = (self.rows(), self.words(), state_len(&self.layout), self.heads.len());
        // SAFETY: `at` has `rows` rows for each head, or one microtile of scores where there is one head.
        unsafe {
            for r in 0..rows * heads {
                let s = at.states.add(r * state);
                std::ptr::write_bytes(s, 0, state);
                s.write(f32::NEG_INFINITY);
            }
            let piece = |head: usize, first: usize, n: usize, start: usize, tokens: usize, scores: usize, once| {
                let row = head * rows + first;
                let at = At {
                    q: at.q.add((head * rows + first) * words),
                    scores: at.scores.add(scores),
                    fades: at.fades.add(row),
                    states: at.states.add(row * state),
                };
                Piece { tile: self, head: self.heads.start + head, first, n, start, tokens, at, once }
            };
            let end = self.seen(rows - 1).min((split + 1) * SPLIT);
            for start in (split * SPLIT..end).step_by(CHUNK) {
                let tokens = CHUNK.min(end - start);
                if rows > STREAM {
                    for (first, n) in microtiles(rows, level.rows()) {
                        let piece = piece(0, first, n, start, tokens, 0, true);
                        piece.scores::<E>(level);
                        dispatch_float(level, Softmax(piece));
                        piece.values::<E>(level);
                    }
                    continue;
                }
                let run =
                    |from: usize| (self.layout.block_size - from % self.layout.block_size).min(start + tokens - from);
                let mut from = start;
                while from < start + tokens {
                    for head in 0..heads {
                        for (first, n) in microtiles(rows, level.rows()) {
                            let scores = (head * rows + first) * CHUNK + from - start;
                            piece(head, first, n, from, run(from), scores, true).scores::<E>(level);
                        }
                    }
                    from += run(from);
                }
                for head in 0..heads {
                    let scores = head * rows * CHUNK;
                    dispatch_float(level, Softmax(piece(head, 0, rows, start, tokens, scores, true)));
                }
                let mut from = start;
                while from < start + tokens {
                    for head in 0..heads {
                        for (first, n) in microtiles(rows, level.rows()) {
                            let scores = (head * rows + first) * CHUNK + from - start;
                            piece(head, first, n, from, run(from), scores, from == start).values::<E>(level);
                        }
                    }
                    from += run(from);
                }
            }
        }
    }
}

/// First row and number of rows of each microtile: of `most` rows, and powers of two for the rest.
fn microtiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let rest = rows - first;
        let n = if rest >= most { most } else { 1 << rest.checked_ilog2()? };
        first += n;
        Some((first - n, n))
    })
}
