//! The engine thread: takes jobs, lets the scheduler plan, computes, chooses tokens, and survives what goes wrong in a step.

mod encode;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use super::{
    job::Job,
    kv::{BLOCK, Embeddings, Keys, Store},
    model::Model,
    options::NativeOptions,
    pace::Pace,
    scheduler::{Limits, Plan, Scheduler, SeqId},
    status::Status,
    text::{Room, Segment, Wanted},
    vision::Encoding,
};
use crate::{contract::EngineError, runtime::Step};

/// What is said to the engine thread.
pub enum Command {
    /// Compute a job.
    Start(Box<Job>),
    /// Panic in the next step that has work; for tests of the recovery.
    Panic,
    /// End.
    Stop,
}

/// What the thread owns beside its state.
pub struct Engine {
    /// The weights, shared with whoever starts jobs.
    pub model: Arc<Model>,
    /// Settings.
    pub options: NativeOptions,
    /// KV blocks.
    pub blocks: u32,
    /// Makes the keys of tokens.
    pub keys: Keys,
    /// Counters.
    pub status: Arc<Status>,
    /// What is said.
    pub commands: Receiver<Command>,
}

/// What a panic throws away, but for the jobs in the queue.
struct State {
    scheduler: Scheduler,
    store: Store,
    embeddings: Embeddings,
    jobs: HashMap<SeqId, Job>,
    next: SeqId,
    encoding: Option<(super::layout::Span, Encoding)>,
    room: Room,
    pace: Pace,
    panic: bool,
}

impl State {
    fn new(engine: &Engine) -> Result<Self, String> {
        let limits = Limits { block: BLOCK, blocks: engine.blocks, running: engine.options.max_running.max(1) };
        let store = Store::new(
            engine.model.text.config(),
            engine.options.kv_kind(engine.model.pool.level()),
            engine.blocks as usize,
        )?;
        Ok(Self {
            scheduler: Scheduler::new(limits, engine.keys.clone()),
            store,
            embeddings: Embeddings::new(engine.options.embedding_bytes),
            jobs: HashMap::new(),
            next: 0,
            encoding: None,
            room: Room::default(),
            pace: Pace::new(engine.options.gap, engine.options.step_tokens),
            panic: false,
        })
    }

    fn add(&mut self, job: Job) {
        self.scheduler.add(self.next, job.layout.keys.clone());
        self.jobs.insert(self.next, job);
        self.next += 1;
    }
}

/// Whether the thread goes on.
enum Flow {
    Go,
    Stop,
}

impl Engine {
    /// Runs until it is told to stop. A panic in a step fails the jobs that were being computed, each with an error; those in
    /// the queue are served by a fresh state over the same weights.
    pub fn run(self) {
        let mut waiting: Vec<Job> = Vec::new();
        loop {
            let mut state = match State::new(&self) {
                Ok(state) => state,
                Err(message) => {
                    tracing::error!("the native engine cannot start: {message}");
                    for job in waiting.drain(..) {
                        self.status.waiting.fetch_sub(1, Relaxed);
                        let _ = job.steps.send(Step::Failed(EngineError::NotReady(message.clone())));
                    }
                    std::thread::sleep(Duration::from_secs(1));
                    continue;
                }
            };
            for job in waiting.drain(..) {
                state.add(job);
            }
            self.status.total.store(u64::from(self.blocks), Relaxed);
            self.status.ready.store(true, Relaxed);
            let outcome = catch_unwind(AssertUnwindSafe(|| self.serve(&mut state)));
            if outcome.is_ok() {
                return;
            }
            self.status.ready.store(false, Relaxed);
            self.status.restarts.fetch_add(1, Relaxed);
            let running: Vec<SeqId> = state.scheduler.running().collect();
            tracing::error!(
                "a step of the native engine panicked; {} jobs fail, the engine starts again",
                running.len()
            );
            for id in running {
                if let Some(job) = state.jobs.remove(&id) {
                    let _ = job.steps.send(Step::Failed(EngineError::Failed("a step of the engine panicked".into())));
                }
            }
            self.status.running.store(0, Relaxed);
            let mut rest: Vec<(SeqId, Job)> = state.jobs.drain().collect();
            rest.sort_by_key(|j| j.0);
            waiting = rest.into_iter().map(|j| j.1).collect();
        }
    }

    fn serve(&self, state: &mut State) {
        loop {
            if let Flow::Stop = self.listen(state) {
                return;
            }
            self.drop_gone(state);
            if !state.jobs.is_empty() {
                self.step(state);
            }
            self.count(state);
        }
    }

    fn count(&self, state: &State) {
        self.status.running.store(state.scheduler.running().count() as u32, Relaxed);
        self.status.free.store(state.scheduler.pool().free() as u64, Relaxed);
    }

    /// Takes what was said; waits for it where there is nothing to do.
    fn listen(&self, state: &mut State) -> Flow {
        let mut wait = state.jobs.is_empty();
        loop {
            let said = if wait {
                match self.commands.recv_timeout(Duration::from_secs(3600)) {
                    Ok(command) => command,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return Flow::Stop,
                }
            } else {
                match self.commands.try_recv() {
                    Ok(command) => command,
                    Err(TryRecvError::Empty) => return Flow::Go,
                    Err(TryRecvError::Disconnected) => return Flow::Stop,
                }
            };
            match said {
                Command::Start(job) => {
                    state.add(*job);
                    wait = false;
                }
                Command::Panic => state.panic = true,
                Command::Stop => return Flow::Stop,
            }
        }
    }

