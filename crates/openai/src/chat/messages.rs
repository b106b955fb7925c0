//! Whether messages are what their roles and part types ask for, and whether tool results belong to calls.

use super::{
    Content, Message, Part,
    format::name_fits,
    media::{check_file, check_video},
};
use crate::{
    ApiError,
    check::{Checked, clip, missing, one_of, unsupported_value as unsupported},
};

/// Checks each message, then the order of calls and results.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(messages: &[Message], resumed: bool) -> Checked {
    for (i, m) in messages.iter().enumerate() {
        message(m, &format!("messages[{i}]"))?;
    }
    results(messages, resumed)
}

fn message(m: &Message, path: &str) -> Checked {
    let known = ["developer", "system", "user", "assistant", "tool", "function"];
    one_of(&format!("{path}.role"), Some(&m.role), &known)?;
    if m.name.as_ref().is_some_and(|n| n.chars().count() > 256) {
        return Err(ApiError::invalid(format!("{path}.name"), "Invalid 'name': at most 256 characters."));
    }
    if m.audio.as_ref().is_some_and(|a| !a.is_null()) {
        return Err(unsupported(
            &format!("{path}.audio"),
            "refers to speech, which this server neither makes nor keeps.",
        ));
    }
    match m.role.as_str() {
        "function" if m.name.is_none() => return Err(missing(&format!("{path}.name"))),
        "tool" if m.tool_call_id.is_none() => return Err(missing(&format!("{path}.tool_call_id"))),
        "assistant" => calls(m, path)?,
        role if m.tool_calls.is_some() || m.function_call.is_some() => {
            let field = if m.tool_calls.is_some() { "tool_calls" } else { "function_call" };
            let message = format!(
                "Invalid '{path}.{field}': only messages of the role 'assistant' may have it, not of the role '{role}'."
            );
            return Err(ApiError::invalid(format!("{path}.{field}"), message));
        }
        _ => {}
    }
    let spoken = m.calls().next().is_some() || m.refusal.is_some();
    match &m.content {
        Content::None if (m.role == "assistant" && spoken) || m.role == "function" => Ok(()),
        Content::None => Err(ApiError::invalid(
            format!("{path}.content"),
            format!(
                "Invalid value for 'content': expected a string or an array, got null. It is required for the role '{}'.",
                m.role
            ),
        )),
        Content::Text(_) => Ok(()),
        Content::Parts(parts) if parts.is_empty() => {
            Err(ApiError::invalid(format!("{path}.content"), "Invalid 'content': expected at least one part."))
        }
        Content::Parts(parts) => {
            parts.iter().enumerate().try_for_each(|(i, p)| part(p, &m.role, &format!("{path}.content[{i}]")))
        }
    }
}

/// An assistant's calls.
fn calls(m: &Message, path: &str) -> Checked {
    if m.tool_calls.as_ref().is_some_and(|c| c.len() > 128) {
        return Err(ApiError::invalid(format!("{path}.tool_calls"), "Invalid 'tool_calls': at most 128 calls."));
    }
    for (i, call) in m.tool_calls.iter().flatten().enumerate() {
        let at = format!("{path}.tool_calls[{i}]");
        match call.kind.as_deref() {
            None | Some("function") => {}
            Some("custom") => {
                return Err(unsupported(
                    &format!("{at}.type"),
                    "is a custom tool's call. Qwen3-VL calls functions only.",
                ));
            }
            kind => one_of(&format!("{at}.type"), kind, &["function"])?,
        }
        let Some(function) = &call.function else { return Err(missing(&format!("{at}.function"))) };
        if !name_fits(&function.name) {
            return Err(super::format::bad_name(&format!("{at}.function.name")));
        }
    }
    Ok(())
}

/// Every result answers a call of the assistant's message before it, and every call has its result. `resumed`: the
/// last message is to be gone on with, so its calls may stand open.
fn results(messages: &[Message], resumed: bool) -> Checked {
    let mut made: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for (i, m) in messages.iter().enumerate() {
        if m.role == "tool" {
            let id = m.tool_call_id.as_deref().unwrap_or_default();
            if made.is_empty() {
                let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
                return Err(ApiError::invalid(format!("messages[{i}].role"), message));
            }
            if !made.contains(&id) {
                let path = format!("messages[{i}].tool_call_id");
                let message = format!(
                    "Invalid parameter: 'tool_call_id' of '{}' not found in 'tool_calls' of previous message.",
                    clip(id)
                );
                return Err(ApiError::invalid(path, message));
            }
            open.retain(|o| *o != id);
            continue;
        }
        unanswered(&open, i)?;
        made = m.tool_calls.iter().flatten().map(|c| c.id.as_str()).collect();
        open.clone_from(&made);
    }
    if resumed { Ok(()) } else { unanswered(&open, messages.len()) }
}

fn unanswered(open: &[&str], next: usize) -> Checked {
    if open.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = open.iter().take(8).map(|id| clip(id)).collect();
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        ids.join(", ")
    );
    Err(ApiError::invalid(format!("messages[{next}].role"), message))
}

