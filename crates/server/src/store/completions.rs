//! The tables of chat completions and of the messages that they answer.

use indexmap::IndexMap;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, types::Type};

use super::{
    Owner, Page, Paging, Store, StoreError, has_room, now,
    page::{Condition, page},
};

const COLUMNS: &str = "id, metadata, body";

/// Pairs that a client gave.
type Metadata = IndexMap<String, String>;

/// A completion to keep.
#[derive(Debug, Clone)]
pub struct NewCompletion {
    /// `chatcmpl-…`.
    pub id: String,
    /// Whose.
    pub owner: Owner,
    /// The model's name, as the request had it.
    pub model: String,
    /// The request's own.
    pub metadata: Metadata,
    /// The completion itself, JSON.
    pub body: String,
    /// The messages that it answers, JSON each.
    pub messages: Vec<String>,
}

/// A completion that is kept.
#[derive(Debug, Clone)]
pub struct CompletionRow {
    /// `chatcmpl-…`.
    pub id: String,
    /// As it is now.
    pub metadata: Metadata,
    /// The completion itself, JSON, with the metadata that it had at first.
    pub body: String,
}

/// Which completions are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Only this model's.
    pub model: Option<String>,
    /// Only with all of these pairs.
    pub metadata: Metadata,
    /// Which page.
    pub paging: Paging,
}

impl CompletionRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let metadata: String = row.get(1)?;
        let unreadable = |e| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(e));
        Ok(Self { id: row.get(0)?, metadata: serde_json::from_str(&metadata).map_err(unreadable)?, body: row.get(2)? })
    }
}

impl Store {
    /// Keeps a completion.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub async fn keep_completion(&self, new: NewCompletion) -> Result<(), StoreError> {
        let limit = self.config().total_bytes;
        let created = now();
        let expires = self.end(created, None);
        self.run(move |db| {
            let metadata = serde_json::to_string(&new.metadata)?;
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let messages = new.messages.iter().map(String::len).sum::<usize>();
            has_room(&transaction, (messages + metadata.len() + new.body.len()) as u64, limit)?;
            transaction.execute(
                "INSERT INTO completions (id, owner, created, expires, model, metadata, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (&new.id, &new.owner, created, expires, &new.model, metadata, &new.body),
            )?;
            insert(&transaction, transaction.last_insert_rowid(), &new.messages)?;
            Ok(transaction.commit()?)
        })
        .await
    }

    /// A completion of this owner.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn completion(&self, owner: &Owner, id: &str) -> Result<CompletionRow, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| find(db, &owner, &id)).await
    }

    /// This owner's completions.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a cursor that is no completion.
    pub async fn completions(&self, owner: &Owner, wanted: Wanted) -> Result<Page<CompletionRow>, StoreError> {
        let owner = owner.clone();
        self.run(move |db| {
            let model = wanted.model.iter().map(|model| ("model = ?", vec![model.as_str()]));
            let pair =
                "EXISTS (SELECT 1 FROM json_each(completions.metadata) AS pair WHERE pair.key = ? AND pair.value = ?)";
            let pairs = wanted.metadata.iter().map(|(key, value)| (pair, vec![key.as_str(), value.as_str()]));
            let only: Vec<Condition<'_>> = model.chain(pairs).collect();
            page(db, ("completions", COLUMNS), &owner, &only, &wanted.paging, CompletionRow::read)
        })
        .await
    }

    /// Gives a completion of this owner other metadata, and gives what it is then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Full`].
    pub async fn label_completion(
        &self,
        owner: &Owner,
        id: &str,
        metadata: Metadata,
    ) -> Result<CompletionRow, StoreError> {
        let (owner, id, limit) = (owner.clone(), id.to_owned(), self.config().total_bytes);
        self.run(move |db| {
            let metadata = serde_json::to_string(&metadata)?;
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            find(&transaction, &owner, &id)?;
            has_room(&transaction, metadata.len() as u64, limit)?;
            transaction.execute("UPDATE completions SET metadata = ? WHERE id = ?", (metadata, &id))?;
            let changed = find(&transaction, &owner, &id)?;
            transaction.commit()?;
            Ok(changed)
        })
        .await
    }

    /// Takes a completion of this owner away, with its messages.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_completion(&self, owner: &Owner, id: &str) -> Result<(), StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| {
            find(db, &owner, &id)?;
            db.execute("DELETE FROM completions WHERE id = ?", [id])?;
            Ok(())
        })
        .await
    }

    /// The messages that a completion of this owner answers, JSON each, in order.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn completion_messages(&self, owner: &Owner, id: &str) -> Result<Vec<String>, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.run(move |db| {
            find(db, &owner, &id)?;
            let sql =
                "SELECT m.body FROM completion_messages m JOIN completions c ON c.seq = m.completion WHERE c.id = ?
                ORDER BY m.position";
            Ok(db.prepare(sql)?.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

fn insert(db: &Connection, completion: i64, messages: &[String]) -> Result<(), StoreError> {
    let mut row = db.prepare("INSERT INTO completion_messages (completion, position, body) VALUES (?, ?, ?)")?;
    for (position, body) in messages.iter().enumerate() {
        row.execute((completion, i64::try_from(position).unwrap_or(i64::MAX), body))?;
    }
    Ok(())
}

fn find(db: &Connection, owner: &Owner, id: &str) -> Result<CompletionRow, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM completions WHERE id = ? AND owner = ? AND (expires IS NULL OR expires > ?)");
    db.query_row(&sql, (id, owner, now()), CompletionRow::read).optional()?.ok_or(StoreError::NotFound)
}
