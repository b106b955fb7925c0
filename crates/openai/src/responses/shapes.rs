//! The request's unions by type, for readers of the specification. Requests are read flat (see [`super::request`]); the
//! test `every_shape_is_read` holds the two together.
#![allow(missing_docs, dead_code)]

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::chat::shapes::{
    AllowedMode, AllowedToolsType, AssistantRole, Detail, FunctionType, JsonObjectType, JsonSchemaObject,
    JsonSchemaType, RefusalPart, TextType, ToolMode, constant,
};

constant! {
    MessageType = "message", InputTextType = "input_text", InputImageType = "input_image",
    InputFileType = "input_file", OutputTextType = "output_text", ReasoningTextType = "reasoning_text",
    SummaryTextType = "summary_text", FunctionCallType = "function_call",
    FunctionCallOutputType = "function_call_output", ReasoningType = "reasoning",
    ReferenceType = "item_reference",
}

#[derive(Serialize, ToSchema)]
pub struct AnyObject(pub HashMap<String, Value>);

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Conversation {
    Id(String),
    Object(AnyObject),
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseInclude)]
pub enum Include {
    #[serde(rename = "file_search_call.results")]
    FileSearch,
    #[serde(rename = "web_search_call.results")]
    WebSearch,
    #[serde(rename = "web_search_call.action.sources")]
    WebSources,
    #[serde(rename = "message.input_image.image_url")]
    ImageUrl,
    #[serde(rename = "computer_call_output.output.image_url")]
    ComputerImage,
    #[serde(rename = "code_interpreter_call.outputs")]
    CodeOutputs,
    #[serde(rename = "reasoning.encrypted_content")]
    EncryptedReasoning,
    #[serde(rename = "message.output_text.logprobs")]
    Logprobs,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ServiceTierResponses)]
pub enum ServiceTier {
    Auto,
    Default,
    Flex,
    Scale,
    Priority,
    Fast,
    Ultrafast,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Truncation {
    Auto,
    Disabled,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReasoningSummary)]
pub enum Summary {
    Auto,
    Concise,
    Detailed,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningContext {
    Auto,
    CurrentTurn,
    AllTurns,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ResponseErrorCode)]
pub enum ErrorCode {
    ServerError,
    RateLimitExceeded,
    InvalidPrompt,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseFormatText)]
pub struct PlainFormat {
    #[serde(rename = "type")]
    pub kind: TextType,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TextResponseFormatJsonSchema)]
pub struct SchemaFormat {
    #[serde(rename = "type")]
    pub kind: JsonSchemaType,
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    pub schema: JsonSchemaObject,
    /// Refuse a schema that cannot be enforced to the letter; it is enforced in either case.
    pub strict: Option<bool>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseFormatJsonObject)]
pub struct ObjectFormat {
    #[serde(rename = "type")]
    pub kind: JsonObjectType,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = TextResponseFormatConfiguration)]
pub enum TextFormat {
    Text(PlainFormat),
    Schema(SchemaFormat),
    Object(ObjectFormat),
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseFunctionTool)]
pub struct FunctionTool {
    #[serde(rename = "type")]
    pub kind: FunctionType,
    pub name: String,
    pub description: Option<String>,
    pub parameters: Option<JsonSchemaObject>,
    /// Refuse a schema that cannot be enforced to the letter; it is enforced in either case.
    pub strict: Option<bool>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ToolChoiceFunction)]
pub struct NamedChoice {
    #[serde(rename = "type")]
    pub kind: FunctionType,
    pub name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ToolChoiceAllowed)]
pub struct AllowedChoice {
    #[serde(rename = "type")]
    pub kind: AllowedToolsType,
    pub mode: AllowedMode,
    pub tools: Vec<NamedChoice>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ToolChoiceParam)]
pub enum Choice {
    Mode(ToolMode),
    Allowed(AllowedChoice),
    Function(NamedChoice),
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageDetail {
    Low,
    High,
    Auto,
    Original,
}

#[derive(Serialize, ToSchema)]
#[schema(as = InputTextContent)]
pub struct InputText {
    #[serde(rename = "type")]
    pub kind: InputTextType,
    pub text: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = InputImageContent)]
pub struct InputImage {
    #[serde(rename = "type")]
    pub kind: InputImageType,
    /// `https:`, `http:` or `data:`.
    pub image_url: Option<String>,
    pub file_id: Option<String>,
    pub detail: Option<ImageDetail>,
    /// vLLM: smallest area in pixels.
    pub min_pixels: Option<u64>,
    /// vLLM: largest area in pixels.
    pub max_pixels: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = InputFileContent)]
