//! `file://` URLs: only below folders that the operator lists, symbolic links followed before it is judged, and only
//! regular files. A refusal sounds the same whether the file is there or not.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use url::Url;

use crate::MediaError;

/// The folders, as they really lie.
#[derive(Debug, Clone, Default)]
pub struct Folders(Vec<PathBuf>);

impl Folders {
    /// Finds the folders of the configuration.
    ///
    /// # Errors
    /// [`MediaError::Config`] for one that is not there.
    pub fn new(listed: &[PathBuf]) -> Result<Self, MediaError> {
        let real = |folder: &PathBuf| {
            let path = fs::canonicalize(folder).ok().filter(|path| path.is_dir());
            path.ok_or_else(|| MediaError::Config(format!("'{}' is not a folder", folder.display())))
        };
        Ok(Self(listed.iter().map(real).collect::<Result<_, _>>()?))
    }

    /// Whether any is listed.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A file's bytes, at most `limit`. Blocks.
    ///
    /// # Errors
    /// [`MediaError::InvalidUrl`], [`MediaError::FileTooLarge`], [`MediaError::Empty`].
    pub fn read(&self, url: &str, limit: usize) -> Result<Vec<u8>, MediaError> {
        let path = Url::parse(url).ok().filter(|url| url.scheme() == "file").and_then(|url| url.to_file_path().ok());
        let path = path.and_then(|path| fs::canonicalize(path).ok()).filter(|path| self.has(path)).ok_or(REFUSED)?;
        // A pipe or a device would be waited for for ever.
        if !fs::metadata(&path).is_ok_and(|meta| meta.is_file()) {
            return Err(REFUSED);
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(|_| REFUSED)?;
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|_| REFUSED)?;
        match bytes.len() {
            0 => Err(MediaError::Empty),
            n if n > limit => Err(MediaError::FileTooLarge(limit >> 20)),
            _ => Ok(bytes),
        }
    }

    fn has(&self, path: &Path) -> bool {
        self.0.iter().any(|folder| path.starts_with(folder))
    }
}

const REFUSED: MediaError = MediaError::InvalidUrl("the file may not be read.");

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_lies_below_a_listed_folder_is_read() {
        let base = std::env::temp_dir().join(format!("vlgate-folders-{}", std::process::id()));
        let (open, shut) = (base.join("open"), base.join("open-not"));
        for folder in [&open, &shut] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(open.join("a b.png"), b"ok").unwrap();
        fs::write(open.join("empty"), b"").unwrap();
        fs::write(shut.join("secret"), b"no").unwrap();
        symlink(shut.join("secret"), open.join("link")).unwrap();
        let folders = Folders::new(std::slice::from_ref(&open)).unwrap();
        let read = |path: &str, limit| folders.read(&format!("file://{}/{path}", base.display()), limit);
        assert_eq!(read("open/a%20b.png", 2), Ok(b"ok".to_vec()));
        assert_eq!(read("open/../open/a%20b.png", 2), Ok(b"ok".to_vec()));
        assert_eq!(read("open/a%20b.png", 1), Err(MediaError::FileTooLarge(0)));
        assert_eq!(read("open/empty", 9), Err(MediaError::Empty));
        for path in [
            "open-not/secret",
            "open/../open-not/secret",
            "open/%2e%2e/open-not/secret",
            "open/link",
            "open/none",
            "open",
            "nowhere",
        ] {
            assert_eq!(read(path, 9), Err(REFUSED), "{path}");
        }
        assert_eq!(folders.read("file://host/etc/passwd", 9), Err(REFUSED));
        assert_eq!(folders.read("file:///dev/zero", 9), Err(REFUSED));
        assert_eq!(Folders::default().read(&format!("file://{}/a%20b.png", open.display()), 9), Err(REFUSED));
        assert!(Folders::new(&[base.join("none")]).is_err());
        fs::remove_dir_all(base).unwrap();
    }
}
