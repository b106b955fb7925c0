//! Counting and showing tokens: the prompt is made as for an answer, and nothing is computed.

use actix_web::{Error, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use vlgate_engine::{ModelCard, Raw, Source, Tokens};
use vlgate_openai::{
    ApiError, ErrorResponse,
    chat::ChatRequest,
    tokens::{
        DetokenizeRequest, Detokenized, InputTokenDetails, InputTokens, InputTokensKind, Tokenizable, TokenizeRequest,
        Tokenized,
    },
};

use crate::{
    State,
    body::{self, Answer, Body},
    chat, reply,
};

/// Counts a chat completion's prompt.
///
/// The request is that of a chat completion, pictures and all; the count is what its `usage.prompt_tokens` would be.
#[utoipa::path(post, path = "/v1/chat/completions/input_tokens", tag = "tokens", operation_id = "countChatInputTokens", request_body = ChatRequest, responses(
    (status = 200, description = "The count.", body = InputTokens),
    (status = 400, description = "Something in the request is wrong: `param` says where.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 404, description = "No such model.", body = ErrorResponse),
    (status = 413, description = "The body is too large.", body = ErrorResponse),
    (status = 429, description = "The server is busy; `retry-after` says when to try again.", body = ErrorResponse),
))]
pub async fn count(request: HttpRequest, state: web::Data<State>, sent: Result<Bytes, Error>) -> HttpResponse {
    let answer = async {
        let body = body::read(&request, &state, sent)?;
        let request = ChatRequest::parse(&body.bytes)?;
        let card = state.model(&request.model)?;
        let (conversation, _) = chat::understand(&state, &body.owner, &card, &request).await?;
        let count = state.engine.count(&card.id, &conversation).await.map_err(|e| reply::engine(&e))?;
        let details = InputTokenDetails {
            text_tokens: count.prompt.saturating_sub(count.image + count.video),
            image_tokens: count.image,
            video_tokens: count.video,
        };
        let object = InputTokensKind::InputTokens;
        let counted = InputTokens { object, input_tokens: count.prompt, input_tokens_details: details };
        Ok((HttpResponse::Ok().json(counted), format!("model={} counted={}", card.id, count.prompt)))
    };
    body::noted(&request, answer.await)
}

/// Shows a prompt's tokens.
///
/// As vLLM does: of a text as it is, or of a chat completion's messages through the chat template, pictures included.
#[utoipa::path(post, path = "/tokenize", tag = "tokens", operation_id = "tokenize", request_body = TokenizeRequest, responses(
    (status = 200, description = "The tokens.", body = Tokenized),
    (status = 400, description = "Something in the request is wrong: `param` says where.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 404, description = "No such model.", body = ErrorResponse),
    (status = 413, description = "The body is too large.", body = ErrorResponse),
    (status = 429, description = "The server is busy; `retry-after` says when to try again.", body = ErrorResponse),
))]
pub async fn tokenize(request: HttpRequest, state: web::Data<State>, sent: Result<Bytes, Error>) -> HttpResponse {
    let answer = async { shown(&state, &body::read(&request, &state, sent)?).await };
    body::noted(&request, answer.await)
}

async fn shown(state: &State, body: &Body) -> Answer {
    let (request, what) = TokenizeRequest::parse(&body.bytes, &first(state))?;
    let card = state.model(request.model.as_deref().unwrap_or_default())?;
    let Tokens { ids, count } = match what {
        Tokenizable::Prompt(text) => state.engine.tokens(&card.id, Source::Raw(&Raw::Text(text))).await,
        Tokenizable::Chat(chat) => {
            let (conversation, _) = chat::understand(state, &body.owner, &card, &chat).await?;
            state.engine.tokens(&card.id, Source::Conversation(&conversation)).await
        }
    }
    .map_err(|e| reply::engine(&e))?;
    let token_strs = match request.return_token_strs {
        Some(true) => Some(texts(state, &card, &ids).await?),
        _ => None,
    };
    let shown = Tokenized { count: count.prompt, max_model_len: card.context_length, tokens: ids, token_strs };
    Ok((HttpResponse::Ok().json(shown), format!("model={} counted={}", card.id, count.prompt)))
}

/// Each token's text.
async fn texts(state: &State, card: &ModelCard, ids: &[u32]) -> Result<Vec<String>, ApiError> {
    let mut texts = Vec::with_capacity(ids.len());
    for id in ids {
        texts.push(state.engine.text(&card.id, std::slice::from_ref(id)).await.map_err(|e| reply::engine(&e))?);
    }
    Ok(texts)
}

/// Makes text of tokens.
///
/// As vLLM does.
#[utoipa::path(post, path = "/detokenize", tag = "tokens", operation_id = "detokenize", request_body = DetokenizeRequest, responses(
    (status = 200, description = "The text.", body = Detokenized),
    (status = 400, description = "There is no such token.", body = ErrorResponse),
    (status = 401, description = "No key, or a wrong one.", body = ErrorResponse),
    (status = 404, description = "No such model.", body = ErrorResponse),
    (status = 413, description = "The body is too large.", body = ErrorResponse),
))]
pub async fn detokenize(request: HttpRequest, state: web::Data<State>, sent: Result<Bytes, Error>) -> HttpResponse {
    let answer = async {
        let body = body::read(&request, &state, sent)?;
        let request = DetokenizeRequest::parse(&body.bytes)?;
        let card = state.model(&request.model.unwrap_or_else(|| first(&state)))?;
        let text = state.engine.text(&card.id, &request.tokens).await;
        // Here the tokens are no prompt's.
        let prompt = text.map_err(|e| ApiError { param: Some("tokens".into()), ..reply::engine(&e) })?;
        Ok((HttpResponse::Ok().json(Detokenized { prompt }), format!("model={}", card.id)))
    };
    body::noted(&request, answer.await)
}

/// The model of a request that names none.
fn first(state: &State) -> String {
    state.engine.models().into_iter().next().map(|m| m.id).unwrap_or_default()
}
