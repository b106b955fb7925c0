//! The tables of responses and of their items.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{Owner, Store, StoreError, has_room, now};

/// Links of one chain of responses.
const LINKS: i64 = 10_000;
/// Seconds without a sign of life after which what makes a response is gone.
const SILENCE: i64 = 60;

/// An item of a conversation: its id and its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptItem {
    /// `msg_…`, `fc_…`, …
    pub id: String,
    /// The item.
    pub body: String,
}

/// A response to keep.
#[derive(Debug, Clone)]
pub struct NewResponse {
    /// `resp_…`.
    pub id: String,
    /// Whose.
    pub owner: Owner,
    /// The response that it goes on from.
    pub previous: Option<String>,
    /// The response itself, JSON.
    pub body: String,
    /// What was said to it, not what was said before.
    pub input: Vec<KeptItem>,
    /// What it says.
    pub output: Vec<KeptItem>,
    /// Whether it is still being made.
    pub running: bool,
}

/// A response that is kept.
#[derive(Debug, Clone)]
pub struct ResponseRow {
    /// The response itself, JSON.
    pub body: String,
    /// Whether it is still being made.
    pub running: bool,
    /// Whether what made it is gone.
    pub lost: bool,
    /// What a stream told of it, as it was sent; only for those made in the background.
    pub events: Option<String>,
}

impl Store {
    /// Keeps a response.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub async fn keep_response(&self, new: NewResponse) -> Result<(), StoreError> {
        let limit = self.config().total_bytes;
        let created = now();
        let expires = self.end(created, None);
        self.run(move |db| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let items = new.input.iter().chain(&new.output).map(|i| i.body.len()).sum::<usize>();
            has_room(&transaction, (items + new.body.len()) as u64, limit)?;
            transaction.execute(
                "INSERT INTO responses (id, owner, created, expires, previous, body, running, alive) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (&new.id, &new.owner, created, expires, &new.previous, &new.body, new.running, created),
            )?;
            let response = transaction.last_insert_rowid();
            insert(&transaction, response, false, &new.input)?;
            insert(&transaction, response, true, &new.output)?;
            Ok(transaction.commit()?)
        })
        .await
    }

    /// Keeps what a response has become that is no longer being made; one that was deleted meanwhile stays deleted.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn end_response(
        &self,
        id: &str,
        body: String,
        output: Vec<KeptItem>,
        events: Option<String>,
    ) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.run(move |db| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql = "UPDATE responses SET body = ?, events = ?, running = 0 WHERE id = ? RETURNING seq";
            let response = transaction.query_row(sql, (&body, &events, &id), |row| row.get(0)).optional()?;
            if let Some(response) = response {
                insert(&transaction, response, true, &output)?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }

    /// Says that a response is still being made; whether it shall be: not when another server was asked to cancel it, or
    /// when it was deleted.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn response_lives(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.run(move |db| {
            let sql = "UPDATE responses SET alive = ? WHERE id = ? RETURNING NOT stop";
            Ok(db.query_row(sql, (now(), id), |row| row.get(0)).optional()?.unwrap_or(false))
        })
        .await
    }

    /// Asks whichever server makes a response to stop.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn stop_response(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.run(move |db| {
            db.execute("UPDATE responses SET stop = 1 WHERE id = ?", [id])?;
            Ok(())
        })
        .await
    }

    /// A response of this owner.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn response(&self, owner: &Owner, id: &str) -> Result<ResponseRow, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| {
            let sql = "SELECT body, running, running AND alive < ?3 - ?4, events FROM responses
                WHERE id = ?1 AND owner = ?2 AND (expires IS NULL OR expires > ?3)";
            let read = |row: &rusqlite::Row<'_>| {
                Ok(ResponseRow { body: row.get(0)?, running: row.get(1)?, lost: row.get(2)?, events: row.get(3)? })
            };
            db.query_row(sql, (id, owner, now(), SILENCE), read).optional()?.ok_or(StoreError::NotFound)
        })
        .await
    }

    /// Takes a response of this owner away, with its items.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_response(&self, owner: &Owner, id: &str) -> Result<(), StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| match db.execute("DELETE FROM responses WHERE id = ? AND owner = ?", (id, owner))? {
            0 => Err(StoreError::NotFound),
            _ => Ok(()),
        })
        .await
    }

    /// What was said up to a response of this owner, oldest first: of all responses that it goes on from, and its own
    /// input; its output where `output` says so.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when a link of the chain is missing, [`StoreError::TooLarge`] beyond `limit` bytes.
    pub async fn response_items(
        &self,
        owner: &Owner,
        id: &str,
        output: bool,
        limit: u64,
    ) -> Result<Vec<KeptItem>, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| chain(db, &owner, &id, output, limit)).await
    }

    /// An item of one of this owner's responses.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn response_item(&self, owner: &Owner, id: &str) -> Result<KeptItem, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| {
            let sql = "SELECT i.body FROM response_items i JOIN responses r ON r.seq = i.response
                WHERE i.id = ?1 AND r.owner = ?2 AND (r.expires IS NULL OR r.expires > ?3) LIMIT 1";
            let body = db.query_row(sql, (&id, owner, now()), |row| row.get(0)).optional()?;
            Ok(KeptItem { id, body: body.ok_or(StoreError::NotFound)? })
        })
        .await
    }
}

fn insert(db: &Connection, response: i64, output: bool, items: &[KeptItem]) -> Result<(), StoreError> {
    let mut row =
        db.prepare("INSERT INTO response_items (response, output, position, id, body) VALUES (?, ?, ?, ?, ?)")?;
    for (position, item) in items.iter().enumerate() {
        row.execute((response, output, i64::try_from(position).unwrap_or(i64::MAX), &item.id, &item.body))?;
    }
    Ok(())
}

fn chain(db: &Connection, owner: &Owner, id: &str, output: bool, limit: u64) -> Result<Vec<KeptItem>, StoreError> {
    let links = "WITH RECURSIVE links (seq, previous, depth) AS (
            SELECT seq, previous, 0 FROM responses WHERE id = ?1 AND owner = ?2 AND (expires IS NULL OR expires > ?3)
            UNION ALL
            SELECT r.seq, r.previous, depth + 1 FROM responses r JOIN links ON r.id = links.previous
            WHERE r.owner = ?2 AND (r.expires IS NULL OR r.expires > ?3) AND depth < ?4
        )";
    let parameters = (id, owner, now(), LINKS);
    // The oldest link goes on from nothing, or a link is missing.
    let sql = format!("{links} SELECT previous IS NULL FROM links ORDER BY depth DESC LIMIT 1");
    let whole: Option<bool> = db.query_row(&sql, parameters, |row| row.get(0)).optional()?;
    if whole != Some(true) {
        return Err(StoreError::NotFound);
    }
    let wanted = "FROM links JOIN response_items i ON i.response = links.seq WHERE ?5 OR depth > 0 OR NOT i.output";
    let parameters = (id, owner, now(), LINKS, output);
    let size: i64 =
        db.query_row(&format!("{links} SELECT coalesce(sum(length(i.body)), 0) {wanted}"), parameters, |row| {
            row.get(0)
        })?;
    if size.unsigned_abs() > limit {
        return Err(StoreError::TooLarge { limit });
    }
    let sql = format!("{links} SELECT i.id, i.body {wanted} ORDER BY depth DESC, i.output, i.position");
    let read = |row: &rusqlite::Row<'_>| Ok(KeptItem { id: row.get(0)?, body: row.get(1)? });
    Ok(db.prepare(&sql)?.query_map(parameters, read)?.collect::<rusqlite::Result<_>>()?)
}
