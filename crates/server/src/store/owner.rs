//! Whose a row is.

use std::future::{Ready, ready};

use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, dev::Payload};
use rusqlite::types::{ToSql, ToSqlOutput};
use sha2::{Digest, Sha256};

/// Whose rows a request may see: a hash of its key, empty where the server asks for none. The door puts it into the
/// request; handlers take it as an extractor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Owner(String);

impl Owner {
    /// The owner behind a key, which itself is never stored.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        let hash = Sha256::new().chain_update(b"vlgate owner\0").chain_update(key).finalize();
        Self(hash.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// What tells it apart.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An owner as a row has it.
    #[must_use]
    pub const fn of_row(text: String) -> Self {
        Self(text)
    }
}

impl ToSql for Owner {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromRequest for Owner {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request.extensions().get::<Self>().cloned().unwrap_or_default()))
    }
}
