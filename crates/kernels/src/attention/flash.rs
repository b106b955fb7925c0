//! One tile of queries against a stretch of the cache: scores, online softmax and weighted values, a chunk of context at a
//! time, so that nothing quadratic is ever stored.
// Indices are bounded by the const generics and by the sizes of `Scratch`.
#![allow(clippy::indexing_slicing)]

use super::kv::{KvKind, KvLayout};
use crate::Level;
use crate::simd::{Kernel, Simd, dispatch_float, exp};
use std::cell::RefCell;
use std::marker::PhantomData;
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

/// Floats of one row's state.
pub(super) fn state_len(layout: &KvLayout) -> usize {
    layout.padded_dim() + 16
}

/// Working memory of one thread.
#[derive(Default)]
struct Scratch {
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
        let (per_head, heads) = (self.rows(), self.heads.len());
        let rows = per_head * heads;
        grow(&mut scratch.q, rows * dim);
        grow(&mut scratch.scores, if heads > 1 { rows } else { rows.min(MOST_ROWS) } * CHUNK);
        grow(&mut scratch.fades, rows);
        grow(&mut scratch.split, rows * state);
        grow(&mut scratch.total, rows * state);
        // SAFETY: the caller's word; scratch was sized above.
        unsafe {
            for head in 0..heads {
                self.pack_queries(level.rows(), head, scratch.q.as_mut_ptr().add(head * per_head * dim));
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

    /// Rows of each microtile side by side, dimension by dimension, times the scale.
    unsafe fn pack_queries(&self, most: usize, head: usize, to: *mut f32) {
        let (rows, dim) = (self.rows(), self.layout.head_dim);
        for (first, n) in microtiles(rows, most) {
            for r in 0..n {
                let (query, h) = ((first + r) / self.group, head * self.group + (first + r) % self.group);
                // SAFETY: `rows * dim` floats on both sides.
                unsafe {
                    let from = self.q.add(query * self.q_stride + h * dim);
                    for d in 0..dim {
                        to.add(first * dim + d * n + r).write(from.add(d).read() * self.scale);
                    }
                }
            }
        }
    }

    /// Tokens that row `r` of a head sees.
    #[inline(always)]
    fn seen(&self, r: usize) -> usize {
        self.limit + r / self.group * self.step
    }

    /// All rows over one split, from a fresh state.
    ///
    /// With many rows, each microtile goes over a chunk's scores, softmax and values before the next one does, and finds
    /// the cache's numbers in the second-level cache. With few, memory decides, and it is fast only where it is read in
    /// long runs: then all heads go over a block together, in the order in which the block holds them.
    unsafe fn split<E: Element>(&self, level: Level, split: usize, at: At) {
        let (rows, dim, state, heads) = (self.rows(), self.layout.head_dim, state_len(&self.layout), self.heads.len());
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
                    q: at.q.add(head * rows * dim + first * dim),
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

    /// A head's section of the block that holds `token`.
    #[inline(always)]
    unsafe fn block(&self, token: usize, at: usize) -> *const u8 {
        // SAFETY: the caller of attention has checked that the sequence has the block, and the block the pool.
        unsafe {
            let block = *self.blocks.get_unchecked(token / self.layout.block_size) as usize;
            self.kv.add(block * self.layout.block_bytes() + at)
        }
    }

    /// `scores[r][t] = q[r] . k[start + t]`, for whole vectors of tokens up to `tokens`.
    #[inline(always)]
    unsafe fn scores<S: Simd, E: Element, const R: usize>(
        &self,
        head: usize,
        start: usize,
        tokens: usize,
        q: *const f32,
        scores: *mut f32,
    ) {
        let (size, dim) = (self.layout.block_size, self.layout.head_dim);
        let mut t = 0;
        while t < tokens {
            // SAFETY: `t + 16 <= CHUNK`, and blocks hold a multiple of 16 tokens, so the vectors stay in the block.
            unsafe {
                let offset = (start + t) % size;
                let section = self.block(start + t, self.layout.key_at(head));
                let wide = S::LANES == 16 && tokens - t > 16 && offset + 32 <= size;
                if wide {
                    dots::<S, E, R, 2>(section, size, dim, offset, q, scores.add(t));
                    t += 32;
                } else if S::LANES == 8 && R <= 2 && tokens - t > 16 && offset + 32 <= size {
                    dots::<S, E, R, 4>(section, size, dim, offset, q, scores.add(t));
                    t += 32;
                } else if S::LANES == 16 {
                    dots::<S, E, R, 1>(section, size, dim, offset, q, scores.add(t));
                    t += 16;
                } else {
                    dots::<S, E, R, 2>(section, size, dim, offset, q, scores.add(t));
                    t += 16;
                }
            }
        }
    }

    /// `values[r] = values[r] * fade[r] + sum of p[r][t] * v[start + t]`
    #[inline(always)]
    unsafe fn values<S: Simd, E: Element, const R: usize>(
        &self,
        head: usize,
        start: usize,
        tokens: usize,
        p: *mut f32,
        states: *mut f32,
        fade: &[f32; R],
    ) {
        let (size, padded) = (self.layout.block_size, self.layout.padded_dim());
        // SAFETY: columns below `padded`, tokens that exist.
        unsafe {
            if E::SCALED {
                // Into the weights, once, rather than into each number.
                let mut t = 0;
                while t < tokens {
                    let section = self.block(start + t, self.layout.value_at(head));
                    let scales = section.add(size * padded).cast::<f32>().add((start + t) % size);
                    for r in 0..R {
                        for i in (0..16).step_by(S::LANES) {
                            let p = p.add(r * CHUNK + t + i);
                            S::store(p, S::mul(S::load(p), S::load(scales.add(i))));
                        }
                    }
                    t += 16;
                }
            }
            // Sixteen accumulators, as whole rows as can be: the cache is read from memory when there are few queries.
            let mut column = 0;
            while column < padded {
                let left = (padded - column) / S::LANES;
                column += S::LANES
                    * if R <= 2 && left >= 8 && S::LANES == 16 {
                        self.columns::<S, E, R, 8>(head, start, tokens, p, states, fade, column)
                    } else if R <= 4 && left >= 4 && (R <= 2 || S::LANES == 16) {
                        self.columns::<S, E, R, 4>(head, start, tokens, p, states, fade, column)
                    } else if left >= 2 {
                        self.columns::<S, E, R, 2>(head, start, tokens, p, states, fade, column)
                    } else {
                        self.columns::<S, E, R, 1>(head, start, tokens, p, states, fade, column)
                    };
            }
        }
    }

    /// `V` vectors of columns; `V` comes back.
    #[inline(always)]
    unsafe fn columns<S: Simd, E: Element, const R: usize, const V: usize>(
        &self,
        head: usize,
        start: usize,
        tokens: usize,
        p: *const f32,
        states: *mut f32,
        fade: &[f32; R],
        column: usize,
    ) -> usize {
        let (size, padded, state) = (self.layout.block_size, self.layout.padded_dim(), state_len(&self.layout));
        // SAFETY: as for `values`.
        unsafe {
            let mut acc = [[S::splat(0.0); V]; R];
            for r in 0..R {
                for v in 0..V {
                    let at = states.add(r * state + 16 + column + v * S::LANES);
                    acc[r][v] = S::mul(S::load(at), S::splat(fade[r]));
                }
            }
            let mut t = 0;
            while t < tokens {
                let offset = (start + t) % size;
                let n = (size - offset).min(tokens - t);
                let section = self.block(start + t, self.layout.value_at(head));
                for i in 0..n {
                    let mut value = [S::splat(0.0); V];
                    for v in 0..V {
                        value[v] = E::load::<S>(section, (offset + i) * padded + column + v * S::LANES);
                    }
                    for r in 0..R {
                        let weight = S::splat(p.add(r * CHUNK + t + i).read());
                        for v in 0..V {
                            acc[r][v] = S::fma(weight, value[v], acc[r][v]);
                        }
                    }
                }
                t += n;
            }
            for r in 0..R {
                for v in 0..V {
                    S::store(states.add(r * state + 16 + column + v * S::LANES), acc[r][v]);
                }
            }
        }
        V
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

/// Where the rows of a piece begin in the working memory.
#[derive(Clone, Copy)]
struct At {
    q: *const f32,
    scores: *mut f32,
    fades: *mut f32,
    states: *mut f32,
}

/// `n` rows of one head from row `first`, over `tokens` tokens from `start`.
#[derive(Clone, Copy)]
struct Piece<'a> {
    tile: &'a Tile<'a>,
    head: usize,
    first: usize,
    n: usize,
    start: usize,
    tokens: usize,
    at: At,
    /// Whether the values so far are still to be multiplied by `fades`: once per chunk.
    once: bool,
}

impl Piece<'_> {
    /// Tokens that any of the rows sees.
    #[inline(always)]
    fn tokens(&self) -> usize {
        self.tokens.min(self.tile.seen(self.first + self.n - 1).saturating_sub(self.start))
    }

    unsafe fn scores<E: Element>(self, level: Level) {
        // SAFETY: the caller's.
        unsafe {
            match self.n {
                1 => dispatch_float(level, Scores::<E, 1>(self, PhantomData)),
                2 => dispatch_float(level, Scores::<E, 2>(self, PhantomData)),
                4 => dispatch_float(level, Scores::<E, 4>(self, PhantomData)),
                _ => dispatch_float(level, Scores::<E, 8>(self, PhantomData)),
            }
        }
    }

    unsafe fn values<E: Element>(self, level: Level) {
        // SAFETY: the caller's.
        unsafe {
            match self.n {
                1 => dispatch_float(level, Values::<E, 1>(self, PhantomData)),
                2 => dispatch_float(level, Values::<E, 2>(self, PhantomData)),
                4 => dispatch_float(level, Values::<E, 4>(self, PhantomData)),
                _ => dispatch_float(level, Values::<E, 8>(self, PhantomData)),
            }
        }
    }
}

struct Scores<'a, E, const R: usize>(Piece<'a>, PhantomData<E>);

impl<E: Element, const R: usize> Kernel for Scores<'_, E, R> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let p = self.0;
        // SAFETY: the caller's.
        unsafe { p.tile.scores::<S, E, R>(p.head, p.start, p.tokens(), p.at.q, p.at.scores) }
    }
}

