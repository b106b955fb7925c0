//! The request's unions by role and type, for readers of the specification. Requests are read flat (see
//! [`super::request`]); the test `every_shape_is_read` holds the two together.
#![allow(missing_docs, dead_code)]

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    media::{File, VideoUrl},
    request::{FunctionCall, FunctionDefinition, ImageUrl},
};

/// A string that says what an object is. utoipa's derive does not read a text that a macro hands on.
macro_rules! constant {
    ($($name:ident = $text:literal),* $(,)?) => { $(
        pub struct $name;

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($text)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).enum_values(Some([$text])).into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )* };
}
pub(crate) use constant;

constant! {
    TextType = "text", ImageType = "image_url", VideoUrlType = "video_url", VideoType = "video", AudioType = "input_audio", FileType = "file", RefusalType = "refusal",
    DeveloperRole = "developer", SystemRole = "system", UserRole = "user", AssistantRole = "assistant",
    ToolRole = "tool", FunctionRole = "function",
    FunctionType = "function", CustomType = "custom", AllowedToolsType = "allowed_tools", GrammarType = "grammar",
    JsonSchemaType = "json_schema", JsonObjectType = "json_object", ContentType = "content",
    ApproximateType = "approximate", ExplicitMode = "explicit", ThirtyMinutes = "30m",
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    Auto,
    Low,
    High,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    Low,
    Medium,
    High,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReasoningEffort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTier {
    Auto,
    Default,
    Flex,
    Scale,
    Priority,
    Fast,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    Text,
    Audio,
}

#[derive(Serialize, ToSchema)]
pub enum PromptCacheRetention {
    #[serde(rename = "in_memory")]
    InMemory,
    #[serde(rename = "24h")]
    Day,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromptCacheMode {
    Implicit,
    Explicit,
}

/// Roles that OpenAI's specification names for a delta; here it is always `assistant`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeltaRole {
    Developer,
    System,
    User,
    Assistant,
    Tool,
}

#[derive(Serialize, ToSchema)]
pub struct PromptCacheOptions {
    #[schema(nullable = false)]
    pub ttl: Option<ThirtyMinutes>,
    #[schema(nullable = false)]
    pub mode: Option<PromptCacheMode>,
}

#[derive(Serialize, ToSchema)]
pub struct PromptCacheBreakpoint {
    pub mode: ExplicitMode,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AudioFormat {
    Wav,
    Aac,
    Mp3,
    Flac,
    Opus,
    Pcm16,
}

#[derive(Serialize, ToSchema)]
pub struct CustomVoice {
    pub id: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KnownVoice {
    Alloy,
    Ash,
    Ballad,
    Coral,
    Echo,
    Sage,
    Shimmer,
    Verse,
    Marin,
    Cedar,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Voice {
    Any(String),
    Known(KnownVoice),
    Custom(CustomVoice),
}

#[derive(Serialize, ToSchema)]
pub struct AudioOptions {
    pub voice: Voice,
    pub format: AudioFormat,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModerationMode {
    Score,
    Block,
}

#[derive(Serialize, ToSchema)]
pub struct ModerationConfig {
    pub mode: ModerationMode,
}

#[derive(Serialize, ToSchema)]
pub struct ModerationPolicy {
    pub input: Option<ModerationConfig>,
    pub output: Option<ModerationConfig>,
}

#[derive(Serialize, ToSchema)]
pub struct Moderation {
    pub model: String,
    pub policy: Option<ModerationPolicy>,
}

#[derive(Serialize, ToSchema)]
pub struct WebSearchLocation {
    #[schema(nullable = false)]
    pub country: Option<String>,
    #[schema(nullable = false)]
    pub region: Option<String>,
    #[schema(nullable = false)]
    pub city: Option<String>,
    #[schema(nullable = false)]
    pub timezone: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ApproximateLocation {
    #[serde(rename = "type")]
    pub kind: ApproximateType,
    pub approximate: WebSearchLocation,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebSearchContextSize {
    Low,
    Medium,
    High,
}

#[derive(Serialize, ToSchema)]
pub struct WebSearchOptions {
    pub user_location: Option<ApproximateLocation>,
    #[schema(nullable = false)]
    pub search_context_size: Option<WebSearchContextSize>,
}

/// 1 to 4 texts.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Stop {
    One(String),
    Some(Vec<String>),
}

#[derive(Serialize, ToSchema)]
pub struct Prediction {
    #[serde(rename = "type")]
    pub kind: ContentType,
    pub content: Texts,
}

/// A JSON schema.
#[derive(Serialize, ToSchema)]
pub struct JsonSchemaObject(pub HashMap<String, Value>);

#[derive(Serialize, ToSchema)]
pub struct JsonSchemaFormat {
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    #[schema(nullable = false)]
    pub schema: Option<JsonSchemaObject>,
    /// Refuse a schema that cannot be enforced to the letter; it is enforced in either case.
    pub strict: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub struct ResponseFormatText {
    #[serde(rename = "type")]
    pub kind: TextType,
}

#[derive(Serialize, ToSchema)]
pub struct ResponseFormatJsonSchema {
    #[serde(rename = "type")]
    pub kind: JsonSchemaType,
    pub json_schema: JsonSchemaFormat,
}

#[derive(Serialize, ToSchema)]
pub struct ResponseFormatJsonObject {
    #[serde(rename = "type")]
    pub kind: JsonObjectType,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ResponseFormat {
    Text(ResponseFormatText),
    JsonSchema(ResponseFormatJsonSchema),
    JsonObject(ResponseFormatJsonObject),
}

#[derive(Serialize, ToSchema)]
pub struct FunctionTool {
    #[serde(rename = "type")]
    pub kind: FunctionType,
    pub function: FunctionDefinition,
}

#[derive(Serialize, ToSchema)]
pub struct CustomTextFormat {
    #[serde(rename = "type")]
    pub kind: TextType,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrammarSyntax {
    Lark,
    Regex,
}

#[derive(Serialize, ToSchema)]
pub struct CustomGrammar {
    pub definition: String,
    pub syntax: GrammarSyntax,
}

#[derive(Serialize, ToSchema)]
pub struct CustomGrammarFormat {
    #[serde(rename = "type")]
    pub kind: GrammarType,
    pub grammar: CustomGrammar,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum CustomFormat {
    Text(CustomTextFormat),
    Grammar(CustomGrammarFormat),
}

#[derive(Serialize, ToSchema)]
pub struct CustomDefinition {
    pub name: String,
    #[schema(nullable = false)]
    pub description: Option<String>,
    #[schema(nullable = false)]
    pub format: Option<CustomFormat>,
}

/// Refused: this family of models calls functions only.
#[derive(Serialize, ToSchema)]
pub struct CustomTool {
    #[serde(rename = "type")]
    pub kind: CustomType,
    pub custom: CustomDefinition,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyTool {
    Function(FunctionTool),
    Custom(CustomTool),
}

#[derive(Serialize, ToSchema)]
pub struct OldFunction {
    #[schema(nullable = false)]
    pub description: Option<String>,
    pub name: String,
    #[schema(nullable = false)]
    pub parameters: Option<JsonSchemaObject>,
}

#[derive(Serialize, ToSchema)]
pub struct Named {
    pub name: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolMode {
    None,
    Auto,
    Required,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllowedMode {
    Auto,
    Required,
}

#[derive(Serialize, ToSchema)]
pub struct AllowedTools {
    pub mode: AllowedMode,
    pub tools: Vec<HashMap<String, Value>>,
}

#[derive(Serialize, ToSchema)]
pub struct AllowedToolsChoice {
    #[serde(rename = "type")]
    pub kind: AllowedToolsType,
    pub allowed_tools: AllowedTools,
}

#[derive(Serialize, ToSchema)]
pub struct NamedFunctionChoice {
    #[serde(rename = "type")]
    pub kind: FunctionType,
    pub function: Named,
}

#[derive(Serialize, ToSchema)]
pub struct NamedCustomChoice {
    #[serde(rename = "type")]
    pub kind: CustomType,
    pub custom: Named,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ToolChoice {
    Mode(ToolMode),
    Allowed(AllowedToolsChoice),
    Function(NamedFunctionChoice),
    Custom(NamedCustomChoice),
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FunctionCallMode {
    None,
    Auto,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum FunctionCallChoice {
    Mode(FunctionCallMode),
    Named(Named),
}

#[derive(Serialize, ToSchema)]
pub struct TextPart {
    #[serde(rename = "type")]
    pub kind: TextType,
    pub text: String,
    #[schema(nullable = false)]
    pub prompt_cache_breakpoint: Option<PromptCacheBreakpoint>,
}

#[derive(Serialize, ToSchema)]
pub struct ImagePart {
    #[serde(rename = "type")]
    pub kind: ImageType,
    pub image_url: ImageUrl,
    /// vLLM: a name of the client's own. A picture that was sent with it once may be left out (`image_url` missing or null)
    /// for as long as it is kept.
    #[schema(max_length = 256)]
    pub uuid: Option<String>,
    #[schema(nullable = false)]
    pub prompt_cache_breakpoint: Option<PromptCacheBreakpoint>,
    /// DashScope: smallest area in pixels.
    pub min_pixels: Option<u64>,
    /// DashScope: largest area in pixels.
    pub max_pixels: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputAudioFormat {
    Wav,
    Mp3,
}

#[derive(Serialize, ToSchema)]
pub struct InputAudio {
    pub data: String,
    pub format: InputAudioFormat,
}

/// Refused: these models do not hear.
#[derive(Serialize, ToSchema)]
pub struct AudioPart {
    #[serde(rename = "type")]
    pub kind: AudioType,
    pub input_audio: InputAudio,
    #[schema(nullable = false)]
    pub prompt_cache_breakpoint: Option<PromptCacheBreakpoint>,
}

/// As vLLM and DashScope have it.
#[derive(Serialize, ToSchema)]
pub struct VideoUrlPart {
    #[serde(rename = "type")]
    pub kind: VideoUrlType,
    pub video_url: VideoUrl,
    /// vLLM: a name of the client's own. A clip that was sent with it once may be left out (`video_url` missing or null) for
    /// as long as it is kept.
    #[schema(max_length = 256)]
    pub uuid: Option<String>,
    /// Frames taken of each second.
    pub fps: Option<f64>,
    /// Frames taken in all, instead of `fps`.
    pub num_frames: Option<u32>,
    pub min_frames: Option<u32>,
    pub max_frames: Option<u32>,
    /// Smallest area of one frame in pixels.
    pub min_pixels: Option<u64>,
    /// Largest area of one frame in pixels.
    pub max_pixels: Option<u64>,
    /// Most pixels of all frames together.
    pub total_pixels: Option<u64>,
}

/// A URL of the clip, or of each of its frames.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Frames {
    Url(String),
    Frames(Vec<Frame>),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Frame {
    Url(String),
    Image(ImagePart),
}

/// As DashScope has it.
#[derive(Serialize, ToSchema)]
pub struct VideoPart {
    #[serde(rename = "type")]
    pub kind: VideoType,
    pub video: Frames,
    /// A name of the client's own, as in `video_url` parts: frames that were sent with it once may be left out.
    #[schema(max_length = 256)]
    pub uuid: Option<String>,
    /// Frames of each second: taken, or given.
    pub fps: Option<f64>,
    /// Seconds of each frame, where they are not at one rate.
    pub times: Option<Vec<f64>>,
    /// Smallest area of one frame in pixels.
    pub min_pixels: Option<u64>,
    /// Largest area of one frame in pixels.
    pub max_pixels: Option<u64>,
    /// Most pixels of all frames together.
    pub total_pixels: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub struct FilePart {
    #[serde(rename = "type")]
    pub kind: FileType,
    pub file: File,
    /// A name of the client's own. A file that was sent with it once may be left out (`file` missing, null, or without its
    /// content) for as long as it is kept.
    #[schema(max_length = 256)]
    pub uuid: Option<String>,
    #[schema(nullable = false)]
    pub prompt_cache_breakpoint: Option<PromptCacheBreakpoint>,
}

#[derive(Serialize, ToSchema)]
pub struct RefusalPart {
    #[serde(rename = "type")]
    pub kind: RefusalType,
    pub refusal: String,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum UserPart {
    Text(TextPart),
    Image(ImagePart),
    Video(VideoUrlPart),
    Frames(VideoPart),
    Audio(AudioPart),
    File(FilePart),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AssistantPart {
    Text(TextPart),
    Refusal(RefusalPart),
}

/// Tools may show pictures: a screenshot is a result.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ToolPart {
    Text(TextPart),
    Image(ImagePart),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Texts {
    One(String),
    Parts(Vec<TextPart>),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum UserContent {
    One(String),
    Parts(Vec<UserPart>),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AssistantContent {
    One(String),
    Parts(Vec<AssistantPart>),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ToolContent {
    One(String),
    Parts(Vec<ToolPart>),
}

#[derive(Serialize, ToSchema)]
pub struct DeveloperMessage {
    pub content: Texts,
    pub role: DeveloperRole,
    #[schema(nullable = false)]
    pub name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct SystemMessage {
    pub content: Texts,
    pub role: SystemRole,
    #[schema(nullable = false)]
    pub name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct UserMessage {
    pub content: UserContent,
    pub role: UserRole,
    #[schema(nullable = false)]
    pub name: Option<String>,
}

/// An earlier answer in speech; refused.
#[derive(Serialize, ToSchema)]
pub struct AudioReference {
    pub id: String,
}

#[derive(Serialize, ToSchema)]
pub struct AssistantMessage {
    pub content: Option<AssistantContent>,
    pub refusal: Option<String>,
    pub role: AssistantRole,
    #[schema(nullable = false)]
    pub name: Option<String>,
    pub audio: Option<AudioReference>,
    #[schema(nullable = false)]
    pub tool_calls: Option<Vec<AnyToolCall>>,
    pub function_call: Option<FunctionCall>,
    /// DeepSeek and vLLM: an earlier answer's reasoning, where the client sends it back.
    pub reasoning_content: Option<String>,
    /// The same under OpenRouter's name.
    pub reasoning: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct FunctionToolCall {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: FunctionType,
    pub function: FunctionCall,
}

#[derive(Serialize, ToSchema)]
pub struct CustomCall {
    pub name: String,
    pub input: String,
}

/// Refused: this family of models calls functions only.
#[derive(Serialize, ToSchema)]
pub struct CustomToolCall {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: CustomType,
    pub custom: CustomCall,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyToolCall {
    Function(FunctionToolCall),
    Custom(CustomToolCall),
}

#[derive(Serialize, ToSchema)]
pub struct ToolMessage {
    pub role: ToolRole,
    pub content: ToolContent,
    pub tool_call_id: String,
}

#[derive(Serialize, ToSchema)]
pub struct FunctionMessage {
    pub role: FunctionRole,
    #[schema(required)]
    pub content: Option<String>,
    pub name: String,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum RequestMessage {
    Developer(DeveloperMessage),
    System(SystemMessage),
    User(UserMessage),
    Assistant(AssistantMessage),
    Tool(ToolMessage),
    Function(FunctionMessage),
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    use super::*;
    use crate::chat::ChatRequest;

    /// A value that fits a schema, with every property.
    pub(crate) fn example(schema: &Value, all: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
            return example(&all[name], all);
        }
        if let Some(options) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
            return example(options.iter().find(|o| o["type"] != "null").unwrap(), all);
        }
        if let Some(one) = schema["enum"].get(0) {
            return one.clone();
        }
        let kind = schema["type"]
            .as_str()
            .or_else(|| schema["type"].as_array()?.iter().find_map(|t| t.as_str().filter(|t| *t != "null")));
        match kind {
            Some("array") => json!([example(&schema["items"], all)]),
            Some("string") => json!("x"),
            Some("integer" | "number") => json!(1),
            Some("boolean") => json!(true),
            _ => schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(k, v)| (k.clone(), example(v, all)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    #[test]
    fn every_shape_is_read() {
        let mut schemas = Vec::new();
        <ChatRequest as ToSchema>::schemas(&mut schemas);
        let all: serde_json::Map<String, Value> = schemas.iter().map(|(n, s)| (n.clone(), json!(s))).collect();
        let all = Value::Object(all);
        let messages = json!(RequestMessage::schema());
        for shape in messages["oneOf"].as_array().unwrap() {
            let mut message = example(shape, &all);
            // Every alternative of its content, too.
            let content = &all[shape["$ref"].as_str().unwrap().rsplit('/').next().unwrap()]["properties"]["content"];
            message["content"] = example(content, &all);
            let body = json!({"model": "m", "messages": [message]});
            let error = ChatRequest::parse(body.to_string().as_bytes()).err();
            // It is read: what remains is what this server refuses, or what a lone message of its kind lacks.
            let read = error.as_ref().is_none_or(|e| {
                !matches!(e.code.as_deref(), Some("invalid_type" | "missing_required_parameter" | "unknown_parameter"))
            });
            assert!(read, "{body}: {error:?}");
        }
        let request = json!(ChatRequest::schema());
        for (name, schema) in request["properties"].as_object().unwrap() {
            let mut body =
                json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": true, "logprobs": true});
            body[name] = example(schema, &all);
            let error = ChatRequest::parse(body.to_string().as_bytes()).err();
            let read =
                error.as_ref().is_none_or(|e| !matches!(e.code.as_deref(), Some("invalid_type" | "unknown_parameter")));
            assert!(read, "{name}: {body}: {error:?}");
        }
    }
}
