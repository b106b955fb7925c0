//! The embedded demo weights: a Qwen3-VL-architecture model of a few million parameters, trained from scratch by
//! `training/` on pictures that a script drew. A toy that proves the pipeline: it knows simple shapes, colours, counts,
//! positions and printed numbers, and says so when asked for anything else.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use std::{
    io,
    path::{Path, PathBuf},
};

/// The id that the demo model is served under.
pub const ID: &str = "vlgate-demo";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../model/", $name)))),*]
    };
}

/// The model folder, file by file, in hub layout.
const FILES: &[(&str, &[u8])] = files![
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
];

/// Writes the model below `parent` (once: a complete copy of the same build is reused) and returns its folder.
///
/// # Errors
/// What the file system says.
pub fn unpack(parent: &Path) -> io::Result<PathBuf> {
    let folder = parent.join(format!("demo-{:016x}", fingerprint()));
    let complete = FILES
        .iter()
        .all(|(name, bytes)| std::fs::metadata(folder.join(name)).is_ok_and(|m| m.len() == bytes.len() as u64));
    if complete {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder)?;
    for (name, bytes) in FILES {
        // Written beside and moved into place: a second process that starts now never sees half a file.
        let part = folder.join(format!("{name}.{}", std::process::id()));
        std::fs::write(&part, bytes)?;
        std::fs::rename(&part, folder.join(name))?;
    }
    Ok(folder)
}

/// FNV-1a over all files: names the copy, so that another build's copy is never taken for this one's.
fn fingerprint() -> u64 {
    FILES
        .iter()
        .flat_map(|(name, bytes)| name.bytes().chain(bytes.iter().copied()))
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #[test]
    fn unpacks_once_and_is_small() {
        let parent = std::env::temp_dir().join(format!("vlgate-demo-test-{}", std::process::id()));
        let folder = super::unpack(&parent).expect("unpack");
        assert_eq!(super::unpack(&parent).expect("again"), folder);
        let total: usize = super::FILES.iter().map(|f| f.1.len()).sum();
        assert!(total < 40 << 20, "{total} bytes");
        std::fs::remove_dir_all(parent).expect("clean");
    }
}
