//! One tile of queries against a stretch of the cache: scores, online softmax and weighted values, a chunk of context at a
//! time, so that nothing quadratic is ever stored.
// Indices are bounded by the const generics and by the sizes of `Scratch`.
#![allow(clippy::indexing_slicing)]

use super::kv::{KvKind, KvLayout};
use crate::Level;
use crate::simd::{Kernel, Simd, dispatch_float, exp};
use std::cell::RefCell;
use std::marker::PhantomData;

/// Tokens of context per chunk: its keys and values stay in the second-level cache while all rows of a tile pass over it.
pub(super) const CHUNK: usize = 128;

/// Tokens of context per split. A query's result is put together from its splits in order, wherever they were computed,
/// so it does not depend on how the work was shared out.
pub(super) const SPLIT: usize = 1024;

/// The most query rows (queries times the heads that share a key head) in one tile.
pub(super) const TILE: usize = 64;

/// The most rows in a microtile at any level, see [`Level::rows`].
const MOST_ROWS: usize = 8;

/// Query rows of one key-value head of one sequence, over the splits `splits`.
///
/// Row `r` is query `r / group` of the tile and head `r % group` of the group.
pub(super) struct Tile<'a> {
    pub layout: KvLayout,
    /// The pool of blocks.
    pub kv: *const u8,
    /// The sequence's blocks.
    pub blocks: &'a [u32],
    pub kv_head: usize,
    /// Query heads per key-value head.
    pub group: usize,
    /// First query's first head of the group; floats from one query to the next.
    pub q: *const f32,
    pub q_stride: usize,
    /// Queries in the tile; `queries * group <= TILE`.
    pub queries: usize,
    /// Tokens that the first query sees; each further query sees `step` more.
    pub limit: usize,
    pub step: usize,
    pub scale: f32,
    /// Splits of the context to go over.
    pub splits: std::ops::Range<usize>,
    /// Where results go: as rows of the output (laid out as `q`), or as state, [`state_len`] floats per split and row.
    pub out: Out,
}

