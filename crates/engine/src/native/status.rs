//! What the engine thread tells the outside while it runs.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use crate::contract::Load;

/// Counters, written by the engine thread and read by probes.
#[derive(Debug)]
pub struct Status {
    born: Instant,
    /// Whether jobs are taken.
    pub ready: AtomicBool,
    /// Jobs that are admitted.
    pub running: AtomicU32,
    /// Jobs accepted and not admitted; raised by whoever hands a job in.
    pub waiting: AtomicU32,
    /// Free KV blocks.
    pub free: AtomicU64,
    /// KV blocks in all.
    pub total: AtomicU64,
    /// Milliseconds from birth to the last step's end.
    last_step: AtomicU64,
    /// Times that the engine was started again.
    pub restarts: AtomicU64,
    /// Prompt tokens found in the cache.
    pub prefix_hits: AtomicU64,
    /// Prompt tokens.
    pub prompt: AtomicU64,
    /// Answer tokens.
    pub generated: AtomicU64,
    /// Pictures found in the embedding cache.
    pub embedding_hits: AtomicU64,
    /// Times that a job went back to the queue.
    pub preemptions: AtomicU64,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            ready: AtomicBool::new(true),
            running: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            free: AtomicU64::new(0),
            total: AtomicU64::new(0),
            last_step: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            prefix_hits: AtomicU64::new(0),
            prompt: AtomicU64::new(0),
            generated: AtomicU64::new(0),
            embedding_hits: AtomicU64::new(0),
            preemptions: AtomicU64::new(0),
        }
    }
}

impl Status {
    /// A step has ended.
    pub fn stepped(&self) {
        self.last_step.store(self.born.elapsed().as_millis() as u64, Relaxed);
    }

    /// All of it.
    pub fn load(&self) -> Load {
        let last = Duration::from_millis(self.last_step.load(Relaxed));
        Load {
            ready: self.ready.load(Relaxed),
            running: self.running.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            free_kv_blocks: Some(self.free.load(Relaxed)),
            total_kv_blocks: Some(self.total.load(Relaxed)),
            last_step_age: Some(self.born.elapsed().saturating_sub(last)),
            restarts: self.restarts.load(Relaxed),
            prefix_hit_tokens: self.prefix_hits.load(Relaxed),
            prompt_tokens: self.prompt.load(Relaxed),
            generated_tokens: self.generated.load(Relaxed),
            embedding_hits: self.embedding_hits.load(Relaxed),
            ..Load::default()
        }
    }
}
