//! From a request to a conversation (pictures resolved, several at once) and to jobs.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use vlgate_engine::{
    Conversation, Format, Job, Message, ModelCard, Part, Role, Sampling, TemplateOptions, ToolCall, ToolPolicy,
    ToolSpec,
};
use vlgate_media::{Detail, ImageSource, Picture, Sizing, VisionSpec};
use vlgate_openai::{
    ApiError,
    chat::{self, AnswerFormat, ChatRequest, Content, ToolChoice},
};

use crate::{State, reply};

/// Pictures of one request that are fetched and decoded at once.
const AT_ONCE: usize = 8;

/// The conversation, with every picture at the size that the model sees.
pub async fn conversation(state: &State, card: &ModelCard, request: &ChatRequest) -> Result<Conversation, ApiError> {
    let wanted = images(request);
    if wanted.len() > state.config.images_per_request {
        let message =
            format!("Too many images: at most {} are accepted in one request.", state.config.images_per_request);
        let path = wanted.get(state.config.images_per_request).map(|w| w.0.clone()).unwrap_or_default();
        return Err(ApiError::invalid(path, message));
    }
    let Some(spec) = card.vision.or_else(|| wanted.is_empty().then_some(VisionSpec::QWEN3_VL)) else {
        let path = wanted.first().map(|w| w.0.clone()).unwrap_or_default();
        return Err(ApiError::invalid(path, format!("The model '{}' does not take images.", card.id)));
    };
    let mut pictures: Vec<Arc<Picture>> = stream::iter(wanted)
        .map(|(path, image)| async move {
            let picture = state.resolver.image(ImageSource { url: image.url }, &spec, &image.sizing).await;
            picture.map(Arc::new).map_err(|e| reply::media(&e, format!("{path}.url")))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    pictures.reverse();
    let messages = request.messages.iter().map(|m| message(m, &mut pictures)).collect();
    let template = TemplateOptions {
        continue_final_message: request.continue_final_message.unwrap_or(false),
        no_generation_prompt: request.add_generation_prompt == Some(false),
        enable_thinking: request.thinking(),
        kwargs: request.chat_template_kwargs.clone().unwrap_or_default(),
    };
    Ok(Conversation { messages, tools: tools(request)?, template })
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

/// A picture that a request names.
struct Wanted<'a> {
    url: &'a str,
    sizing: Sizing,
}

/// Every picture with its path, in prompt order.
fn images(request: &ChatRequest) -> Vec<(String, Wanted<'_>)> {
    let messages = request.messages.iter().enumerate();
    messages.flat_map(|(m, message)| images_of(m, &message.content, request)).collect()
}

fn images_of<'a>(m: usize, content: &'a Content, request: &ChatRequest) -> Vec<(String, Wanted<'a>)> {
    let Content::Parts(parts) = content else { return Vec::new() };
    let named = parts.iter().enumerate().filter(|(_, p)| p.kind == "image_url");
    named.filter_map(|(i, p)| Some((format!("messages[{m}].content[{i}].image_url"), wanted(p, request)?))).collect()
}

/// Bounds of the picture itself go before those of its part, and those before the request's.
fn wanted<'a>(part: &'a chat::Part, request: &ChatRequest) -> Option<Wanted<'a>> {
    let image = part.image_url.as_ref()?;
    let all = request.mm_processor_kwargs.clone().unwrap_or_default();
    let size = all.size.unwrap_or_default();
    let detail = match image.detail.as_deref() {
        Some("low") => Detail::Low,
        Some("high") => Detail::High,
        _ => Detail::Auto,
    };
    let sizing = Sizing {
        detail,
        min_pixels: image.min_pixels.or(part.min_pixels).or(all.min_pixels).or(size.shortest_edge),
        max_pixels: image.max_pixels.or(part.max_pixels).or(all.max_pixels).or(size.longest_edge),
    };
    Some(Wanted { url: &image.url, sizing })
}

/// `pictures` holds those that are left, the next one last.
fn message(m: &chat::Message, pictures: &mut Vec<Arc<Picture>>) -> Message {
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
            .filter_map(|p| match p.kind.as_str() {
                "image_url" => pictures.pop().map(Part::Image),
                _ => p.text.clone().or_else(|| p.refusal.clone()).map(Part::Text),
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