    /// Ends jobs that nobody listens to any more and those whose time is up: their blocks are free at once.
    fn drop_gone(&self, state: &mut State) {
        let now = Instant::now();
        let late = |job: &Job| job.deadline.is_some_and(|d| d <= now);
        let gone: Vec<SeqId> =
            state.jobs.iter().filter(|(_, j)| j.steps.is_closed() || late(j)).map(|(id, _)| *id).collect();
        for id in gone {
            self.end(state, id, |job| late(job).then_some(Step::Failed(EngineError::Deadline)));
        }
    }

    /// Removes a job, with a last word for it.
    fn end(&self, state: &mut State, id: SeqId, word: impl FnOnce(&Job) -> Option<Step>) {
        state.scheduler.remove(id);
        if let Some(job) = state.jobs.remove(&id) {
            if !job.seen {
                self.status.waiting.fetch_sub(1, Relaxed);
            }
            if let Some(step) = word(&job) {
                let _ = job.steps.send(step);
            }
        }
    }

    fn step(&self, state: &mut State) {
        let began = Instant::now();
        let State { scheduler, jobs, embeddings, pace, .. } = &mut *state;
        let plan = scheduler.plan(pace.budget(), |id, cached| {
            let Some(job) = jobs.get_mut(&id) else { return 0 };
            self.recall(job, cached, embeddings);
            job.ready(cached)
        });
        // Also where nothing can be computed yet, because a picture comes next: the next plan will not name them again.
        for (from, to) in &plan.copies {
            state.store.copy(*from, *to);
        }
        self.announce(state, &plan);
        self.count(state);
        if std::mem::take(&mut state.panic) {
            self.injected_panic();
        }
        let encoded = self.encode(state, if plan.work.is_empty() { self.options.gap } else { self.options.gap / 2 });
        if plan.work.is_empty() {
            state.scheduler.done(&plan);
            if !encoded {
                // Nothing can be done now; only a cancellation or a new job changes that.
                std::thread::sleep(Duration::from_millis(1));
            }
            self.status.stepped();
            return;
        }
        let computing = Instant::now();
        let logits = self.forward(state, &plan);
        state.scheduler.done(&plan);
        for work in &plan.work {
            if let Some(job) = state.jobs.get_mut(&work.seq) {
                job.forget(work.from + work.count);
            }
        }
        let tokens: usize = plan.work.iter().map(|w| w.count).sum();
        state.pace.measured(tokens, computing.elapsed());
        self.choose(state, &plan, logits);
        self.status.stepped();
        let decodes = plan.work.iter().filter(|w| w.chooses && w.count == 1).count();
        tracing::trace!(tokens, decodes, micros = began.elapsed().as_micros() as u64, "step");
    }

    #[allow(clippy::panic)]
    fn injected_panic(&self) {
        // Reached only by `Command::Panic`, which tests send.
        panic!("injected")
    }

    /// Tells jobs what the plan means to them.
    fn announce(&self, state: &mut State, plan: &Plan) {
        for (id, cached) in &plan.admitted {
            let Some(job) = state.jobs.get_mut(id).filter(|j| !j.seen) else { continue };
            job.seen = true;
            self.status.waiting.fetch_sub(1, Relaxed);
            self.status.prompt.fetch_add(job.layout.positions.len() as u64, Relaxed);
            self.status.prefix_hits.fetch_add(*cached as u64, Relaxed);
            let _ = job.steps.send(Step::Prefill { cached: *cached as u32 });
        }
        for id in &plan.outgrown {
            self.end(state, *id, |_| Some(Step::End));
        }
        for id in &plan.preempted {
            self.status.preemptions.fetch_add(1, Relaxed);
            let Some(job) = state.jobs.get(id) else { continue };
            tracing::debug!(job = %job.id, tokens = job.tokens.len(), "a job goes back to the queue: the KV cache is full");
        }
    }

    /// Computes the plan's tokens; rows of logits in the order of the work that chooses.
    fn forward(&self, state: &mut State, plan: &Plan) -> Vec<f32> {
        let segments: Vec<Segment<'_>> = plan
            .work
            .iter()
            .filter_map(|work| {
                let job = state.jobs.get(&work.seq)?;
                let range = work.from..work.from + work.count;
                Some(Segment {
                    tokens: job.tokens.get(range.clone())?,
                    start: work.from,
                    blocks: state.scheduler.blocks(work.seq),
                    positions: range.clone().map(|at| job.layout.position(at)).collect(),
                    visual: job.visual(&range),
                    logits: if work.chooses { Wanted::Last } else { Wanted::Nothing },
                })
            })
            .collect();
        self.model.text.forward(&self.model.pool, &mut state.store, &segments, &mut state.room, None)
    }

    /// Chooses a token for each sequence that is complete, and tells its job.
    fn choose(&self, state: &mut State, plan: &Plan, mut logits: Vec<f32>) {
        let vocab = self.model.config.text.vocab;
        let choosing = plan.work.iter().filter(|w| w.chooses);
        for (work, row) in choosing.zip(logits.chunks_exact_mut(vocab)) {
            let id = work.seq;
            let Some(job) = state.jobs.get_mut(&id) else { continue };
            let Some(sampled) = job.sampler.choose(row) else {
                self.end(state, id, |_| Some(Step::Failed(EngineError::Failed("no token can be chosen".into()))));
                continue;
            };
            let token = sampled.id;
            job.tokens.push(token);
            job.left = job.left.saturating_sub(1);
            self.status.generated.fetch_add(1, Relaxed);
            let last = sampled.last || job.left == 0 || self.options.eos.contains(&token);
            let heard = job.steps.send(Step::Token(sampled)).is_ok();
            if last || !heard {
                self.end(state, id, |_| Some(Step::End));
            } else {
                state.scheduler.push(id, Keys::token(token));
            }
        }
        state.room.recycle(logits);
    }
}