pub struct InputFile {
    #[serde(rename = "type")]
    pub kind: InputFileType,
    /// A `data:` URL.
    pub file_data: Option<String>,
    pub file_id: Option<String>,
    pub file_url: Option<String>,
    pub filename: Option<String>,
    pub detail: Option<Detail>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = InputContent)]
pub enum InputPart {
    Text(InputText),
    Image(InputImage),
    File(InputFile),
}

#[derive(Serialize, ToSchema)]
#[schema(as = SaidText)]
pub struct OutputText {
    #[serde(rename = "type")]
    pub kind: OutputTextType,
    pub text: String,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SaidContent)]
pub enum OutputPart {
    Text(OutputText),
    Refusal(RefusalPart),
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = InputRole)]
pub enum Role {
    User,
    System,
    Developer,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = InputMessageContent)]
pub enum InputTexts {
    One(String),
    Parts(Vec<InputPart>),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SaidMessageContent)]
pub enum OutputTexts {
    One(String),
    Parts(Vec<OutputPart>),
}

#[derive(Serialize, ToSchema)]
#[schema(as = InputMessage)]
pub struct InputMessage {
    #[serde(rename = "type")]
    #[schema(nullable = false)]
    pub kind: Option<MessageType>,
    pub role: Role,
    pub content: InputTexts,
}

/// An earlier answer.
#[derive(Serialize, ToSchema)]
#[schema(as = SaidMessage)]
pub struct SaidMessage {
    #[serde(rename = "type")]
    #[schema(nullable = false)]
    pub kind: Option<MessageType>,
    #[schema(nullable = false)]
    pub id: Option<String>,
    pub role: AssistantRole,
    pub content: OutputTexts,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SaidFunctionCall)]
pub struct SaidCall {
    #[serde(rename = "type")]
    pub kind: FunctionCallType,
    #[schema(nullable = false)]
    pub id: Option<String>,
    pub call_id: String,
    pub name: String,
    /// JSON text.
    pub arguments: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FunctionCallOutputItem)]
pub struct CallOutput {
    #[serde(rename = "type")]
    pub kind: FunctionCallOutputType,
    pub call_id: String,
    /// Text, or parts: a screenshot is a result.
    pub output: InputTexts,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SaidReasoningText)]
pub struct SaidReasoningText {
    #[serde(rename = "type")]
    pub kind: ReasoningTextType,
    pub text: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SummaryTextContent)]
pub struct SummaryText {
    #[serde(rename = "type")]
    pub kind: SummaryTextType,
    pub text: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SaidReasoning)]
pub struct SaidReasoning {
    #[serde(rename = "type")]
    pub kind: ReasoningType,
    pub id: String,
    pub summary: Vec<SummaryText>,
    #[schema(nullable = false)]
    pub content: Option<Vec<SaidReasoningText>>,
}

/// An item of a response that was kept.
#[derive(Serialize, ToSchema)]
#[schema(as = ItemReference)]
pub struct Reference {
    #[serde(rename = "type")]
    pub kind: ReferenceType,
    pub id: String,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = InputItem)]
pub enum ItemShape {
    Message(InputMessage),
    Said(SaidMessage),
    Call(SaidCall),
    Output(CallOutput),
    Reasoning(SaidReasoning),
    Reference(Reference),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ResponseInput)]
pub enum InputShape {
    Text(String),
    Items(Vec<ItemShape>),
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    use super::*;
    use crate::{chat::shapes::tests::example, responses::ResponseRequest};

    #[test]
    fn every_shape_is_read() {
        let mut schemas = Vec::new();
        <ResponseRequest as ToSchema>::schemas(&mut schemas);
        let all: serde_json::Map<String, Value> = schemas.iter().map(|(n, s)| (n.clone(), json!(s))).collect();
        let all = Value::Object(all);
        let read = |body: &Value| {
            let error = ResponseRequest::parse(body.to_string().as_bytes()).err();
            // It is read: what remains is what this server refuses, or values that an example cannot know.
            let fine = error.as_ref().is_none_or(|e| {
                let code = e.code.as_deref();
                !matches!(code, Some("invalid_type" | "missing_required_parameter" | "unknown_parameter"))
            });
            assert!(fine, "{body}: {error:?}");
        };
        for shape in json!(ItemShape::schema())["oneOf"].as_array().unwrap() {
            read(&json!({"model": "m", "input": [example(shape, &all)]}));
        }
        for (name, schema) in json!(ResponseRequest::schema())["properties"].as_object().unwrap() {
            let mut body = json!({"model": "m", "input": "x", "stream": true});
            body[name] = example(schema, &all);
            read(&body);
        }
    }
}
