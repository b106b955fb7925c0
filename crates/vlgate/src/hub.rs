//! Where a model's files are: a local folder, the Hugging Face cache, or the hub itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{ApiBuilder, ApiError, ApiRepo},
};
use serde_json::Value;

/// Files besides the weights; those marked true must be there.
const SIDE_FILES: &[(&str, bool)] = &[
    ("config.json", true),
    ("tokenizer.json", true),
    ("preprocessor_config.json", true),
    ("tokenizer_config.json", false),
    ("generation_config.json", false),
    ("chat_template.jinja", false),
    ("chat_template.json", false),
    ("video_preprocessor_config.json", false),
];
const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// The folder of `model`: itself when it is a folder, else the cached snapshot (`HF_HOME` as the Python library reads
/// it), else downloaded there with progress bars; the token is `HF_TOKEN` or the one that `hf auth login` left.
///
/// # Errors
/// One sentence that says what was tried.
pub fn locate(model: &str, revision: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(model);
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    if model.starts_with(['.', '/']) || model.split('/').count() != 2 {
        bail!("'{model}' is neither a folder nor an id of the form owner/name");
    }
    let repo = Repo::with_revision(model.to_owned(), RepoType::Model, revision.to_owned());
    if let Some(folder) = cached(&repo) {
        tracing::info!(folder = %folder.display(), "the model is in the Hugging Face cache");
        return Ok(folder);
    }
    download(repo).with_context(|| {
        format!("'{model}' (revision {revision}) is not in the Hugging Face cache and cannot be downloaded")
    })
}

/// The snapshot folder, when everything that is needed is in it.
fn cached(repo: &Repo) -> Option<PathBuf> {
    let cache = Cache::from_env().repo(repo.clone());
    for (name, required) in SIDE_FILES {
        if *required {
            cache.get(name)?;
        }
    }
    for name in weights(cache.get(INDEX))? {
        cache.get(&name)?;
    }
    cache.get("config.json")?.parent().map(Path::to_owned)
}

/// The weight files that an index names, or the single file.
fn weights(index: Option<PathBuf>) -> Option<Vec<String>> {
    let Some(index) = index else { return Some(vec![SINGLE.to_owned()]) };
    let index: Value = serde_json::from_slice(&std::fs::read(index).ok()?).ok()?;
    let mut names: Vec<String> =
        index.get("weight_map")?.as_object()?.values().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    Some(names)
}

fn download(repo: Repo) -> anyhow::Result<PathBuf> {
    let mut api = ApiBuilder::from_env().with_progress(true);
    if let Ok(token) = std::env::var("HF_TOKEN") {
        api = api.with_token(Some(token));
    }
    let repo = api.build()?.repo(repo);
    for (name, required) in SIDE_FILES {
        match repo.get(name) {
            Ok(_) => {}
            Err(_) if !required => tracing::debug!("the hub has no {name}"),
            Err(error) => return Err(anyhow::Error::new(error).context(format!("{name} is missing"))),
        }
    }
    for name in weights(optional(&repo, INDEX)).context("the weights' index is broken")? {
        tracing::info!("fetching {name}");
        repo.get(&name)?;
    }
    let config = repo.get("config.json")?;
    config.parent().map(Path::to_owned).context("the cache has no folder for the model")
}

fn optional(repo: &ApiRepo, name: &str) -> Option<PathBuf> {
    let got: Result<PathBuf, ApiError> = repo.get(name);
    got.ok()
}