struct Softmax<'a>(Piece<'a>);

impl Kernel for Softmax<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (p, tokens) = (self.0, self.0.tokens());
        for r in 0..p.n {
            let seen = p.tile.seen(p.first + r).saturating_sub(p.start).min(tokens);
            // SAFETY: `n` rows of scores, fades and states.
            unsafe {
                let state = p.at.states.add(r * state_len(&p.tile.layout));
                p.at.fades.add(r).write(softmax::<S>(p.at.scores.add(r * CHUNK), seen, tokens, state));
            }
        }
    }
}

struct Values<'a, E, const R: usize>(Piece<'a>, PhantomData<E>);

impl<E: Element, const R: usize> Kernel for Values<'_, E, R> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let p = self.0;
        // SAFETY: the caller's.
        unsafe {
            let fade = if p.once { p.at.fades.cast::<[f32; R]>().read() } else { [1.0; R] };
            p.tile.values::<S, E, R>(p.head, p.start, p.tokens(), p.at.scores, p.at.states, &fade);
        }
    }
}

/// [`merge`] for each of `rows` rows.
struct Merge {
    total: *mut f32,
    split: *const f32,
    rows: usize,
    state: usize,
    padded: usize,
}

impl Kernel for Merge {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for r in 0..self.rows {
            // SAFETY: `rows` states on both sides.
            unsafe { merge::<S>(self.total.add(r * self.state), self.split.add(r * self.state), self.padded) }
        }
    }
}

