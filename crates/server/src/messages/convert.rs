//! From a request to a draft of its conversation, and to the job.

use std::borrow::Cow;

use vlgate_engine::{Conversation, Job, ModelCard, Role, TemplateOptions, ToolCall};
use vlgate_openai::{
    ApiError, SamplingFields, TextOr,
    anthropic::{Block, Message, MessageRequest, Source, Tool},
    chat::FunctionDefinition,
};

use crate::{
    intake::{self, Draft, Piece, Said},
    media::{FileSource, Item, Origin, Wish},
};

/// The conversation, its pictures still to be taken in.
///
/// # Errors
/// None for a request that was validated.
pub fn draft(request: &MessageRequest) -> Result<Draft<'_>, ApiError> {
    let mut messages = Vec::new();
    let system = pieces(&request.system, "system");
    if !system.is_empty() {
        messages.push(Said::new(Role::System, system));
    }
    for (i, message) in request.messages.iter().enumerate() {
        say(message, &format!("messages[{i}].content"), &mut messages);
    }
    let resumed = request.messages.last().is_some_and(|m| m.role == "assistant");
    let template = TemplateOptions {
        // A last message of the assistant is gone on with.
        continue_final_message: resumed,
        enable_thinking: Some(request.thinking()?),
        ..TemplateOptions::default()
    };
    let functions: Vec<FunctionDefinition> = request.tools.iter().flatten().map(Tool::function).collect();
    Ok(Draft { messages, tools: intake::tools(&request.choice(), functions.iter()), template })
}

/// A user's message may hold results of tools, which are messages of their own here, before what else it says.
fn say<'a>(message: &'a Message, path: &str, out: &mut Vec<Said<'a>>) {
    if message.role == "assistant" {
        let mut said = Said::new(Role::Assistant, pieces(&message.content, path));
        for block in blocks(&message.content) {
            match block.kind.as_str() {
                "tool_use" => said.tool_calls.push(ToolCall {
                    id: block.id.clone().unwrap_or_default(),
                    name: block.name.clone().unwrap_or_default(),
                    arguments: block.input.clone().unwrap_or_default().to_string(),
                }),
                "thinking" => said.reasoning = block.thinking.clone(),
                _ => {}
            }
        }
        out.push(said);
        return;
    }
    for (i, block) in blocks(&message.content).iter().enumerate().filter(|(_, b)| b.kind == "tool_result") {
        let mut parts = pieces(&block.content, &format!("{path}[{i}].content"));
        if block.is_error == Some(true) {
            parts.insert(0, Piece::Text("Error: "));
        }
        out.push(Said { tool_call_id: block.tool_use_id.clone(), ..Said::new(Role::Tool, parts) });
    }
    let parts = pieces(&message.content, path);
    if !parts.is_empty() {
        out.push(Said::new(Role::User, parts));
    }
}

fn blocks(content: &TextOr<Block>) -> &[Block] {
    match content {
        TextOr::Parts(blocks) => blocks,
        _ => &[],
    }
}

/// Text and pictures.
fn pieces<'a>(content: &'a TextOr<Block>, path: &str) -> Vec<Piece<'a>> {
    if let TextOr::Text(text) = content {
        return vec![Piece::Text(text)];
    }
    let each = blocks(content).iter().enumerate();
    each.filter_map(|(i, block)| match (block.kind.as_str(), &block.text, &block.source) {
        ("text", Some(text), _) => Some(Piece::Text(text)),
        ("document", _, Some(Source { kind, data: Some(text), .. })) if kind == "text" => Some(Piece::Text(text)),
        (kind @ ("image" | "document"), _, Some(source)) => {
            let wish = if kind == "image" { image(source) } else { document(source, block.title.as_deref()) };
            Some(Piece::Media(Item { path: format!("{path}[{i}].source"), wish }))
        }
        _ => None,
    })
    .collect()
}

fn image(source: &Source) -> Wish<'_> {
    let sizing = intake::sizing(None, (None, None), None);
    match &source.file_id {
        Some(id) => Wish::Image { origin: Some(Origin::File(id)), field: ".file_id", uuid: None, sizing },
        None => Wish::Image { origin: Some(Origin::Url(url(source))), field: "", uuid: None, sizing },
    }
}

fn document<'a>(source: &'a Source, name: Option<&'a str>) -> Wish<'a> {
    let from = match (&source.url, &source.file_id) {
        (Some(url), _) => FileSource::Url(url),
        (_, Some(id)) => FileSource::Id(id),
        _ => FileSource::Data(url(source)),
    };
    Wish::File { source: Some(from), uuid: None, name, pages: None, sizing: intake::sizing(None, (None, None), None) }
}

fn url(source: &Source) -> Cow<'_, str> {
    match (&source.url, &source.media_type, &source.data) {
        (Some(url), _, _) => Cow::Borrowed(url),
        (None, Some(kind), Some(data)) => Cow::Owned(format!("data:{kind};base64,{data}")),
        _ => Cow::Borrowed(""),
    }
}

/// The job.
///
/// # Errors
/// None for a request that was validated.
pub fn job(card: &ModelCard, request: &MessageRequest, conversation: Conversation, id: &str) -> Result<Job, ApiError> {
    let parallel = request.tool_choice.as_ref().and_then(|c| c.disable_parallel_tool_use) != Some(true);
    let fields = SamplingFields {
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        ..SamplingFields::default()
    };
    Ok(Job {
        id: id.to_owned(),
        sampling: intake::sampling(fields, request.seed, 0),
        max_tokens: Some(u32::try_from(request.max_tokens).unwrap_or(u32::MAX)),
        stop: request.stop_sequences.clone().unwrap_or_default(),
        format: intake::format(request.answer_format()?),
        tools: intake::policy(request.choice(), parallel),
        ..Job::new(&card.id, conversation)
    })
}
