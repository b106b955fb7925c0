//! `GET /v1/models`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a model is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// The only kind.
    Model,
}

/// What a list is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// The only kind.
    #[default]
    List,
}

/// One model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Model {
    /// The id that requests name.
    pub id: String,
    /// `model`.
    pub object: ModelKind,
    /// Seconds since the epoch.
    #[schema(value_type = i64)]
    pub created: u64,
    /// Who runs it.
    #[schema(value_type = String)]
    pub owned_by: &'static str,
}

impl Model {
    /// A model served here.
    #[must_use]
    pub fn new(id: impl Into<String>, created: u64) -> Self {
        Self { id: id.into(), object: ModelKind::Model, created, owned_by: "vlgate" }
    }
}

/// All models.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ListModelsResponse)]
pub struct ModelList {
    /// `list`.
    pub object: ListKind,
    /// The models.
    pub data: Vec<Model>,
}

impl From<Vec<Model>> for ModelList {
    fn from(data: Vec<Model>) -> Self {
        Self { object: ListKind::List, data }
    }
}
