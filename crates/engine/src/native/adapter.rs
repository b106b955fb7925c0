//! LoRA adapters in PEFT's format, merged into the weights while they are packed.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

use super::checkpoint::Checkpoint;

/// The adapters of one model.
#[derive(Debug, Default)]
pub struct Adapters {
    /// By the name of the tensor that they change, in the order of the adapters.
    deltas: HashMap<String, Vec<Delta>>,
    /// Names that were asked for.
    used: Mutex<Vec<String>>,
}

/// A low-rank change of one matrix: `scale * B A`.
#[derive(Debug)]
pub struct Delta {
    /// rank x inputs
    a: Vec<f32>,
    /// outputs x rank
    b: Vec<f32>,
    rank: usize,
    shape: [usize; 2],
    scale: f32,
}

impl Adapters {
    /// Reads adapter folders (`adapter_config.json`, `adapter_model.safetensors`).
    ///
    /// # Errors
    /// One sentence: what is not LoRA, or not known of it.
    pub fn open(folders: &[PathBuf]) -> Result<Self, String> {
        let mut adapters = Self::default();
        for folder in folders {
            adapters.add(folder).map_err(|e| format!("the adapter {}: {e}", folder.display()))?;
        }
        Ok(adapters)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }

    fn add(&mut self, folder: &Path) -> Result<(), String> {
        let text = std::fs::read(folder.join("adapter_config.json"))
            .map_err(|e| format!("adapter_config.json cannot be read: {e}"))?;
        let config: Value =
            serde_json::from_slice(&text).map_err(|e| format!("adapter_config.json is not JSON: {e}"))?;
        let settings = Settings::new(&config)?;
        let tensors = Checkpoint::files(&[folder.join("adapter_model.safetensors")])?;
        let mut names: Vec<&str> = tensors.names().collect();
        names.sort_unstable();
        for name in names {
            let Some(module) = name.strip_suffix(".lora_A.weight") else {
                if name.ends_with(".lora_B.weight") {
                    continue;
                }
                return Err(format!("the tensor {name} is no part of a plain LoRA"));
            };
            let a = tensors.matrix(name)?;
            let b = tensors.matrix(&format!("{module}.lora_B.weight"))?;
            let ([rank, inputs], [outputs, same]) = (a.1, b.1);
            if rank == 0 || rank != same {
                return Err(format!("{module} has A of rank {rank} and B of rank {same}"));
            }
            let target = module.strip_prefix("base_model.model.").unwrap_or(module);
            let scale = settings.scale(target, rank);
            let delta = Delta { a: a.0, b: b.0, rank, shape: [outputs, inputs], scale };
            self.deltas.entry(format!("{target}.weight")).or_default().push(delta);
        }
        Ok(())
    }

    /// The changes of a matrix of this shape.
    ///
    /// # Errors
    /// When one is made for another shape.
    pub fn of(&self, name: &str, shape: [usize; 2]) -> Result<&[Delta], String> {
        let Some(deltas) = self.deltas.get(name) else { return Ok(&[]) };
        if let Some(wrong) = deltas.iter().find(|d| d.shape != shape) {
            return Err(format!("an adapter changes {name} as {:?}, but it has the shape {shape:?}", wrong.shape));
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        Ok(deltas)
    }

    /// Checks, when all weights are packed, that every change was taken.
    ///
    /// # Errors
    /// The target that the model does not have.
    pub fn all_used(&self) -> Result<(), String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left: Vec<&String> = self.deltas.keys().filter(|name| !used.contains(name)).collect();
        left.sort();
        match left.first() {
            Some(name) => Err(format!("an adapter changes {name}, which cannot be changed in this model")),
            None => Ok(()),
        }
    }
}

impl Delta {
    /// Adds row `row` of `scale * B A` to `out`.
    pub fn add_row(&self, row: usize, out: &mut [f32]) {
        let [_, inputs] = self.shape;
        let b = self.b.get(row * self.rank..(row + 1) * self.rank).unwrap_or_default();
        for (b, a) in b.iter().zip(self.a.chunks_exact(inputs)) {
            let factor = self.scale * b;
            for (o, a) in out.iter_mut().zip(a) {
                *o += factor * a;
            }
        }
    }
}

/// What of `adapter_config.json` the scale depends on.
struct Settings {
    alpha: f64,
    /// Modules with an alpha of their own.
    alphas: Vec<(String, f64)>,
    /// Divide by the rank's root instead of the rank.
    root: bool,
}

impl Settings {
    fn new(config: &Value) -> Result<Self, String> {
        let kind = config.get("peft_type").and_then(Value::as_str).unwrap_or_default();
        if kind != "LORA" {
            return Err(format!("its peft_type is '{kind}'; only LORA is known"));
        }
        let flag = |key: &str| config.get(key).and_then(Value::as_bool).unwrap_or(false);
        for key in ["use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"] {
            if flag(key) {
                return Err(format!("{key} is not supported"));
            }
        }
        let bias = config.get("bias").and_then(Value::as_str).unwrap_or("none");
        if bias != "none" {
            return Err(format!("bias '{bias}' is not supported"));
        }
        let alpha = config.get("lora_alpha").and_then(Value::as_f64).ok_or("lora_alpha is missing")?;
        let own = config.get("alpha_pattern").and_then(Value::as_object);
        let alphas: Vec<(String, f64)> =
            own.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), v.as_f64()?))).collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if let Some((pattern, _)) = alphas.iter().find(|(k, _)| !k.chars().all(plain)) {
            return Err(format!("alpha_pattern '{pattern}' is a regular expression, which is not supported"));
        }
        Ok(Self { alpha, alphas, root: flag("use_rslora") })
    }

    /// PEFT's `LoraLayer.update_layer`.
    fn scale(&self, target: &str, rank: usize) -> f32 {
        let of = |name: &str| target == name || target.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        let alpha = self.alphas.iter().find(|(name, _)| of(name)).map_or(self.alpha, |(_, alpha)| *alpha);
        let divisor = if self.root { (rank as f64).sqrt() } else { rank as f64 };
        (alpha / divisor) as f32
    }
}
