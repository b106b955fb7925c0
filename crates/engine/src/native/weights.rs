//! From a checkpoint to packed weights: which matrix becomes what, and how much memory that takes.

use std::sync::atomic::{AtomicU64, Ordering};

use vlgate_kernels::{Kind, KvKind, Level, Pool, Weight};

use super::{
    adapter::{Adapters, Delta},
    checkpoint::{Checkpoint, Number, Tensor},
    config::{ModelConfig, TextConfig, VisionConfig},
    packed::Packed,
};

/// How weights are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// As stored: bf16 where the checkpoint is bf16 (multiplied as f32: nothing is lost), else f32.
    #[default]
    Stored,
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
    /// 8-bit integers with a scale for each group.
    Q8,
    /// 4-bit integers with a scale for each group; the head and the vision tower stay at 8 bits.
    Q4,
}

impl Precision {
    /// How keys and values are held beside such weights where nobody says.
    #[must_use]
    pub fn kv_kind(self, level: Level) -> KvKind {
        // How the checkpoint holds them decides between exact kinds only.
        KvKind::beside(Kinds::new(self, Number::F32).text, level)
    }
}

/// The kinds that a [`Precision`] means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    /// The text layers' matrices.
    pub text: Kind,
    /// The head.
    pub head: Kind,
    /// The vision tower's matrices, but for the patch embedding.
    pub vision: Kind,
    /// The patch embedding, never in integers: pixels differ by little.
    pub patch: Kind,
}

impl Kinds {
    /// `stored` is how the checkpoint holds its matrices.
    #[must_use]
    pub const fn new(precision: Precision, stored: Number) -> Self {
        let float = match stored {
            Number::Bf16 => Kind::Bf16,
            Number::F32 | Number::F16 => Kind::F32,
        };
        match precision {
            Precision::Stored => Self { text: float, head: float, vision: float, patch: float },
            Precision::F32 => Self { text: Kind::F32, head: Kind::F32, vision: Kind::F32, patch: Kind::F32 },
            Precision::Bf16 => Self { text: Kind::Bf16, head: Kind::Bf16, vision: Kind::Bf16, patch: Kind::Bf16 },
            Precision::Q8 => Self { text: Kind::Q8, head: Kind::Q8, vision: Kind::Q8, patch: float },
            Precision::Q4 => Self { text: Kind::Q4, head: Kind::Q8, vision: Kind::Q8, patch: float },
        }
    }

    /// Bytes of the packed matrices of a model.
    #[must_use]
    pub fn bytes(&self, config: &ModelConfig) -> u64 {
        self.text_bytes(&config.text) + self.vision_bytes(&config.vision)
    }

    fn text_bytes(&self, c: &TextConfig) -> u64 {
        let of = |n: usize, k: usize| Weight::bytes_for(self.text, n, k) as u64;
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let attention = of(q, c.hidden) + 2 * of(kv, c.hidden) + of(c.hidden, q);
        let layer = |l: usize| match c.experts.as_ref().filter(|e| e.at(l)) {
            Some(e) => e.count as u64 * (of(2 * e.intermediate, c.hidden) + of(c.hidden, e.intermediate)),
            None => of(2 * c.intermediate, c.hidden) + of(c.hidden, c.intermediate),
        };
        let head = Weight::bytes_for(self.head, c.vocab, c.hidden) as u64;
        (0..c.layers).map(|l| attention + layer(l)).sum::<u64>() + head
    }

    fn vision_bytes(&self, c: &VisionConfig) -> u64 {
        let of = |n: usize, k: usize| Weight::bytes_for(self.vision, n, k) as u64;
        let block = 4 * of(c.hidden, c.hidden) + of(c.intermediate, c.hidden) + of(c.hidden, c.intermediate);
        let inside = c.hidden * c.merged();
        let merger = of(inside, inside) + of(c.out, inside);
        c.depth as u64 * block
            + (1 + c.deepstack.len() as u64) * merger
            + Weight::bytes_for(self.patch, c.hidden, c.patch_len()) as u64
    }
}

/// Numbers that are read before their pages are let go of.
const FORGET: usize = 4 << 20;

/// A matrix and its bias.
#[derive(Debug)]
pub struct Linear {
    /// Outputs x inputs.
    pub weight: Weight,
    /// One per output.
    pub bias: Option<Vec<f32>>,
}

