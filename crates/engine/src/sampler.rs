//! The choice of the next token over raw logits: exact, seeded per request, and the same for every runtime.
//!
//! Order: repetition, frequency and presence penalties, bias, grammar, temperature, top-k, top-p, min-p, draw.
//! Log-probabilities are natural and taken from the raw distribution, before any of these.

use std::collections::HashMap;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::{contract::Sampling, grammar::Constraint};

/// A chosen token.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// Its id.
    pub id: u32,
    /// Natural logarithm of its raw probability; 0 when the job asked for no log-probabilities.
    pub logprob: f32,
    /// The likeliest tokens and their log-probabilities, best first; at most 20.
    pub top: Vec<(u32, f32)>,
    /// The answer's grammar is complete with this token: nothing may follow.
    pub last: bool,
}

/// The state of one job's choices.
#[derive(Debug)]
pub struct Sampler {
    settings: Sampling,
    logprobs: Option<u8>,
    rng: ChaCha8Rng,
    /// How often each token occurred in the answer so far.
    counts: HashMap<u32, u32>,
    /// Tokens of the prompt, for the repetition penalty only.
    prompt: Vec<u32>,
    /// Tokens that may not be chosen (end-of-sequence under `ignore_eos`).
    banned: Vec<u32>,
    /// The form that the answer is held to.
    constraint: Option<Constraint>,
}

impl Sampler {
    /// A sampler for one job. `settings` is complete: what the client left out holds the model's defaults already.
    /// Without a seed the choice is seeded from the operating system's randomness.
    #[must_use]
    pub fn new(settings: Sampling, logprobs: Option<u8>, prompt: &[u32], banned: Vec<u32>) -> Self {
        let rng = match settings.seed {
            Some(seed) => ChaCha8Rng::seed_from_u64(seed as u64),
            None => ChaCha8Rng::from_seed(rand::random()),
        };
        let penal = settings.repetition_penalty.is_some_and(|r| r != 1.0);
        let mut prompt = if penal { prompt.to_vec() } else { Vec::new() };
        prompt.sort_unstable();
        prompt.dedup();
        Self { settings, logprobs, rng, counts: HashMap::new(), prompt, banned, constraint: None }
    }

    /// The same sampler, held to a grammar.
    #[must_use]
    pub fn held_to(mut self, constraint: Option<Constraint>) -> Self {
        self.constraint = constraint;
        self
    }

    /// Chooses the next token from `logits` (one per vocabulary entry; changed in place) and remembers it.
    /// `None` for empty logits, and when the grammar cannot go on (its [`Constraint::failure`] says why).
    pub fn choose(&mut self, logits: &mut [f32]) -> Option<Sampled> {
        let raw = self.logprobs.map(|n| Raw::take(logits, usize::from(n)));
        self.shape(logits);
        if !self.constraint.as_mut().is_none_or(|c| c.mask(logits)) {
            return None;
        }
        let id = match self.settings.temperature.unwrap_or(1.0) {
            t if t <= 0.0 || self.settings.top_k == Some(1) => argmax(logits)?,
            t => self.draw(logits, t)?,
        };
        *self.counts.entry(id).or_insert(0) += 1;
        let last = match &mut self.constraint {
            Some(constraint) => constraint.commit(id)?,
            None => false,
        };
        Some(match raw {
            Some(raw) => Sampled { id, logprob: raw.logprob(id), top: raw.top, last },
            None => Sampled { id, logprob: 0.0, top: Vec::new(), last },
        })
    }

