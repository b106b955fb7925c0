//! Which runtime computes a model, and its loading.

use std::{path::Path, sync::Arc};

use anyhow::bail;
use vlgate_engine::{
    Engine, LocalEngine, ModelCard, ModelDir, Several,
    native::{KvKind, NativeOptions, NativeRuntime, Precision},
};

use crate::settings::{Adapter, Dtype, KvCacheType, Runtime, Settings};

/// mistral.rs where it has paged attention (CUDA, Metal), our own elsewhere.
///
/// # Errors
/// When this build lacks the one that is asked for.
pub fn choose(wanted: Runtime) -> anyhow::Result<&'static str> {
    match wanted {
        Runtime::Native => Ok("native"),
        Runtime::Mistralrs if cfg!(feature = "mistralrs") => Ok("mistralrs"),
        Runtime::Mistralrs => bail!("this build has no mistral.rs: build it with --features mistralrs"),
        Runtime::Auto if paged_mistral() => Ok("mistralrs"),
        Runtime::Auto => Ok("native"),
    }
}

#[cfg(feature = "mistralrs")]
fn paged_mistral() -> bool {
    vlgate_engine::mistral::paged_attention()
}

#[cfg(not(feature = "mistralrs"))]
fn paged_mistral() -> bool {
    false
}

/// Loads the model on the runtime that its card names, and each adapter as a model beside it.
///
/// # Errors
/// What keeps it from loading, in one sentence.
pub async fn load(settings: &Settings, model: Arc<ModelDir>, card: ModelCard) -> anyhow::Result<Arc<dyn Engine>> {
    #[cfg(feature = "mistralrs")]
    if card.runtime == "mistralrs" {
        if !settings.adapters.is_empty() {
            bail!("adapters need the native runtime: --runtime native");
        }
        let runtime = vlgate_engine::mistral::MistralRuntime::load(mistral_options(settings, &model)?).await?;
        return Ok(Arc::new(LocalEngine::new(card, model, runtime)));
    }
    let mut engines = vec![native(settings, &model, card.clone(), None).await?];
    for adapter in &settings.adapters {
        tracing::info!(model = %adapter.name, folder = %adapter.path.display(), "loading an adapter");
        let card = ModelCard { id: adapter.name.clone(), ..card.clone() };
        engines.push(native(settings, &model, card, Some(adapter)).await?);
    }
    match <[_; 1]>::try_from(engines) {
        Ok([engine]) => Ok(engine),
        Err(engines) => Ok(Arc::new(Several::new(engines).map_err(anyhow::Error::msg)?)),
    }
}

async fn native(
    settings: &Settings,
    model: &Arc<ModelDir>,
    card: ModelCard,
    adapter: Option<&Adapter>,
) -> anyhow::Result<Arc<dyn Engine>> {
    let mut options = native_options(settings, model)?;
    options.adapters.extend(adapter.map(|a| a.path.clone()));
    let runtime = NativeRuntime::load(options).await?;
    let context_length = card.context_length.min(u32::try_from(runtime.context()).unwrap_or(u32::MAX));
    Ok(Arc::new(LocalEngine::new(ModelCard { context_length, ..card }, Arc::clone(model), runtime)))
}

fn native_options(settings: &Settings, model: &ModelDir) -> anyhow::Result<NativeOptions> {
    let precision = match (settings.quantize.as_str(), settings.dtype) {
        ("none", Dtype::Auto) => Precision::Stored,
        ("none", Dtype::F32) => Precision::F32,
        ("none", Dtype::Bf16) => Precision::Bf16,
        ("q8", _) => Precision::Q8,
        ("q4", _) => Precision::Q4,
        (other, _) => bail!("the native runtime knows the quantisations none, q8 and q4, not '{other}'"),
    };
    let mut options = NativeOptions::new(model);
    options.precision = precision;
    options.max_running = settings.max_running;
    options.max_waiting = settings.max_waiting;
    options.sharers = 1 + settings.adapters.len();
    options.kv = match settings.kv_cache_type {
        KvCacheType::Auto => None,
        KvCacheType::F32 => Some(KvKind::F32),
        KvCacheType::F16 => Some(KvKind::F16),
        KvCacheType::Bf16 => Some(KvKind::Bf16),
        KvCacheType::Q8 => Some(KvKind::Q8),
    };
    options.cache = match settings.packed_cache.as_str() {
        "" => None,
        "beside" => Some(model.path.clone()),
        // One folder may serve several models.
        folder => Some(Path::new(folder).join(model.path.file_name().unwrap_or_default())),
    };
    if settings.context > 0 {
        options.context = settings.context as usize;
    }
    if settings.kv_cache_mib > 0 {
        options.kv_bytes = Some((settings.kv_cache_mib << 20) / options.sharers as u64);
    }
    Ok(options)
}

#[cfg(feature = "mistralrs")]
fn mistral_options(settings: &Settings, model: &ModelDir) -> anyhow::Result<vlgate_engine::mistral::LoadOptions> {
    use vlgate_engine::mistral::{LoadOptions, Quantization, paged_attention};
    if !(0.0..=1.0).contains(&settings.memory_fraction) {
        bail!("memory_fraction is a fraction between 0 and 1");
    }
    let context = if settings.context == 0 { model.context_length.min(32_768) } else { settings.context };
    Ok(LoadOptions {
        folder: model.path.clone(),
        eos: model.eos.clone(),
        quantization: match settings.quantize.as_str() {
            "none" => Quantization::None,
            "q8" => Quantization::Q8,
            "q4" => Quantization::Q4,
            name => Quantization::Named(name.to_owned()),
        },
        bf16: match settings.dtype {
            Dtype::Auto => paged_attention(),
            Dtype::F32 => false,
            Dtype::Bf16 => true,
        },
        max_running: settings.max_running,
        max_waiting: settings.max_waiting,
        context: context as usize,
        block_size: settings.block_size,
        memory_fraction: (settings.memory_fraction > 0.0).then_some(settings.memory_fraction),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_build_computes_with_its_own_runtime() {
        if !paged_mistral() {
            assert_eq!(choose(Runtime::Auto).ok(), Some("native"));
        }
        assert_eq!(choose(Runtime::Native).ok(), Some("native"));
        assert_eq!(choose(Runtime::Mistralrs).is_ok(), cfg!(feature = "mistralrs"));
    }
}
