//! The vision tower (transformers' `Qwen3VLVisionModel`), one block at a time so that a large picture never holds up a step.

use vlgate_kernels::{Activations, Epilogue, Kind, KvKind, Pool, Weight, ops, vision_attention};
use vlgate_media::VisionSpec;

use super::{
    config::{Activation, VisionConfig},
    gelu::gelu,
    kv::Embedding,
    pixels::{Pair, grid, patches, places},
    rope::periods,
    weights::{Kinds, Linear, Loader, Part},
};

/// Epsilon of all layer norms of the tower.
const EPS: f32 = 1e-6;

/// Rows that go through a block's MLP at once: bounds its working memory, which a large picture would make gigabytes.
const MLP_ROWS: usize = 2048;

/// The packed tower.
#[derive(Debug)]
pub struct Tower {
    config: VisionConfig,
    patch: Linear,
    /// side^2 x hidden
    positions: Vec<f32>,
    blocks: Vec<Block>,
    merger: Merger,
    deepstack: Vec<Merger>,
}

#[derive(Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Block {
    norm1: Norm,
    norm2: Norm,
    /// Queries, keys, values.
    qkv: [Linear; 3],
    proj: Linear,
    fc1: Linear,
    fc2: Linear,
}

#[derive(Debug)]
struct Merger {
    norm: Norm,
    fc1: Linear,
    fc2: Linear,
}

/// A pair of frames on its way through the tower.
#[derive(Debug)]
pub struct Encoding {
    /// patches x hidden, after [`Self::block`] blocks.
    pub hidden: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// Blocks that are done.
    pub block: usize,
    /// Whether the next block's attention is done.
    attended: bool,
    deepstack: Vec<Vec<f32>>,
    room: Room,
}

/// Working memory of one encoding.
#[derive(Debug, Default)]
struct Room {
    acts: Activations,
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    inside: Vec<f32>,
}

