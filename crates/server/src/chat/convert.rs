//! From a request to a conversation (its media resolved) and to jobs.

use std::collections::VecDeque;

use vlgate_engine::{
    Conversation, Format, Job, Message, ModelCard, Part, Role, Sampling, TemplateOptions, ToolCall, ToolPolicy,
    ToolSpec,
};
use vlgate_media::{Detail, Sampling as Clipping, Sizing};
use vlgate_openai::{
    ApiError,
    chat::{self, AnswerFormat, ChatRequest, ClipOptions, Content, MediaNote, ToolChoice, VideoSource},
};

use crate::{
    State,
    media::{self, FileSource, Item, Taken, Wish},
};

/// The conversation, with every picture, frame and page at the size that the model sees, and what it sees of each part.
pub async fn conversation(
    state: &State,
    card: &ModelCard,
    owner: &str,
    request: &ChatRequest,
) -> Result<(Conversation, Vec<MediaNote>), ApiError> {
    let mut taken: VecDeque<Taken> = media::take(state, card, owner, items(request)).await?.into();
    let mut notes = Vec::with_capacity(taken.len());
    let messages = request.messages.iter().map(|m| message(m, &mut taken, &mut notes)).collect();
    let template = TemplateOptions {
        continue_final_message: request.continue_final_message.unwrap_or(false),
        no_generation_prompt: request.add_generation_prompt == Some(false),
        enable_thinking: request.thinking(),
        kwargs: request.chat_template_kwargs.clone().unwrap_or_default(),
    };
    Ok((Conversation { messages, tools: tools(request)?, template }, notes))
}

/// The tools that the model is shown: none when it may call none.
fn tools(request: &ChatRequest) -> Result<Vec<ToolSpec>, ApiError> {
    if request.choice()? == ToolChoice::None {
        return Ok(Vec::new());
    }
    let spec = |f: &chat::FunctionDefinition| ToolSpec {
        name: f.name.clone(),
        description: f.description.clone(),
        parameters: f.parameters.clone(),
        strict: f.strict.unwrap_or(false),
    };
    Ok(request.offered().map(spec).collect())
}

/// What the model may or must call. The old form has one call an answer.
fn policy(request: &ChatRequest) -> Result<ToolPolicy, ApiError> {
    let parallel = request.parallel_tool_calls.unwrap_or(true) && !request.speaks_functions();
    Ok(match request.choice()? {
        ToolChoice::None => ToolPolicy { parallel, ..ToolPolicy::default() },
        ToolChoice::Auto(allowed) => ToolPolicy { required: false, allowed, parallel },
        ToolChoice::Required(allowed) => ToolPolicy { required: true, allowed, parallel },
    })
}

fn format(request: &ChatRequest) -> Result<Format, ApiError> {
    Ok(match request.answer_format()?.0 {
        AnswerFormat::Text => Format::Text,
        AnswerFormat::JsonObject => Format::JsonObject,
        AnswerFormat::JsonSchema { schema, strict } => Format::JsonSchema { schema, strict },
        AnswerFormat::Regex(regex) => Format::Regex(regex),
        AnswerFormat::Choice(texts) => Format::Choice(texts),
        AnswerFormat::Grammar(grammar) => Format::Lark(grammar),
    })
}

/// Every picture, clip and file with its path, in prompt order.
fn items(request: &ChatRequest) -> Vec<Item<'_>> {
    let messages = request.messages.iter().enumerate();
    let parts = messages.flat_map(|(m, message)| {
        let parts = if let Content::Parts(parts) = &message.content { parts.as_slice() } else { &[] };
        parts.iter().enumerate().map(move |(i, part)| (format!("messages[{m}].content[{i}]"), part))
    });
    parts.filter_map(|(path, part)| item(&path, part, request)).collect()
}

