//! The block pool: reference counts, and an index of what free and shared blocks hold.
//!
//! A block that nobody refers to stays in a list, oldest first, with what it holds until it is needed for something else:
//! the list is the prefix cache, bounded by the pool's bytes, and its order is least recently used.

use std::collections::HashMap;

use super::key::{Chain, Key};

/// A block's number.
pub type BlockId = u32;

const NONE: u32 = u32::MAX;

/// The blocks of a cache.
#[derive(Debug)]
pub struct Pool {
    blocks: Vec<Block>,
    /// Ends of the list of blocks that nobody refers to.
    first: u32,
    last: u32,
    free: usize,
    /// Blocks by what stands before them.
    index: HashMap<Chain, Vec<BlockId>>,
}

#[derive(Debug)]
struct Block {
    references: u32,
    before: u32,
    after: u32,
    content: Option<Content>,
}

/// What a block holds; fewer keys than a block has places where a sequence ended inside it.
#[derive(Debug)]
struct Content {
    parent: Chain,
    keys: Box<[Key]>,
}

impl Pool {
    /// A pool of free blocks.
    #[must_use]
    pub fn new(blocks: u32) -> Self {
        let mut pool = Self { blocks: Vec::new(), first: NONE, last: NONE, free: 0, index: HashMap::new() };
        for id in 0..blocks.min(NONE - 1) {
            pool.blocks.push(Block { references: 0, before: NONE, after: NONE, content: None });
            pool.append(id);
        }
        pool
    }

    /// Blocks that nobody refers to, those with cached content among them.
    #[must_use]
    pub const fn free(&self) -> usize {
        self.free
    }

    /// All blocks.
    #[must_use]
    pub fn total(&self) -> usize {
        self.blocks.len()
    }

    /// How many refer to a block.
    #[must_use]
    pub fn references(&self, id: BlockId) -> u32 {
        self.block(id).map_or(0, |b| b.references)
    }

    fn block(&self, id: BlockId) -> Option<&Block> {
        self.blocks.get(id as usize)
    }

    fn block_mut(&mut self, id: BlockId) -> Option<&mut Block> {
        self.blocks.get_mut(id as usize)
    }

    fn link(&mut self, before: u32, after: u32) {
        match self.block_mut(before) {
            Some(b) => b.after = after,
            None => self.first = after,
        }
        match self.block_mut(after) {
            Some(b) => b.before = before,
            None => self.last = before,
        }
    }

    fn append(&mut self, id: BlockId) {
        self.link(self.last, id);
        self.link(id, NONE);
        self.free += 1;
    }

    fn prepend(&mut self, id: BlockId) {
        self.link(id, self.first);
        self.link(NONE, id);
        self.free += 1;
    }

    fn unlink(&mut self, id: BlockId) {
        let Some((before, after)) = self.block(id).map(|b| (b.before, b.after)) else { return };
        self.link(before, after);
        self.free -= 1;
    }

    /// A block to write to, referred to once; the least recently used content is forgotten for it.
    pub fn take(&mut self) -> Option<BlockId> {
        let id = self.first;
        self.block(id)?;
        self.unlink(id);
        self.forget(id);
        if let Some(b) = self.block_mut(id) {
            b.references = 1;
        }
        Some(id)
    }

    /// One more refers to the block.
    pub fn share(&mut self, id: BlockId) {
        if self.references(id) == 0 {
            self.unlink(id);
        }
        if let Some(b) = self.block_mut(id) {
            b.references += 1;
        }
    }

    /// One fewer refers to the block. The last one's leave puts it at the list's end, or at its head where it holds
    /// nothing that anybody could use.
    pub fn release(&mut self, id: BlockId) {
        let Some(b) = self.block_mut(id) else { return };
        debug_assert!(b.references > 0, "block {id} is released twice");
        b.references = b.references.saturating_sub(1);
        if b.references > 0 {
            return;
        }
        if b.content.is_some() { self.append(id) } else { self.prepend(id) }
    }