impl Tower {
    /// Packs `model.visual`.
    ///
    /// # Errors
    /// One sentence that names the tensor.
    pub fn load(loader: &Loader<'_>, config: &VisionConfig, kinds: Kinds) -> Result<Self, String> {
        let (c, at) = (config, "model.visual");
        let shape = [c.hidden, c.channels, c.frames, c.patch, c.patch];
        let tensor = loader.checkpoint.get(&format!("{at}.patch_embed.proj.weight"), &shape)?;
        let weight =
            loader.pack(kinds.patch, c.patch_len(), &[Part { tensor, first: 0, rows: c.hidden, deltas: &[] }])?;
        let bias = Some(loader.vector(&format!("{at}.patch_embed.proj.bias"), c.hidden)?);
        let positions = loader.checkpoint.get(&format!("{at}.pos_embed.weight"), &[c.side * c.side, c.hidden])?.all();
        let merger = |name: &str, norm: usize| {
            let inside = c.hidden * c.merged();
            Ok::<_, String>(Merger {
                norm: norm_of(loader, &format!("{name}.norm"), norm)?,
                fc1: loader.linear(kinds.vision, &format!("{name}.linear_fc1"), inside, inside, true)?,
                fc2: loader.linear(kinds.vision, &format!("{name}.linear_fc2"), c.out, inside, true)?,
            })
        };
        let nth = |i: usize| merger(&format!("{at}.deepstack_merger_list.{i}"), c.hidden * c.merged());
        Ok(Self {
            patch: Linear { weight, bias },
            positions,
            blocks: (0..c.depth)
                .map(|i| Block::load(loader, c, kinds, &format!("{at}.blocks.{i}")))
                .collect::<Result<_, _>>()?,
            merger: merger(&format!("{at}.merger"), c.hidden)?,
            deepstack: (0..c.deepstack.len()).map(nth).collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }

    /// Patch embedding and positions.
    ///
    /// # Errors
    /// When the pixels do not fit the tower.
    pub fn begin(&self, pool: &Pool, spec: &VisionSpec, pair: &Pair) -> Result<Encoding, String> {
        let rows = patches(&self.config, spec, pair)?;
        let mut encoding = self.embed(pool, &rows, grid(&self.config, pair));
        self.add_positions(pool, &mut encoding.hidden, grid(&self.config, pair));
        Ok(encoding)
    }

    /// The patch embedding alone: `rows` as [`patches`] makes them.
    pub fn embed(&self, pool: &Pool, rows: &[f32], grid: (usize, usize)) -> Encoding {
        let c = &self.config;
        let n = grid.0 * grid.1;
        let mut hidden = vec![0.0; n * c.hidden];
        self.patch.weight.matmul(pool, rows, n, &mut hidden, self.patch.bias.as_deref());
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        // Half of a head turns with the row, half with the column (`Qwen3VLVisionRotaryEmbedding`).
        let frequencies: Vec<f32> = periods(f64::from(c.theta), c.head_dim() / 2).iter().map(|p| 1.0 / p).collect();
        for (row, column) in places(grid, c.merge) {
            for position in [row, column] {
                for frequency in &frequencies {
                    let (s, c) = (position as f32 * frequency).sin_cos();
                    cos.push(c);
                    sin.push(s);
                }
            }
        }
        Encoding { hidden, cos, sin, block: 0, attended: false, deepstack: Vec::new(), room: Room::default() }
    }

    /// Adds the learned positions, resampled to the picture's grid (`fast_pos_embed_interpolate`: bilinear, corners aligned).
    pub fn add_positions(&self, pool: &Pool, hidden: &mut [f32], grid: (usize, usize)) {
        let c = &self.config;
        let mut sum = vec![0.0f32; hidden.len()];
        for ((row, column), out) in places(grid, c.merge).into_iter().zip(sum.chunks_exact_mut(c.hidden)) {
            let (rows, columns) = (taps(row, grid.0, c.side), taps(column, grid.1, c.side));
            for (r, wr) in rows {
                for (k, wk) in columns {
                    let from = (r * c.side + k) * c.hidden;
                    let position = self.positions.get(from..from + c.hidden).unwrap_or_default();
                    let weight = wr * wk;
                    for (o, p) in out.iter_mut().zip(position) {
                        *o += p * weight;
                    }
                }
            }
        }
        ops::add(pool, hidden, &sum);
    }

    /// Half a block more, its attention or its MLP; the embedding after the last one.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn advance(&self, pool: &Pool, e: &mut Encoding) -> Result<Option<Embedding>, String> {
        let c = &self.config;
        if let Some(block) = self.blocks.get(e.block) {
            if !e.attended {
                e.attended = true;
                block.attention(pool, c, e)?;
                return Ok(None);
            }
            e.attended = false;
            block.mlp(pool, c, e);
            if let Some(nth) = c.deepstack.iter().position(|i| *i == e.block)
                && let Some(merger) = self.deepstack.get(nth)
            {
                let feature = merger.forward(pool, c, &e.hidden, true);
                e.deepstack.push(feature);
            }
            e.block += 1;
        }
        if e.block < self.blocks.len() {
            return Ok(None);
        }
        let merged = self.merger.forward(pool, c, &e.hidden, false);
        Ok(Some(Embedding { rows: merged.len() / c.out, merged, deepstack: std::mem::take(&mut e.deepstack) }))
    }

    /// Blocks in all.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }
}

/// The two places of the learned grid that position `index` of `size` lies between, and their weights
/// (transformers' `_interpolation_axis_taps_weights`, in its f32 arithmetic).
fn taps(index: usize, size: usize, side: usize) -> [(usize, f32); 2] {
    let source = index as f32 * (side - 1) as f32 / size.saturating_sub(1).max(1) as f32;
    let floor = source.floor();
    [0usize, 1].map(|offset| {
        let distance = (source - floor - offset as f32).abs();
        ((floor as usize + offset).min(side - 1), (1.0 - distance).max(0.0))
    })
}

fn norm_of(loader: &Loader<'_>, name: &str, n: usize) -> Result<Norm, String> {
    Ok(Norm { weight: loader.vector(&format!("{name}.weight"), n)?, bias: loader.vector(&format!("{name}.bias"), n)? })
}

impl Norm {
    fn forward(&self, pool: &Pool, x: &[f32], out: &mut Vec<f32>) {
        out.resize(x.len(), 0.0);
        ops::layer_norm(pool, x, &self.weight, &self.bias, EPS, out);
    }
}

impl Linear {
    /// `out = x W^T + bias`, or added to `out`, which is sized here.
    fn forward(&self, pool: &Pool, acts: &Activations, rows: usize, out: &mut Vec<f32>, accumulate: bool) {
        out.resize(rows * self.weight.n(), 0.0);
        self.weight.matmul_q(pool, acts, out, Epilogue { bias: self.bias.as_deref(), accumulate });
    }

    fn kind(&self) -> Kind {
        self.weight.kind()
    }
}

impl Block {
    fn load(loader: &Loader<'_>, c: &VisionConfig, kinds: Kinds, at: &str) -> Result<Self, String> {
        let qkv = loader.part(&format!("{at}.attn.qkv.weight"), 3 * c.hidden, c.hidden)?;
        let biases = loader.vector(&format!("{at}.attn.qkv.bias"), 3 * c.hidden)?;
        let third = |nth: usize| {
            let part = Part { first: nth * c.hidden, rows: c.hidden, ..qkv };
            let bias = biases.get(nth * c.hidden..(nth + 1) * c.hidden).map(<[f32]>::to_vec);
            Ok::<_, String>(Linear { weight: loader.pack(kinds.vision, c.hidden, &[part])?, bias })
        };
        let linear = |name: &str, n, k| loader.linear(kinds.vision, &format!("{at}.{name}"), n, k, true);
        Ok(Self {
            norm1: norm_of(loader, &format!("{at}.norm1"), c.hidden)?,
            norm2: norm_of(loader, &format!("{at}.norm2"), c.hidden)?,
            qkv: [third(0)?, third(1)?, third(2)?],
            proj: linear("attn.proj", c.hidden, c.hidden)?,
            fc1: linear("mlp.linear_fc1", c.intermediate, c.hidden)?,
            fc2: linear("mlp.linear_fc2", c.hidden, c.intermediate)?,
        })
    }

