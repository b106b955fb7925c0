//! The tables, and how an older store becomes the present one. `user_version` counts the steps that were taken.
//!
//! A table that ends its rows has `owner`, `created` and `expires` (seconds since the epoch, NULL is never) and is named
//! in [`EXPIRING`]. A step is never changed once it was released: the next change is a further step.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The steps from an empty database on.
const STEPS: [&str; 3] = [
    "
CREATE TABLE files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    bytes INTEGER NOT NULL,
    name TEXT NOT NULL,
    purpose TEXT NOT NULL,
    mime TEXT NOT NULL
);
CREATE INDEX files_of_owner ON files (owner, seq);
CREATE INDEX files_ending ON files (expires);
",
    "
CREATE TABLE responses (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    previous TEXT,
    body TEXT NOT NULL,
    events TEXT,
    running INTEGER NOT NULL,
    alive INTEGER NOT NULL,
    stop INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX responses_ending ON responses (expires);
CREATE TABLE response_items (
    response INTEGER NOT NULL,
    output INTEGER NOT NULL,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (response, output, position)
);
CREATE INDEX response_items_by_id ON response_items (id);
CREATE TRIGGER responses_gone AFTER DELETE ON responses BEGIN
    DELETE FROM response_items WHERE response = OLD.seq;
END;
",
    "
CREATE TABLE batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    over INTEGER NOT NULL,
    output_seconds INTEGER,
    json TEXT NOT NULL
);
CREATE INDEX batches_of_owner ON batches (owner, seq);
CREATE INDEX batches_ending ON batches (expires);
CREATE INDEX batches_open ON batches (seq) WHERE NOT over;
CREATE TABLE batch_lines (
    batch INTEGER NOT NULL,
    line INTEGER NOT NULL,
    good INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (batch, line)
);
CREATE TRIGGER batches_gone AFTER DELETE ON batches BEGIN
    DELETE FROM batch_lines WHERE batch = OLD.seq;
END;
",
];

/// Tables whose rows end. Files are not among them: their bytes have to go with the row.
pub const EXPIRING: [&str; 2] = ["responses", "batches"];

/// Takes the steps that were not taken yet.
///
/// # Errors
/// [`StoreError::Newer`] for more steps than are known.
pub fn migrate(database: &mut Connection) -> Result<(), StoreError> {
    // Two servers that start at once take turns here.
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken: i64 = transaction.query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if taken > known {
        return Err(StoreError::Newer(taken));
    }
    for step in STEPS.iter().skip(usize::try_from(taken).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}
