//! A folder's safetensors, mapped: one file, or shards behind `model.safetensors.index.json`.

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The tensors of a model folder by name. Nothing is read before it is asked for.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: HashMap<String, Tensor>,
}

/// A mapped tensor.
#[derive(Debug, Clone)]
pub struct Tensor {
    map: Arc<Mmap>,
    start: usize,
    end: usize,
    number: Number,
    /// As stored; the first dimension counts rows.
    pub shape: Vec<usize>,
}

/// How a checkpoint stores numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// bfloat16.
    Bf16,
}

impl Number {
    const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

impl Checkpoint {
    /// Maps a folder's weights.
    ///
    /// # Errors
    /// One sentence that names the file and what is wrong with it.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let single = folder.join("model.safetensors");
        if single.exists() {
            return Self::files(&[single]);
        }
        let index = folder.join("model.safetensors.index.json");
        let text = std::fs::read(&index).map_err(|_| {
            format!("{} has neither model.safetensors nor model.safetensors.index.json", folder.display())
        })?;
        let index: Value =
            serde_json::from_slice(&text).map_err(|e| format!("{} is not JSON: {e}", index.display()))?;
        let shards = index.get("weight_map").and_then(Value::as_object);
        let mut shards: Vec<&str> = shards.map(|m| m.values().filter_map(Value::as_str).collect()).unwrap_or_default();
        shards.sort_unstable();
        shards.dedup();
        // A shard's name is a file of this folder, not a path.
        let plain = |name: &&&str| Path::new(name).file_name().is_some_and(|f| f == **name);
        if shards.is_empty() || !shards.iter().all(|s| plain(&s)) {
            return Err(format!("{}/model.safetensors.index.json names no shards of this folder", folder.display()));
        }
        Self::files(&shards.iter().map(|s| folder.join(s)).collect::<Vec<_>>())
    }

    /// Maps files, whatever their names.
    ///
    /// # Errors
    /// As [`Self::open`].
    #[allow(unsafe_code)]
    pub fn files(files: &[PathBuf]) -> Result<Self, String> {
        let mut tensors = HashMap::new();
        for path in files {
            let file = File::open(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
            // SAFETY: the map is read only. Whoever changes a model's files while it is served changes the model; a
            // file cut off under a map ends the process, as it does for every program that maps its weights.
            let map = unsafe { Mmap::map(&file) }.map_err(|e| format!("{} cannot be mapped: {e}", path.display()))?;
            let map = Arc::new(map);
            let (header, metadata) = SafeTensors::read_metadata(&map)
                .map_err(|e| format!("{} is not a whole safetensors file: {e}", path.display()))?;
            for (name, info) in metadata.tensors() {
                let number = match info.dtype {
                    Dtype::F32 => Number::F32,
                    Dtype::F16 => Number::F16,
                    Dtype::BF16 => Number::Bf16,
                    // Kept out: reported as missing with its type where it is wanted.
                    _ => continue,
                };
                let (start, end) = (8 + header + info.data_offsets.0, 8 + header + info.data_offsets.1);
                let shape = info.shape.clone();
                tensors.insert(name, Tensor { map: Arc::clone(&map), start, end, number, shape });
            }
        }
        Ok(Self { tensors })
    }

    /// Whether a tensor is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A matrix of whatever shape: its numbers, rows and columns.
    ///
    /// # Errors
    /// One sentence when it is missing or no matrix.
    pub fn matrix(&self, name: &str) -> Result<(Vec<f32>, [usize; 2]), String> {
        let tensor = self.tensors.get(name).ok_or_else(|| format!("the tensor {name} is missing"))?;
        let [rows, columns] = *tensor.shape.as_slice() else { return Err(format!("the tensor {name} is no matrix")) };
        Ok((tensor.all(), [rows, columns]))
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Numbers in all tensors together.
    #[must_use]
    pub fn numbers(&self) -> u64 {
        self.tensors.values().map(|t| t.shape.iter().product::<usize>() as u64).sum()
    }

    /// A tensor of a shape.
    ///
    /// # Errors
    /// One sentence when it is missing or has another shape.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&Tensor, String> {
        let tensor = self.tensors.get(name).ok_or_else(|| {
            format!("the weights lack the tensor {name} (as f32, f16 or bf16), which config.json asks for")
        })?;
        if tensor.shape == shape {
            return Ok(tensor);
        }
        Err(format!("the tensor {name} has the shape {:?}, but config.json asks for {shape:?}", tensor.shape))
    }
}

impl Tensor {
    /// How it is stored.
    #[must_use]
    pub const fn number(&self) -> Number {
        self.number
    }

