//! Which tokens of which sequences the next step computes: pure bookkeeping, apart from the model.
//!
//! Every running sequence that only lacks its newest token gets it in each step; what the budget leaves goes to prefills,
//! half to the oldest and the rest to the shortest, so that neither a long prompt nor a stream of short ones stops the other.
//! A sequence is admitted, oldest first, when the blocks of all its tokens are free; when a running one needs a block and
//! none is free, the youngest goes back to the queue and is computed again later. The oldest is never sent back for a
//! younger one, so everyone comes to an end.

use std::collections::BTreeMap;

use super::kv::{BlockId, Chain, Key, Keys, Pool};

/// A sequence's number; a smaller one arrived earlier.
pub type SeqId = u64;

/// Fixed limits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Tokens per block.
    pub block: usize,
    /// Blocks in all.
    pub blocks: u32,
    /// Sequences that run at once.
    pub running: usize,
}

/// Prefill tokens of one step.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Where no sequence waits for its next token; a quarter of it where several wait for their first, so that the first of
    /// them decode beside the prefills of the others.
    pub alone: usize,
    /// Beside sequences that do: bounds the time between their tokens.
    pub beside: usize,
}

/// What one step does: first sequences go back to the queue (and may be admitted again at once), then copies, then work.
#[derive(Debug, Default)]
pub struct Plan {
    /// Sequences that left the queue now, with the tokens found in the cache.
    pub admitted: Vec<(SeqId, usize)>,
    /// Sequences that went back to the queue.
    pub preempted: Vec<SeqId>,
    /// Sequences that no longer fit the whole cache; they are gone.
    pub outgrown: Vec<SeqId>,
    /// Blocks to copy (from, to): copy on write of a block that another sequence began alike.
    pub copies: Vec<(BlockId, BlockId)>,
    /// What to compute.
    pub work: Vec<Work>,
}

/// Tokens `from..from + count` of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The sequence.
    pub seq: SeqId,
    /// First token.
    pub from: usize,
    /// Tokens.
    pub count: usize,
    /// Whether the last one is the sequence's newest, so that a token is chosen after it.
    pub chooses: bool,
}

#[derive(Debug, Default)]
struct Seq {
    keys: Vec<Key>,
    /// Tokens whose keys and values are in the cache.
    computed: usize,
    /// Tokens before this one may be computed; then comes a picture that is not encoded yet.
    ready: usize,
    blocks: Vec<BlockId>,
    /// Chains of the full blocks that are registered.
    chains: Vec<Chain>,
}

impl Seq {
    const fn pending(&self) -> usize {
        self.keys.len() - self.computed
    }

    fn chain(&self) -> Chain {
        self.chains.last().copied().unwrap_or(Chain::START)
    }
}

/// The sequences and the pool.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    keys: Keys,
    pool: Pool,
    waiting: BTreeMap<SeqId, Seq>,
    running: BTreeMap<SeqId, Seq>,
    /// Sources of this step's copies, kept from being reused before they are copied.
    held: Vec<BlockId>,
}

impl Scheduler {
    /// No sequences and an empty pool. `keys` must be the maker of all keys that come in.
    #[must_use]
    pub fn new(limits: Limits, keys: Keys) -> Self {
        let pool = Pool::new(limits.blocks);
        Self { limits, keys, pool, waiting: BTreeMap::new(), running: BTreeMap::new(), held: Vec::new() }
    }

