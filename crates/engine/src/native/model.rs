//! A model folder as packed weights on a thread pool: what stays when the engine is started again.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
};

use serde_json::Value;
use vlgate_kernels::Pool;
use vlgate_media::VisionSpec;

use super::{
    adapter::Adapters,
    checkpoint::{Checkpoint, Number},
    config::ModelConfig,
    packed::Packed,
    text::TextModel,
    vision::Tower,
    weights::{Kinds, Loader, Precision, available_memory},
};

/// Everything that computes, and nothing that changes.
#[derive(Debug)]
pub struct Model {
    /// The shape.
    pub config: ModelConfig,
    /// How pixels are normalised.
    pub spec: VisionSpec,
    /// The kernels' threads; the engine's own thread is one of them.
    pub pool: Pool,
    /// Pictures to rows.
    pub tower: Tower,
    /// Tokens to logits.
    pub text: TextModel,
    /// How weights are held.
    pub kinds: Kinds,
}

impl Model {
    /// Packs a folder's weights with `adapters` merged. `cache` is where their packed form is kept, if anywhere. `progress` is told the share that
    /// is done, 0 to 1, from any thread.
    ///
    /// # Errors
    /// One sentence: what the files lack, or that the model does not fit the memory.
    pub fn load(
        folder: &Path,
        spec: VisionSpec,
        precision: Precision,
        pool: Pool,
        adapters: &[PathBuf],
        cache: Option<&Path>,
        progress: &(dyn Fn(f64) + Sync),
    ) -> Result<Self, String> {
        let path = folder.join("config.json");
        let text = std::fs::read(&path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
        let json: Value = serde_json::from_slice(&text).map_err(|e| format!("{} is not JSON: {e}", path.display()))?;
        let config = ModelConfig::new(&json)?;
        if config.vision.frames != 2 || config.vision.channels != 3 {
            return Err("config.json: the vision tower must take two frames of three channels a patch".into());
        }
        let (patch, merge) = (config.vision.patch, config.vision.merge);
        if (spec.patch_size as usize, spec.merge_size as usize) != (patch, merge) {
            return Err(format!(
                "preprocessor_config.json cuts patches of {} merged by {}, but config.json has {patch} and {merge}",
                spec.patch_size, spec.merge_size
            ));
        }
        let checkpoint = Checkpoint::open(folder)?;
        let embedding = "model.language_model.embed_tokens.weight";
        let stored = checkpoint.get(embedding, &[config.text.vocab, config.text.hidden])?.number();
        let kinds = Kinds::new(precision, stored);
        fits(&kinds, &config, stored)?;
        let total = checkpoint.numbers();
        let adapters = Adapters::open(adapters)?;
        // The cache is of the model as it is.
        let packed = cache
            .filter(|_| adapters.is_empty())
            .map_or_else(Packed::default, |cache| Packed::open(cache, folder, &kinds));
        let loader = Loader {
            pool: &pool,
            checkpoint: &checkpoint,
            read: AtomicU64::new(0),
            progress,
            total,
            packed: &packed,
            adapters: &adapters,
        };
        let tower = Tower::load(&loader, &config.vision, kinds);
        let text = tower.is_ok().then(|| TextModel::load(&loader, &config.text, kinds));
        packed.finish(matches!(text, Some(Ok(_))));
        let tower = tower?;
        adapters.all_used()?;
        let text = text.unwrap_or_else(|| Err("the weights were not read".into()))?;
        Ok(Self { config, spec, pool, tower, text, kinds })
    }

    /// Bytes of the packed matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tower.bytes() + self.text.bytes()
    }
}

fn fits(kinds: &Kinds, config: &ModelConfig, stored: Number) -> Result<(), String> {
    let needed = kinds.bytes(config);
    match available_memory() {
        Some(free) if needed > free => {
            let gib = |bytes: u64| bytes as f64 / f64::from(1u32 << 30);
            let hint = match stored {
                _ if kinds.text == vlgate_kernels::Kind::Q4 => "use a smaller model",
                _ if kinds.text == vlgate_kernels::Kind::Q8 => "use --quantize q4 or a smaller model",
                _ => "use --quantize q8 or q4",
            };
            Err(format!("the weights take {:.1} GiB and {:.1} GiB of memory are free; {hint}", gib(needed), gib(free)))
        }
        _ => Ok(()),
    }
}
