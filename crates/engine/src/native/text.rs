//! The language model (transformers' `Qwen3VLTextModel` and its head) over a paged cache: one call computes chunks of many
//! sequences at once.

use std::sync::Arc;

use vlgate_kernels::{Epilogue, Pool, Weight, ops};

use super::{
    checkpoint::Tensor,
    config::TextConfig,
    kv::{BLOCK, BlockId, Embedding, Store},
    layer::Layer,
    rows::{all_queries, last_queries, picks},
    weights::{Kinds, Loader, Part},
};

pub use super::rows::Room;

/// The packed language model.
#[derive(Debug)]
pub struct TextModel {
    config: TextConfig,
    /// Rows are looked up in the mapped file: only those of tokens that occur take memory.
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Weight,
}

/// Tokens of one sequence that a call computes.
#[derive(Debug)]
pub struct Segment<'a> {
    /// The tokens; all below the vocabulary's size.
    pub tokens: &'a [u32],
    /// Tokens of the sequence before them, whose keys and values are in the cache.
    pub start: usize,
    /// The sequence's blocks, with room for all of them.
    pub blocks: &'a [BlockId],
    /// Time, height and width of each token.
    pub positions: Vec<[u32; 3]>,
    /// Rows of pictures among the tokens.
    pub visual: Vec<Visual>,
    /// For which tokens logits are wanted.
    pub logits: Wanted,
}

/// Which rows' logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// None: more of the prompt follows.
    Nothing,
    /// The last token's.
    Last,
    /// Every token's.
    All,
}

/// Rows `from..from + count` of an embedding that stand for the tokens from `at` on (counted in the segment).
#[derive(Debug, Clone)]
pub struct Visual {
    /// First token.
    pub at: usize,
    /// First row.
    pub from: usize,
    /// Rows.
    pub count: usize,
    /// What the vision tower made.
    pub embedding: Arc<Embedding>,
}

/// Where a [`Probe`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before a layer.
    Input(usize),
    /// After a layer, before DeepStack is added.
    Output(usize),
    /// After the last norm, of the rows whose logits are wanted.
    Norm,
}

/// Sees rows of hidden states as they are computed; for tests.
pub type Probe<'a> = &'a mut dyn FnMut(Place, &[f32]);

impl TextModel {
    /// Packs `model.language_model` and the head.
    ///
    /// # Errors
    /// One sentence that names the tensor.
    pub fn load(loader: &Loader<'_>, config: &TextConfig, kinds: Kinds) -> Result<Self, String> {
        let (c, at) = (config, "model.language_model");
        let layers = (0..c.layers).map(|l| Layer::load(loader, c, kinds, l, &format!("{at}.layers.{l}")));
        let layers = layers.collect::<Result<_, _>>()?;
        let shape = [c.vocab, c.hidden];
        let embedding = loader.checkpoint.get(&format!("{at}.embed_tokens.weight"), &shape)?;
        let tensor = if c.tied { embedding } else { loader.checkpoint.get("lm_head.weight", &shape)? };
        let deltas = loader.adapters.of("lm_head.weight", shape)?;
        let head = loader.pack(kinds.head, c.hidden, &[Part { tensor, first: 0, rows: c.vocab, deltas }])?;
        let norm = loader.vector(&format!("{at}.norm.weight"), c.hidden)?;
        Ok(Self { config: c.clone(), embedding: embedding.clone(), layers, norm, head })
    }

    /// The shape.
    #[must_use]
    pub const fn config(&self) -> &TextConfig {
        &self.config
    }

