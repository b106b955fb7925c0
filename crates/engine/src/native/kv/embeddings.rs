//! What the vision tower made of a picture, kept by the pixels' hash so that a repeated picture is never encoded twice.

use std::{collections::HashMap, sync::Arc};

use super::key::Frames;

/// The rows that stand for one picture (or one temporal patch of a clip) in the text model.
#[derive(Debug, PartialEq)]
pub struct Embedding {
    /// Merged patches.
    pub rows: usize,
    /// rows x hidden: the merger's output, which takes the place of the pad tokens' embeddings.
    pub merged: Vec<f32>,
    /// Per DeepStack feature rows x hidden, added to the output of the first text layers.
    pub deepstack: Vec<Vec<f32>>,
}

impl Embedding {
    fn bytes(&self) -> usize {
        4 * (self.merged.len() + self.deepstack.iter().map(Vec::len).sum::<usize>())
    }
}

/// A cache bounded by bytes; the least recently used goes first.
#[derive(Debug)]
pub struct Embeddings {
    entries: HashMap<Frames, (Arc<Embedding>, u64)>,
    bytes: usize,
    limit: usize,
    clock: u64,
}

impl Embeddings {
    /// A cache of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { entries: HashMap::new(), bytes: 0, limit, clock: 0 }
    }

    /// What the tower made of these frames, if it is still here.
    pub fn get(&mut self, frames: &Frames) -> Option<Arc<Embedding>> {
        self.clock += 1;
        let entry = self.entries.get_mut(frames)?;
        entry.1 = self.clock;
        Some(Arc::clone(&entry.0))
    }

    /// Keeps an embedding, unless it alone is larger than the cache may be.
    pub fn put(&mut self, frames: Frames, embedding: Arc<Embedding>) {
        let bytes = embedding.bytes();
        if bytes > self.limit {
            return;
        }
        self.clock += 1;
        self.bytes += bytes;
        if let Some((old, _)) = self.entries.insert(frames, (embedding, self.clock)) {
            self.bytes -= old.bytes();
        }
        while self.bytes > self.limit {
            // A few hundred pictures at most: no list is worth its upkeep.
            let oldest = self.entries.iter().min_by_key(|e| e.1.1).map(|e| *e.0);
            let Some((old, _)) = oldest.and_then(|f| self.entries.remove(&f)) else { return };
            self.bytes -= old.bytes();
        }
    }

    /// Bytes that are held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_by_bytes_and_the_least_recently_used_goes() {
        let frames = |n: u8| Frames([[n; 32]; 2]);
        let of = |n: usize| Arc::new(Embedding { rows: 1, merged: vec![0.0; n], deepstack: vec![vec![0.0; n]] });
        let mut cache = Embeddings::new(80);
        cache.put(frames(1), of(4));
        cache.put(frames(2), of(4));
        assert_eq!(cache.bytes(), 64);
        assert!(cache.get(&frames(1)).is_some());
        cache.put(frames(3), of(4));
        assert!(cache.get(&frames(2)).is_none() && cache.get(&frames(1)).is_some());
        cache.put(frames(4), of(11));
        assert!(cache.get(&frames(4)).is_none());
        cache.put(frames(1), of(2));
        assert_eq!(cache.bytes(), 48);
    }
}
