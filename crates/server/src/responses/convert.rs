//! From a request and its context to a draft of the conversation, and to the job.

use vlgate_engine::{Conversation, Job, ModelCard, Role, TemplateOptions, ToolCall};
use vlgate_media::Sizing;
use vlgate_openai::{
    ApiError, TextOr,
    chat::{FunctionDefinition, ProcessorOptions},
    responses::{Item, Part, ResponseRequest, Tool},
};

use crate::{
    intake::{self, Draft, Piece, Said},
    media::{self, FileSource, Origin, Wish},
};

/// An item, and where the request names it.
#[derive(Debug)]
pub struct Placed {
    pub path: String,
    pub item: Item,
}

/// The conversation, its pictures still to be taken in.
///
/// # Errors
/// None for a request that was validated.
pub fn draft<'a>(request: &'a ResponseRequest, context: &'a [Placed]) -> Result<Draft<'a>, ApiError> {
    let mut turns = Turns::default();
    if let Some(instructions) = &request.instructions {
        turns.push(Said::new(Role::System, vec![Piece::Text(instructions)]));
    }
    for placed in context {
        turns.take(placed, request.mm_processor_kwargs.as_ref());
    }
    turns.close();
    let template = TemplateOptions {
        enable_thinking: request.thinking(),
        kwargs: request.chat_template_kwargs.clone().unwrap_or_default(),
        ..TemplateOptions::default()
    };
    let functions: Vec<FunctionDefinition> = request.tools.iter().flatten().map(Tool::function).collect();
    Ok(Draft { messages: turns.said, tools: intake::tools(&request.choice()?, functions.iter()), template })
}

/// Messages. What an assistant thinks, says and calls are items of their own, and one message here.
#[derive(Default)]
struct Turns<'a> {
    said: Vec<Said<'a>>,
    /// An assistant's message that may go on.
    open: Option<Said<'a>>,
}

impl<'a> Turns<'a> {
    fn take(&mut self, placed: &'a Placed, all: Option<&ProcessorOptions>) {
        let (item, path) = (&placed.item, &placed.path);
        let content = || pieces(&item.content, &format!("{path}.content"), all);
        match (item.kind(), item.role.as_deref()) {
            ("reasoning", _) => {
                let turn = self.assistant(|turn| turn.parts.is_empty() && turn.tool_calls.is_empty());
                let more = texts(&item.content);
                turn.reasoning = Some(turn.reasoning.take().map_or(more.clone(), |before| format!("{before}\n{more}")));
            }
            ("function_call", _) => {
                let text = |t: &Option<String>| t.clone().unwrap_or_default();
                let call =
                    ToolCall { id: text(&item.call_id), name: text(&item.name), arguments: text(&item.arguments) };
                self.assistant(|_| true).tool_calls.push(call);
            }
            ("function_call_output", _) => {
                let parts = pieces(&item.output, &format!("{path}.output"), all);
                self.push(Said { tool_call_id: item.call_id.clone(), ..Said::new(Role::Tool, parts) });
            }
            (_, Some("assistant")) => self.assistant(|turn| turn.tool_calls.is_empty()).parts.extend(content()),
            (_, Some("system" | "developer")) => self.push(Said::new(Role::System, content())),
            _ => self.push(Said::new(Role::User, content())),
        }
    }

    /// The assistant's message that goes on, or a new one where none does or it may not.
    fn assistant(&mut self, may: impl Fn(&Said<'a>) -> bool) -> &mut Said<'a> {
        if !self.open.as_ref().is_some_and(may) {
            self.close();
        }
        self.open.get_or_insert_with(|| Said::new(Role::Assistant, Vec::new()))
    }

    fn push(&mut self, said: Said<'a>) {
        self.close();
        self.said.push(said);
    }

    fn close(&mut self) {
        self.said.extend(self.open.take());
    }
}

fn texts(content: &TextOr<Part>) -> String {
    match content {
        TextOr::None => String::new(),
        TextOr::Text(text) => text.clone(),
        TextOr::Parts(parts) => parts.iter().filter_map(|p| p.text.as_deref()).collect::<Vec<_>>().join("\n"),
    }
}

fn pieces<'a>(content: &'a TextOr<Part>, path: &str, all: Option<&ProcessorOptions>) -> Vec<Piece<'a>> {
    match content {
        TextOr::None => Vec::new(),
        TextOr::Text(text) => vec![Piece::Text(text)],
        TextOr::Parts(parts) => {
            parts.iter().enumerate().filter_map(|(i, p)| piece(p, &format!("{path}[{i}]"), all)).collect()
        }
    }
}

fn piece<'a>(part: &'a Part, path: &str, all: Option<&ProcessorOptions>) -> Option<Piece<'a>> {
    let wish = match part.kind.as_str() {
        "input_image" => {
            let sizing = intake::sizing(part.detail.as_deref(), (part.min_pixels, part.max_pixels), all);
            let (origin, field) = match (&part.image_url, &part.file_id) {
                (Some(url), _) => (Some(Origin::Url(url.as_str().into())), ".image_url"),
                (None, id) => (Some(Origin::File(id.as_deref()?)), ".file_id"),
            };
            Wish::Image { origin, field, uuid: None, sizing }
        }
        "input_file" => {
            let source = FileSource::of(part.file_data.as_deref(), part.file_url.as_deref(), part.file_id.as_deref())?;
            let sizing = Sizing { detail: intake::detail(part.detail.as_deref()), ..Sizing::default() };
            Wish::File { source: Some(source), uuid: None, name: part.filename.as_deref(), pages: None, sizing }
        }
        _ => return part.text.as_deref().or(part.refusal.as_deref()).map(Piece::Text),
    };
    Some(Piece::Media(media::Item { path: path.to_owned(), wish }))
}

/// The job.
///
/// # Errors
/// None for a request that was validated.
pub fn job(card: &ModelCard, request: &ResponseRequest, conversation: Conversation, id: &str) -> Result<Job, ApiError> {
    Ok(Job {
        id: id.to_owned(),
        sampling: intake::sampling(request.sampling(), request.seed, 0),
        max_tokens: request.token_limit(),
        ignore_eos: request.ignore_eos.unwrap_or(false),
        format: intake::format(request.answer_format()?),
        tools: intake::policy(request.choice()?, request.parallel_tool_calls.unwrap_or(true)),
        logprobs: request.logprobs(),
        ..Job::new(&card.id, conversation)
    })
}
