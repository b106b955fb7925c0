//! Bytes as files: written beside their place, complete or not at all, within the store's limits.

use std::{path::PathBuf, sync::atomic::Ordering};

use tokio::{fs::File, io::AsyncWriteExt};

use super::{Store, StoreError, new_id, used};

/// Files that have a row.
pub const KEPT: &str = "files";
/// Files that are being written.
pub const ARRIVING: &str = "arriving";

/// A file that is being written; dropped without [`super::Store::keep`], it is gone.
#[derive(Debug)]
pub struct Incoming {
    store: Store,
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Bytes that the store has for this and other files that arrive now; `None` for bytes that are only moved.
    room: Option<u64>,
    limit: u64,
}

impl Store {
    /// Begins a file of at most [`super::StoreConfig::file_bytes`].
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub async fn incoming(&self) -> Result<Incoming, StoreError> {
        let total = self.config().total_bytes;
        let room = self.run(move |db| Ok(total.saturating_sub(used(db)?))).await?;
        self.begin(self.config().file_bytes, Some(room)).await
    }

    /// Begins a file of bytes that the store holds already, in rows that go once the file is there: no limit is asked.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub async fn incoming_moved(&self) -> Result<Incoming, StoreError> {
        self.begin(u64::MAX, None).await
    }

    async fn begin(&self, limit: u64, room: Option<u64>) -> Result<Incoming, StoreError> {
        let path = self.folder().join(ARRIVING).join(new_id(""));
        let file = File::create_new(&path).await?;
        Ok(Incoming { store: self.clone(), path, file, bytes: 0, room, limit })
    }

    /// Where the bytes of a file with a row are. Ids are made here, so they are safe as names.
    pub(super) fn path_of(&self, id: &str) -> PathBuf {
        self.folder().join(KEPT).join(id)
    }
}

impl Incoming {
    /// Adds bytes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::Full`], [`StoreError::Io`]; the file is of no use then.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        let more = chunk.len() as u64;
        if self.bytes + more > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        let arriving = self.store.0.arriving.fetch_add(more, Ordering::AcqRel) + more;
        self.bytes += more;
        if self.room.is_some_and(|room| arriving > room) {
            return Err(StoreError::Full { limit: self.store.config().total_bytes });
        }
        Ok(self.file.write_all(chunk).await?)
    }

    /// Bytes so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether its bytes count in the store's limit.
    pub(super) const fn counts(&self) -> bool {
        self.room.is_some()
    }

    /// Puts the complete file where `id`'s bytes belong.
    pub(super) async fn put(&mut self, id: &str) -> Result<(), StoreError> {
        self.file.flush().await?;
        // On the disk before its name: a crash never leaves half a file behind a row.
        self.file.sync_all().await?;
        Ok(tokio::fs::rename(&self.path, self.store.path_of(id)).await?)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.store.0.arriving.fetch_sub(self.bytes, Ordering::AcqRel);
        // Nothing is there any more when it was put in its place.
        let _ = std::fs::remove_file(&self.path);
    }
}