    fn shape(&self, logits: &mut [f32]) {
        let s = &self.settings;
        if let Some(r) = s.repetition_penalty.filter(|r| *r != 1.0 && *r > 0.0) {
            let seen = self.prompt.iter().chain(self.counts.keys().filter(|id| self.prompt.binary_search(id).is_err()));
            for id in seen {
                if let Some(l) = logits.get_mut(*id as usize) {
                    *l = if *l > 0.0 { *l / r } else { *l * r };
                }
            }
        }
        let (freq, pres) = (s.frequency_penalty.unwrap_or(0.0), s.presence_penalty.unwrap_or(0.0));
        if freq != 0.0 || pres != 0.0 {
            for (id, n) in &self.counts {
                if let Some(l) = logits.get_mut(*id as usize) {
                    *l -= freq * *n as f32 + pres;
                }
            }
        }
        for (id, bias) in &s.logit_bias {
            if let Some(l) = logits.get_mut(*id as usize) {
                *l += bias;
            }
        }
        for id in &self.banned {
            if let Some(l) = logits.get_mut(*id as usize) {
                *l = f32::NEG_INFINITY;
            }
        }
    }

    fn draw(&mut self, logits: &[f32], temperature: f32) -> Option<u32> {
        let max = maxima(logits).into_iter().fold(f32::NEG_INFINITY, f32::max);
        if !max.is_finite() {
            return argmax(logits);
        }
        let weight = |l: f32| f64::from((l - max) / temperature).exp();
        let top_k = self.settings.top_k.filter(|k| *k > 0).map_or(logits.len(), |k| k as usize);
        let top_p = self.settings.top_p.unwrap_or(1.0);
        let min_p = f64::from(self.settings.min_p.unwrap_or(0.0));
        let unit = (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;

        if top_k >= logits.len() && top_p >= 1.0 && min_p <= 0.0 {
            let total: f64 = logits.iter().map(|l| weight(*l)).sum();
            return pick(logits.iter().enumerate().map(|(i, l)| (i as u32, weight(*l))), unit * total);
        }
        let candidates = self.nucleus(logits, top_k, f64::from(top_p), min_p, &weight);
        let total: f64 = candidates.iter().map(|c| c.1).sum();
        pick(candidates.into_iter(), unit * total)
    }

    /// The tokens that survive top-k, top-p and min-p with their weights (1 for the likeliest), best first.
    /// Sorts only as many as it needs: a first guess of 256, then 16 times as many.
    fn nucleus(
        &self,
        logits: &[f32],
        top_k: usize,
        top_p: f64,
        min_p: f64,
        weight: &impl Fn(f32) -> f64,
    ) -> Vec<(u32, f64)> {
        let all: f64 = if top_k >= logits.len() { logits.iter().map(|l| weight(*l)).sum() } else { 0.0 };
        let mut take = top_k.min(256);
        loop {
            take = take.min(logits.len());
            let head = likeliest(logits, take);
            let mut kept: Vec<(u32, f64)> =
                head.into_iter().map(|(id, l)| (id, weight(l))).filter(|c| c.1 > 0.0 && c.1 >= min_p).collect();
            let whole = take >= top_k.min(logits.len());
            let total = if top_k >= logits.len() { all } else { kept.iter().map(|c| c.1).sum() };
            let mut sum = 0.0;
            let reached = kept.iter().position(|c| {
                sum += c.1;
                sum >= top_p * total
            });
            match reached {
                Some(last) if whole || top_k >= logits.len() => {
                    kept.truncate(last + 1);
                    return kept;
                }
                _ if whole || kept.len() < take => return kept,
                _ => take = (take * 16).min(top_k),
            }
        }
    }
}

/// Logits whose largest is looked up at once.
const CHUNK: usize = 64;

/// The largest of each [`CHUNK`] logits; one pass that the compiler makes vectors of. NaN is never the largest.
fn maxima(logits: &[f32]) -> Vec<f32> {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let of = |chunk: &[f32]| {
        let mut lanes = [f32::NEG_INFINITY; 16];
        for part in chunk.chunks(16) {
            for (lane, l) in lanes.iter_mut().zip(part) {
                *lane = larger(*lane, *l);
            }
        }
        lanes.into_iter().fold(f32::NEG_INFINITY, larger)
    };
    logits.chunks(CHUNK).map(of).collect()
}

/// The `take` largest logits with their tokens, best first, of equals the first. The `take`-th largest of the chunks' maxima
/// is a bound that at least `take` logits reach: only chunks that reach it are looked into.
fn likeliest(logits: &[f32], take: usize) -> Vec<(u32, f32)> {
    let better = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let peaks = maxima(logits);
    let bound = if take < peaks.len() {
        let mut sorted = peaks.clone();
        let (_, bound, _) = sorted.select_nth_unstable_by(take.saturating_sub(1), |a, b| b.total_cmp(a));
        *bound
    } else {
        f32::NEG_INFINITY
    };
    let mut found: Vec<(u32, f32)> = Vec::with_capacity(2 * take);
    for (nth, (chunk, peak)) in logits.chunks(CHUNK).zip(&peaks).enumerate() {
        if *peak >= bound {
            let first = (nth * CHUNK) as u32;
            let reach = (first..).zip(chunk.iter().copied()).filter(|(_, l)| *l >= bound);
            found.extend(reach);
        }
    }
    if take < found.len() {
        found.select_nth_unstable_by(take, better);
        found.truncate(take);
    }
    found.sort_unstable_by(better);
    found
}

/// The raw distribution's normaliser, kept to name a log-probability after the logits were changed.
struct Raw {
    /// Raw logits of every token: needed because any token may be chosen.
    logits: Vec<f32>,
    lse: f64,
    top: Vec<(u32, f32)>,
}

impl Raw {
    fn take(logits: &[f32], n: usize) -> Self {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let lse = f64::from(max) + logits.iter().map(|l| f64::from(l - max).exp()).sum::<f64>().ln();
        let n = n.min(20).min(logits.len());
        let mut top: Vec<(u32, f32)> = Vec::with_capacity(n + 1);
        for (id, l) in logits.iter().enumerate() {
            if n == 0 || (top.len() == n && top.last().is_some_and(|t| t.1 >= *l)) {
                continue;
            }
            let place = top.partition_point(|t| t.1 >= *l);
            top.insert(place, (id as u32, *l));
            top.truncate(n);
        }
        for t in &mut top {
            t.1 = (f64::from(t.1) - lse) as f32;
        }
        Self { logits: logits.to_vec(), lse, top }
    }

