//! From a request to a conversation (pictures resolved, several at once) and to jobs.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use vlgate_engine::{Conversation, Job, Message, ModelCard, Part, Role, Sampling, TemplateOptions, ToolCall};
use vlgate_media::{Detail, ImageSource, Picture, Sizing, VisionSpec};
use vlgate_openai::{
    ApiError,
    chat::{self, ChatRequest, Content, ImageUrl},
};

use crate::{State, reply};

/// Pictures of one request that are fetched and decoded at once.
const AT_ONCE: usize = 8;

/// The conversation, with every picture at the size that the model sees.
pub async fn conversation(state: &State, card: &ModelCard, request: &ChatRequest) -> Result<Conversation, ApiError> {
    let wanted = images(request);
    if wanted.len() > state.config.images_per_request {
        let message = format!("Too many images: at most {} are accepted in one request.", state.config.images_per_request);
        let path = wanted.get(state.config.images_per_request).map(|w| w.0.clone()).unwrap_or_default();
        return Err(ApiError::invalid(path, message));
    }
    let Some(spec) = card.vision.or_else(|| wanted.is_empty().then_some(VisionSpec::QWEN3_VL)) else {
        let path = wanted.first().map(|w| w.0.clone()).unwrap_or_default();
        return Err(ApiError::invalid(path, format!("The model '{}' does not take images.", card.id)));
    };
    let mut pictures: Vec<Arc<Picture>> = stream::iter(wanted)
        .map(|(path, image)| async move {
            let picture = state.resolver.image(ImageSource { url: &image.url }, &spec, &sizing(image)).await;
            picture.map(Arc::new).map_err(|e| reply::media(&e, format!("{path}.url")))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    pictures.reverse();
    let messages = request.messages.iter().map(|m| message(m, &mut pictures)).collect();
    let template = TemplateOptions {
        continue_final_message: request.continue_final_message.unwrap_or(false),
        enable_thinking: (request.reasoning_effort.as_deref() == Some("none")).then_some(false),
        kwargs: request.chat_template_kwargs.clone().unwrap_or_default(),
    };
    Ok(Conversation { messages, tools: Vec::new(), template })
}

/// Every picture with its path, in prompt order.
fn images(request: &ChatRequest) -> Vec<(String, &ImageUrl)> {
    let parts = |m: usize, content| match content {
        &Content::Parts(ref parts) => {
            let named = parts.iter().enumerate();
            named.filter_map(|(i, p)| Some((format!("messages[{m}].content[{i}].image_url"), p.image_url.as_ref().filter(|_| p.kind == "image_url")?))).collect()
        }
        _ => Vec::new(),
    };
    request.messages.iter().enumerate().flat_map(|(m, message)| parts(m, &message.content)).collect()
}

fn sizing(image: &ImageUrl) -> Sizing {
    let detail = match image.detail.as_deref() {
        Some("low") => Detail::Low,
        Some("high") => Detail::High,
        _ => Detail::Auto,
    };
    Sizing { detail, min_pixels: image.min_pixels, max_pixels: image.max_pixels }
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
    let calls = m.tool_calls.iter().flatten().map(|c| (c.id.clone(), &c.function));
    let calls = calls.chain(m.function_call.iter().map(|f| (String::new(), f)));
    Message {
        role,
        parts,
        reasoning: m.reasoning_content.clone(),
        tool_calls: calls.map(|(id, f)| ToolCall { id, name: f.name.clone(), arguments: f.arguments.clone() }).collect(),
        name: m.name.clone(),
        tool_call_id: m.tool_call_id.clone(),
    }
}

/// One job a choice; with a seed, each choice has its own.
pub fn jobs(card: &ModelCard, request: &ChatRequest, conversation: &Conversation, id: &str) -> Vec<Job> {
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
            logit_bias: request.logit_bias.iter().flatten().filter_map(|(id, bias)| Some((id.parse().ok()?, *bias))).collect(),
        },
        max_tokens: request.token_limit(),
        stop: request.stop_texts(),
        ignore_eos: request.ignore_eos.unwrap_or(false),
        logprobs: (request.logprobs == Some(true)).then(|| request.top_logprobs.unwrap_or(0)),
        ..Job::new(&card.id, conversation.clone())
    };
    (0..request.n.unwrap_or(1)).map(one).collect()
}
