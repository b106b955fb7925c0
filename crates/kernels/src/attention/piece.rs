//! Some rows over a few tokens: scores, softmax and weighted values.
// Indices are bounded by the const generics. Loops over the registers of a microtile read best with the index in sight.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop, clippy::too_many_arguments)]

use super::element::Element;
use super::flash::{CHUNK, Tile};
use super::kv::KvKind;
use super::state::{round_to_pairs, softmax, state_len};
use crate::Level;
use crate::simd::{Kernel, Simd};
use std::marker::PhantomData;

/// Where the rows of a piece begin in the working memory.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub q: *const f32,
    pub scores: *mut f32,
    pub fades: *mut f32,
    pub states: *mut f32,
}

/// `n` rows of one head from row `first`, over `tokens` tokens from `start`.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub tile: &'a Tile<'a>,
    pub head: usize,
    pub first: usize,
    pub n: usize,
    pub start: usize,
    pub tokens: usize,
    pub at: At,
    /// Whether the values so far are still to be multiplied by `fades`: once per chunk.
    pub once: bool,
}

impl Piece<'_> {
    /// Tokens that any of the rows sees.
    #[inline(always)]
    fn tokens(&self) -> usize {
        self.tokens.min(self.tile.seen(self.first + self.n - 1).saturating_sub(self.start))
    }

    pub(super) unsafe fn scores<E: Element>(self, level: Level) {
        // SAFETY: the caller's.
        unsafe {
            match self.n {
                1 => E::dispatch(level, Scores::<E, 1>(self, PhantomData)),
                2 => E::dispatch(level, Scores::<E, 2>(self, PhantomData)),
                4 => E::dispatch(level, Scores::<E, 4>(self, PhantomData)),
                _ => E::dispatch(level, Scores::<E, 8>(self, PhantomData)),
            }
        }
    }

    pub(super) unsafe fn values<E: Element>(self, level: Level) {
        // SAFETY: the caller's.
        unsafe {
            match self.n {
                1 => E::dispatch(level, Values::<E, 1>(self, PhantomData)),
                2 => E::dispatch(level, Values::<E, 2>(self, PhantomData)),
                4 => E::dispatch(level, Values::<E, 4>(self, PhantomData)),
                _ => E::dispatch(level, Values::<E, 8>(self, PhantomData)),
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

/// [`softmax`] for each row, its weights rounded where the cache is bf16.
pub(super) struct Softmax<'a>(pub Piece<'a>);

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
                let scores = p.at.scores.add(r * CHUNK);
                p.at.fades.add(r).write(softmax::<S>(scores, seen, tokens, state));
                if p.tile.layout.kind == KvKind::Bf16 {
                    round_to_pairs(scores, tokens);
                }
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

impl Tile<'_> {
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
        let (size, words) = (self.layout.block_size, self.words());
        let mut t = 0;
        while t < tokens {
            // SAFETY: `t + 16 <= CHUNK`, and blocks hold a multiple of 16 tokens, so the vectors stay in the block.
            unsafe {
                let offset = (start + t) % size;
                let section = self.block(start + t, self.layout.key_at(head));
                let wide = S::LANES == 16 && tokens - t > 16 && offset + 32 <= size;
                if wide {
                    dots::<S, E, R, 2>(section, size, words, offset, q, scores.add(t));
                    t += 32;
                } else if S::LANES == 8 && R <= 2 && tokens - t > 16 && offset + 32 <= size {
                    dots::<S, E, R, 4>(section, size, words, offset, q, scores.add(t));
                    t += 32;
                } else if S::LANES == 16 {
                    dots::<S, E, R, 1>(section, size, words, offset, q, scores.add(t));
                    t += 16;
                } else {
                    dots::<S, E, R, 2>(section, size, words, offset, q, scores.add(t));
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
                let mut i = 0;
                while i < n {
                    let at = (offset + i) / E::STEP * padded + column;
                    let mut value = [E::load::<S>(section, at); V];
                    for v in 1..V {
                        value[v] = E::load::<S>(section, at + v * S::LANES);
                    }
                    if n - i < E::STEP {
                        // Nobody has written the other half yet.
                        value = value.map(|v| E::first::<S>(v));
                    }
                    for r in 0..R {
                        let weight = E::splat::<S>(p.add(r * CHUNK + t + i));
                        for v in 0..V {
                            acc[r][v] = E::mul_add::<S>(weight, value[v], acc[r][v]);
                        }
                    }
                    i += E::STEP;
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

/// `V` vectors of scores for each of `R` rows.
#[inline(always)]
unsafe fn dots<S: Simd, E: Element, const R: usize, const V: usize>(
    section: *const u8,
    size: usize,
    words: usize,
    offset: usize,
    q: *const f32,
    scores: *mut f32,
) {
    // SAFETY: as for `scores`.
    unsafe {
        let mut acc = [[S::splat(0.0); V]; R];
        for w in 0..words {
            let mut key = [E::load::<S>(section, w * size + offset); V];
            for v in 1..V {
                key[v] = E::load::<S>(section, w * size + offset + v * S::LANES);
            }
            for r in 0..R {
                let x = E::splat::<S>(q.add(w * R + r));
                for v in 0..V {
                    acc[r][v] = E::mul_add::<S>(x, key[v], acc[r][v]);
                }
            }
        }
        for v in 0..V {
            let scale = if E::SCALED {
                S::load(section.add(words * size).cast::<f32>().add(offset + v * S::LANES))
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
