//! Pictures that clients gave a name (`uuid`, as in vLLM), so that they need not be sent again.

use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::ContentHash;

/// A name, within its owner's names: nobody sees what another caller named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(ContentHash);

impl Name {
    /// `owner` is what tells callers apart; where nothing does, they share their names.
    #[must_use]
    pub fn new(owner: &str, uuid: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((owner.len() as u64).to_le_bytes());
        hash.update(owner);
        hash.update(uuid);
        Self(hash.finalize().into())
    }
}

impl From<ContentHash> for Name {
    fn from(hash: ContentHash) -> Self {
        Self(hash)
    }
}

/// Encoded pictures by name, bounded by bytes, the least used let go first.
#[derive(Debug)]
pub struct Named(Cache<ContentHash, Arc<Vec<u8>>>);

impl Named {
    /// An empty one of at most this many bytes.
    pub fn new(bytes: u64) -> Self {
        let weigh = |_: &ContentHash, bytes: &Arc<Vec<u8>>| u32::try_from(bytes.capacity() + 256).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(bytes).weigher(weigh).build())
    }

    pub fn get(&self, name: Name) -> Option<Arc<Vec<u8>>> {
        self.0.get(&name.0)
    }

    pub fn keep(&self, name: Name, bytes: Arc<Vec<u8>>) {
        self.0.insert(name.0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_their_owner() {
        assert_eq!(Name::new("a", "b"), Name::new("a", "b"));
        assert_ne!(Name::new("a", "b"), Name::new("", "ab"));
        assert_ne!(Name::new("a", "b"), Name::new("c", "b"));
    }
}
