//! What all skins do alike: a [`Draft`] is what a skin read, in the engine's words but for its pictures; from it comes the
//! conversation, with every picture at the size that the model sees.

use std::{borrow::Cow, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use vlgate_engine::{
    Conversation, Format, Message, ModelCard, Part, Role, TemplateOptions, ToolCall, ToolPolicy, ToolSpec,
};
use vlgate_media::{Detail, ImageSource, Picture, Sizing, VisionSpec};
use vlgate_openai::{
    ApiError,
    chat::{AnswerFormat, FunctionDefinition, ProcessorOptions, ToolChoice},
};

use crate::{State, reply};

/// Pictures of one request that are fetched and decoded at once.
const AT_ONCE: usize = 8;

/// A conversation as a skin read it.
#[derive(Debug)]
pub struct Draft<'a> {
    pub messages: Vec<Said<'a>>,
    pub tools: Vec<ToolSpec>,
    pub template: TemplateOptions,
}

/// A message as a skin read it.
#[derive(Debug)]
pub struct Said<'a> {
    pub role: Role,
    pub parts: Vec<Piece<'a>>,
    pub reasoning: Option<String>,
    pub tool_calls: Vec<ToolCall>,
    pub name: Option<String>,
    pub tool_call_id: Option<String>,
}

impl<'a> Said<'a> {
    /// A message of parts, with nothing else set.
    pub fn new(role: Role, parts: Vec<Piece<'a>>) -> Self {
        Self { role, parts, reasoning: None, tool_calls: Vec::new(), name: None, tool_call_id: None }
    }
}

/// A piece of a message.
#[derive(Debug)]
pub enum Piece<'a> {
    Text(&'a str),
    Image(Shown<'a>),
}

/// A picture that a request names.
#[derive(Debug)]
pub struct Shown<'a> {
    /// `data:` or `http(s)`.
    pub url: Cow<'a, str>,
    pub sizing: Sizing,
    /// Where in the request the picture is: `messages[0].content[1].image_url`.
    pub path: String,
    /// And where in it its URL is: `.url`.
    pub field: &'static str,
}

impl Draft<'_> {
    /// Resolves the pictures, several at once.
    ///
    /// # Errors
    /// Too many pictures, a model that takes none, or what is wrong with one of them, with its path.
    pub async fn resolve(self, state: &State, card: &ModelCard) -> Result<Conversation, ApiError> {
        let wanted: Vec<&Shown<'_>> = self.messages.iter().flat_map(|m| &m.parts).filter_map(Piece::image).collect();
        let most = state.config.images_per_request;
        if let Some(beyond) = wanted.get(most) {
            let message = format!("Too many images: at most {most} are accepted in one request.");
            return Err(ApiError::invalid(&beyond.path, message));
        }
        let spec = match (card.vision, wanted.first()) {
            (None, Some(first)) => {
                let message = format!("The model '{}' does not take images.", card.id);
                return Err(ApiError::invalid(&first.path, message));
            }
            (spec, _) => spec.unwrap_or(VisionSpec::QWEN3_VL),
        };
        let mut pictures: Vec<Arc<Picture>> = stream::iter(wanted)
            .map(|shown| async move {
                let picture = state.resolver.image(ImageSource { url: &shown.url }, &spec, &shown.sizing).await;
                picture.map(Arc::new).map_err(|e| reply::media(&e, format!("{}{}", shown.path, shown.field)))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        pictures.reverse();
        let messages = self.messages.into_iter().map(|said| message(said, &mut pictures)).collect();
        Ok(Conversation { messages, tools: self.tools, template: self.template })
    }
}

impl<'a> Piece<'a> {
    fn image(&self) -> Option<&Shown<'a>> {
        match self {
            Self::Image(shown) => Some(shown),
            Self::Text(_) => None,
        }
    }
}

/// `pictures` holds those that are left, the next one last.
fn message(said: Said<'_>, pictures: &mut Vec<Arc<Picture>>) -> Message {
    let parts = said.parts.into_iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(Part::Text(text.to_owned())),
        Piece::Image(_) => pictures.pop().map(Part::Image),
    });
    Message {
        role: said.role,
        parts: parts.collect(),
        reasoning: said.reasoning,
        tool_calls: said.tool_calls,
        name: said.name,
        tool_call_id: said.tool_call_id,
    }
}

/// How large a picture shall be seen. Bounds of the picture itself (`own`) go before the request's.
pub fn sizing(detail: Option<&str>, own: (Option<u64>, Option<u64>), all: Option<&ProcessorOptions>) -> Sizing {
    let all = all.cloned().unwrap_or_default();
    let size = all.size.unwrap_or_default();
    let detail = match detail {
        Some("low") => Detail::Low,
        Some("high" | "original") => Detail::High,
        _ => Detail::Auto,
    };
    Sizing {
        detail,
        min_pixels: own.0.or(all.min_pixels).or(size.shortest_edge),
        max_pixels: own.1.or(all.max_pixels).or(size.longest_edge),
    }
}

/// The tools that the model is shown: none when it may call none.
pub fn tools<'a>(choice: &ToolChoice, offered: impl Iterator<Item = &'a FunctionDefinition>) -> Vec<ToolSpec> {
    let spec = |f: &FunctionDefinition| ToolSpec {
        name: f.name.clone(),
        description: f.description.clone(),
        parameters: f.parameters.clone(),
        strict: f.strict.unwrap_or(false),
    };
    if *choice == ToolChoice::None { Vec::new() } else { offered.map(spec).collect() }
}

/// What the model may or must call.
pub fn policy(choice: ToolChoice, parallel: bool) -> ToolPolicy {
    match choice {
        ToolChoice::None => ToolPolicy { parallel, ..ToolPolicy::default() },
        ToolChoice::Auto(allowed) => ToolPolicy { required: false, allowed, parallel },
        ToolChoice::Required(allowed) => ToolPolicy { required: true, allowed, parallel },
    }
}

/// The form that the answer is held to.
pub fn format(asked: AnswerFormat) -> Format {
    match asked {
        AnswerFormat::Text => Format::Text,
        AnswerFormat::JsonObject => Format::JsonObject,
        AnswerFormat::JsonSchema { schema, strict } => Format::JsonSchema { schema, strict },
        AnswerFormat::Regex(regex) => Format::Regex(regex),
        AnswerFormat::Choice(texts) => Format::Choice(texts),
        AnswerFormat::Grammar(grammar) => Format::Lark(grammar),
    }
}
