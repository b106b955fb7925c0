//! The tables of batches and of the lines that they have finished.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, types::Type};
use serde_json::Value;
use vlgate_openai::batches::{Batch, BatchStatus};

use super::{Owner, Page, Paging, Store, StoreError, has_room, now, page::page};

const COLUMNS: &str = "id, owner, output_seconds, json";

/// A batch with what its object does not show.
#[derive(Debug, Clone)]
pub struct BatchRow {
    /// Whose.
    pub owner: Owner,
    /// Seconds after which the files of its answers end, where the client says so.
    pub output_seconds: Option<i64>,
    /// The batch.
    pub batch: Batch,
}

impl BatchRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let json: String = row.get(3)?;
        let unreadable = |e| rusqlite::Error::FromSqlConversionFailure(3, Type::Text, Box::new(e));
        let batch = serde_json::from_str(&json).map_err(unreadable)?;
        Ok(Self { owner: Owner::of_row(row.get(1)?), output_seconds: row.get(2)?, batch })
    }
}

/// A line that is done.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its place in the input file, from 1.
    pub line: u64,
    /// Whether it goes to the output file, or to that of the errors.
    pub good: bool,
    /// The line to write.
    pub text: String,
    /// The token counts that its answer has.
    pub usage: Value,
}

impl Store {
    /// Keeps a new batch.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub async fn add_batch(&self, row: BatchRow) -> Result<(), StoreError> {
        let (created, limit) = (row.batch.created_at, self.config().total_bytes);
        let expires = self.end(created, None);
        self.run(move |db| {
            let json = serde_json::to_string(&row.batch)?;
            has_room(db, json.len() as u64, limit)?;
            db.execute(
                "INSERT INTO batches (id, owner, created, expires, over, output_seconds, json) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (&row.batch.id, &row.owner, created, expires, row.batch.status.is_over(), row.output_seconds, json),
            )?;
            Ok(())
        })
        .await
    }

    /// A batch of this owner.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn batch(&self, owner: &Owner, id: &str) -> Result<Batch, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| Ok(find(db, &owner, &id)?.batch)).await
    }

    /// This owner's batches.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a cursor that is no batch.
    pub async fn batches(&self, owner: &Owner, paging: Paging) -> Result<Page<Batch>, StoreError> {
        let owner = owner.clone();
        self.run(move |db| {
            page(db, ("batches", COLUMNS), &owner, None, &paging, |row| BatchRow::read(row).map(|r| r.batch))
        })
        .await
    }

    /// All batches that are not over, of all owners, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn open_batches(&self) -> Result<Vec<BatchRow>, StoreError> {
        self.run(|db| {
            let open = "NOT over AND (expires IS NULL OR expires > ?)";
            let mut select = db.prepare(&format!("SELECT {COLUMNS} FROM batches WHERE {open} ORDER BY seq"))?;
            let rows = select.query_map([now()], BatchRow::read)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Changes a batch, with nobody in between, and gives what it is then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn change_batch(
        &self,
        owner: &Owner,
        id: &str,
        change: impl FnOnce(&mut Batch) + Send + 'static,
    ) -> Result<Batch, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut batch = find(&transaction, &owner, &id)?.batch;
            change(&mut batch);
            write(&transaction, &batch)?;
            transaction.commit()?;
            Ok(batch)
        })
        .await
    }

    /// The lines of a batch that are done.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn finished_lines(&self, id: &str) -> Result<HashSet<u64>, StoreError> {
        let id = id.to_owned();
        self.run(move |db| {
            let mut select =
                db.prepare("SELECT line FROM batch_lines WHERE batch = (SELECT seq FROM batches WHERE id = ?)")?;
            let lines = select.query_map([id], |row| row.get::<_, i64>(0))?;
            Ok(lines.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().map(i64::unsigned_abs).collect())
        })
        .await
    }

    /// Keeps what a line gave and counts it, both or neither; a line that is done already stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the batch is gone, [`StoreError::Full`].
    pub async fn finish_line(&self, owner: &Owner, id: &str, done: Finished) -> Result<(), StoreError> {
        let (owner, id, limit) = (owner.clone(), id.to_owned(), self.config().total_bytes);
        self.run(move |db| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            has_room(&transaction, done.text.len() as u64, limit)?;
            let mut batch = find(&transaction, &owner, &id)?.batch;
            let new = transaction.execute(
                "INSERT OR IGNORE INTO batch_lines (batch, line, good, text) SELECT seq, ?, ?, ? FROM batches WHERE id = ?",
                (i64::try_from(done.line).unwrap_or(i64::MAX), done.good, &done.text, &id),
            )?;
            if new == 1 {
                let count = if done.good { &mut batch.request_counts.completed } else { &mut batch.request_counts.failed };
                *count += 1;
                batch.usage.add(&done.usage);
                write(&transaction, &batch)?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }

    /// Lines of a batch behind `after` that are done, in order, at most `limit`: their places and texts.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn lines(&self, id: &str, good: bool, after: u64, limit: u32) -> Result<Vec<(u64, String)>, StoreError> {
        let id = id.to_owned();
        self.run(move |db| {
            let mut select = db.prepare(
                "SELECT line, text FROM batch_lines WHERE batch = (SELECT seq FROM batches WHERE id = ?) AND good = ? AND line > ?
                 ORDER BY line LIMIT ?",
            )?;
            let values = (id, good, i64::try_from(after).unwrap_or(i64::MAX), limit);
            let rows = select.query_map(values, |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Forgets the lines of a batch whose files are written.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn forget_lines(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.run(move |db| {
            db.execute("DELETE FROM batch_lines WHERE batch = (SELECT seq FROM batches WHERE id = ?)", [id])?;
            Ok(())
        })
        .await
    }
}

fn find(db: &Connection, owner: &Owner, id: &str) -> Result<BatchRow, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = ? AND owner = ? AND (expires IS NULL OR expires > ?)");
    db.query_row(&sql, (id, owner, now()), BatchRow::read).optional()?.ok_or(StoreError::NotFound)
}

fn write(db: &Connection, batch: &Batch) -> Result<(), StoreError> {
    let over = BatchStatus::is_over(batch.status);
    db.execute("UPDATE batches SET json = ?, over = ? WHERE id = ?", (serde_json::to_string(batch)?, over, &batch.id))?;
    Ok(())
}
