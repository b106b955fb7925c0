//! Chat completions that are kept: what is asked of them, and their lists (`listChatCompletions` and its siblings).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{CallKind, Completion, Content, FunctionCall, Message, Part, ResponseToolCall, shapes};
use crate::{ApiError, ListKind, ListQuery, check};

/// Which of the completions that are kept are wanted: the query of a list of them.
#[derive(Debug, Clone)]
pub struct KeptQuery {
    /// Objects at the most.
    pub limit: u32,
    /// Which way; here the oldest come first where nothing is said.
    pub oldest_first: bool,
    /// The id of the object before the first one.
    pub after: Option<String>,
    /// Only those whose request had this name for its model.
    pub model: Option<String>,
    /// Only those with all of these pairs.
    pub metadata: IndexMap<String, String>,
}

impl KeptQuery {
    /// Reads the pairs of a URL's query; metadata is written `metadata[key]=value`. What it does not know it leaves alone.
    ///
    /// # Errors
    /// A 400 that names the parameter.
    pub fn read(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        let (mut list, mut model, mut metadata) = (ListQuery::default(), None, IndexMap::new());
        for (name, value) in pairs {
            match name.as_str() {
                "limit" => list.limit = Some(value),
                "order" => list.order = Some(value),
                "after" => list.after = Some(value),
                "model" => model = Some(value),
                "metadata" => {
                    let message = "Invalid type for 'metadata': expected pairs, each of them 'metadata[key]=value'.";
                    return Err(ApiError::new(400, "invalid_request_error", "invalid_type", message).at("metadata"));
                }
                name => {
                    if let Some(key) = name.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']')) {
                        metadata.insert(key.to_owned(), value);
                    }
                }
            }
        }
        check::metadata(Some(&metadata))?;
        let (limit, _) = list.checked(100, 20)?;
        let oldest_first = list.order.as_deref() != Some("desc");
        Ok(Self { limit, oldest_first, after: list.after, model, metadata })
    }
}

/// What of a completion can be changed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UpdateChatCompletionRequest)]
pub struct MetadataUpdate {
    /// In place of what is there; null takes it away.
    #[serde(deserialize_with = "given")]
    #[schema(required, value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<IndexMap<String, String>>,
}

/// Unlike serde's own way with an option, a field that is left out is missed.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<IndexMap<String, String>>, D::Error> {
    Option::deserialize(deserializer)
}

impl MetadataUpdate {
    /// Reads and validates a body.
    ///
    /// # Errors
    /// A 400 in OpenAI's words that names the part.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let update: Self = crate::read::json(body)?;
        check::metadata(update.metadata.as_ref())?;
        Ok(update)
    }
}

/// A page of completions.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChatCompletionList)]
pub struct CompletionList {
    /// `list`.
    pub object: ListKind,
    /// The completions.
    #[schema(value_type = Vec<Completion>)]
    pub data: Vec<Value>,
    /// The first one's id; empty where there is none.
    pub first_id: String,
    /// The last one's id; empty where there is none.
    pub last_id: String,
    /// Whether there are more behind it.
    pub has_more: bool,
}