/// [`finish`] for each of `rows` rows.
struct Finish {
    states: *const f32,
    state: usize,
    rows: usize,
    out: *mut f32,
    group: usize,
    stride: usize,
    dim: usize,
}

impl Kernel for Finish {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for r in 0..self.rows {
            // SAFETY: `rows` states, and as many rows of the output.
            unsafe {
                let to = self.out.add(r / self.group * self.stride + r % self.group * self.dim);
                finish::<S>(self.states.add(r * self.state), to, self.dim);
            }
        }
    }
}

/// `V` vectors of scores for each of `R` rows.
#[inline(always)]
unsafe fn dots<S: Simd, E: Element, const R: usize, const V: usize>(
    section: *const u8,
    size: usize,
    dim: usize,
    offset: usize,
    q: *const f32,
    scores: *mut f32,
) {
    // SAFETY: as for `scores`.
    unsafe {
        let mut acc = [[S::splat(0.0); V]; R];
        for d in 0..dim {
            let mut key = [S::splat(0.0); V];
            for v in 0..V {
                key[v] = E::load::<S>(section, d * size + offset + v * S::LANES);
            }
            for r in 0..R {
                let x = S::splat(q.add(d * R + r).read());
                for v in 0..V {
                    acc[r][v] = S::fma(x, key[v], acc[r][v]);
                }
            }
        }
        for v in 0..V {
            let scale = if E::SCALED {
                S::load(section.add(dim * size).cast::<f32>().add(offset + v * S::LANES))
            } else {
                S::splat(1.0)
            };
            for r in 0..R {
                let s = if E::SCALED { S::mul(acc[r][v], scale) } else { acc[r][v] };
                S::store(scores.add(r * CHUNK + v * S::LANES), s);
            }
        }
    }
}

