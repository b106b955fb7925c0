//! Flags over the configuration file over the defaults.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde::Deserialize;

/// Names that GPT-4V code uses; they all mean the model served here.
const ALIASES: [&str; 6] = ["gpt-4-vision-preview", "gpt-4o", "gpt-4o-mini", "gpt-4-turbo", "gpt-4.1", "gpt-4.1-mini"];

/// `vlgate serve`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeFlags {
    /// Address to listen on; anything but loopback needs an API key [default: 127.0.0.1]
    #[arg(long)]
    pub host: Option<IpAddr>,
    /// Port to listen on [default: 8080]
    #[arg(long)]
    pub port: Option<u16>,
    /// "demo", a folder in hub layout, or an id of the Hugging Face hub [default: demo]
    #[arg(long)]
    pub model: Option<String>,
    /// The id that clients see [default: the model's own]
    #[arg(long)]
    pub served_name: Option<String>,
    /// Branch, tag or commit on the hub [default: main]
    #[arg(long)]
    pub revision: Option<String>,
    /// What computes the model [default: auto]
    #[arg(long)]
    pub runtime: Option<Runtime>,
    /// none, q8, q4, or (mistralrs only) a quantisation by name (q4k, q6k, hqq8, ...) [default: none]
    #[arg(long)]
    pub quantize: Option<String>,
    /// Weights [default: auto, as stored on CPUs and bf16 elsewhere]
    #[arg(long)]
    pub dtype: Option<Dtype>,
    /// A LoRA adapter (PEFT's format) as a model id of its own; may be repeated
    #[arg(long, value_name = "NAME=FOLDER", value_parser = adapter)]
    pub adapter: Vec<Adapter>,
    /// Keys and values of the native runtime [default: f32]
    #[arg(long)]
    pub kv_cache_type: Option<KvCacheType>,
    /// Where the native runtime keeps packed weights for the next start: "beside" the model, or a folder
    #[arg(long)]
    pub packed_cache: Option<String>,
    /// Requests computed at once [default: 32]
    #[arg(long)]
    pub max_running: Option<usize>,
    /// Tokens of prompt and answer together [default: the model's own]
    #[arg(long)]
    pub context: Option<u32>,
    /// Key that clients must send; several with commas
    #[arg(long, env = "VLGATE_API_KEY", hide_env_values = true, value_delimiter = ',')]
    pub api_key: Vec<String>,
    /// A host:port or CIDR that pictures may be fetched from although it is private; may be repeated
    #[arg(long)]
    pub allow_host: Vec<String>,
    /// Folder of uploaded files and batches [default: the user's data folder]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Configuration file
    #[arg(long)]
    pub config: Option<PathBuf>,
}

/// What computes the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// The best that this build has.
    #[default]
    Auto,
    /// mistral.rs.
    Mistralrs,
    /// vlgate's own, for CPUs.
    Native,
}

/// Weights and activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// As stored on CPUs, bf16 elsewhere.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits.
    Bf16,
}

/// How the native runtime holds keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum KvCacheType {
    /// `bf16` beside quantised weights on processors with dot products of it, else `f32`.
    #[default]
    Auto,
    /// As computed.
    F32,
    /// Half the memory.
    F16,
    /// Half the memory; attention rounds queries and weights alike.
    Bf16,
    /// A quarter of the memory.
    Q8,
}

/// A LoRA adapter as a model of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// The id that clients name.
    pub name: String,
    /// A folder with `adapter_config.json` and `adapter_model.safetensors`.
    pub path: PathBuf,
}

fn adapter(text: &str) -> Result<Adapter, String> {
    let (name, path) = text.split_once('=').filter(|(n, p)| !n.is_empty() && !p.is_empty()).ok_or("not NAME=FOLDER")?;
    Ok(Adapter { name: name.to_owned(), path: PathBuf::from(path) })
}

/// Everything that `vlgate serve` needs to know; the fields are those of `config/vlgate.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Settings {
    pub host: IpAddr,
    pub port: u16,
    pub api_keys: Vec<String>,
    pub model: String,
    pub served_name: String,
    pub revision: String,
    pub runtime: Runtime,
    pub quantize: String,
    pub dtype: Dtype,
    pub max_running: usize,
    pub max_waiting: u32,
    pub context: u32,
    pub block_size: usize,
    pub memory_fraction: f32,
    pub kv_cache_mib: u64,
    pub kv_cache_type: KvCacheType,
    pub packed_cache: String,
    pub adapters: Vec<Adapter>,
    pub aliases: BTreeMap<String, String>,
    pub limits: Limits,
    pub media: Media,
    pub store: Store,
}

/// `[limits]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Limits {
    pub body_bytes: usize,
    pub bodies_in_flight_bytes: usize,
    pub images_per_request: usize,
    pub batch_requests_at_once: usize,
    pub videos_per_request: usize,
    pub files_per_request: usize,
    pub frames_per_video: u32,
    pub pages_per_request: u32,
}

