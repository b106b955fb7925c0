//! `GET /v1/models` and `GET /v1/models/{id}`; ids may hold slashes, written as they are or as `%2F`.

use actix_web::{HttpResponse, web};
use vlgate_openai::{ErrorResponse, Model, ModelList};

use crate::{State, reply::refuse};

/// Lists the models.
///
/// All models, then the aliases of those that are there.
#[utoipa::path(get, path = "/v1/models", tag = "models", operation_id = "listModels", responses(
    (status = 200, description = "The models.", body = ModelList),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
))]
pub async fn list(state: web::Data<State>) -> HttpResponse {
    let cards = state.engine.models();
    let own = cards.iter().map(|m| Model::new(&m.id, m.created));
    let aliases = state
        .config
        .aliases
        .iter()
        .filter_map(|(alias, id)| cards.iter().find(|m| m.id == *id).map(|m| Model::new(alias, m.created)));
    HttpResponse::Ok().json(ModelList::from(own.chain(aliases).collect::<Vec<_>>()))
}

/// Describes a model.
///
/// One model, by its id or an alias.
#[utoipa::path(get, path = "/v1/models/{model}", tag = "models", operation_id = "retrieveModel",
    params(("model" = String, Path, description = "An id or an alias; slashes as they are or as %2F.")),
    responses(
        (status = 200, description = "The model.", body = Model),
        (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
        (status = 404, description = "No such model.", body = ErrorResponse),
    ))]
pub async fn retrieve(state: web::Data<State>, path: web::Path<String>) -> HttpResponse {
    let name = path.into_inner();
    match state.model(&name) {
        Ok(card) => HttpResponse::Ok().json(Model::new(name, card.created)),
        Err(error) => refuse(&error),
    }
}