    /// Bytes that one decode step reads of the weights.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(Layer::bytes).sum::<usize>() + self.head.bytes()
    }

    /// Computes the segments: writes their keys and values to `store` and returns wanted rows x vocabulary of logits, in the
    /// segments' order.
    pub fn forward(
        &self,
        pool: &Pool,
        store: &mut Store,
        segments: &[Segment<'_>],
        room: &mut Room,
        mut probe: Option<Probe<'_>>,
    ) -> Vec<f32> {
        let mut rows = self.begin(segments, room);
        let picks = picks(segments);
        let mut queries = all_queries(segments);
        // The last layer's outputs are needed where logits are; of the other rows only keys and values. (A model whose last
        // layer takes a DeepStack feature is too small to be worth it.)
        let features = segments.iter().flat_map(|s| &s.visual).map(|v| v.embedding.deepstack.len()).max();
        let prune = probe.is_none() && features.is_none_or(|n| n < self.layers.len());
        for (nth, layer) in self.layers.iter().enumerate() {
            if let Some(probe) = &mut probe {
                probe(Place::Input(nth), &room.hidden);
            }
            layer.keys_and_values(pool, &self.config, store, nth, rows, room);
            if prune && nth + 1 == self.layers.len() {
                rows = picks.iter().map(|p| p.rows.len()).sum();
                room.keep(&picks, self.config.hidden, self.config.head_dim / 2);
                queries = last_queries(segments, &picks);
            }
            if rows == 0 {
                return Vec::new();
            }
            layer.attention(pool, &self.config, store, nth, &queries, rows, room);
            layer.mlp(pool, &self.config, rows, room);
            if let Some(probe) = &mut probe {
                probe(Place::Output(nth), &room.hidden);
            }
            self.deepstack(segments, nth, room);
        }
        if !prune {
            room.keep(&picks, self.config.hidden, self.config.head_dim / 2);
        }
        self.logits(pool, room, probe)
    }

    /// Embeddings, rotary tables and slots of all rows; returns how many rows there are.
    fn begin(&self, segments: &[Segment<'_>], room: &mut Room) -> usize {
        let h = self.config.hidden;
        let rows = segments.iter().map(|s| s.tokens.len()).sum::<usize>();
        room.hidden.clear();
        room.hidden.resize(rows * h, 0.0);
        for list in [&mut room.cos, &mut room.sin] {
            list.clear();
        }
        room.slots.clear();
        let mut rest = room.hidden.as_mut_slice();
        for s in segments {
            let (own, after) = rest.split_at_mut(s.tokens.len() * h);
            rest = after;
            for (token, out) in s.tokens.iter().zip(own.chunks_exact_mut(h)) {
                self.embedding.row(*token as usize, out);
            }
            for v in &s.visual {
                let to = own.get_mut(v.at * h..(v.at + v.count) * h);
                let from = v.embedding.merged.get(v.from * h..(v.from + v.count) * h);
                if let (Some(to), Some(from)) = (to, from) {
                    to.copy_from_slice(from);
                }
            }
            self.config.rope.tables(s.positions.iter().copied(), &mut room.cos, &mut room.sin);
            room.slots.extend((s.start..s.start + s.tokens.len()).map(|at| {
                let block = s.blocks.get(at / BLOCK).copied().unwrap_or(BlockId::MAX / BLOCK as u32 - 1);
                block * BLOCK as u32 + (at % BLOCK) as u32
            }));
        }
        rows
    }

    /// Adds the DeepStack features that go to the layers' beginning (`_deepstack_process`).
    fn deepstack(&self, segments: &[Segment<'_>], layer: usize, room: &mut Room) {
        let h = self.config.hidden;
        let mut first = 0;
        for s in segments {
            for v in &s.visual {
                let Some(feature) = v.embedding.deepstack.get(layer) else { continue };
                let at = first + v.at;
                let to = room.hidden.get_mut(at * h..(at + v.count) * h).unwrap_or_default();
                let from = feature.get(v.from * h..(v.from + v.count) * h).unwrap_or_default();
                for (x, y) in to.iter_mut().zip(from) {
                    *x += y;
                }
            }
            first += s.tokens.len();
        }
    }

    fn logits(&self, pool: &Pool, room: &mut Room, probe: Option<Probe<'_>>) -> Vec<f32> {
        let h = self.config.hidden;
        let Room { acts, hidden: wanted, logits, .. } = room;
        let rows = wanted.len() / h;
        if rows == 0 {
            return Vec::new();
        }
        ops::rms_norm_in_place(pool, wanted, &self.norm, self.config.eps);
        if let Some(probe) = probe {
            probe(Place::Norm, wanted);
        }
        let mut logits = std::mem::take(logits);
        logits.resize(rows * self.config.vocab, 0.0);
        acts.set(pool, self.head.kind(), wanted, rows, h);
        self.head.matmul_q(pool, acts, &mut logits, Epilogue::default());
        logits
    }
}
