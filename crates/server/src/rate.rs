//! `x-ratelimit-*`: how much the engine takes at once and what is free of it.
//!
//! Requests: the jobs that can run and wait together. Tokens: each of these may fill the model's context, so the limit
//! is their number times the context. Reset: the time until the jobs that are there now are done, by the mean time of
//! the last requests. An engine that does not know its capacity (another server) sends no such headers.

use std::{sync::atomic::Ordering, time::Instant};

use actix_web::web;

use crate::State;

/// The headers' names.
pub const NAMES: [&str; 6] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

/// The headers as they are now.
pub fn headers(state: &State) -> Vec<(&'static str, String)> {
    let load = state.engine.load();
    let Some(capacity) = load.capacity else { return Vec::new() };
    let busy = load.running.saturating_add(load.waiting);
    let free = u64::from(capacity.saturating_sub(busy));
    let context = state.engine.models().iter().map(|m| u64::from(m.context_length)).max().unwrap_or(0);
    let rounds = u64::from(busy).div_ceil(u64::from(load.running.max(1)));
    let reset = duration(rounds * state.pace.load(Ordering::Relaxed));
    let values = [
        capacity.to_string(),
        free.to_string(),
        reset.clone(),
        (u64::from(capacity) * context).to_string(),
        (free * context).to_string(),
        reset,
    ];
    NAMES.into_iter().zip(values).collect()
}

/// As OpenAI writes it: `120ms`, `1s`, `6m0s`.
fn duration(ms: u64) -> String {
    match ms {
        0 => "0s".to_owned(),
        1..1000 => format!("{ms}ms"),
        1000..60_000 => format!("{}s", ms.div_ceil(1000)),
        _ => format!("{}m{}s", ms / 60_000, ms / 1000 % 60),
    }
}

/// Measures one request's time, to its drop; until then batches wait.
pub struct Stopwatch {
    state: web::Data<State>,
    began: Instant,
}

impl Stopwatch {
    /// Now.
    pub fn start(state: &web::Data<State>) -> Self {
        state.batches.enter();
        Self { state: state.clone(), began: Instant::now() }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        self.state.batches.leave();
        let took = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let _ = self.state.pace.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |mean| {
            Some(if mean == 0 { took } else { mean - mean / 8 + took / 8 })
        });
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_written_as_openai_does() {
        let all = [0, 120, 1000, 1001, 360_000, 61_000].map(duration);
        assert_eq!(all, ["0s", "120ms", "1s", "2s", "6m0s", "1m1s"]);
    }
}
