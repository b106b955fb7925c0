//! `GET /v1/models` and `GET /v1/models/{id}`; ids may hold slashes, written as they are or as `%2F`.

use actix_web::{HttpResponse, web};
use vlgate_openai::{Model, ModelList};

use crate::{State, reply::refuse};

/// All models, then the aliases of those that are there.
pub async fn list(state: web::Data<State>) -> HttpResponse {
    let cards = state.engine.models();
    let own = cards.iter().map(|m| Model::new(&m.id, m.created));
    let aliases = state.config.aliases.iter().filter_map(|(alias, id)| {
        cards.iter().find(|m| m.id == *id).map(|m| Model::new(alias, m.created))
    });
    HttpResponse::Ok().json(ModelList::from(own.chain(aliases).collect::<Vec<_>>()))
}

/// One model, by its id or an alias.
pub async fn retrieve(state: web::Data<State>, path: web::Path<String>) -> HttpResponse {
    let name = path.into_inner();
    match state.model(&name) {
        Ok(card) => HttpResponse::Ok().json(Model::new(name, card.created)),
        Err(error) => refuse(&error),
    }
}