    fn attention(&self, pool: &Pool, c: &VisionConfig, e: &mut Encoding) -> Result<(), String> {
        let (rows, dim, r) = (e.hidden.len() / c.hidden, c.head_dim(), &mut e.room);
        self.norm1.forward(pool, &e.hidden, &mut r.normed);
        let [q, k, v] = &self.qkv;
        r.acts.set(pool, q.kind(), &r.normed, rows, c.hidden);
        q.forward(pool, &r.acts, rows, &mut r.q, false);
        k.forward(pool, &r.acts, rows, &mut r.k, false);
        v.forward(pool, &r.acts, rows, &mut r.v, false);
        ops::rope_half(pool, &mut r.q, c.heads, dim, &e.cos, &e.sin);
        ops::rope_half(pool, &mut r.k, c.heads, dim, &e.cos, &e.sin);
        let (scale, whole) = ((dim as f32).powf(-0.5), 0..rows);
        let kind = KvKind::beside(self.proj.kind(), pool.level());
        let segments = std::slice::from_ref(&whole);
        vision_attention(pool, kind, &r.q, &r.k, &r.v, segments, c.heads, dim, scale, &mut r.normed)
            .map_err(|error| format!("the vision tower's attention: {error}"))?;
        r.acts.set(pool, self.proj.kind(), &r.normed, rows, c.hidden);
        self.proj.forward(pool, &r.acts, rows, &mut e.hidden, true);
        Ok(())
    }

    /// The feed-forward part, some rows at a time: its inside is four times as wide as the tower.
    fn mlp(&self, pool: &Pool, c: &VisionConfig, e: &mut Encoding) {
        let r = &mut e.room;
        self.norm2.forward(pool, &e.hidden, &mut r.normed);
        let chunks = r.normed.chunks(MLP_ROWS * c.hidden).zip(e.hidden.chunks_mut(MLP_ROWS * c.hidden));
        for (normed, hidden) in chunks {
            let rows = hidden.len() / c.hidden;
            r.acts.set(pool, self.fc1.kind(), normed, rows, c.hidden);
            self.fc1.forward(pool, &r.acts, rows, &mut r.inside, false);
            match c.activation {
                Activation::GeluTanh => ops::gelu_tanh(pool, &mut r.inside),
                Activation::Gelu => gelu(&mut r.inside),
                Activation::Silu => ops::silu_in_place(pool, &mut r.inside),
            }
            r.acts.set(pool, self.fc2.kind(), &r.inside, rows, c.intermediate);
            let epilogue = Epilogue { bias: self.fc2.bias.as_deref(), accumulate: true };
            self.fc2.weight.matmul_q(pool, &r.acts, hidden, epilogue);
        }
    }
}

impl Merger {
    /// patches x hidden to tokens x out. DeepStack's mergers norm after the four patches are put side by side.
    fn forward(&self, pool: &Pool, c: &VisionConfig, hidden: &[f32], after: bool) -> Vec<f32> {
        debug_assert_eq!(self.norm.weight.len(), if after { c.hidden * c.merged() } else { c.hidden });
        let (inside, mut normed, mut x, mut out) = (c.hidden * c.merged(), Vec::new(), Vec::new(), Vec::new());
        let rows = hidden.len() / inside;
        self.norm.forward(pool, hidden, &mut normed);
        let acts = Activations::quantise(pool, self.fc1.kind(), &normed, rows, inside);
        self.fc1.forward(pool, &acts, rows, &mut x, false);
        gelu(&mut x);
        let acts = Activations::quantise(pool, self.fc2.kind(), &x, rows, inside);
        self.fc2.forward(pool, &acts, rows, &mut out, false);
        out
    }
}

impl Tower {
    /// Bytes of the packed matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let linear = |l: &Linear| Weight::bytes(&l.weight);
        let merger = |m: &Merger| linear(&m.fc1) + linear(&m.fc2);
        let block =
            |b: &Block| b.qkv.iter().map(linear).sum::<usize>() + linear(&b.proj) + linear(&b.fc1) + linear(&b.fc2);
        linear(&self.patch)
            + self.blocks.iter().map(block).sum::<usize>()
            + merger(&self.merger)
            + self.deepstack.iter().map(merger).sum::<usize>()
    }
}
