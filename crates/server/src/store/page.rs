//! A page of a list, as OpenAI cuts lists: by the id of the row before it.

use rusqlite::{Connection, OptionalExtension, Row, ToSql};

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

/// A page of `table`, which has `seq`, `id`, `owner` and `expires`; of rows whose `column` is `value` where that is asked
/// for. Names of tables and columns come from this program, never from a client.
///
/// # Errors
/// [`StoreError::NotFound`] when the row to begin behind is not there.
pub fn page<T>(
    db: &Connection,
    (table, columns): (&str, &str),
    owner: &Owner,
    only: Option<(&str, &str)>,
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
    let (column, value) = only.unwrap_or(("owner", ""));
    let narrowed = if only.is_some() { format!("AND {column} = ?4") } else { "AND ?4 = ''".to_owned() };
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE owner = ?1 AND seq {compare} ?2 AND (expires IS NULL OR expires > ?3) {narrowed}
         ORDER BY seq {direction} LIMIT ?5"
    );
    let wanted = i64::from(paging.limit) + 1;
    let values: [&dyn ToSql; 5] = [owner, &start, &now, &value, &wanted];
    let mut rows = db.prepare(&sql)?.query_map(values, read)?.collect::<rusqlite::Result<Vec<T>>>()?;
    let more = rows.len() > paging.limit as usize;
    rows.truncate(paging.limit as usize);
    Ok(Page { rows, more })
}