    /// Numbers in a row: all dimensions but the first.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Row `row` as f32 into `out`, which is [`Self::width`] long; what is out of range stays as it is.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        self.read(row * self.width(), out);
    }

    /// Numbers from `first` on.
    pub fn read(&self, first: usize, out: &mut [f32]) {
        let bytes = self.map.get(self.start..self.end).unwrap_or_default();
        let bytes = bytes.get(first * self.number.bytes()..).unwrap_or_default();
        let two = |b: &[u8]| b.try_into().map(u16::from_le_bytes).unwrap_or_default();
        match self.number {
            Number::F32 => {
                for (o, b) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                    *o = b.try_into().map(f32::from_le_bytes).unwrap_or_default();
                }
            }
            Number::F16 => {
                for (o, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    *o = f16::from_bits(two(b)).to_f32();
                }
            }
            Number::Bf16 => {
                for (o, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    *o = bf16::from_bits(two(b)).to_f32();
                }
            }
        }
    }

    /// All numbers.
    #[must_use]
    pub fn all(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.shape.iter().product()];
        self.read(0, &mut out);
        out
    }

    /// Lets the system take back the pages that were read: the packed copy is used from now on.
    pub fn forget(&self) {
        self.forget_rows(0, self.shape.first().copied().unwrap_or(0));
    }

    /// The same for `rows` rows from `first` on; what is out of range is left alone.
    #[allow(unsafe_code)]
    pub fn forget_rows(&self, first: usize, rows: usize) {
        #[cfg(unix)]
        {
            // Whole pages inside the rows; a neighbour's bytes stay.
            let (page, width) = (4096, self.width() * self.number.bytes());
            let at = |row: usize| self.start.saturating_add(row.saturating_mul(width)).min(self.end);
            let (start, end) = (at(first).next_multiple_of(page), at(first.saturating_add(rows)) / page * page);
            if start < end {
                // SAFETY: a read-only map of a file: dropped pages are read again when they are touched.
                let _ =
                    unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixture_is_read_and_what_is_wrong_is_named() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/random-tiny");
        let c = Checkpoint::open(&folder).unwrap();
        let name = "model.visual.pos_embed.weight";
        let t = c.get(name, &[64, 64]).unwrap();
        assert_eq!(t.number(), Number::Bf16);
        let (all, mut row) = (t.all(), vec![0.0; 64]);
        t.row(3, &mut row);
        assert_eq!(row, all[192..256]);
        t.forget();
        assert_eq!(t.all(), all);
        let error = c.get(name, &[64, 65]).unwrap_err();
        assert!(error.contains(name) && error.contains("[64, 65]"), "{error}");
        assert!(c.get("nothing", &[1]).unwrap_err().contains("nothing"));
        let error = Checkpoint::open(Path::new("/nonexistent")).unwrap_err();
        assert!(error.contains("model.safetensors"), "{error}");
    }

    #[test]
    fn shards_are_found_by_their_index_and_a_cut_file_is_refused() {
        let folder = std::env::temp_dir().join(format!("vlgate-shards-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let shard = |name: &str, tensor: &str, number: f32| {
            let bytes = number.to_le_bytes();
            let view = safetensors::tensor::TensorView::new(Dtype::F32, vec![1], &bytes).unwrap();
            let bytes = safetensors::serialize([(tensor, view)], None).unwrap();
            std::fs::write(folder.join(name), &bytes).unwrap();
            bytes
        };
        shard("a.safetensors", "one", 1.0);
        let bytes = shard("b.safetensors", "two", 2.0);
        let index = |map: &str| std::fs::write(folder.join("model.safetensors.index.json"), map).unwrap();
        index(r#"{"weight_map": {"one": "a.safetensors", "two": "b.safetensors"}}"#);
        let c = Checkpoint::open(&folder).unwrap();
        assert_eq!((c.get("one", &[1]).unwrap().all(), c.get("two", &[1]).unwrap().all()), (vec![1.0], vec![2.0]));
        index(r#"{"weight_map": {"one": "../a.safetensors"}}"#);
        assert!(Checkpoint::open(&folder).unwrap_err().contains("no shards"));
        index(r#"{"weight_map": {"one": "c.safetensors"}}"#);
        std::fs::write(folder.join("c.safetensors"), &bytes[..bytes.len() - 1]).unwrap();
        assert!(Checkpoint::open(&folder).unwrap_err().contains("c.safetensors"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
