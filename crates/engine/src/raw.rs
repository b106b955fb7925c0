//! Prompts without a chat template.

use crate::{
    contract::{EngineError, Raw, TokenCount},
    model_dir::ModelDir,
    pads::Prompt,
    prompt::WORD_JOINER,
};

/// Begins a document; what an empty prompt stands for.
const DOCUMENT: &str = "<|endoftext|>";

impl Prompt {
    /// A prompt as the caller wrote it. `reads_text`: the runtime tokenises the text again, so tokens must be those of
    /// their text.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for tokens that the model does not have or that stand for pictures.
    pub fn raw(model: &ModelDir, raw: &Raw, reads_text: bool) -> Result<Self, EngineError> {
        let (text, tokens) = match raw {
            Raw::Text(text) if text.is_empty() => encoded(model, DOCUMENT.to_owned())?,
            Raw::Text(text) => encoded(model, without_pictures(model, text))?,
            Raw::Tokens(ids) if ids.is_empty() => encoded(model, DOCUMENT.to_owned())?,
            Raw::Tokens(ids) => given(model, ids, reads_text)?,
        };
        let count = TokenCount { prompt: u32::try_from(tokens.len()).unwrap_or(u32::MAX), ..TokenCount::default() };
        Ok(Self { text, tokens, images: Vec::new(), clips: Vec::new(), count })
    }
}

/// The text of tokens, special ones included.
///
/// # Errors
/// [`EngineError::Invalid`] for a token that the model does not have.
pub fn text_of(model: &ModelDir, ids: &[u32]) -> Result<String, EngineError> {
    if let Some(unknown) = ids.iter().find(|id| model.tokenizer.id_to_token(**id).is_none()) {
        return Err(invalid(format!("The model has no token {unknown}.")));
    }
    model.tokenizer.decode(ids, false).map_err(|e| EngineError::Failed(format!("tokens cannot be decoded: {e}")))
}

fn encoded(model: &ModelDir, text: String) -> Result<(String, Vec<u32>), EngineError> {
    let encoding = model.tokenizer.encode_fast(text.as_str(), false);
    let encoding = encoding.map_err(|e| EngineError::Failed(format!("the prompt cannot be tokenised: {e}")))?;
    Ok((text, encoding.get_ids().to_vec()))
}

fn given(model: &ModelDir, ids: &[u32], reads_text: bool) -> Result<(String, Vec<u32>), EngineError> {
    let pictures = picture_tokens(model);
    if let Some(token) = pictures.iter().find(|t| model.tokenizer.token_to_id(t).is_some_and(|id| ids.contains(&id))) {
        return Err(invalid(format!("A prompt of tokens cannot hold '{token}': it has no pictures.")));
    }
    let text = text_of(model, ids)?;
    if reads_text && encoded(model, text.clone())?.1 != ids {
        return Err(invalid("These tokens are not those of their text, and this model's runtime takes text.".into()));
    }
    Ok((text, ids.to_vec()))
}

/// The tokens that stand for pictures and clips.
fn picture_tokens(model: &ModelDir) -> Vec<String> {
    let pads = [Some(model.image_token), model.video_token].into_iter().flatten();
    pads.filter_map(|id| model.tokenizer.id_to_token(id)).chain(model.vision_markers.iter().cloned()).collect()
}

/// The text with the tokens of pictures made text: no runtime may look for pictures that are not there.
fn without_pictures(model: &ModelDir, text: &str) -> String {
    picture_tokens(model).iter().fold(text.to_owned(), |text, token| {
        let mut broken = token.clone();
        let first = token.chars().next().map_or(0, char::len_utf8);
        broken.insert(first, WORD_JOINER);
        text.replace(token.as_str(), &broken)
    })
}

fn invalid(message: String) -> EngineError {
    EngineError::Invalid { message, param: Some("prompt".into()) }
}
