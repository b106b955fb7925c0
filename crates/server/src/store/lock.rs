//! Which of several servers on one folder does the work in the background.

use std::fs::{File, TryLockError};

use super::{Store, StoreError};

/// Held by the server that runs batches and sweeps. The operating system gives it back when the process ends, however it
/// ends, so the next one goes on at once.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Store {
    /// Takes the lock; `None` while another server has it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn try_lock(&self) -> Result<Option<Lock>, StoreError> {
        let path = self.folder().join("background.lock");
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}
