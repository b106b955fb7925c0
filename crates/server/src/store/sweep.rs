//! Takes away what has ended, and what a crash left behind.

use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{Store, StoreError, bytes, files, schema};

/// A file without a row is taken away once nothing was written to it for so long: its upload cannot be going on.
const STALE: Duration = Duration::from_secs(86_400);

impl Store {
    /// Deletes rows that end at `now` (seconds since the epoch) or before, the bytes of such files, and bytes that have
    /// no row.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Io`].
    pub async fn sweep(&self, now: i64) -> Result<(), StoreError> {
        let store = self.clone();
        self.run(move |db| {
            for table in schema::EXPIRING {
                db.execute(&format!("DELETE FROM {table} WHERE expires <= ?"), [now])?;
            }
            let ended: Vec<String> = db
                .prepare("DELETE FROM files WHERE expires <= ? RETURNING id")?
                .query_map([now], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for id in &ended {
                files::remove(&store, id)?;
            }
            let known: HashSet<String> = db
                .prepare("SELECT id FROM files")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            strays(&store.folder().join(bytes::KEPT), &known)?;
            strays(&store.folder().join(bytes::ARRIVING), &HashSet::new())
        })
        .await
    }
}

/// Deletes the folder's files that are not `known` and are [`STALE`].
fn strays(folder: &Path, known: &HashSet<String>) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| known.contains(n)) {
            continue;
        }
        let age =
            entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| SystemTime::now().duration_since(t).ok());
        if age.is_some_and(|age| age > STALE) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