    /// The pool, to look at.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Sequences that are admitted.
    #[must_use]
    pub fn running(&self) -> impl DoubleEndedIterator<Item = SeqId> + '_ {
        self.running.keys().copied()
    }

    /// Sequences in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Most tokens of one sequence: the whole pool.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pool.total() * self.limits.block
    }

    /// The tokens of a running sequence that are computed.
    #[must_use]
    pub fn computed(&self, id: SeqId) -> usize {
        self.running.get(&id).map_or(0, |s| s.computed)
    }

    /// The blocks of a running sequence.
    #[must_use]
    pub fn blocks(&self, id: SeqId) -> &[BlockId] {
        self.running.get(&id).map_or(&[], |s| &s.blocks)
    }

    /// Queues a sequence. One that does not fit the whole pool is reported as outgrown by the next plan.
    pub fn add(&mut self, id: SeqId, keys: Vec<Key>) {
        self.waiting.insert(id, Seq { ready: keys.len(), keys, ..Seq::default() });
    }

    /// Lets tokens before `until` be computed and none behind it.
    pub fn set_ready(&mut self, id: SeqId, until: usize) {
        if let Some(seq) = self.running.get_mut(&id) {
            seq.ready = until;
        }
    }

    /// The token that was chosen after all others.
    pub fn push(&mut self, id: SeqId, key: Key) {
        if let Some(seq) = self.running.get_mut(&id) {
            if seq.ready >= seq.keys.len() {
                seq.ready = seq.keys.len() + 1;
            }
            seq.keys.push(key);
        }
    }

    /// Ends a sequence, wherever it is; its blocks are free at once.
    pub fn remove(&mut self, id: SeqId) {
        self.waiting.remove(&id);
        if let Some(seq) = self.running.remove(&id) {
            self.free(seq);
        }
    }

    /// Chooses the next step. `ready` is asked for each sequence that is admitted, with the tokens found in the cache,
    /// up to which token it can be computed (see [`Self::set_ready`]).
    pub fn plan(&mut self, budget: Budget, mut ready: impl FnMut(SeqId, usize) -> usize) -> Plan {
        let mut plan = Plan::default();
        self.unhold();
        self.plan_decodes(&mut plan);
        self.admit(&mut plan, &mut ready);
        self.plan_prefills(budget, &mut plan);
        plan
    }

    /// The plan's work was computed: its keys and values are in the blocks.
    pub fn done(&mut self, plan: &Plan) {
        self.unhold();
        for work in &plan.work {
            let Some(seq) = self.running.get_mut(&work.seq) else { continue };
            seq.computed = work.from + work.count;
            for nth in seq.chains.len()..seq.computed / self.limits.block {
                let keys = seq.keys.chunks(self.limits.block).nth(nth).unwrap_or_default();
                if let Some(block) = seq.blocks.get(nth) {
                    self.pool.register(*block, seq.chain(), keys);
                }
                seq.chains.push(self.keys.next(seq.chain(), keys));
            }
        }
    }

    fn unhold(&mut self) {
        for block in std::mem::take(&mut self.held) {
            self.pool.release(block);
        }
    }

    /// Gives a sequence's blocks back, the last first, so that the beginning stays in the cache longest.
    fn free(&mut self, seq: Seq) {
        let full = seq.computed / self.limits.block;
        let rest = seq.keys.get(full * self.limits.block..seq.computed).unwrap_or_default();
        if let Some(block) = seq.blocks.get(full).filter(|_| seq.chains.len() == full) {
            self.pool.register(*block, seq.chain(), rest);
        }
        for block in seq.blocks.into_iter().rev() {
            self.pool.release(block);
        }
    }

    fn preempt(&mut self, id: SeqId, plan: &mut Plan) {
        let Some(seq) = self.running.remove(&id) else { return };
        let keys = seq.keys.clone();
        self.free(seq);
        self.add(id, keys);
        plan.preempted.push(id);
    }

    fn plan_decodes(&mut self, plan: &mut Plan) {
        let ids: Vec<SeqId> = self.running.keys().copied().collect();
        for id in ids {
            let Some(seq) = self.running.get(&id) else { continue };
            if seq.pending() != 1 || seq.ready <= seq.computed {
                continue;
            }
            let from = seq.computed;
            if self.grow(id, plan) {
                plan.work.push(Work { seq: id, from, count: 1, chooses: true });
            }
        }
    }

    /// Makes room for all tokens of a running sequence, at the expense of the youngest ones.
    fn grow(&mut self, id: SeqId, plan: &mut Plan) -> bool {
        loop {
            let Some(seq) = self.running.get_mut(&id) else { return false };
            if seq.keys.len() <= seq.blocks.len() * self.limits.block {
                return true;
            }
            if let Some(block) = self.pool.take() {
                seq.blocks.push(block);
                continue;
            }
            if self.running.len() == 1 {
                self.remove(id);
                plan.outgrown.push(id);
                return false;
            }
            let Some(youngest) = self.running.keys().next_back().copied() else { return false };
            self.preempt(youngest, plan);
        }
    }

    fn admit(&mut self, plan: &mut Plan, ready: &mut impl FnMut(SeqId, usize) -> usize) {
        while self.running.len() < self.limits.running {
            let Some((id, mut seq)) = self.waiting.pop_first() else { return };
            let needed = (seq.keys.len() + 1).div_ceil(self.limits.block);
            if needed > self.pool.total() {
                plan.outgrown.push(id);
                continue;
            }
            if !self.allocate(&mut seq, needed, plan) {
                self.waiting.insert(id, seq);
                return;
            }
            plan.admitted.push((id, seq.computed));
            seq.ready = ready(id, seq.computed);
            self.running.insert(id, seq);
        }
    }

    /// Takes what the cache has of the sequence and blocks for the rest. Each running sequence may need a block soon:
    /// that many stay free, so that an admission is not followed by its preemption.
    fn allocate(&mut self, seq: &mut Seq, needed: usize, plan: &mut Plan) -> bool {
        let (shared, chains) = self.cached(&seq.keys);
        let idle = |pool: &Pool, id: BlockId| usize::from(pool.references(id) == 0);
        let from_cache: usize = shared.iter().map(|id| idle(&self.pool, *id)).sum();
        let new = needed - shared.len();
        let free = self.pool.free() - from_cache;
        if new + self.running.len() > free {
            return false;
        }
        for id in &shared {
            self.pool.share(*id);
        }
        let at = shared.len() * self.limits.block;
        // At least one token is always computed: its logits are needed.
        let rest = seq.keys.get(at..seq.keys.len() - 1).unwrap_or_default();
        let parent = chains.last().copied().unwrap_or(Chain::START);
        let partial = self.pool.find(parent, rest, rest.len().min(self.limits.block));
        let partial = partial.filter(|(id, _)| new + self.running.len() + idle(&self.pool, *id) <= free);
        if let Some((from, _)) = partial {
            self.pool.share(from);
            self.held.push(from);
        }
        seq.computed = at;
        (seq.blocks, seq.chains) = (shared, chains);
        for _ in 0..new {
            let Some(block) = self.pool.take() else { break };
            seq.blocks.push(block);
        }
        if let (Some((from, same)), Some(to)) = (partial, seq.blocks.get(at / self.limits.block)) {
            plan.copies.push((from, *to));
            seq.computed += same;
        }
        true
    }

    /// The full blocks in the cache that hold the sequence's beginning, without its last token.
    fn cached(&self, keys: &[Key]) -> (Vec<BlockId>, Vec<Chain>) {
        let (mut blocks, mut chains) = (Vec::new(), Vec::new());
        let mut parent = Chain::START;
        let usable = keys.get(..keys.len().saturating_sub(1)).unwrap_or_default();
        for keys in usable.chunks_exact(self.limits.block) {
            match self.pool.find(parent, keys, keys.len()) {
                Some((id, same)) if same == keys.len() => {
                    parent = self.keys.next(parent, keys);
                    blocks.push(id);
                    chains.push(parent);
                }
                _ => break,
            }
        }
        (blocks, chains)
    }

    fn plan_prefills(&self, budget: Budget, plan: &mut Plan) {
        let mut open: Vec<(SeqId, usize, usize)> = self
            .running
            .iter()
            .filter(|(id, s)| s.pending() > 0 && s.ready > s.computed && !plan.work.iter().any(|w| w.seq == **id))
            .map(|(id, s)| (*id, s.computed, s.ready.min(s.keys.len()) - s.computed))
            .collect();
        // The oldest has half for certain; then the shortest first; what they leave is the oldest's again.
        let Some((_, _, oldest)) = open.first().copied() else { return };
        let mut left = match (plan.work.is_empty(), open.len()) {
            (true, 1) => budget.alone,
            (true, _) => budget.alone.div_ceil(4).max(budget.beside.min(budget.alone)),
            (false, _) => budget.beside,
        };
        let half = if open.len() == 1 { left } else { left.div_ceil(2) };
        let mut share = vec![0usize; open.len()];
        let mut give = |nth: usize, most: usize, left: &mut usize| {
            if let Some(s) = share.get_mut(nth) {
                let more = most.min(*left);
                *s += more;
                *left -= more;
            }
        };
        give(0, oldest.min(half), &mut left);
        let mut others: Vec<(usize, usize)> = open.iter().map(|o| o.2).enumerate().skip(1).collect();
        others.sort_by_key(|(_, pending)| *pending);
        for (nth, pending) in others {
            give(nth, pending, &mut left);
        }
        give(0, oldest.saturating_sub(half), &mut left);
        for ((seq, from, _), count) in open.drain(..).zip(share) {
            if count > 0 {
                let chooses = self.running.get(&seq).is_some_and(|s| from + count == s.keys.len());
                plan.work.push(Work { seq, from, count, chooses });
            }
        }
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
