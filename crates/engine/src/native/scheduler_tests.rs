//! Random arrivals, lengths, cancellations and tiny caches against a shadow of the cache's contents.

use std::collections::{BTreeMap, HashMap};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::*;

/// A job as the test knows it.
struct Job {
    keys: Vec<Key>,
    prompt: usize,
    answer: usize,
    /// Where pictures begin that are not encoded yet.
    unready: Vec<usize>,
    computed: usize,
    arrived: usize,
}

struct World {
    rng: ChaCha8Rng,
    limits: Limits,
    scheduler: Scheduler,
    /// What each place of each block holds: the sequence up to and with the token that was written there.
    shadow: HashMap<(BlockId, usize), Vec<Key>>,
    jobs: BTreeMap<SeqId, Job>,
    step: usize,
    next: SeqId,
    finished: usize,
    preempted: usize,
    hits: usize,
    copies: usize,
    worst: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let limits = Limits {
            block: 1 + (rng.next_u32() % 5) as usize,
            blocks: 3 + rng.next_u32() % 20,
            running: 1 + (rng.next_u32() % 6) as usize,
        };
        let scheduler = Scheduler::new(limits, Keys::default());
        Self {
            rng,
            limits,
            scheduler,
            shadow: HashMap::new(),
            jobs: BTreeMap::new(),
            step: 0,
            next: 0,
            finished: 0,
            preempted: 0,
            hits: 0,
            copies: 0,
            worst: 0,
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.rng.next_u32() as usize % n.max(1)
    }

    fn arrive(&mut self) {
        // Few different tokens and few different beginnings: prefixes are shared often.
        let most = self.scheduler.capacity();
        let prompt = 1 + self.below(most - 1);
        let answer = 1 + self.below((most - prompt).min(12));
        let style = self.below(3) as u32;
        let keys: Vec<Key> =
            (0..prompt).map(|i| Keys::token(if i < prompt * 2 / 3 { style } else { self.below(2) as u32 })).collect();
        let unready: Vec<usize> = if self.below(3) == 0 { vec![self.below(prompt)] } else { Vec::new() };
        self.scheduler.add(self.next, keys.clone());
        self.jobs.insert(self.next, Job { keys, prompt, answer, unready, computed: 0, arrived: self.step });
        self.next += 1;
    }

    fn end(&mut self, id: SeqId) {
        self.scheduler.remove(id);
        self.jobs.remove(&id);
    }

    fn go(&mut self) {
        self.step += 1;
        let jobs = &self.jobs;
        let budget = Budget { alone: 1 + self.step % 9, beside: 1 + self.step % 4 };
        let until = |id: SeqId, _| jobs[&id].unready.first().copied().unwrap_or(jobs[&id].keys.len());
        let plan = self.scheduler.plan(budget, until);
        assert!(plan.outgrown.is_empty(), "{plan:?}");
        for id in &plan.preempted {
            self.preempted += 1;
            self.jobs.get_mut(id).unwrap().computed = 0;
            // Older ones are never sent back for younger ones.
            assert!(self.scheduler.running().all(|r| r < *id) || plan.admitted.iter().any(|a| a.0 >= *id), "{plan:?}");
        }
        for (id, cached) in &plan.admitted {
            self.jobs.get_mut(id).unwrap().computed = *cached;
            self.hits += cached;
        }
        let block = self.limits.block;
        for (from, to) in &plan.copies {
            self.copies += 1;
            for place in 0..block {
                match self.shadow.get(&(*from, place)).cloned() {
                    Some(v) => self.shadow.insert((*to, place), v),
                    None => self.shadow.remove(&(*to, place)),
                };
            }
        }
        let (mut prefill, mut decodes) = (0, 0);
        for work in &plan.work {
            let job = &self.jobs[&work.seq];
            assert_eq!(work.from, job.computed);
            assert!(work.from + work.count <= job.unready.first().copied().unwrap_or(job.keys.len()));
            assert_eq!(work.chooses, work.from + work.count == job.keys.len());
            if job.keys.len() - work.from == 1 {
                decodes += 1
            } else {
                prefill += work.count
            }
            for at in work.from..work.from + work.count {
                let id = self.scheduler.blocks(work.seq)[at / block];
                assert_eq!(self.scheduler.pool().references(id), 1, "a shared block is written");
                self.shadow.insert((id, at % block), job.keys[..=at].to_vec());
            }
        }
        assert!(prefill <= if decodes > 0 { budget.alone.max(budget.beside) } else { budget.alone });
        self.scheduler.done(&plan);
        for work in &plan.work {
            let job = self.jobs.get_mut(&work.seq).unwrap();
            job.computed += work.count;
            if work.chooses {
                if job.keys.len() - job.prompt + 1 >= job.answer {
                    self.worst = self.worst.max(self.step - job.arrived);
                    self.finished += 1;
                    self.end(work.seq);
                } else {
                    let key = Keys::token(self.rng.next_u32() % 2);
                    job.keys.push(key);
                    self.scheduler.push(work.seq, key);
                }
            }
        }
        // One picture a step is encoded, for the oldest that runs.
        let running: Vec<SeqId> = self.scheduler.running().collect();
        if let Some(id) = running.iter().find(|id| !self.jobs[*id].unready.is_empty()) {
            let job = self.jobs.get_mut(id).unwrap();
            job.unready.clear();
            self.scheduler.set_ready(*id, job.keys.len());
        }
        self.check();
    }