/// Where a tile's results go.
#[derive(Clone, Copy)]
pub(super) enum Out {
    /// Finished rows.
    Rows(*mut f32),
    /// For each split, for each row: peak, sum, and the weighted sum of values, [`state_len`] floats.
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
        let (rows, dim, state) = (self.queries * self.group, self.layout.head_dim, state_len(&self.layout));
        let padded = self.layout.padded_dim();
        grow(&mut scratch.q, rows * dim);
        grow(&mut scratch.scores, MOST_ROWS * CHUNK);
        grow(&mut scratch.split, rows * state);
        grow(&mut scratch.total, rows * state);
        // SAFETY: the caller's word; scratch was sized above.
        unsafe {
            self.pack_queries(level.rows(), scratch.q.as_mut_ptr());
            let (q, scores, total) = (scratch.q.as_ptr(), scratch.scores.as_mut_ptr(), scratch.total.as_mut_ptr());
            for (i, split) in self.splits.clone().enumerate() {
                let into = match self.out {
                    Out::States(p) => p.add(i * rows * state),
                    Out::Rows(_) if i == 0 => total,
                    Out::Rows(_) => scratch.split.as_mut_ptr(),
                };
                match self.layout.kind {
                    KvKind::F32 => self.split::<F32>(level, split, q, scores, into),
                    KvKind::F16 => self.split::<F16>(level, split, q, scores, into),
                    KvKind::Q8 => self.split::<Q8>(level, split, q, scores, into),
                }
                if i > 0 && matches!(self.out, Out::Rows(_)) {
                    dispatch_float(level, Merge { total, split: into, rows, state, padded });
                }
            }
            if let Out::Rows(out) = self.out {
                let (group, stride) = (self.group, self.q_stride);
                dispatch_float(level, Finish { states: total, state, rows, out, group, stride, dim });
            }
        }
        SCRATCH.with(|s| {
            if let Ok(mut s) = s.try_borrow_mut() {
                *s = scratch;
            }
        });
    }

    /// Rows of each microtile side by side, dimension by dimension, times the scale.
    unsafe fn pack_queries(&self, most: usize, to: *mut f32) {
        let (rows, dim) = (self.queries * self.group, self.layout.head_dim);
        let mut first = 0;
        while first < rows {
            let n = power_of_two(rows - first, most);
            for r in 0..n {
                let row = first + r;
                // SAFETY: `rows * dim` floats on both sides.
                unsafe {
                    let from = self.q.add(row / self.group * self.q_stride + row % self.group * dim);
                    for d in 0..dim {
                        to.add(first * dim + d * n + r).write(from.add(d).read() * self.scale);
                    }
                }
            }
            first += n;
        }
    }

    /// Tokens that row `r` sees.
    #[inline(always)]
    fn seen(&self, r: usize) -> usize {
        self.limit + r / self.group * self.step
    }

    /// All rows over one split, from a fresh state.
    unsafe fn split<E: Element>(&self, level: Level, split: usize, q: *const f32, scores: *mut f32, states: *mut f32) {
        let (rows, dim, state) = (self.queries * self.group, self.layout.head_dim, state_len(&self.layout));
        // SAFETY: `states` has `rows` states, `q` the packed queries, `scores` a microtile by a chunk.
        unsafe {
            for r in 0..rows {
                let s = states.add(r * state);
                std::ptr::write_bytes(s, 0, state);
                s.write(f32::NEG_INFINITY);
            }
            let end = self.seen(rows - 1).min((split + 1) * SPLIT);
            for start in (split * SPLIT..end).step_by(CHUNK) {
                let tokens = CHUNK.min(end - start);
                let mut first = 0;
                while first < rows {
                    let (q, states) = (q.add(first * dim), states.add(first * state));
                    let n = power_of_two(rows - first, level.rows());
                    let at = (self, first, start, tokens, q, scores, states);
                    match n {
                        1 => dispatch_float(level, Chunk::<E, 1>::new(at)),
                        2 => dispatch_float(level, Chunk::<E, 2>::new(at)),
                        4 => dispatch_float(level, Chunk::<E, 4>::new(at)),
                        _ => dispatch_float(level, Chunk::<E, 8>::new(at)),
                    }
                    first += n;
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

    /// Rows `row..row + R` over the `tokens` tokens from `start`.
    #[inline(always)]
    unsafe fn chunk<S: Simd, E: Element, const R: usize>(&self, c: &Chunk<E, R>) {
        // SAFETY: as for `split`; `tokens <= CHUNK` of them exist.
        unsafe {
            let most = self.seen(c.row + R - 1);
            if most <= c.start {
                return;
            }
            let tokens = c.tokens.min(most - c.start);
            self.scores::<S, E, R>(c.start, tokens, c.q, c.scores);
            let state = state_len(&self.layout);
            let mut fade = [1.0f32; R];
            for (r, fade) in fade.iter_mut().enumerate() {
                let seen = self.seen(c.row + r).saturating_sub(c.start).min(tokens);
                *fade = softmax::<S>(c.scores.add(r * CHUNK), seen, tokens, c.states.add(r * state));
            }
            self.values::<S, E, R>(c.start, tokens, c.scores, c.states, &fade);
        }
    }

    /// `scores[r][t] = q[r] . k[start + t]`, for whole vectors of tokens up to `tokens`.
    #[inline(always)]
    unsafe fn scores<S: Simd, E: Element, const R: usize>(
        &self,
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
                let section = self.block(start + t, self.layout.key_at(self.kv_head));
                let wide = S::LANES == 16 && tokens - t > 16 && offset + 32 <= size;
                if wide {
                    dots::<S, E, R, 2>(section, size, dim, offset, q, scores.add(t));
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
                    let section = self.block(start + t, self.layout.value_at(self.kv_head));
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
            let mut column = 0;
            while column < padded {
                if column + 2 * S::LANES <= padded {
                    self.columns::<S, E, R, 2>(start, tokens, p, states, fade, column);
                    column += 2 * S::LANES;
                } else {
                    self.columns::<S, E, R, 1>(start, tokens, p, states, fade, column);
                    column += S::LANES;
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn columns<S: Simd, E: Element, const R: usize, const V: usize>(
        &self,
        start: usize,
        tokens: usize,
        p: *const f32,
        states: *mut f32,
        fade: &[f32; R],
        column: usize,
    ) {
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
                let section = self.block(start + t, self.layout.value_at(self.kv_head));
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
    }
}

/// The largest power of two that is neither above `n` nor above `most`.
#[inline(always)]
pub(super) fn power_of_two(n: usize, most: usize) -> usize {
    if n >= most { most } else { 1 << n.ilog2() }
}

/// [`Tile::chunk`] for `R` rows.
struct Chunk<'a, E, const R: usize> {
    tile: &'a Tile<'a>,
    row: usize,
    start: usize,
    tokens: usize,
    q: *const f32,
    scores: *mut f32,
    states: *mut f32,
    element: PhantomData<E>,
}

type ChunkArguments<'a> = (&'a Tile<'a>, usize, usize, usize, *const f32, *mut f32, *mut f32);

impl<'a, E, const R: usize> Chunk<'a, E, R> {
    fn new((tile, row, start, tokens, q, scores, states): ChunkArguments<'a>) -> Self {
        Self { tile, row, start, tokens, q, scores, states, element: PhantomData }
    }
}

impl<E: Element, const R: usize> Kernel for Chunk<'_, E, R> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller's.
        unsafe { self.tile.chunk::<S, E, R>(&self) }
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
