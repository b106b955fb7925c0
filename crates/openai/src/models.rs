//! `GET /v1/models`.

use serde::Serialize;

/// One model.
#[derive(Debug, Clone, Serialize)]
pub struct Model {
    /// The id that requests name.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// Seconds since the epoch.
    pub created: u64,
    /// Who runs it.
    pub owned_by: &'static str,
}

impl Model {
    /// A model served here.
    #[must_use]
    pub fn new(id: impl Into<String>, created: u64) -> Self {
        Self { id: id.into(), object: "model", created, owned_by: "vlgate" }
    }
}

/// All models.
#[derive(Debug, Clone, Serialize)]
pub struct ModelList {
    /// `list`.
    pub object: &'static str,
    /// The models.
    pub data: Vec<Model>,
}

impl From<Vec<Model>> for ModelList {
    fn from(data: Vec<Model>) -> Self {
        Self { object: "list", data }
    }
}
