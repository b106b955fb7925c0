//! Where the cache's numbers lie: for each text layer one pool of blocks, numbered alike.

use vlgate_kernels::{KvKind, KvLayout, KvPool};

use super::pool::BlockId;
use crate::native::config::TextConfig;

/// Tokens per block: what the attention kernels are fastest with.
pub const BLOCK: usize = 32;

/// The keys and values of all layers.
#[derive(Debug)]
pub struct Store {
    layers: Vec<KvPool>,
}

impl Store {
    /// `blocks` blocks; the system gives their memory when they are first written.
    ///
    /// # Errors
    /// A sentence when the system has no room for them.
    pub fn new(config: &TextConfig, kind: KvKind, blocks: usize) -> Result<Self, String> {
        let layout = layout(config, kind);
        let layers = (0..config.layers).map(|_| KvPool::new(layout, blocks));
        let layers = layers.collect::<Result<_, _>>().map_err(|e| format!("the KV cache cannot be made: {e}"))?;
        Ok(Self { layers })
    }

    /// Bytes of one block in all layers.
    #[must_use]
    pub fn block_bytes(config: &TextConfig, kind: KvKind) -> usize {
        layout(config, kind).block_bytes() * config.layers
    }

    /// One layer.
    pub fn layer(&mut self, layer: usize) -> Option<&mut KvPool> {
        self.layers.get_mut(layer)
    }

    /// Copies a block in all layers.
    pub fn copy(&mut self, from: BlockId, to: BlockId) {
        for layer in &mut self.layers {
            layer.copy_block(from, to);
        }
    }
}

const fn layout(config: &TextConfig, kind: KvKind) -> KvLayout {
    KvLayout { kind, block_size: BLOCK, kv_heads: config.kv_heads, head_dim: config.head_dim }
}
