//! What a KV block holds, as keys that equal content shares and other content does not.

use std::hash::{BuildHasher, Hasher, RandomState};

use vlgate_media::ContentHash;

/// What stands at one place of a sequence: a token, or one row of a picture. 128 bits of a hash that is keyed anew in every
/// process, so that no caller can make two contents collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u128);

/// Everything from a sequence's beginning to a block's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chain(u128);

impl Chain {
    /// Before the first block.
    pub const START: Self = Self(0);
}

/// What the vision tower is shown at once: the frames of one temporal patch (one picture counts twice).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frames(pub [ContentHash; 2]);

/// Makes keys.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    states: [RandomState; 2],
}

impl Keys {
    fn hash(&self, feed: impl Fn(&mut dyn Hasher)) -> u128 {
        let [high, low] = self.states.each_ref().map(|state| {
            let mut hasher = state.build_hasher();
            feed(&mut hasher);
            u128::from(hasher.finish())
        });
        (high << 64) | low
    }

    /// A token of text. The token itself: two tokens cannot collide, and a picture's row has the top bit set.
    #[must_use]
    pub const fn token(id: u32) -> Key {
        Key(id as u128)
    }

    /// Row `row` of what the tower makes of `frames`.
    #[must_use]
    pub fn row(&self, frames: &Frames, row: usize) -> Key {
        let hash = self.hash(|h| {
            for frame in &frames.0 {
                h.write(frame);
            }
            h.write_usize(row);
        });
        Key(hash | (1 << 127))
    }

    /// The chain that `block` makes of the chain before it.
    #[must_use]
    pub fn next(&self, before: Chain, block: &[Key]) -> Chain {
        Chain(self.hash(|h| {
            h.write_u128(before.0);
            for key in block {
                h.write_u128(key.0);
            }
        }))
    }
}
