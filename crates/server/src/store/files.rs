//! The table of files.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};

use super::{Incoming, Owner, Page, Paging, Store, StoreError, has_room, new_id, now, page::page};

const COLUMNS: &str = "id, owner, created, expires, bytes, name, purpose, mime";

/// A file to keep.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Whose.
    pub owner: Owner,
    /// The name to show; never a path on this machine.
    pub name: String,
    /// What for.
    pub purpose: String,
    /// Its type, as its bytes say.
    pub mime: String,
    /// Seconds after which it ends, where the client says so.
    pub seconds: Option<i64>,
}

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// `file-…`.
    pub id: String,
    /// Whose.
    pub owner: Owner,
    /// Seconds since the epoch.
    pub created: i64,
    /// Seconds since the epoch; `None` is never.
    pub expires: Option<i64>,
    /// Its size.
    pub bytes: u64,
    /// The name to show.
    pub name: String,
    /// What for.
    pub purpose: String,
    /// Its type.
    pub mime: String,
}

impl FileRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            owner: Owner::of_row(row.get(1)?),
            created: row.get(2)?,
            expires: row.get(3)?,
            bytes: row.get::<_, i64>(4)?.unsigned_abs(),
            name: row.get(5)?,
            purpose: row.get(6)?,
            mime: row.get(7)?,
        })
    }
}

impl Store {
    /// Keeps a file whose bytes have all arrived.
    ///
    /// # Errors
    /// [`StoreError::Full`] when other servers on this folder were faster.
    pub async fn keep(&self, mut incoming: Incoming, file: NewFile) -> Result<FileRow, StoreError> {
        let created = now();
        let row = FileRow {
            id: new_id("file-"),
            owner: file.owner,
            created,
            expires: self.end(created, file.seconds),
            bytes: incoming.bytes(),
            name: file.name,
            purpose: file.purpose,
            mime: file.mime,
        };
        incoming.put(&row.id).await?;
        let limit = if incoming.counts() { self.config().total_bytes } else { u64::MAX };
        let (kept, path) = (row.clone(), self.path_of(&row.id));
        let done = self.run(move |db| insert(db, &kept, limit)).await;
        if done.is_err() {
            let _ = tokio::fs::remove_file(path).await;
        }
        done.map(|()| row)
    }

    /// A file of this owner.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn file(&self, owner: &Owner, id: &str) -> Result<FileRow, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| find(db, &owner, &id)).await
    }

    /// This owner's files, of one purpose where that is asked for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a cursor that is no file.
    pub async fn files(
        &self,
        owner: &Owner,
        purpose: Option<String>,
        paging: Paging,
    ) -> Result<Page<FileRow>, StoreError> {
        let owner = owner.clone();
        self.run(move |db| {
            let only = purpose.as_deref().map(|p| ("purpose", p));
            page(db, ("files", COLUMNS), &owner, only, &paging, FileRow::read)
        })
        .await
    }

    /// Takes a file of this owner away, bytes and all.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_file(&self, owner: &Owner, id: &str) -> Result<(), StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        let store = self.clone();
        self.run(move |db| {
            let row = find(db, &owner, &id)?;
            db.execute("DELETE FROM files WHERE id = ?", [&row.id])?;
            remove(&store, &row.id)
        })
        .await
    }

    /// A file's bytes, opened.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where they are gone.
    pub async fn open_file(&self, row: &FileRow) -> Result<tokio::fs::File, StoreError> {
        match tokio::fs::File::open(self.path_of(&row.id)).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StoreError::NotFound),
            other => Ok(other?),
        }
    }
}

/// Counts once more, now that no other server can write.
fn insert(db: &mut Connection, row: &FileRow, limit: u64) -> Result<(), StoreError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    has_room(&transaction, row.bytes, limit)?;
    transaction.execute(
        "INSERT INTO files (id, owner, created, expires, bytes, name, purpose, mime) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            &row.id,
            &row.owner,
            row.created,
            row.expires,
            i64::try_from(row.bytes).unwrap_or(i64::MAX),
            &row.name,
            &row.purpose,
            &row.mime,
        ),
    )?;
    Ok(transaction.commit()?)
}

fn find(db: &Connection, owner: &Owner, id: &str) -> Result<FileRow, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM files WHERE id = ? AND owner = ? AND (expires IS NULL OR expires > ?)");
    db.query_row(&sql, (id, owner, now()), FileRow::read).optional()?.ok_or(StoreError::NotFound)
}

/// Takes a file's bytes away; they may be gone already.
pub fn remove(store: &Store, id: &str) -> Result<(), StoreError> {
    match std::fs::remove_file(store.path_of(id)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
