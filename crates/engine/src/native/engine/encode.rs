//! Pictures in the engine: found in the cache, or encoded a block of the tower at a time.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::{
    super::{job::Job, kv::Embeddings, layout::Span, scheduler::SeqId},
    Engine, State,
};
use crate::{contract::EngineError, runtime::Step};

/// Rows that a job's encoded pictures may be ahead of its prefill: a prompt of many pictures would hold gigabytes.
const AHEAD: usize = 8192;

impl Engine {
    /// Looks for a job's pictures in the embedding cache.
    pub(super) fn recall(&self, job: &mut Job, cached: usize, embeddings: &mut Embeddings) {
        for (span, slot) in job.layout.spans.iter().zip(&mut job.embeddings) {
            if slot.is_none() && span.start + span.len > cached {
                *slot = embeddings.get(&span.frames);
                if slot.is_some() {
                    self.status.embedding_hits.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// Encodes the picture that the oldest running job waits for, for about as long as it may take; whether it did anything.
    pub(super) fn encode(&self, state: &mut State, time: Duration) -> bool {
        let began = Instant::now();
        let mut did = false;
        loop {
            let wanted = |state: &State, span: Option<&Span>| {
                state.scheduler.running().find_map(|id| {
                    let job = state.jobs.get(&id)?;
                    let computed = state.scheduler.computed(id);
                    let nth = job.missing(computed).filter(|_| job.ahead(computed) < AHEAD)?;
                    let missing = job.layout.spans.get(nth)?;
                    span.is_none_or(|s| s.frames == missing.frames).then(|| missing.clone())
                })
            };
            // One that nobody waits for any more is given up.
            let current = state.encoding.take().filter(|(span, _)| wanted(state, Some(span)).is_some());
            let begun = match current {
                Some(current) => Ok(current),
                None => {
                    let Some(span) = wanted(state, None) else { return did };
                    let begun = self.model.tower.begin(&self.model.pool, &self.model.spec, &span.pair);
                    begun.map(|encoding| (span.clone(), encoding)).map_err(|message| (span, message))
                }
            };
            let advanced = begun.and_then(|(span, mut encoding)| {
                match self.model.tower.advance(&self.model.pool, &mut encoding) {
                    Ok(done) => Ok((span, encoding, done)),
                    Err(message) => Err((span, message)),
                }
            });
            match advanced {
                Ok((span, encoding, None)) => state.encoding = Some((span, encoding)),
                Ok((span, _, Some(embedding))) => {
                    let embedding = Arc::new(embedding);
                    state.embeddings.put(span.frames, Arc::clone(&embedding));
                    for (id, job) in &mut state.jobs {
                        if job.seen && job.take(&span.frames, &embedding) {
                            state.scheduler.set_ready(*id, job.ready(state.scheduler.computed(*id)));
                        }
                    }
                }
                Err((span, message)) => {
                    let hit: Vec<SeqId> =
                        state.jobs.iter().filter(|(_, j)| j.waits_for(&span.frames)).map(|j| *j.0).collect();
                    for id in hit {
                        self.end(state, id, |_| Some(Step::Failed(EngineError::Failed(message.clone()))));
                    }
                }
            }
            did = true;
            if began.elapsed() >= time {
                return true;
            }
        }
    }
}
