//! A page of a list, as OpenAI cuts lists: by the id of the row before it.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params_from_iter};

use vlgate_openai::{ApiError, clip};

use super::{Owner, StoreError, now};

/// Which way a list goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    #[default]
    Descending,
}

impl Order {
    /// By what a query says.
    #[must_use]
    pub const fn oldest_first(oldest: bool) -> Self {
        if oldest { Self::Ascending } else { Self::Descending }
    }
}

/// Which rows of a list are wanted.
#[derive(Debug, Clone)]
pub struct Paging {
    /// Rows at the most.
    pub limit: u32,
    /// Which way.
    pub order: Order,
    /// The row before the first one.
    pub after: Option<String>,
}

/// Rows, and whether there are more behind them.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// In order.
    pub rows: Vec<T>,
    /// Whether the list goes on.
    pub more: bool,
}

impl Paging {
    /// What is wrong where the list has no `noun` with the id that the page is to begin behind.
    #[must_use]
    pub fn nothing_behind(&self, noun: &str) -> ApiError {
        let after = clip(self.after.as_deref().unwrap_or_default());
        ApiError::invalid("after", format!("Invalid 'after': there is no {noun} '{after}' in this list."))
    }
}

impl<T> Page<T> {
    /// A page of a list that is here as a whole, oldest first; `None` where the row to begin behind is not in it.
    pub fn cut(mut all: Vec<T>, paging: &Paging, id: impl Fn(&T) -> String) -> Option<Self> {
        if paging.order == Order::Descending {
            all.reverse();
        }
        let from = match &paging.after {
            None => 0,
            Some(after) => 1 + all.iter().position(|row| id(row) == *after)?,
        };
        let most = paging.limit as usize;
        let more = all.len().saturating_sub(from) > most;
        Some(Self { rows: all.into_iter().skip(from).take(most).collect(), more })
    }
}

/// What else the rows of a page fulfil: SQL with a `?` for each of the values.
pub type Condition<'a> = (&'static str, Vec<&'a str>);

/// A page of `table`, which has `seq`, `id`, `owner` and `expires`; of rows that fulfil all of `only`. Names of tables and
/// columns and the SQL of conditions come from this program, never from a client.
///
/// # Errors
/// [`StoreError::NotFound`] when the row to begin behind is not there.
pub fn page<T>(
    db: &Connection,
    (table, columns): (&str, &str),
    owner: &Owner,
    only: &[Condition<'_>],
    paging: &Paging,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Page<T>, StoreError> {
    let now = now();
    let (compare, direction) = match paging.order {
        Order::Ascending => (">", "ASC"),
        Order::Descending => ("<", "DESC"),
    };
    let start: i64 = match &paging.after {
        Some(id) => {
            let sql = format!("SELECT seq FROM {table} WHERE id = ? AND owner = ?");
            db.query_row(&sql, (id, owner), |row| row.get(0)).optional()?.ok_or(StoreError::NotFound)?
        }
        None if paging.order == Order::Ascending => 0,
        None => i64::MAX,
    };
    let narrowed: String = only.iter().map(|(sql, _)| format!(" AND {sql}")).collect();
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE owner = ? AND seq {compare} ? AND (expires IS NULL OR expires > ?){narrowed}
         ORDER BY seq {direction} LIMIT ?"
    );
    let wanted = i64::from(paging.limit) + 1;
    let mut values: Vec<&dyn ToSql> = vec![owner, &start, &now];
    values.extend(only.iter().flat_map(|(_, values)| values).map(|value| value as &dyn ToSql));
    values.push(&wanted);
    let mut rows =
        db.prepare(&sql)?.query_map(params_from_iter(values), read)?.collect::<rusqlite::Result<Vec<T>>>()?;
    let more = rows.len() > paging.limit as usize;
    rows.truncate(paging.limit as usize);
    Ok(Page { rows, more })
}
