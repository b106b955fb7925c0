//! What all skins do alike: a [`Draft`] is what a skin read, in the engine's words but for its pictures, clips and files; from
//! it comes the conversation, with each of them as the model sees it.

use vlgate_engine::{
    Conversation, Format, Message, ModelCard, Part, Role, Sampling, TemplateOptions, ToolCall, ToolPolicy, ToolSpec,
};
use vlgate_media::{Detail, Sizing};
use vlgate_openai::{
    ApiError, SamplingFields,
    chat::{AnswerFormat, FunctionDefinition, MediaNote, ProcessorOptions, ToolChoice},
};

use crate::{
    State,
    media::{self, Item},
    store::Owner,
};

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
    /// A picture, a clip or a file.
    Media(Item<'a>),
}

impl Draft<'_> {
    /// Resolves pictures, clips and files, several at once; also what the model sees of each.
    ///
    /// # Errors
    /// Too many, a model that takes none, or what is wrong with one of them, with its path.
    pub async fn resolve(
        self,
        state: &State,
        owner: &Owner,
        card: &ModelCard,
    ) -> Result<(Conversation, Vec<MediaNote>), ApiError> {
        let (mut wanted, mut messages) = (Vec::new(), Vec::new());
        for said in self.messages {
            let pieces = said.parts.into_iter().map(|piece| match piece {
                Piece::Text(text) => Some(text),
                Piece::Media(item) => {
                    wanted.push(item);
                    None
                }
            });
            // `None` stands for the next of `wanted`.
            let pieces: Vec<Option<&str>> = pieces.collect();
            let rest = Message {
                role: said.role,
                parts: Vec::new(),
                reasoning: said.reasoning,
                tool_calls: said.tool_calls,
                name: said.name,
                tool_call_id: said.tool_call_id,
            };
            messages.push((rest, pieces));
        }
        let mut taken = media::take(state, owner, card, wanted).await?.into_iter();
        let mut notes = Vec::new();
        let messages = messages.into_iter().map(|(mut message, pieces)| {
            for piece in pieces {
                match piece {
                    Some(text) => message.parts.push(Part::Text(text.to_owned())),
                    None => {
                        let Some(next) = taken.next() else { continue };
                        message.parts.extend(next.parts);
                        notes.push(next.note);
                    }
                }
            }
            message
        });
        let messages = messages.collect();
        Ok((Conversation { messages, tools: self.tools, template: self.template }, notes))
    }
}

/// How large a picture shall be seen. Bounds of the picture itself (`own`) go before the request's.
pub fn sizing(detail: Option<&str>, own: (Option<u64>, Option<u64>), all: Option<&ProcessorOptions>) -> Sizing {
    let all = all.cloned().unwrap_or_default();
    let size = all.size.unwrap_or_default();
    Sizing {
        detail: self::detail(detail),
        min_pixels: own.0.or(all.min_pixels).or(size.shortest_edge),
        max_pixels: own.1.or(all.max_pixels).or(size.longest_edge),
    }
}

/// How tokens are chosen; of the answers to one request each has a seed of its own.
pub fn sampling(fields: SamplingFields, seed: Option<i64>, index: u32) -> Sampling {
    Sampling {
        temperature: fields.temperature,
        top_p: fields.top_p,
        top_k: fields.top_k.map(|k| u32::try_from(k).unwrap_or(0)),
        min_p: fields.min_p,
        seed: seed.map(|s| s.wrapping_add(i64::from(index))),
        frequency_penalty: fields.frequency_penalty,
        presence_penalty: fields.presence_penalty,
        repetition_penalty: fields.repetition_penalty,
        logit_bias: Vec::new(),
    }
}

/// Biases by token; their keys were checked to be numbers.
pub fn biases<'a>(sent: impl Iterator<Item = (&'a String, &'a f32)>) -> Vec<(u32, f32)> {
    sent.filter_map(|(id, bias)| Some((id.parse().ok()?, *bias))).collect()
}

/// `low`, `high`, `original` or `auto`.
pub fn detail(text: Option<&str>) -> Detail {
    match text {
        Some("low") => Detail::Low,
        Some("high" | "original") => Detail::High,
        _ => Detail::Auto,
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
