//! A stranger's bytes in a file that only this user reads, gone when it is dropped: what a child process seeks in.

use std::{
    fs::{File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The file; its name says nothing of its content.
#[derive(Debug)]
pub struct TempFile {
    path: PathBuf,
    file: File,
}

impl TempFile {
    /// An empty one. It must not have been there, so nobody's link is followed.
    ///
    /// # Errors
    /// When the temporary folder cannot be written to.
    pub fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir();
        loop {
            let random = RandomState::new().hash_one(std::process::id());
            let path = folder.join(format!("vlgate-{random:016x}"));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(file) => return Ok(Self { path, file }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// All of it, unless that is more than `most` or cannot be read.
    pub fn read(&self, most: u64) -> Option<Vec<u8>> {
        let length = self.file.metadata().ok()?.len();
        if length > most { None } else { std::fs::read(&self.path).ok() }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A name that ends in `.png` and leads to the standard output of whoever opens it: for programs that choose the format by
/// the name. Gone when it is dropped.
#[derive(Debug)]
pub struct PngOutlet(PathBuf);

#[cfg(unix)]
impl PngOutlet {
    /// A new one.
    ///
    /// # Errors
    /// When the temporary folder cannot be written to.
    pub fn new() -> io::Result<Self> {
        let random = RandomState::new().hash_one(std::process::id());
        let path = std::env::temp_dir().join(format!("vlgate-{random:016x}.png"));
        // It must not have been there, so nobody else's is used.
        std::os::unix::fs::symlink("/dev/stdout", &path)?;
        Ok(Self(path))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PngOutlet {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_private_and_leaves_nothing_behind() {
        let mut file = TempFile::new().unwrap();
        file.append(b"ab").unwrap();
        file.append(b"c").unwrap();
        let path = file.path().to_owned();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!((file.read(3), file.read(2)), (Some(b"abc".to_vec()), None));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(file);
        assert!(!path.exists());
    }
}
