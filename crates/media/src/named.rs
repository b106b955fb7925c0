//! Pictures, clips and files that clients gave a name (`uuid`, as in vLLM), so that they need not be sent again.

use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::{ContentHash, FileBytes, Medium};

/// A name, within its owner's names: nobody sees what another caller named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(ContentHash);

impl Name {
    /// `owner` is what tells callers apart; where nothing does, they share their names. Each medium has names of its own.
    #[must_use]
    pub fn new(owner: &str, medium: Medium, uuid: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(medium.noun());
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

/// What is kept, encoded as it came.
#[derive(Debug, Clone)]
pub enum Kept {
    /// A picture, or a clip in one file.
    One(Arc<Vec<u8>>),
    /// A clip that came as pictures, with their times in seconds if it had such.
    Frames { all: Vec<Arc<Vec<u8>>>, times: Option<Vec<f64>> },
    /// A document.
    File(Arc<FileBytes>),
}

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.capacity(),
            Self::Frames { all, times } => {
                let each: usize = all.iter().map(|one| one.capacity() + 64).sum();
                each + times.as_ref().map_or(0, |times| times.len() * 8)
            }
            Self::File(file) => file.bytes.capacity(),
        }
    }
}

/// What is kept by name, bounded by bytes, the least used let go first.
#[derive(Debug)]
pub struct Named(Cache<ContentHash, Kept>);

impl Named {
    /// An empty one of at most this many bytes.
    pub fn new(bytes: u64) -> Self {
        let weigh = |_: &ContentHash, kept: &Kept| u32::try_from(kept.bytes() + 256).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(bytes).weigher(weigh).build())
    }

    pub fn get(&self, name: Name) -> Option<Kept> {
        self.0.get(&name.0)
    }

    /// A picture, or a clip in one file.
    pub fn one(&self, name: Name) -> Option<Arc<Vec<u8>>> {
        self.get(name).and_then(|kept| if let Kept::One(bytes) = kept { Some(bytes) } else { None })
    }

    pub fn keep(&self, name: Name, kept: Kept) {
        self.0.insert(name.0, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_their_owner() {
        let of = |owner: &str, uuid: &str| Name::new(owner, Medium::Image, uuid);
        assert_eq!(of("a", "b"), of("a", "b"));
        assert_ne!(of("a", "b"), of("", "ab"));
        assert_ne!(of("a", "b"), of("c", "b"));
        assert_ne!(of("a", "b"), Name::new("a", Medium::Video, "b"));
    }

    #[test]
    fn what_is_kept_is_bounded_by_bytes() {
        let named = Named::new(10_000);
        let name = |n: usize| Name::new("", Medium::File, &n.to_string());
        let file = |bytes: usize| Kept::File(Arc::new(FileBytes { bytes: vec![7; bytes], name: None, mime: None }));
        let frames = Kept::Frames { all: (0..4).map(|_| Arc::new(vec![1; 3000])).collect(), times: None };
        named.keep(name(0), file(20_000));
        named.keep(name(1), frames);
        for n in 2..30 {
            named.keep(name(n), file(1000));
        }
        named.0.run_pending_tasks();
        assert!(named.get(name(0)).is_none() && named.get(name(1)).is_none());
        assert!(named.0.weighted_size() <= 10_000 && named.0.entry_count() > 2);
    }
}