/// A page of the messages that a completion answers.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChatCompletionMessageList)]
pub struct MessageList {
    /// `list`.
    pub object: ListKind,
    /// The messages.
    #[schema(value_type = Vec<KeptMessage>)]
    pub data: Vec<Value>,
    /// The first one's id; empty where there is none.
    pub first_id: String,
    /// The last one's id; empty where there is none.
    pub last_id: String,
    /// Whether there are more behind it.
    pub has_more: bool,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub enum DeletedKind {
    /// The only kind.
    #[serde(rename = "chat.completion.deleted")]
    Completion,
}

/// What a deletion says.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChatCompletionDeleted)]
pub struct CompletionDeleted {
    /// `chat.completion.deleted`.
    pub object: DeletedKind,
    /// Which.
    pub id: String,
    /// True.
    pub deleted: bool,
}

impl CompletionDeleted {
    /// That it is gone.
    #[must_use]
    pub const fn new(id: String) -> Self {
        Self { object: DeletedKind::Completion, id, deleted: true }
    }
}

/// Whose a message is. OpenAI's schema says `assistant` alone; its example is a user's.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, missing_docs, reason = "for readers of the specification")]
enum KeptRole {
    Developer,
    System,
    User,
    Assistant,
    Tool,
    Function,
}

/// A message of the request of a completion that is kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChatCompletionStoreMessage)]
pub struct KeptMessage {
    /// The completion's id, `-` and the message's place, from 0.
    pub id: String,
    /// Whose it is.
    #[schema(inline, value_type = KeptRole)]
    pub role: String,
    /// The text; null where the content was given as parts.
    #[schema(required)]
    pub content: Option<String>,
    /// The parts that are text or pictures; OpenAI's shape has no place for clips and files. Null for a text.
    #[schema(required)]
    pub content_parts: Option<Vec<KeptPart>>,
    /// What an assistant refused.
    #[schema(required)]
    pub refusal: Option<String>,
    /// Who of those with this role.
    #[schema(required)]
    pub name: Option<String>,
    /// The calls that an assistant made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub tool_calls: Vec<ResponseToolCall>,
    /// The call that an assistant made, in the old form.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, deprecated)]
    pub function_call: Option<FunctionCall>,
    /// The call that a tool's message answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tool_call_id: Option<String>,
}

/// A part of such a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum KeptPart {
    /// Text.
    Text(KeptText),
    /// A picture.
    Image(KeptImage),
}

/// Text.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeptText {
    /// `text`.
    #[serde(rename = "type")]
    #[schema(value_type = shapes::TextType)]
    kind: &'static str,
    /// The text.
    text: String,
}

/// A picture.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeptImage {
    /// `image_url`.
    #[serde(rename = "type")]
    #[schema(value_type = shapes::ImageType)]
    kind: &'static str,
    /// Where it is.
    image_url: KeptImageUrl,
}

/// Where a picture is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeptImageUrl {
    /// As the request had it; empty for an uploaded file.
    url: String,
    /// The uploaded file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    file_id: Option<String>,
    /// As the request had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<shapes::Detail>)]
    detail: Option<String>,
}

impl KeptMessage {
    /// A message as it is kept, the `place`th of the completion `completion`.
    #[must_use]
    pub fn new(completion: &str, place: usize, message: &Message) -> Self {
        let (content, content_parts) = match &message.content {
            Content::None => (None, None),
            Content::Text(text) => (Some(text.clone()), None),
            Content::Parts(parts) => (None, Some(parts.iter().filter_map(KeptPart::new).collect())),
        };
        let calls = message.tool_calls.iter().flatten().filter_map(|call| {
            Some(ResponseToolCall { id: call.id.clone(), kind: CallKind::Function, function: call.function.clone()? })
        });
        Self {
            id: format!("{completion}-{place}"),
            role: message.role.clone(),
            content,
            content_parts,
            refusal: message.refusal.clone().or_else(|| refused(&message.content)),
            name: message.name.clone(),
            tool_calls: calls.collect(),
            function_call: message.function_call.clone(),
            tool_call_id: message.tool_call_id.clone(),
        }
    }
}

/// A refusal that was given as a part.
fn refused(content: &Content) -> Option<String> {
    let Content::Parts(parts) = content else { return None };
    parts.iter().find_map(|part| part.refusal.clone())
}

impl KeptPart {
    fn new(part: &Part) -> Option<Self> {
        match part.kind.as_str() {
            "text" => Some(Self::Text(KeptText { kind: "text", text: part.text.clone()? })),
            "image_url" => {
                let image = part.image_url.as_ref()?;
                let (url, file_id, detail) = (image.url.clone(), image.file_id.clone(), image.detail.clone());
                Some(Self::Image(KeptImage { kind: "image_url", image_url: KeptImageUrl { url, file_id, detail } }))
            }
            _ => None,
        }
    }
}

