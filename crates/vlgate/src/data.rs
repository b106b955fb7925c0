//! Where files and batches are kept.

use std::path::{Path, PathBuf};

use vlgate_server::{Store, StoreConfig};

use crate::settings;

/// The store of the settings: the folder they name, or the user's data folder, or (with a warning) a temporary one.
pub fn store(settings: &settings::Store) -> StoreConfig {
    let limits = StoreConfig {
        path: None,
        days: settings.days,
        file_bytes: settings.file_bytes,
        total_bytes: settings.total_bytes,
    };
    if !settings.path.is_empty() {
        // Asked for: where it does not work the server does not start, and says why.
        return StoreConfig { path: Some(PathBuf::from(&settings.path)), ..limits };
    }
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".local/share"));
    usual(set("XDG_DATA_HOME").or_else(home).as_deref(), limits)
}

/// `vlgate` below the user's data folder, if it works.
fn usual(base: Option<&Path>, limits: StoreConfig) -> StoreConfig {
    let Some(base) = base else {
        tracing::warn!("no HOME: files and batches are kept until the server ends; --data FOLDER keeps them longer");
        return limits;
    };
    let config = StoreConfig { path: Some(base.join("vlgate")), ..limits.clone() };
    match Store::open(config.clone()) {
        Ok(_) => config,
        Err(error) => {
            let folder = base.join("vlgate");
            tracing::warn!(
                "{} cannot be used ({error}): files and batches are kept until the server ends; --data FOLDER keeps them longer",
                folder.display()
            );
            limits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_is_used_where_it_can_be_written() {
        let base = std::env::temp_dir().join(format!("vlgate-data-{}", std::process::id()));
        let found = usual(Some(&base), StoreConfig::default());
        assert_eq!(found.path, Some(base.join("vlgate")));
        // Below a file there is no folder, not even for root.
        let file = base.join("file");
        std::fs::write(&file, "").expect("written");
        assert_eq!(usual(Some(&file), StoreConfig::default()).path, None);
        assert_eq!(usual(None, StoreConfig::default()).path, None);
        std::fs::remove_dir_all(base).expect("removed");
    }
}
