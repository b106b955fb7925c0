//! The language model (transformers' `Qwen3VLTextModel` and its head) over a paged cache: one call computes chunks of many
//! sequences at once.

use std::{ops::Range, sync::Arc};

use vlgate_kernels::{Activations, Epilogue, PagedAttention, Pool, SequenceQueries, Weight, ops, paged_attention};

use super::{
    checkpoint::Tensor,
    config::TextConfig,
    kv::{BLOCK, BlockId, Embedding, Store},
    weights::{Kinds, Linear, Loader, Part},
};

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

#[derive(Debug)]
struct Layer {
    input_norm: Vec<f32>,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    q_norm: Vec<f32>,
    k_norm: Vec<f32>,
    post_norm: Vec<f32>,
    /// Gates above, ups below.
    gate_up: Weight,
    down: Weight,
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

/// Working memory that calls share.
#[derive(Debug, Default)]
pub struct Room {
    acts: Activations,
    hidden: Vec<f32>,
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    gate_up: Vec<f32>,
    inside: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
    slots: Vec<u32>,
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
        if c.experts.is_some() {
            return Err("the native runtime does not serve mixture-of-experts models yet".into());
        }
        let layers = (0..c.layers).map(|l| Layer::load(loader, c, kinds, &format!("{at}.layers.{l}")));
        let layers = layers.collect::<Result<_, _>>()?;
        let shape = [c.vocab, c.hidden];
        let embedding = loader.checkpoint.get(&format!("{at}.embed_tokens.weight"), &shape)?;
        let head = if c.tied { embedding } else { loader.checkpoint.get("lm_head.weight", &shape)? };
        let head = loader.pack(kinds.head, c.hidden, &[Part { tensor: head, first: 0, rows: c.vocab }])?;
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
        let layer = |l: &Layer| {
            let linear: usize = [&l.q, &l.k, &l.v, &l.o].iter().map(|l| l.weight.bytes()).sum();
            linear + l.gate_up.bytes() + l.down.bytes()
        };
        self.layers.iter().map(layer).sum::<usize>() + self.head.bytes()
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
        let Room { acts, hidden: wanted, .. } = room;
        let rows = wanted.len() / h;
        if rows == 0 {
            return Vec::new();
        }
        ops::rms_norm_in_place(pool, wanted, &self.norm, self.config.eps);
        if let Some(probe) = probe {
            probe(Place::Norm, wanted);
        }
        let mut logits = vec![0.0; rows * self.config.vocab];
        acts.set(pool, self.head.kind(), wanted, rows, h);
        self.head.matmul_q(pool, acts, &mut logits, Epilogue::default());
        logits
    }
}

/// Rows of a step whose outputs are wanted.
#[derive(Debug)]
struct Pick {
    /// The segment.
    segment: usize,
    /// Rows, counted over all segments.
    rows: Range<usize>,
    /// Tokens of the sequence before them.
    start: usize,
}

fn picks(segments: &[Segment<'_>]) -> Vec<Pick> {
    let (mut first, mut out) = (0, Vec::with_capacity(segments.len()));
    for (segment, s) in segments.iter().enumerate() {
        let n = s.tokens.len();
        let skip = match s.logits {
            Wanted::Nothing => n,
            Wanted::Last => n.saturating_sub(1),
            Wanted::All => 0,
        };
        out.push(Pick { segment, rows: first + skip..first + n, start: s.start + skip });
        first += n;
    }
    out
}

/// Who asks in a layer where all rows do.
fn all_queries<'a>(segments: &[Segment<'a>]) -> Vec<SequenceQueries<'a>> {
    let mut first = 0;
    let query = |s: &Segment<'a>| {
        let rows = first..first + s.tokens.len();
        first = rows.end;
        SequenceQueries { rows, start: s.start, blocks: s.blocks }
    };
    segments.iter().map(query).collect()
}

/// Who asks where only the picked rows are left.
fn last_queries<'a>(segments: &[Segment<'a>], picks: &[Pick]) -> Vec<SequenceQueries<'a>> {
    let mut first = 0;
    let query = |p: &Pick| {
        let rows = first..first + p.rows.len();
        first = rows.end;
        segments.get(p.segment).map(|s| SequenceQueries { rows, start: p.start, blocks: s.blocks })
    };
    picks.iter().filter_map(query).collect()
}

impl Room {
    /// Leaves only the picked rows of the hidden state, its norm and the rotary tables.
    fn keep(&mut self, picks: &[Pick], hidden: usize, half: usize) {
        for (list, width) in [
            (&mut self.hidden, hidden),
            (&mut self.normed, hidden),
            (&mut self.cos, half),
            (&mut self.sin, half),
        ] {
            let mut to = 0;
            for p in picks {
                let (from, end) = (p.rows.start * width, p.rows.end * width);
                if end <= list.len() {
                    list.copy_within(from..end, to);
                    to += end - from;
                }
            }
            list.truncate(to);
        }
    }
}

