//! What can go wrong in the store; [`crate::reply::store`] turns it into HTTP.

use thiserror::Error;

/// The store could not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no such row, it has ended, or it is another key's.
    #[error("there is no such row")]
    NotFound,
    /// One file has more bytes than one may have.
    #[error("the file has more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// All files together would have more bytes than they may.
    #[error("the store holds {limit} bytes, as many as it may")]
    Full {
        /// Bytes allowed.
        limit: u64,
    },
    /// The database's version is not known here.
    #[error("the store was written by a newer vlgate (version {0} of its tables)")]
    Newer(i64),
    /// The work panicked, or the server is going down.
    #[error("the store's thread stopped")]
    Stopped,
    /// The folder.
    #[error("the store's folder: {0}")]
    Io(#[from] std::io::Error),
    /// The database.
    #[error("the store's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A row does not hold what it should.
    #[error("the store holds a row that cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}