/// Turns one row of scores into weights: `exp(score - peak)` for the first `seen` tokens, zero up to whole vectors behind
/// `tokens`. Updates peak and sum. Return: what earlier weighted values are to be multiplied by.
#[inline(always)]
unsafe fn softmax<S: Simd>(scores: *mut f32, seen: usize, tokens: usize, state: *mut f32) -> f32 {
    // SAFETY: `scores` has a chunk, `state` a state.
    unsafe {
        let width = tokens.next_multiple_of(16);
        for t in seen..width {
            scores.add(t).write(f32::NEG_INFINITY);
        }
        if seen == 0 {
            std::ptr::write_bytes(scores, 0, width);
            return 1.0;
        }
        let mut peak = S::splat(f32::NEG_INFINITY);
        for t in (0..width).step_by(S::LANES) {
            peak = S::max(S::load(scores.add(t)), peak);
        }
        let (before, top) = (state.read(), S::max_lane(peak));
        let peak = if top > before { top } else { before };
        let peaks = S::splat(peak);
        let mut sum = S::splat(0.0);
        for t in (0..width).step_by(S::LANES) {
            let p = exp::<S>(S::sub(S::load(scores.add(t)), peaks));
            sum = S::add(sum, p);
            S::store(scores.add(t), p);
        }
        let fade = if before == f32::NEG_INFINITY { 0.0 } else { one_exp::<S>(before - peak) };
        state.write(peak);
        state.add(1).write(state.add(1).read() * fade + S::sum(sum));
        fade
    }
}

#[inline(always)]
unsafe fn one_exp<S: Simd>(x: f32) -> f32 {
    // SAFETY: registers only; all lanes are equal.
    unsafe { S::max_lane(exp::<S>(S::splat(x))) }
}

/// Adds the state of a later split to that of the earlier ones.
///
/// # Safety
/// Both have a state for `padded` numbers.
#[inline(always)]
pub(super) unsafe fn merge<S: Simd>(total: *mut f32, split: *const f32, padded: usize) {
    // SAFETY: as above.
    unsafe {
        let (a, b) = (total.read(), split.read());
        if b == f32::NEG_INFINITY {
            return;
        }
        let peak = if a > b { a } else { b };
        let (fa, fb) = (one_exp::<S>(a - peak), one_exp::<S>(b - peak));
        total.write(peak);
        total.add(1).write(total.add(1).read() * fa + split.add(1).read() * fb);
        let (fa, fb) = (S::splat(fa), S::splat(fb));
        for i in (0..padded).step_by(S::LANES) {
            let at = total.add(16 + i);
            S::store(at, S::fma(S::load(split.add(16 + i)), fb, S::mul(S::load(at), fa)));
        }
    }
}

/// Writes the finished row.
///
/// # Safety
/// `state` has a state, `out` `dim` floats.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd>(state: *const f32, out: *mut f32, dim: usize) {
    // SAFETY: as above.
    unsafe {
        let inverse = S::splat(1.0 / state.add(1).read());
        let mut i = 0;
        while i < dim {
            let len = S::LANES.min(dim - i);
            S::store_part(out.add(i), len, S::mul(S::load(state.add(16 + i)), inverse));
            i += S::LANES;
        }
    }
}

/// How the numbers of the cache are read.
trait Element {
    /// Whether they are to be multiplied by their token's scale.
    const SCALED: bool;
    /// `LANES` of them, from element `i` of a section.
    unsafe fn load<S: Simd>(section: *const u8, i: usize) -> S::F;
}

struct F32;
struct F16;
struct Q8;

impl Element for F32 {
    const SCALED: bool = false;
    #[inline(always)]
    unsafe fn load<S: Simd>(section: *const u8, i: usize) -> S::F {
        // SAFETY: the caller's.
        unsafe { S::load(section.cast::<f32>().add(i)) }
    }
}

impl Element for F16 {
    const SCALED: bool = false;
    #[inline(always)]
    unsafe fn load<S: Simd>(section: *const u8, i: usize) -> S::F {
        // SAFETY: the caller's.
        unsafe { S::load_f16(section.cast::<u16>().add(i)) }
    }
}

impl Element for Q8 {
    const SCALED: bool = true;
    #[inline(always)]
    unsafe fn load<S: Simd>(section: *const u8, i: usize) -> S::F {
        // SAFETY: the caller's.
        unsafe { S::load_i8(section.cast::<i8>().add(i)) }
    }
}