    /// Every place before `computed` of every running sequence holds what that sequence needs there; every block is referred
    /// to by exactly the sequences that have it.
    fn check(&self) {
        self.scheduler.pool().check().unwrap();
        let mut references: HashMap<BlockId, u32> = HashMap::new();
        for id in self.scheduler.running() {
            let job = &self.jobs[&id];
            assert_eq!(job.computed, self.scheduler.computed(id));
            let blocks = self.scheduler.blocks(id);
            for b in blocks {
                *references.entry(*b).or_default() += 1;
            }
            for at in 0..job.computed {
                let place = (blocks[at / self.limits.block], at % self.limits.block);
                assert_eq!(self.shadow.get(&place).map(Vec::as_slice), Some(&job.keys[..=at]), "seq {id} at {at}");
            }
        }
        for b in 0..self.limits.blocks {
            assert_eq!(self.scheduler.pool().references(b), references.get(&b).copied().unwrap_or(0), "block {b}");
        }
        let all = self.scheduler.running().count() + self.scheduler.waiting();
        assert_eq!(all, self.jobs.len());
    }
}

#[test]
fn no_leak_no_double_free_nobody_starves_and_every_block_holds_what_its_readers_need() {
    let (mut finished, mut preempted, mut hits, mut copies) = (0, 0, 0, 0);
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..150 {
            while world.below(3) == 0 {
                world.arrive();
            }
            if world.below(12) == 0
                && let Some(id) = world.jobs.keys().nth(world.jobs.len() / 2).copied()
            {
                world.end(id);
                world.check();
            }
            world.go();
        }
        // Nothing new arrives: everyone comes to an end.
        for _ in 0..20_000 {
            if world.jobs.is_empty() {
                break;
            }
            world.go();
        }
        assert!(world.jobs.is_empty(), "seed {seed}: {} jobs are left", world.jobs.len());
        assert_eq!(world.scheduler.pool().free(), world.scheduler.pool().total());
        (finished, preempted) = (finished + world.finished, preempted + world.preempted);
        (hits, copies) = (hits + world.hits, copies + world.copies);
    }
    // The test means nothing unless all of it happened.
    assert!(
        finished > 5_000 && preempted > 500 && hits > 5_000 && copies > 500,
        "{finished} {preempted} {hits} {copies}"
    );
}

#[test]
fn the_oldest_always_advances_beside_a_stream_of_short_ones() {
    let limits = Limits { block: 4, blocks: 400, running: 64 };
    let mut s = Scheduler::new(limits, Keys::default());
    s.add(0, (0..800).map(Keys::token).collect());
    let mut steps = 0;
    for id in 1.. {
        s.add(id, vec![Keys::token(id as u32 + 10_000); 3]);
        let plan = s.plan(Budget { alone: 16, beside: 8 }, |_, _| usize::MAX);
        let oldest = plan.work.iter().find(|w| w.seq == 0).map_or(0, |w| w.count);
        assert!(oldest >= 4, "{plan:?}");
        s.done(&plan);
        steps += 1;
        for w in plan.work.iter().filter(|w| w.chooses) {
            if w.seq == 0 {
                assert!(steps <= 200);
                return;
            }
            s.remove(w.seq);
        }
    }
}

#[test]
fn a_sequence_that_outgrows_the_whole_cache_ends_and_one_that_never_fits_is_refused() {
    let mut s = Scheduler::new(Limits { block: 2, blocks: 2, running: 4 }, Keys::default());
    s.add(0, vec![Keys::token(1); 4]);
    s.add(1, vec![Keys::token(1); 3]);
    let budget = Budget { alone: 9, beside: 9 };
    let plan = s.plan(budget, |_, _| usize::MAX);
    assert_eq!((plan.outgrown.as_slice(), plan.work.len()), ([0].as_slice(), 1));
    s.done(&plan);
    s.push(1, Keys::token(2));
    let plan = s.plan(budget, |_, _| usize::MAX);
    assert_eq!(plan.work.len(), 1);
    s.done(&plan);
    s.push(1, Keys::token(2));
    let plan = s.plan(budget, |_, _| usize::MAX);
    assert_eq!(plan.outgrown, [1]);
    assert_eq!(s.pool().free(), 2);
}

#[test]
fn the_same_prompt_again_is_cached_but_for_its_last_token() {
    let mut s = Scheduler::new(Limits { block: 4, blocks: 16, running: 4 }, Keys::default());
    let prompt: Vec<Key> = (0..8).map(Keys::token).collect();
    let budget = Budget { alone: 99, beside: 99 };
    for (id, cached) in [(0, 0), (1, 7), (2, 7)] {
        s.add(id, prompt.clone());
        let plan = s.plan(budget, |_, _| usize::MAX);
        assert_eq!(plan.admitted, [(id, cached)]);
        assert_eq!(plan.copies.len(), usize::from(id > 0));
        s.done(&plan);
    }
    for id in 0..3 {
        s.remove(id);
    }
    assert_eq!(s.pool().free(), 16);
    // One more token than a block boundary, after everyone has gone.
    s.add(3, (0..9).map(Keys::token).collect());
    assert_eq!(s.plan(budget, |_, _| usize::MAX).admitted, [(3, 8)]);
}