impl Layer {
    fn load(loader: &Loader<'_>, c: &TextConfig, kinds: Kinds, at: &str) -> Result<Self, String> {
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let bias = c.attention_bias;
        let linear = |name: &str, n, k| loader.linear(kinds.text, &format!("{at}.self_attn.{name}"), n, k, bias);
        let part = |name: &str| {
            let name = format!("{at}.mlp.{name}_proj.weight");
            let tensor = loader.checkpoint.get(&name, &[c.intermediate, c.hidden])?;
            Ok::<_, String>(Part { tensor, first: 0, rows: c.intermediate })
        };
        Ok(Self {
            input_norm: loader.vector(&format!("{at}.input_layernorm.weight"), c.hidden)?,
            q: linear("q_proj", q, c.hidden)?,
            k: linear("k_proj", kv, c.hidden)?,
            v: linear("v_proj", kv, c.hidden)?,
            o: linear("o_proj", c.hidden, q)?,
            q_norm: loader.vector(&format!("{at}.self_attn.q_norm.weight"), c.head_dim)?,
            k_norm: loader.vector(&format!("{at}.self_attn.k_norm.weight"), c.head_dim)?,
            post_norm: loader.vector(&format!("{at}.post_attention_layernorm.weight"), c.hidden)?,
            gate_up: loader.pack(kinds.text, c.hidden, &[part("gate")?, part("up")?])?,
            down: loader.linear(kinds.text, &format!("{at}.mlp.down_proj"), c.hidden, c.intermediate, false)?.weight,
        })
    }

    /// Norms the rows, and puts their keys and values into the cache.
    fn keys_and_values(
        &self,
        pool: &Pool,
        c: &TextConfig,
        store: &mut Store,
        nth: usize,
        rows: usize,
        room: &mut Room,
    ) {
        let Room { acts, hidden, normed, k, v, cos, sin, slots, .. } = room;
        normed.resize(hidden.len(), 0.0);
        ops::rms_norm(pool, hidden, &self.input_norm, c.eps, normed);
        acts.set(pool, self.q.weight.kind(), normed, rows, c.hidden);
        self.k.project(pool, acts, rows, k);
        self.v.project(pool, acts, rows, v);
        ops::rms_norm_in_place(pool, k, &self.k_norm, c.eps);
        ops::rope_half(pool, k, c.kv_heads, c.head_dim, cos, sin);
        if let Some(kv) = store.layer(nth) {
            kv.write(pool, slots, k, v);
        }
    }

    /// Attention of the rows that [`Self::keys_and_values`] normed, added to the hidden state.
    #[allow(clippy::too_many_arguments)]
    fn attention(
        &self,
        pool: &Pool,
        c: &TextConfig,
        store: &mut Store,
        nth: usize,
        queries: &[SequenceQueries<'_>],
        rows: usize,
        room: &mut Room,
    ) {
        let Room { acts, hidden, normed, q, attended, cos, sin, .. } = room;
        if acts.m() != rows {
            acts.set(pool, self.q.weight.kind(), normed, rows, c.hidden);
        }
        self.q.project(pool, acts, rows, q);
        ops::rms_norm_in_place(pool, q, &self.q_norm, c.eps);
        ops::rope_half(pool, q, c.heads, c.head_dim, cos, sin);
        let Some(kv) = store.layer(nth) else { return };
        attended.resize(q.len(), 0.0);
        let scale = (c.head_dim as f32).powf(-0.5);
        paged_attention(pool, &PagedAttention { q, heads: c.heads, scale, kv, sequences: queries }, attended);
        acts.set(pool, self.o.weight.kind(), attended, rows, c.heads * c.head_dim);
        let epilogue = Epilogue { bias: self.o.bias.as_deref(), accumulate: true };
        self.o.weight.matmul_q(pool, acts, hidden, epilogue);
    }

    fn mlp(&self, pool: &Pool, c: &TextConfig, rows: usize, room: &mut Room) {
        let Room { acts, hidden, normed, gate_up, inside, .. } = room;
        ops::rms_norm(pool, hidden, &self.post_norm, c.eps, normed);
        acts.set(pool, self.gate_up.kind(), normed, rows, c.hidden);
        gate_up.resize(rows * 2 * c.intermediate, 0.0);
        self.gate_up.matmul_q(pool, acts, gate_up, Epilogue::default());
        inside.resize(rows * c.intermediate, 0.0);
        ops::silu_mul_rows(pool, gate_up, c.intermediate, inside);
        acts.set(pool, self.down.kind(), inside, rows, c.intermediate);
        self.down.matmul_q(pool, acts, hidden, Epilogue { bias: None, accumulate: true });
    }
}

impl Linear {
    /// `out = x W^T + bias`, sized here.
    fn project(&self, pool: &Pool, acts: &Activations, rows: usize, out: &mut Vec<f32>) {
        out.resize(rows * self.weight.n(), 0.0);
        self.weight.matmul_q(pool, acts, out, Epilogue { bias: self.bias.as_deref(), accumulate: false });
    }
}

