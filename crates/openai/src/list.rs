//! How a list is cut, in a URL's query.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    ApiError,
    check::{one_of, whole},
};

/// Which way a list goes, by creation.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "for readers of the specification")]
enum ListOrder {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

/// A list's query, read as texts so that what is wrong can be named.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Objects at the most.
    #[param(value_type = Option<i64>)]
    pub limit: Option<String>,
    /// By creation; `desc` where it is left out.
    #[param(inline, value_type = Option<ListOrder>)]
    pub order: Option<String>,
    /// The id of the object before the first one.
    pub after: Option<String>,
}

impl ListQuery {
    /// The limit (`most` at the most, `default` where it is left out), and whether the oldest comes first.
    ///
    /// # Errors
    /// A 400 that names the parameter.
    pub fn checked(&self, most: i64, default: i64) -> Result<(u32, bool), ApiError> {
        let limit = match self.limit.as_deref().filter(|l| !l.is_empty()) {
            Some(text) => text.parse().map_err(|_| {
                let message = "Invalid type for 'limit': expected an integer, but got a string instead.";
                ApiError::new(400, "invalid_request_error", "invalid_type", message).at("limit")
            })?,
            None => default,
        };
        whole("limit", Some(limit), 1, most)?;
        one_of("order", self.order.as_deref(), &["asc", "desc"])?;
        Ok((u32::try_from(limit).unwrap_or(1), self.order.as_deref() == Some("asc")))
    }
}

#[cfg(test)]
mod tests {
    use super::ListQuery;

    #[test]
    fn a_query_is_checked() {
        let query = |limit: Option<&str>, order: Option<&str>| {
            let query = ListQuery { limit: limit.map(Into::into), order: order.map(Into::into), after: None };
            query.checked(100, 20).map_err(|e| e.param.unwrap())
        };
        assert_eq!(query(None, None), Ok((20, false)));
        assert_eq!(query(Some("100"), Some("asc")), Ok((100, true)));
        for limit in ["0", "101", "x", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(query(Some(limit), None), Err("limit".into()), "{limit}");
        }
        assert_eq!(query(None, Some("up")), Err("order".into()));
    }
}