fn part(p: &Part, role: &str, path: &str) -> Checked {
    let allowed: &[&str] = match role {
        "user" => &["text", "image_url", "video_url", "video", "input_audio", "file"],
        "tool" => &["text", "image_url"],
        "assistant" => &["text", "refusal"],
        _ => &["text"],
    };
    if !allowed.contains(&p.kind.as_str()) {
        let known: Vec<String> = allowed.iter().map(|a| format!("'{a}'")).collect();
        let message = format!(
            "Invalid value: '{}'. Supported values for messages of the role '{role}' are: {}.",
            clip(&p.kind),
            known.join(", ")
        );
        return Err(ApiError::invalid(format!("{path}.type"), message));
    }
    if let Some(uuid) = &p.uuid
        && !(1..=256).contains(&uuid.len())
    {
        return Err(ApiError::invalid(format!("{path}.uuid"), "Invalid 'uuid': expected 1 to 256 bytes."));
    }
    match p.kind.as_str() {
        "text" if p.text.is_none() => Err(missing(&format!("{path}.text"))),
        "refusal" if p.refusal.is_none() => Err(missing(&format!("{path}.refusal"))),
        "image_url" => image(p, path),
        "input_audio" => Err(unsupported(path, "is sound, which this family of models does not hear.")),
        "video_url" | "video" => check_video(p, path),
        "file" => check_file(p, path),
        _ => Ok(()),
    }
}

fn image(p: &Part, path: &str) -> Checked {
    let image = match &p.image_url {
        Some(image) => image,
        None if p.uuid.is_some() => return pixels(p.min_pixels, p.max_pixels, path),
        None => return Err(missing(&format!("{path}.image_url"))),
    };
    match (image.url.is_empty(), &image.file_id) {
        (true, None) => return Err(missing(&format!("{path}.image_url.url"))),
        (false, Some(_)) => {
            let param = format!("{path}.image_url.file_id");
            return Err(ApiError::invalid(
                &param,
                format!("Invalid '{param}': 'url' and 'file_id' cannot both be given."),
            ));
        }
        _ => {}
    }
    one_of(&format!("{path}.image_url.detail"), image.detail.as_deref(), &["low", "high", "auto"])?;
    for (min, max, at) in [
        (image.min_pixels, image.max_pixels, format!("{path}.image_url")),
        (p.min_pixels, p.max_pixels, path.to_owned()),
    ] {
        pixels(min, max, &at)?;
    }
    Ok(())
}

/// Bounds of a picture's area.
pub fn pixels(min: Option<u64>, max: Option<u64>, path: &str) -> Checked {
    let param = format!("{path}.max_pixels");
    match (min, max) {
        (_, Some(0)) => Err(ApiError::invalid(param, "Invalid 'max_pixels': expected a value >= 1.")),
        (Some(min), Some(max)) if min > max => {
            Err(ApiError::invalid(param, "Invalid 'max_pixels': it is less than 'min_pixels'."))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::chat::ChatRequest;

    fn parse(messages: &Value) -> Result<ChatRequest, crate::ApiError> {
        ChatRequest::parse(json!({"model": "m", "messages": messages}).to_string().as_bytes())
    }

    fn call(ids: &[&str]) -> Value {
        let calls: Vec<Value> = ids
            .iter()
            .map(|id| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}))
            .collect();
        json!({"role": "assistant", "content": null, "tool_calls": calls})
    }

    fn result(id: &str) -> Value {
        json!({"role": "tool", "tool_call_id": id, "content": "1"})
    }

    #[test]
    fn every_role_and_part_that_openai_has_is_read() {
        let cached = json!({"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}, "cache_control": {"type": "ephemeral"}});
        let messages = json!([
            {"role": "developer", "content": [cached]}, {"role": "system", "content": "s", "name": "n"},
            {"role": "user", "content": [cached, {"type": "image_url", "image_url": {"url": "data:,"}, "min_pixels": 5}], "name": "me"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "user", "content": "and?"}, {"role": "assistant", "content": null, "refusal": "no", "reasoning": "r", "reasoning_content": "r"},
            {"role": "user", "content": "and?"}, {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": null},
            call(&["a", "b"]), result("b"),
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            {"role": "user", "content": ""},
        ]);
        assert!(parse(&messages).is_ok(), "{:?}", parse(&messages));
    }

    #[test]
    fn what_is_wrong_with_messages_is_named() {
        let user = json!({"role": "user", "content": "x"});
        for (messages, param, words) in [
            (json!([user, result("a")]), "messages[1].role", "preceeding message with 'tool_calls'"),
            (json!([user, call(&["a"]), result("b")]), "messages[2].tool_call_id", "not found in 'tool_calls'"),
            (
                json!([user, call(&["a", "b"]), result("a"), user]),
                "messages[3].role",
                "did not have response messages: b",
            ),
            (json!([user, call(&["a"])]), "messages[2].role", "did not have response messages: a"),
            (json!([user, {"role": "tool", "content": "x"}]), "messages[1].tool_call_id", "Missing required parameter"),
            (json!([{"role": "function", "content": "x"}]), "messages[0].name", "Missing"),
            (
                json!([{"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}]),
                "messages[0].content[0].type",
                "'refusal'",
            ),
            (
                json!([{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]),
                "messages[0].content[0].type",
                "'image_url'",
            ),
            (
                json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]),
                "messages[0].content[0]",
                "sound",
            ),
            (json!([{"role": "user", "content": "x", "tool_calls": []}]), "messages[0].tool_calls", "assistant"),
            (
                json!([user, {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "c", "input": ""}}]}]),
                "messages[1].tool_calls[0].type",
                "custom",
            ),
            (json!([user, {"role": "assistant", "audio": {"id": "a"}}]), "messages[1].audio", "speech"),
            (
                json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u", "min_pixels": 9, "max_pixels": 5}}]}]),
                "messages[0].content[0].image_url.max_pixels",
                "min_pixels",
            ),
        ] {
            let error = parse(&messages).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{messages}: {error:?}");
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}
