//! A mixture-of-experts layer (transformers' `Qwen3VLMoeTextSparseMoeBlock`).

use vlgate_kernels::{Activations, Epilogue, Kind, Pool, Weight, ops};

use super::{
    checkpoint::Tensor,
    config::{Experts, TextConfig},
    weights::{Kinds, Loader},
};

/// The packed experts of one layer and the router that chooses among them.
#[derive(Debug)]
pub struct Sparse {
    router: Weight,
    experts: Vec<Expert>,
    per_token: usize,
    normalise: bool,
}

#[derive(Debug)]
struct Expert {
    /// Gates above, ups below.
    gate_up: Weight,
    down: Weight,
}

impl Sparse {
    /// Packs the layer whose names begin with `at` (`….mlp`).
    ///
    /// # Errors
    /// One sentence that names the tensor.
    pub fn load(loader: &Loader<'_>, c: &TextConfig, e: &Experts, kinds: Kinds, at: &str) -> Result<Self, String> {
        let router =
            loader.pack(Kind::F32, c.hidden, &[loader.part(&format!("{at}.gate.weight"), e.count, c.hidden)?])?;
        let matrices = |name: &str, n: usize, k: usize| {
            let name = format!("{at}.experts.{name}");
            // On the hub inputs come first; what transformers saves by itself has outputs first.
            let first = loader.checkpoint.get(&name, &[e.count, k, n]);
            let turned = first.is_ok();
            first
                .or_else(|error| loader.checkpoint.get(&name, &[e.count, n, k]).map_err(|_| error))
                .map(|t| (t, turned))
        };
        let (gate_up, down) =
            (matrices("gate_up_proj", 2 * e.intermediate, c.hidden)?, matrices("down_proj", c.hidden, e.intermediate)?);
        let experts = (0..e.count).map(|nth| {
            Ok::<_, String>(Expert {
                gate_up: pack(loader, kinds.text, gate_up, nth, 2 * e.intermediate, c.hidden)?,
                down: pack(loader, kinds.text, down, nth, c.hidden, e.intermediate)?,
            })
        });
        Ok(Self {
            router,
            experts: experts.collect::<Result<_, _>>()?,
            per_token: e.per_token.min(e.count),
            normalise: e.normalise,
        })
    }

    /// Bytes of the packed matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.router.bytes() + self.experts.iter().map(|e| e.gate_up.bytes() + e.down.bytes()).sum::<usize>()
    }

    /// Adds to each row of `hidden` what its experts make of the same row of `normed`. A row's experts are summed in the
    /// experts' order, whatever other rows there are.
    pub fn forward(&self, pool: &Pool, normed: &[f32], rows: usize, hidden: &mut [f32]) {
        let width = normed.len() / rows.max(1);
        let mut logits = vec![0.0; rows * self.experts.len()];
        self.router.matmul(pool, normed, rows, &mut logits, None);
        let mut visits: Vec<Vec<(usize, f32)>> = vec![Vec::new(); self.experts.len()];
        for (row, logits) in logits.chunks_exact_mut(self.experts.len().max(1)).enumerate() {
            for (expert, weight) in self.route(pool, logits) {
                if let Some(visits) = visits.get_mut(expert) {
                    visits.push((row, weight));
                }
            }
        }
        let (mut acts, mut own, mut gate_up, mut inside, mut out) =
            (Activations::default(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut sum = vec![0.0; hidden.len()];
        for (expert, visits) in self.experts.iter().zip(&visits).filter(|(_, v)| !v.is_empty()) {
            own.clear();
            for (row, _) in visits {
                own.extend_from_slice(normed.get(row * width..(row + 1) * width).unwrap_or_default());
            }
            let n = expert.down.k();
            acts.set(pool, expert.gate_up.kind(), &own, visits.len(), width);
            gate_up.resize(visits.len() * 2 * n, 0.0);
            expert.gate_up.matmul_q(pool, &acts, &mut gate_up, Epilogue::default());
            inside.resize(visits.len() * n, 0.0);
            ops::silu_mul_rows(pool, &gate_up, n, &mut inside);
            acts.set(pool, expert.down.kind(), &inside, visits.len(), n);
            out.resize(visits.len() * width, 0.0);
            expert.down.matmul_q(pool, &acts, &mut out, Epilogue::default());
            for ((row, weight), out) in visits.iter().zip(out.chunks_exact(width)) {
                let to = sum.get_mut(row * width..(row + 1) * width).unwrap_or_default();
                for (x, y) in to.iter_mut().zip(out) {
                    *x += weight * y;
                }
            }
        }
        ops::add(pool, hidden, &sum);
    }

    /// The experts of one row and their weights (`Qwen3VLMoeTextTopKRouter`).
    fn route(&self, pool: &Pool, logits: &mut [f32]) -> Vec<(usize, f32)> {
        ops::softmax(pool, logits);
        let mut order: Vec<(usize, f32)> = logits.iter().copied().enumerate().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order.truncate(self.per_token);
        if self.normalise {
            let sum: f32 = order.iter().map(|o| o.1).sum();
            order.iter_mut().for_each(|o| o.1 /= sum);
        }
        order
    }
}

/// Matrix `nth` of a stack, `n` x `k` when packed; a turned one is read line by line into its columns first.
fn pack(
    loader: &Loader<'_>,
    kind: Kind,
    (tensor, turned): (&Tensor, bool),
    nth: usize,
    n: usize,
    k: usize,
) -> Result<Weight, String> {
    if let Some(weight) = loader.packed.next(kind, n, k)? {
        return Ok(weight);
    }
    if !turned {
        return loader.pack_rows(kind, n, k, &|row, out| tensor.read((nth * n + row) * k, out));
    }
    let (mut matrix, mut line) = (vec![0.0f32; n * k], vec![0.0f32; n]);
    for input in 0..k {
        tensor.read((nth * k + input) * n, &mut line);
        for (row, v) in matrix.chunks_exact_mut(k).zip(&line) {
            if let Some(place) = row.get_mut(input) {
                *place = *v;
            }
        }
    }
    loader.pack_rows(kind, n, k, &|row, out| {
        out.copy_from_slice(matrix.get(row * k..(row + 1) * k).unwrap_or_default());
    })
}