    fn logprob(&self, id: u32) -> f32 {
        self.logits.get(id as usize).map_or(f32::NEG_INFINITY, |l| (f64::from(*l) - self.lse) as f32)
    }
}

/// The first of the largest.
fn argmax(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(usize, f32)> = None;
    for (nth, peak) in maxima(logits).into_iter().enumerate() {
        if best.is_none_or(|b| peak > b.1) {
            best = Some((nth, peak));
        }
    }
    let (nth, peak) = best?;
    let at = logits.chunks(CHUNK).nth(nth)?.iter().position(|l| *l == peak);
    Some((nth * CHUNK + at.unwrap_or(0)) as u32)
}

fn pick(weights: impl Iterator<Item = (u32, f64)>, mut target: f64) -> Option<u32> {
    let mut last = None;
    for (id, w) in weights {
        if w > 0.0 {
            last = Some(id);
            if target < w {
                break;
            }
            target -= w;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(s: Sampling) -> Sampler {
        Sampler::new(s, Some(5), &[], Vec::new())
    }

    #[test]
    fn greedy_takes_the_first_largest_and_logprobs_are_natural_and_raw() {
        let mut s = sampler(Sampling { temperature: Some(0.0), ..Sampling::default() });
        let mut l = vec![1.0f32, 3.0, 3.0, 0.0];
        let got = s.choose(&mut l).unwrap();
        assert_eq!(got.id, 1);
        let z: f64 = [1.0f64, 3.0, 3.0, 0.0].iter().map(|x| x.exp()).sum();
        assert!((f64::from(got.logprob) - (3.0 - z.ln())).abs() < 1e-6);
        assert_eq!(got.top.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 2, 0, 3]);
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens_and_another_gives_others() {
        let run = |seed| {
            let mut s = sampler(Sampling { seed: Some(seed), ..Sampling::default() });
            (0..40).map(|i| s.choose(&mut [0.1, 0.2, f32::from(i as u8) * 0.01, 0.4]).unwrap().id).collect::<Vec<_>>()
        };
        assert_eq!(run(-1), run(-1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn draws_follow_the_distribution() {
        let mut s = sampler(Sampling { seed: Some(3), ..Sampling::default() });
        let p = [0.5f32, 0.3, 0.2];
        let mut n = [0u32; 3];
        for _ in 0..20_000 {
            let mut l: Vec<f32> = p.iter().map(|x| x.ln()).collect();
            n[s.choose(&mut l).unwrap().id as usize] += 1;
        }
        for (n, p) in n.iter().zip(p) {
            assert!((*n as f32 / 20_000.0 - p).abs() < 0.015, "{n} against {p}");
        }
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_it_also_beyond_the_first_guess() {
        let mut s = sampler(Sampling { top_p: Some(0.6), seed: Some(1), ..Sampling::default() });
        for _ in 0..200 {
            let mut l: Vec<f32> = [0.5f32, 0.3, 0.2].iter().map(|x| x.ln()).collect();
            assert!(s.choose(&mut l).unwrap().id < 2);
        }
        // Equal weights: 60 % of 10,000 tokens, far more than the first 256.
        let mut seen = 0u32;
        for _ in 0..500 {
            let id = s.choose(&mut vec![0.0f32; 10_000]).unwrap().id;
            assert!(id < 6001);
            seen = seen.max(id);
        }
        assert!(seen > 4000);
    }

    #[test]
    fn top_k_min_p_penalties_bias_and_bans() {
        let mut s = sampler(Sampling { top_k: Some(2), seed: Some(1), ..Sampling::default() });
        for _ in 0..100 {
            assert!(s.choose(&mut [1.0, 1.1, 0.9]).unwrap().id < 2);
        }
        let mut s = sampler(Sampling { min_p: Some(0.5), seed: Some(1), ..Sampling::default() });
        for _ in 0..100 {
            assert_eq!(s.choose(&mut [0.0, 2.0, 0.1]).unwrap().id, 1);
        }
        let zero = || Sampling { temperature: Some(0.0), ..Sampling::default() };
        let mut s = sampler(Sampling { presence_penalty: Some(1.0), ..zero() });
        assert_eq!([s.choose(&mut [1.0, 0.5]).unwrap().id, s.choose(&mut [1.0, 0.5]).unwrap().id], [0, 1]);
        let mut s = sampler(Sampling { logit_bias: vec![(1, 100.0)], ..zero() });
        assert_eq!(s.choose(&mut [1.0, 0.5]).unwrap().id, 1);
        let mut s = Sampler::new(zero(), None, &[], vec![0]);
        assert_eq!(s.choose(&mut [1.0, 0.5]).unwrap().id, 1);
        let mut s = Sampler::new(Sampling { repetition_penalty: Some(4.0), ..zero() }, None, &[0], vec![]);
        assert_eq!(s.choose(&mut [1.0, 0.5]).unwrap().id, 1);
    }

    /// Against a sort of everything, with many equals.
    #[test]
    fn the_likeliest_are_those_of_a_whole_sort() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for n in [1usize, 2, 63, 64, 65, 1000, 20_000] {
            let logits: Vec<f32> = (0..n).map(|_| (rng.next_u32() % 500) as f32 * 0.25 - 60.0).collect();
            let mut all: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            assert_eq!(argmax(&logits), Some(all[0].0));
            for take in [1usize, 2, 20, 256, 4096, n] {
                let take = take.min(n);
                assert_eq!(likeliest(&logits, take), all[..take], "{take} of {n}");
            }
        }
        assert_eq!(argmax(&[]), None);
        assert_eq!(argmax(&[f32::NEG_INFINITY; 3]), Some(0));
    }
}