/// Rows `first..first + rows` of a stored matrix, a part of a packed one.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The stored matrix.
    pub tensor: &'a Tensor,
    /// First row.
    pub first: usize,
    /// Rows.
    pub rows: usize,
    /// What adapters change of the whole stored matrix.
    pub deltas: &'a [Delta],
}

/// Packs matrices and counts how far it has come.
pub struct Loader<'a> {
    /// Packs in parallel.
    pub pool: &'a Pool,
    /// Where the tensors come from.
    pub checkpoint: &'a Checkpoint,
    /// Numbers read so far.
    pub read: AtomicU64,
    /// Called with the share that is done, 0 to 1.
    pub progress: &'a (dyn Fn(f64) + Sync),
    /// Numbers to read in all.
    pub total: u64,
    /// Packed before, or kept for the next time.
    pub packed: &'a Packed,
    /// Merged while packing.
    pub adapters: &'a Adapters,
}

impl<'a> Loader<'a> {
    /// A vector.
    ///
    /// # Errors
    /// When it is missing or has another length.
    pub fn vector(&self, name: &str, n: usize) -> Result<Vec<f32>, String> {
        Ok(self.checkpoint.get(name, &[n])?.all())
    }

    /// A matrix of `n` x `k` with the name `{name}.weight`, and `{name}.bias` where there is to be one.
    ///
    /// # Errors
    /// When one is missing or has another shape, or memory runs out.
    pub fn linear(&self, kind: Kind, name: &str, n: usize, k: usize, bias: bool) -> Result<Linear, String> {
        let weight = self.pack(kind, k, &[self.part(&format!("{name}.weight"), n, k)?])?;
        let bias = if bias { Some(self.vector(&format!("{name}.bias"), n)?) } else { None };
        Ok(Linear { weight, bias })
    }

    /// A whole stored matrix with what adapters change of it.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn part(&self, name: &str, n: usize, k: usize) -> Result<Part<'a>, String> {
        let tensor = self.checkpoint.get(name, &[n, k])?;
        Ok(Part { tensor, first: 0, rows: n, deltas: self.adapters.of(name, [n, k])? })
    }

    /// One packed matrix of the parts' rows, each `k` wide, one part below the other.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn pack(&self, kind: Kind, k: usize, parts: &[Part<'_>]) -> Result<Weight, String> {
        let n = parts.iter().map(|p| p.rows).sum();
        if let Some(weight) = self.packed.next(kind, n, k)? {
            return Ok(weight);
        }
        let weight = self.pack_rows(kind, n, k, &|row, out| {
            let mut row = row;
            for part in parts {
                if row < part.rows {
                    part.tensor.row(part.first + row, out);
                    // A big matrix is let go of on the way, not only at its end: it would be held twice for a moment.
                    let some = (FORGET / part.tensor.width().max(1)).max(1);
                    if (row + 1) % some == 0 {
                        part.tensor.forget_rows(part.first + row + 1 - some, some);
                    }
                    for delta in part.deltas {
                        delta.add_row(part.first + row, out);
                    }
                    return;
                }
                row -= part.rows;
            }
        })?;
        for part in parts {
            part.tensor.forget();
        }
        Ok(weight)
    }

    /// A matrix of the rows that `fill` writes, kept in the cache of packed weights where there is one.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn pack_rows(
        &self,
        kind: Kind,
        n: usize,
        k: usize,
        fill: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Result<Weight, String> {
        let packed = Weight::pack(self.pool, kind, n, k, fill);
        let weight = packed.map_err(|e| format!("the weights cannot be packed: {e}"))?;
        self.packed.add(&weight);
        self.count((n * k) as u64);
        Ok(weight)
    }

    fn count(&self, numbers: u64) {
        let read = self.read.fetch_add(numbers, Ordering::Relaxed) + numbers;
        (self.progress)(read as f64 / self.total.max(1) as f64);
    }
}

/// Bytes that the system could give without swapping (`MemAvailable`); `None` where it does not say.
#[must_use]
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let free = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024;
    // In a container the group's limit may be lower.
    let read = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = read("/sys/fs/cgroup/memory.max").zip(read("/sys/fs/cgroup/memory.current"));
    Some(group.map_or(free, |(limit, used)| free.min(limit.saturating_sub(used))))
}
