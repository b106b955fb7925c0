//! From a request to a draft of its conversation, and to jobs.

use vlgate_engine::{Conversation, Job, ModelCard, Role, Sampling, TemplateOptions, ToolCall};
use vlgate_media::{Sampling as Clipping, Sizing};
use vlgate_openai::{
    ApiError,
    chat::{self, ChatRequest, ClipOptions, Content, VideoSource},
};

use crate::{
    intake::{self, Draft, Piece, Said},
    media::{FileSource, Item, Origin, Wish},
};

/// The conversation, its pictures, clips and files still to be taken in.
///
/// # Errors
/// None for a request that was validated.
pub fn draft(request: &ChatRequest) -> Result<Draft<'_>, ApiError> {
    let messages = request.messages.iter().enumerate().map(|(i, m)| message(m, &format!("messages[{i}]"), request));
    let template = TemplateOptions {
        continue_final_message: request.continue_final_message.unwrap_or(false),
        no_generation_prompt: request.add_generation_prompt == Some(false),
        enable_thinking: request.thinking(),
        kwargs: request.chat_template_kwargs.clone().unwrap_or_default(),
    };
    let tools = intake::tools(&request.choice()?, request.offered());
    Ok(Draft { messages: messages.collect(), tools, template })
}

fn message<'a>(m: &'a chat::Message, path: &str, request: &ChatRequest) -> Said<'a> {
    let role = match m.role.as_str() {
        "system" | "developer" => Role::System,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => Role::User,
    };
    let mut parts: Vec<Piece<'_>> = match &m.content {
        Content::None => Vec::new(),
        Content::Text(text) => vec![Piece::Text(text)],
        Content::Parts(parts) => {
            let each = parts.iter().enumerate();
            each.filter_map(|(i, p)| piece(p, &format!("{path}.content[{i}]"), request)).collect()
        }
    };
    if let (true, Some(refusal)) = (parts.is_empty(), &m.refusal) {
        parts.push(Piece::Text(refusal));
    }
    let calls =
        m.calls().map(|(id, f)| ToolCall { id: id.to_owned(), name: f.name.clone(), arguments: f.arguments.clone() });
    Said {
        role,
        parts,
        reasoning: m.reasoning_content.clone().or_else(|| m.reasoning.clone()),
        tool_calls: calls.collect(),
        name: m.name.clone(),
        tool_call_id: m.tool_call_id.clone(),
    }
}

fn piece<'a>(part: &'a chat::Part, path: &str, request: &ChatRequest) -> Option<Piece<'a>> {
    let (field, wish) = match part.kind.as_str() {
        "image_url" => (if part.image_url.is_some() { "image_url" } else { "uuid" }, image(part, request)),
        "file" => file(part),
        "video_url" | "video" => {
            let sampling = sampling(request.clip_options(part));
            let uuid = part.uuid.as_deref();
            match part.video_source() {
                Some((VideoSource::Url(url), field)) => (field, Wish::Video { url: Some(url), uuid, sampling }),
                Some((VideoSource::Frames(urls), field)) => {
                    (field, Wish::Frames { urls, times: part.times.as_deref(), uuid, sampling })
                }
                None => ("uuid", Wish::Video { url: None, uuid, sampling }),
            }
        }
        _ => return part.text.as_deref().or(part.refusal.as_deref()).map(Piece::Text),
    };
    Some(Piece::Media(Item { path: format!("{path}.{field}"), wish }))
}

/// Bounds of the picture itself go before those of its part, and those before the request's.
fn image<'a>(part: &'a chat::Part, request: &ChatRequest) -> Wish<'a> {
    let image = part.image_url.as_ref();
    let own = |of: fn(&chat::ImageUrl) -> Option<u64>, part: Option<u64>| image.and_then(of).or(part);
    let own = (own(|i| i.min_pixels, part.min_pixels), own(|i| i.max_pixels, part.max_pixels));
    let detail = image.and_then(|i| i.detail.as_deref());
    let sizing = intake::sizing(detail, own, request.mm_processor_kwargs.as_ref());
    let (origin, field) = match image.map(|i| (&i.file_id, &i.url)) {
        Some((Some(id), _)) => (Some(Origin::File(id)), ".file_id"),
        Some((None, url)) => (Some(Origin::Url(url.as_str().into())), ".url"),
        None => (None, ""),
    };
    Wish::Image { origin, field, uuid: part.uuid.as_deref(), sizing }
}

fn sampling(options: ClipOptions) -> Clipping {
    Clipping {
        fps: options.fps,
        num_frames: options.num_frames,
        min_frames: options.min_frames,
        max_frames: options.max_frames,
        frame_min_pixels: options.min_pixels,
        frame_max_pixels: options.max_pixels,
        min_pixels: options.least_pixels,
        max_pixels: options.total_pixels,
    }
}

fn file(part: &chat::Part) -> (&'static str, Wish<'_>) {
    let file = part.file.as_ref();
    let text = |of: fn(&chat::File) -> Option<&str>| file.and_then(of);
    let (data, url) = (text(|f| f.file_data.as_deref()), text(|f| f.file_url.as_deref()));
    let source = FileSource::of(data, url, text(|f| f.file_id.as_deref()));
    let sizing = Sizing { detail: intake::detail(text(|f| f.detail.as_deref())), ..Sizing::default() };
    let (name, pages) = (text(|f| f.filename.as_deref()), text(|f| f.pages.as_deref()));
    let field = if source.is_some() { "file" } else { "uuid" };
    (field, Wish::File { source, uuid: part.uuid.as_deref(), name, pages, sizing })
}

/// One job a choice; with a seed, each choice has its own.
///
/// # Errors
/// None for a request that was validated.
pub fn jobs(
    card: &ModelCard,
    request: &ChatRequest,
    conversation: &Conversation,
    id: &str,
) -> Result<Vec<Job>, ApiError> {
    let format = intake::format(request.answer_format()?.0);
    // The old form has one call an answer.
    let parallel = request.parallel_tool_calls.unwrap_or(true) && !request.speaks_functions();
    let tools = intake::policy(request.choice()?, parallel);
    let one = |index: u32| Job {
        id: format!("{id}/{index}"),
        sampling: Sampling {
            logit_bias: intake::biases(request.logit_bias.iter().flatten()),
            ..intake::sampling(request.sampling(), request.seed, index)
        },
        max_tokens: request.token_limit(),
        stop: request.stop_texts(),
        ignore_eos: request.ignore_eos.unwrap_or(false),
        format: format.clone(),
        tools: tools.clone(),
        logprobs: (request.logprobs == Some(true))
            .then(|| u8::try_from(request.top_logprobs.unwrap_or(0)).unwrap_or(20)),
        ..Job::new(&card.id, conversation.clone())
    };
    Ok((0..u32::try_from(request.n.unwrap_or(1)).unwrap_or(1)).map(one).collect())
}
