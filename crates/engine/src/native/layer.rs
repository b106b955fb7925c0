//! One decoder layer of the language model (transformers' `Qwen3VLTextDecoderLayer`).

use vlgate_kernels::{Activations, Epilogue, PagedAttention, Pool, SequenceQueries, Weight, ops, paged_attention};

use super::{
    config::TextConfig,
    experts::Sparse,
    kv::Store,
    rows::Room,
    weights::{Kinds, Linear, Loader},
};

/// The packed layer.
#[derive(Debug)]
pub struct Layer {
    input_norm: Vec<f32>,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    q_norm: Vec<f32>,
    k_norm: Vec<f32>,
    post_norm: Vec<f32>,
    mlp: Mlp,
}

#[derive(Debug)]
enum Mlp {
    Dense {
        /// Gates above, ups below.
        gate_up: Weight,
        down: Weight,
    },
    Sparse(Sparse),
}

impl Layer {
    /// Bytes of the packed matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let linear: usize = [&self.q, &self.k, &self.v, &self.o].iter().map(|l| l.weight.bytes()).sum();
        linear
            + match &self.mlp {
                Mlp::Dense { gate_up, down } => gate_up.bytes() + down.bytes(),
                Mlp::Sparse(sparse) => sparse.bytes(),
            }
    }

    /// Packs the layer whose names begin with `at`.
    ///
    /// # Errors
    /// One sentence that names the tensor.
    pub fn load(loader: &Loader<'_>, c: &TextConfig, kinds: Kinds, nth: usize, at: &str) -> Result<Self, String> {
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let bias = c.attention_bias;
        let linear = |name: &str, n, k| loader.linear(kinds.text, &format!("{at}.self_attn.{name}"), n, k, bias);
        let part = |name: &str| loader.part(&format!("{at}.mlp.{name}_proj.weight"), c.intermediate, c.hidden);
        Ok(Self {
            input_norm: loader.vector(&format!("{at}.input_layernorm.weight"), c.hidden)?,
            q: linear("q_proj", q, c.hidden)?,
            k: linear("k_proj", kv, c.hidden)?,
            v: linear("v_proj", kv, c.hidden)?,
            o: linear("o_proj", c.hidden, q)?,
            q_norm: loader.vector(&format!("{at}.self_attn.q_norm.weight"), c.head_dim)?,
            k_norm: loader.vector(&format!("{at}.self_attn.k_norm.weight"), c.head_dim)?,
            post_norm: loader.vector(&format!("{at}.post_attention_layernorm.weight"), c.hidden)?,
            mlp: match c.experts.as_ref().filter(|e| e.at(nth)) {
                Some(e) => Mlp::Sparse(Sparse::load(loader, c, e, kinds, &format!("{at}.mlp"))?),
                None => Mlp::Dense {
                    gate_up: loader.pack(kinds.text, c.hidden, &[part("gate")?, part("up")?])?,
                    down: loader
                        .linear(kinds.text, &format!("{at}.mlp.down_proj"), c.hidden, c.intermediate, false)?
                        .weight,
                },
            },
        })
    }

    /// Norms the rows, and puts their keys and values into the cache.
    pub fn keys_and_values(
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
    pub fn attention(
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

    /// The feed-forward part of all rows, added to the hidden state.
    pub fn mlp(&self, pool: &Pool, c: &TextConfig, rows: usize, room: &mut Room) {
        let Room { acts, hidden, normed, gate_up, inside, .. } = room;
        ops::rms_norm(pool, hidden, &self.post_norm, c.eps, normed);
        let (gate_up_weight, down) = match &self.mlp {
            Mlp::Dense { gate_up, down } => (gate_up, down),
            Mlp::Sparse(sparse) => return sparse.forward(pool, normed, rows, hidden),
        };
        acts.set(pool, gate_up_weight.kind(), normed, rows, c.hidden);
        gate_up.resize(rows * 2 * c.intermediate, 0.0);
        gate_up_weight.matmul_q(pool, acts, gate_up, Epilogue::default());
        inside.resize(rows * c.intermediate, 0.0);
        ops::silu_mul_rows(pool, gate_up, c.intermediate, inside);
        acts.set(pool, down.kind(), inside, rows, c.intermediate);
        down.matmul_q(pool, acts, hidden, Epilogue { bias: None, accumulate: true });
    }
}

impl Linear {
    /// `out = x W^T + bias`, sized here.
    fn project(&self, pool: &Pool, acts: &Activations, rows: usize, out: &mut Vec<f32>) {
        out.resize(rows * self.weight.n(), 0.0);
        self.weight.matmul_q(pool, acts, out, Epilogue { bias: self.bias.as_deref(), accumulate: false });
    }
}
