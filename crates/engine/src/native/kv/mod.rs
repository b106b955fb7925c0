//! The paged KV cache: what its blocks hold ([`Pool`]), where their numbers lie ([`Store`]), and the cache of what the
//! vision tower made ([`Embeddings`]).

mod embeddings;
mod key;
mod pool;
mod store;

pub use embeddings::{Embedding, Embeddings};
pub use key::{Chain, Frames, Key, Keys};
pub use pool::{BlockId, Pool};
pub use store::{BLOCK, Store};