/// `[media]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Media {
    pub allow_hosts: Vec<String>,
    pub allow_domains: Vec<String>,
    pub deny_domains: Vec<String>,
    pub file_folders: Vec<PathBuf>,
    pub image_bytes: usize,
    pub image_pixels: u64,
    pub fetches: usize,
    pub fetches_per_host: usize,
    pub fetch_seconds: u64,
    pub decode_memory_mib: usize,
    pub decode_wait_seconds: u64,
    pub decode_seconds: u64,
    pub decoders: usize,
    pub pixel_cache_mib: u64,
    pub fetch_cache_mib: u64,
    pub named_cache_mib: u64,
    pub video_bytes: usize,
    pub document_bytes: usize,
    pub document_characters: usize,
    pub read_seconds: u64,
    pub child_memory_mib: u64,
    pub tools: String,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            allow_hosts: Vec::new(),
            allow_domains: Vec::new(),
            deny_domains: Vec::new(),
            file_folders: Vec::new(),
            image_bytes: 32 << 20,
            image_pixels: 100_000_000,
            fetches: 32,
            fetches_per_host: 8,
            fetch_seconds: 30,
            decode_memory_mib: 1024,
            decode_wait_seconds: 10,
            decode_seconds: 60,
            decoders: 0,
            pixel_cache_mib: 64,
            fetch_cache_mib: 64,
            named_cache_mib: 64,
            video_bytes: 256 << 20,
            document_bytes: 64 << 20,
            document_characters: 4_000_000,
            read_seconds: 120,
            child_memory_mib: 3072,
            tools: String::new(),
        }
    }
}

/// `[store]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Store {
    pub path: String,
    pub days: u32,
    pub file_bytes: u64,
    pub total_bytes: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { path: String::new(), days: 30, file_bytes: 512 << 20, total_bytes: 10 << 30 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            bodies_in_flight_bytes: 512 << 20,
            images_per_request: 64,
            batch_requests_at_once: 4,
            videos_per_request: 8,
            files_per_request: 16,
            frames_per_video: 768,
            pages_per_request: 100,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8080,
            api_keys: Vec::new(),
            model: "demo".into(),
            served_name: String::new(),
            revision: "main".into(),
            runtime: Runtime::Auto,
            quantize: "none".into(),
            dtype: Dtype::Auto,
            max_running: 32,
            max_waiting: 256,
            context: 0,
            block_size: 32,
            memory_fraction: 0.0,
            kv_cache_mib: 0,
            kv_cache_type: KvCacheType::Auto,
            packed_cache: String::new(),
            adapters: Vec::new(),
            aliases: BTreeMap::new(),
            limits: Limits::default(),
            media: Media::default(),
            store: Store::default(),
        }
    }
}

impl Settings {
    /// Flags over the file over the defaults.
    ///
    /// # Errors
    /// A file that cannot be read or has an unknown key; a door that would stand open.
    pub fn read(flags: ServeFlags) -> anyhow::Result<Self> {
        let mut s = match &flags.config {
            Some(file) => {
                let text =
                    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
                toml::from_str(&text).with_context(|| format!("{} is not a valid configuration", file.display()))?
            }
            None => Self::default(),
        };
        set(&mut s.host, flags.host);
        set(&mut s.port, flags.port);
        set(&mut s.model, flags.model);
        set(&mut s.served_name, flags.served_name);
        set(&mut s.revision, flags.revision);
        set(&mut s.runtime, flags.runtime);
        set(&mut s.quantize, flags.quantize);
        set(&mut s.dtype, flags.dtype);
        set(&mut s.max_running, flags.max_running);
        set(&mut s.context, flags.context);
        set(&mut s.kv_cache_type, flags.kv_cache_type);
        set(&mut s.packed_cache, flags.packed_cache);
        s.adapters.extend(flags.adapter);
        s.media.allow_hosts.extend(flags.allow_host);
        set(&mut s.store.path, flags.data.map(|folder| folder.to_string_lossy().into_owned()));
        if !flags.api_key.is_empty() {
            s.api_keys = flags.api_key;
        }
        s.api_keys.retain(|k| !k.trim().is_empty());
        if s.api_keys.is_empty() && !s.host.is_loopback() {
            bail!("--host {} is open to others: set --api-key or VLGATE_API_KEY, or listen on 127.0.0.1", s.host);
        }
        for alias in ALIASES {
            s.aliases.entry(alias.to_owned()).or_default();
        }
        Ok(s)
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_holds_the_defaults_and_no_unknown_key() {
        let text = include_str!("../../../config/vlgate.toml");
        let active: String = text
            .lines()
            .map(|l| l.strip_prefix("# ").filter(|l| l.contains(" = ") && !l.contains("`")).unwrap_or(l))
            .collect::<Vec<_>>()
            .join("\n");
        let read: Settings = toml::from_str(&active).expect("every key is known");
        let defaults = Settings { aliases: read.aliases.clone(), ..Settings::default() };
        assert_eq!(format!("{read:?}"), format!("{defaults:?}"));
        assert_eq!(read.aliases.len(), ALIASES.len());
    }

    #[test]
    fn an_open_door_needs_a_key() {
        let open = ServeFlags { host: "0.0.0.0".parse().ok(), ..ServeFlags::default() };
        assert!(Settings::read(open.clone()).is_err());
        assert!(Settings::read(ServeFlags { api_key: vec![String::new()], ..open.clone() }).is_err());
        assert!(Settings::read(ServeFlags { api_key: vec!["k".into()], ..open }).is_ok());
    }
}