    /// Says what a block holds behind `parent`. Where another block holds the same, that one stays known alone.
    pub fn register(&mut self, id: BlockId, parent: Chain, keys: &[Key]) {
        if keys.is_empty() || self.find(parent, keys, keys.len()).is_some_and(|(_, n)| n == keys.len()) {
            return;
        }
        self.forget(id);
        if let Some(b) = self.block_mut(id) {
            b.content = Some(Content { parent, keys: keys.into() });
            self.index.entry(parent).or_default().push(id);
        }
    }

    fn forget(&mut self, id: BlockId) {
        let Some(content) = self.block_mut(id).and_then(|b| b.content.take()) else { return };
        if let Some(siblings) = self.index.get_mut(&content.parent) {
            siblings.retain(|s| *s != id);
            if siblings.is_empty() {
                self.index.remove(&content.parent);
            }
        }
    }

    /// Of the blocks behind `parent` the one that begins most like `keys`, and how many of at most `most` keys agree.
    #[must_use]
    pub fn find(&self, parent: Chain, keys: &[Key], most: usize) -> Option<(BlockId, usize)> {
        let mut best: Option<(BlockId, usize)> = None;
        for id in self.index.get(&parent)? {
            let Some(content) = self.block(*id).and_then(|b| b.content.as_ref()) else { continue };
            let same = content.keys.iter().zip(keys).take(most).take_while(|(a, b)| a == b).count();
            if same > best.map_or(0, |b| b.1) {
                best = Some((*id, same));
                if same == most {
                    break;
                }
            }
        }
        best
    }

    /// Checks the list and the index against the blocks.
    ///
    /// # Errors
    /// What does not agree.
    pub fn check(&self) -> Result<(), String> {
        let (mut at, mut before, mut seen) = (self.first, NONE, 0usize);
        while let Some(b) = self.block(at) {
            if b.references != 0 || b.before != before || seen > self.blocks.len() {
                return Err(format!("block {at} in the free list: {b:?}, {seen} before it"));
            }
            (before, at, seen) = (at, b.after, seen + 1);
        }
        let unused = self.blocks.iter().filter(|b| b.references == 0).count();
        if seen != self.free || seen != unused || self.last != before {
            return Err(format!("{seen} in the free list, {} counted, {unused} unused", self.free));
        }
        let indexed: usize = self.index.values().map(Vec::len).sum();
        let known = self.blocks.iter().filter(|b| b.content.is_some()).count();
        if indexed != known || self.index.values().any(Vec::is_empty) {
            return Err(format!("{indexed} blocks indexed, {known} known"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::key::Keys, *};

    fn keys(ids: &[u32]) -> Vec<Key> {
        ids.iter().map(|i| Keys::token(*i)).collect()
    }

    #[test]
    fn the_least_recently_used_content_goes_first_and_empty_blocks_before_it() {
        let mut pool = Pool::new(3);
        let all: Vec<_> = (0..3).map(|_| pool.take().unwrap()).collect();
        assert_eq!(pool.take(), None);
        pool.register(all[0], Chain::START, &keys(&[1, 2]));
        pool.register(all[1], Chain::START, &keys(&[3, 4]));
        for id in &all {
            pool.release(*id);
        }
        assert_eq!(pool.find(Chain::START, &keys(&[1, 2, 9]), 2), Some((all[0], 2)));
        pool.share(all[0]);
        pool.release(all[0]);
        assert_eq!([pool.take(), pool.take(), pool.take()], [Some(all[2]), Some(all[1]), Some(all[0])]);
        assert_eq!(pool.find(Chain::START, &keys(&[1, 2]), 2), None);
        pool.check().unwrap();
    }

    #[test]
    fn the_longest_beginning_is_found() {
        let mut pool = Pool::new(3);
        let (a, b) = (pool.take().unwrap(), pool.take().unwrap());
        pool.register(a, Chain::START, &keys(&[1, 2]));
        pool.register(b, Chain::START, &keys(&[1, 2, 3, 4]));
        assert_eq!(pool.find(Chain::START, &keys(&[1, 2, 3, 5]), 4), Some((b, 3)));
        assert_eq!(pool.find(Chain::START, &keys(&[2]), 1), None);
        let far = Keys::default().next(Chain::START, &keys(&[1]));
        assert_eq!(pool.find(far, &keys(&[1, 2]), 2), None);
        pool.check().unwrap();
    }
}