fn item<'a>(path: &str, part: &'a chat::Part, request: &ChatRequest) -> Option<Item<'a>> {
    let (field, wish) = match part.kind.as_str() {
        "image_url" => (if part.image_url.is_some() { "image_url" } else { "uuid" }, image(part, request)),
        "file" => ("file", file(part.file.as_ref()?)?),
        _ => {
            let (source, field) = part.video_source()?;
            let sampling = sampling(request.clip_options(part));
            let wish = match source {
                VideoSource::Url(url) => Wish::Video { url, sampling },
                VideoSource::Frames(urls) => Wish::Frames { urls, times: part.times.as_deref(), sampling },
            };
            (field, wish)
        }
    };
    Some(Item { path: format!("{path}.{field}"), wish })
}

fn detail(text: Option<&str>) -> Detail {
    match text {
        Some("low") => Detail::Low,
        Some("high") => Detail::High,
        _ => Detail::Auto,
    }
}

/// Bounds of the picture itself go before those of its part, and those before the request's.
fn image<'a>(part: &'a chat::Part, request: &ChatRequest) -> Wish<'a> {
    let image = part.image_url.as_ref();
    let all = request.mm_processor_kwargs.clone().unwrap_or_default();
    let size = all.size.unwrap_or_default();
    let sizing = Sizing {
        detail: detail(image.and_then(|i| i.detail.as_deref())),
        min_pixels: image.and_then(|i| i.min_pixels).or(part.min_pixels).or(all.min_pixels).or(size.shortest_edge),
        max_pixels: image.and_then(|i| i.max_pixels).or(part.max_pixels).or(all.max_pixels).or(size.longest_edge),
    };
    Wish::Image { url: image.map(|i| i.url.as_str()), uuid: part.uuid.as_deref(), sizing }
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

fn file(file: &chat::File) -> Option<Wish<'_>> {
    let source = match (&file.file_data, &file.file_url, &file.file_id) {
        (Some(data), ..) => FileSource::Data(data),
        (_, Some(url), _) => FileSource::Url(url),
        (.., id) => FileSource::Id(id.as_deref()?),
    };
    let sizing = Sizing { detail: detail(file.detail.as_deref()), ..Sizing::default() };
    Some(Wish::File { source, name: file.filename.as_deref(), pages: file.pages.as_deref(), sizing })
}

/// `taken` holds the parts that are left, the next one first.
fn message(m: &chat::Message, taken: &mut VecDeque<Taken>, notes: &mut Vec<MediaNote>) -> Message {
    let role = match m.role.as_str() {
        "system" | "developer" => Role::System,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => Role::User,
    };
    let mut parts: Vec<Part> = match &m.content {
        Content::None => Vec::new(),
        Content::Text(text) => vec![Part::Text(text.clone())],
        Content::Parts(parts) => parts
            .iter()
            .flat_map(|p| match p.kind.as_str() {
                "image_url" | "video_url" | "video" | "file" => {
                    let (parts, note) = taken.pop_front().map(|t| (t.parts, t.note)).unzip();
                    notes.extend(note);
                    parts.unwrap_or_default()
                }
                _ => p.text.clone().or_else(|| p.refusal.clone()).map(Part::Text).into_iter().collect(),
            })
            .collect(),
    };
    if let (true, Some(refusal)) = (parts.is_empty(), &m.refusal) {
        parts.push(Part::Text(refusal.clone()));
    }
    let calls =
        m.calls().map(|(id, f)| ToolCall { id: id.to_owned(), name: f.name.clone(), arguments: f.arguments.clone() });
    Message {
        role,
        parts,
        reasoning: m.reasoning_content.clone().or_else(|| m.reasoning.clone()),
        tool_calls: calls.collect(),
        name: m.name.clone(),
        tool_call_id: m.tool_call_id.clone(),
    }
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
    let (format, tools) = (format(request)?, policy(request)?);
    let one = |index: u32| Job {
        id: format!("{id}/{index}"),
        sampling: Sampling {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k.map(|k| u32::try_from(k).unwrap_or(0)),
            min_p: request.min_p,
            seed: request.seed.map(|s| s.wrapping_add(i64::from(index))),
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
            repetition_penalty: request.repetition_penalty,
            logit_bias: request
                .logit_bias
                .iter()
                .flatten()
                .filter_map(|(id, bias)| Some((id.parse().ok()?, *bias)))
                .collect(),
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
