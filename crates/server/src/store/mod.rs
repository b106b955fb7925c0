//! What outlives a request: rows in an SQLite database, and bytes as files beside it, in one folder.
//!
//! Every row has an owner, a hash of the key that made it: one key never sees another's rows. Every row ends after some
//! days; a sweep takes it away, and until then nobody sees it any more. A table is a file here with its own functions on
//! [`Store`], each of them one closure for [`Store::run`]; its columns stand in [`schema`].
//!
//! Two servers on one folder are safe: the database is in WAL mode and waits for its turn, files are written beside
//! their place and then renamed, and only one of them runs what runs in the background (see [`Lock`]).

mod batches;
mod bytes;
mod error;
mod files;
mod lock;
mod owner;
mod page;
mod responses;
mod schema;
mod sweep;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Mutex;

pub use batches::{BatchRow, Finished};
pub use bytes::Incoming;
pub use error::StoreError;
pub use files::{FileRow, NewFile};
pub use lock::Lock;
pub use owner::Owner;
pub use page::{Order, Page, Paging};
pub use responses::{KeptItem, NewResponse, ResponseRow};

/// How long a writer waits for another's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// Where the store is and what it may hold.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The folder; `None` is a temporary one that goes when the server does.
    pub path: Option<PathBuf>,
    /// Days after which a row ends; 0 keeps it for ever.
    pub days: u32,
    /// Bytes of one uploaded file.
    pub file_bytes: u64,
    /// Bytes of all files and the database together.
    pub total_bytes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { path: None, days: 30, file_bytes: 512 << 20, total_bytes: 10 << 30 }
    }
}

/// The store; clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Arc<Mutex<Connection>>,
    /// Bytes of uploads that have no row yet.
    arriving: AtomicU64,
    config: StoreConfig,
    folder: Folder,
}

/// The folder, removed with the store when it is a temporary one.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

impl Store {
    /// Opens the store, and makes it where there is none; an older one is brought up to date.
    ///
    /// # Errors
    /// A folder that cannot be written, or a database that a newer vlgate made. This is called before anything is served:
    /// it blocks.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let folder = match &config.path {
            Some(path) => Folder { path: path.clone(), temporary: false },
            None => Folder { path: std::env::temp_dir().join(new_id("vlgate-")), temporary: true },
        };
        private_folder(&folder.path)?;
        for name in [bytes::KEPT, bytes::ARRIVING] {
            private_folder(&folder.path.join(name))?;
        }
        let mut database = Connection::open(folder.path.join("store.sqlite"))?;
        database.busy_timeout(BUSY)?;
        database.pragma_update(None, "journal_mode", "wal")?;
        // A crash of the machine may lose the last transactions, never the database.
        database.pragma_update(None, "synchronous", "normal")?;
        schema::migrate(&mut database)?;
        let database = Arc::new(Mutex::new(database));
        Ok(Self(Arc::new(Inner { database, arriving: AtomicU64::new(0), config, folder })))
    }

    /// Runs `work` on the database, off the async threads, one at a time.
    ///
    /// # Errors
    /// The work's own; [`StoreError::Stopped`] when it panicked or the server is going down.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut database = Arc::clone(&self.0.database).lock_owned().await;
        tokio::task::spawn_blocking(move || work(&mut database)).await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Where the store is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder.path
    }

    /// Its limits.
    #[must_use]
    pub fn config(&self) -> &StoreConfig {
        &self.0.config
    }

    /// When a row that is made at `created` ends (seconds since the epoch): after the store's days, or sooner where the
    /// client asked for it. `None` is never.
    #[must_use]
    pub fn end(&self, created: i64, asked: Option<i64>) -> Option<i64> {
        let days = i64::from(self.0.config.days);
        let own = (days > 0).then(|| created.saturating_add(days.saturating_mul(86_400)));
        let asked = asked.map(|seconds| created.saturating_add(seconds));
        own.into_iter().chain(asked).min()
    }

    /// Whether the store has room for `bytes` more in its database, now.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub async fn room(&self, bytes: u64) -> Result<(), StoreError> {
        let limit = self.0.config.total_bytes;
        self.run(move |db| has_room(db, bytes, limit)).await
    }
}

/// Whether `bytes` more fit beside what files and database hold.
fn has_room(db: &Connection, bytes: u64, limit: u64) -> Result<(), StoreError> {
    if used(db)?.saturating_add(bytes) > limit { Err(StoreError::Full { limit }) } else { Ok(()) }
}

/// Bytes of all files and of the database's pages that hold something.
fn used(db: &Connection) -> Result<u64, StoreError> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).optional();
    let files = number("SELECT coalesce(sum(bytes), 0) FROM files")?.unwrap_or(0);
    let pages = number("SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count")?;
    let size = number("SELECT page_size FROM pragma_page_size")?;
    let database = pages.unwrap_or(0).saturating_mul(size.unwrap_or(0));
    Ok(u64::try_from(files.saturating_add(database)).unwrap_or(0))
}

/// A folder that only this user may read: it holds what clients sent.
fn private_folder(path: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    Ok(builder.create(path)?)
}

/// Seconds since the epoch.
#[must_use]
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// A new id that nobody can guess: the prefix and 32 hexadecimal digits.
#[must_use]
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests;