/// The query of a list of messages, which, too, begins with the oldest.
///
/// # Errors
/// A 400 that names the parameter.
pub fn message_page(query: &ListQuery) -> Result<(u32, bool), ApiError> {
    Ok((query.checked(100, 20)?.0, query.order.as_deref() != Some("desc")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{KeptMessage, KeptQuery, MetadataUpdate};
    use crate::chat::ChatRequest;

    fn query(text: &[(&str, &str)]) -> Result<KeptQuery, String> {
        let pairs = text.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        KeptQuery::read(pairs).map_err(|e| e.param.unwrap())
    }

    #[test]
    fn a_query_is_read_and_checked() {
        let all = query(&[]).unwrap();
        assert_eq!((all.limit, all.oldest_first, all.after, all.model), (20, true, None, None));
        let some = query(&[("metadata[a]", "1"), ("metadata[b]]", "2"), ("order", "desc"), ("model", "m"), ("x", "y")]);
        let some = some.unwrap();
        let pairs: Vec<_> = some.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("a", "1"), ("b]", "2")]);
        assert_eq!((some.oldest_first, some.model.as_deref()), (false, Some("m")));
        let long = "k".repeat(65);
        for (name, value, param) in [
            ("limit", "0", "limit"),
            ("limit", "101", "limit"),
            ("order", "up", "order"),
            ("metadata", "a", "metadata"),
            (&*format!("metadata[{long}]"), "a", "metadata"),
        ] {
            assert_eq!(query(&[(name, value)]).unwrap_err(), param, "{name}={value}");
        }
    }

    #[test]
    fn only_metadata_can_be_changed() {
        let parse = |body: Value| MetadataUpdate::parse(body.to_string().as_bytes());
        assert_eq!(parse(json!({"metadata": {"a": "b"}})).unwrap().metadata.unwrap().len(), 1);
        assert!(parse(json!({"metadata": null})).unwrap().metadata.is_none());
        for (body, param, code) in [
            (json!({}), "metadata", "missing_required_parameter"),
            (json!({"metadata": {"a": 1}}), "metadata.a", "invalid_type"),
            (json!({"metadata": {"a": "v".repeat(513)}}), "metadata", "invalid_value"),
            (json!({"metadata": {}, "model": "m"}), "model", "unknown_parameter"),
        ] {
            let error = parse(body.clone()).unwrap_err();
            assert_eq!((error.param.as_deref(), error.code.as_deref()), (Some(param), Some(code)), "{body}");
        }
    }

    #[test]
    fn messages_are_kept_as_openai_lists_them() {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let body = json!({"model": "m", "messages": [
            {"role": "system", "content": "s", "name": "n"},
            {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
                {"type": "video_url", "video_url": {"url": "data:,"}}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
        ]});
        let request = ChatRequest::parse(body.to_string().as_bytes()).unwrap();
        let kept = request.messages.iter().enumerate().map(|(i, m)| KeptMessage::new("chatcmpl-1", i, m));
        let kept: Vec<Value> = kept.map(|m| serde_json::to_value(m).unwrap()).collect();
        let plain = |i: usize, role: &str, more: Value| {
            let id = format!("chatcmpl-1-{i}");
            let mut all =
                json!({"id": id, "role": role, "content": null, "content_parts": null, "refusal": null, "name": null});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let parts = json!([{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}}]);
        let expected = [
            plain(0, "system", json!({"content": "s", "name": "n"})),
            plain(1, "user", json!({"content_parts": parts})),
            plain(2, "assistant", json!({"content_parts": [], "refusal": "no"})),
            plain(3, "assistant", json!({"tool_calls": [call]})),
            plain(4, "tool", json!({"content": "1", "tool_call_id": "c"})),
        ];
        assert_eq!(kept, expected);
    }
}
