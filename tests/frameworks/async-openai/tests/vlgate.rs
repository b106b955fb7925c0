//! async-openai with a base URL: `VLGATE_URL` is a running vlgate (tests/python/test_frameworks.py starts it),
//! `VLGATE_PICTURE` a red circle.

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    types::chat::{
        ChatCompletionMessageToolCalls, ChatCompletionNamedToolChoice, ChatCompletionRequestMessage,
        ChatCompletionRequestMessageContentPartImage, ChatCompletionRequestMessageContentPartText,
        ChatCompletionRequestUserMessage, ChatCompletionRequestUserMessageContentPart, ChatCompletionTool,
        ChatCompletionToolChoiceOption, ChatCompletionTools, CreateChatCompletionRequest, CreateChatCompletionRequestArgs,
        FinishReason, FunctionName, FunctionObject, ImageUrl, ResponseFormat, ResponseFormatJsonSchema, ToolChoiceOptions,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::StreamExt;
use serde_json::{Value, json};

fn client() -> Client<OpenAIConfig> {
    let url = std::env::var("VLGATE_URL").expect("VLGATE_URL");
    Client::with_config(OpenAIConfig::new().with_api_base(url).with_api_key("any"))
}

fn picture() -> String {
    let bytes = std::fs::read(std::env::var("VLGATE_PICTURE").expect("VLGATE_PICTURE")).expect("the picture");
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes))
}

fn question(url: String) -> CreateChatCompletionRequest {
    let image = ChatCompletionRequestMessageContentPartImage::from(ImageUrl { url, detail: None });
    let text = ChatCompletionRequestMessageContentPartText::from("What is this?");
    let parts: Vec<ChatCompletionRequestUserMessageContentPart> = vec![text.into(), image.into()];
    let message = ChatCompletionRequestUserMessage { content: parts.into(), name: None };
    let messages = vec![ChatCompletionRequestMessage::from(message)];
    CreateChatCompletionRequestArgs::default().model("gpt-4o").messages(messages).build().expect("a request")
}

fn schema() -> Value {
    let coordinate = json!({"type": "integer", "minimum": 0, "maximum": 1000});
    json!({"type": "object", "properties": {"x": coordinate, "y": coordinate}, "required": ["x", "y"], "additionalProperties": false})
}

fn is_point(text: &str) -> bool {
    let value: Value = serde_json::from_str(text).expect(text);
    ["x", "y"].iter().all(|k| value[k].as_i64().is_some_and(|v| (0..=1000).contains(&v)))
}

fn with_tool(choice: ChatCompletionToolChoiceOption) -> CreateChatCompletionRequest {
    let function = FunctionObject {
        name: "click".into(),
        description: Some("Clicks.".into()),
        parameters: Some(schema()),
        strict: Some(true),
    };
    CreateChatCompletionRequest {
        tools: Some(vec![ChatCompletionTools::Function(ChatCompletionTool { function })]),
        tool_choice: Some(choice),
        temperature: Some(1.0),
        ..question(picture())
    }
}

#[tokio::test]
async fn a_question_about_a_picture() {
    let answer = client().chat().create(question(picture())).await.expect("an answer");
    let choice = &answer.choices[0];
    assert!(choice.message.content.as_deref().is_some_and(|t| t.contains("red circle")), "{choice:?}");
    assert_eq!(choice.finish_reason, Some(FinishReason::Stop));
    let usage = answer.usage.expect("the usage");
    assert_eq!(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
}

#[tokio::test]
async fn a_stream() {
    let mut stream = client().chat().create_stream(question(picture())).await.expect("a stream");
    let (mut text, mut pieces, mut finish) = (String::new(), 0, None);
    while let Some(piece) = stream.next().await {
        for choice in piece.expect("a chunk").choices {
            text.push_str(choice.delta.content.as_deref().unwrap_or_default());
            finish = choice.finish_reason.or(finish);
            pieces += 1;
        }
    }
    assert!(text.contains("red circle") && pieces > 2, "{text}");
    assert_eq!(finish, Some(FinishReason::Stop));
}

#[tokio::test]
async fn a_tool_is_called() {
    let choice = ChatCompletionNamedToolChoice { function: FunctionName { name: "click".into() } };
    let answer = client().chat().create(with_tool(ChatCompletionToolChoiceOption::Function(choice))).await.expect("an answer");
    let calls = answer.choices[0].message.tool_calls.as_deref().unwrap_or_default();
    let [ChatCompletionMessageToolCalls::Function(call), ..] = calls else { panic!("no call: {answer:?}") };
    assert!(call.function.name == "click" && !call.id.is_empty() && is_point(&call.function.arguments), "{call:?}");
}

#[tokio::test]
async fn a_streamed_tool_call() {
    let request = CreateChatCompletionRequest {
        parallel_tool_calls: Some(false),
        ..with_tool(ChatCompletionToolChoiceOption::Mode(ToolChoiceOptions::Required))
    };
    let mut stream = client().chat().create_stream(request).await.expect("a stream");
    let (mut name, mut arguments) = (String::new(), String::new());
    while let Some(piece) = stream.next().await {
        let choices = piece.expect("a chunk").choices;
        for function in choices.into_iter().flat_map(|c| c.delta.tool_calls.unwrap_or_default()).filter_map(|c| c.function) {
            name.push_str(function.name.as_deref().unwrap_or_default());
            arguments.push_str(function.arguments.as_deref().unwrap_or_default());
        }
    }
    assert_eq!(name, "click");
    assert!(is_point(&arguments), "{arguments}");
}

#[tokio::test]
async fn a_structured_answer() {
    let json_schema =
        ResponseFormatJsonSchema { name: "point".into(), description: None, schema: schema(), strict: Some(true) };
    let request = CreateChatCompletionRequest {
        response_format: Some(ResponseFormat::JsonSchema { json_schema }),
        temperature: Some(2.0),
        ..question(picture())
    };
    let answer = client().chat().create(request).await.expect("an answer");
    assert!(is_point(answer.choices[0].message.content.as_deref().unwrap_or_default()), "{answer:?}");
}

#[tokio::test]
async fn errors_and_models_are_read() {
    let refused = client().chat().create(question("data:image/png;base64,AAAA".into())).await;
    let Err(OpenAIError::ApiError(error)) = refused else { panic!("not an API error: {refused:?}") };
    assert!(format!("{error:?}").contains("messages[0].content[1].image_url"), "{error:?}");
    let models = client().models().list().await.expect("the models");
    assert!(models.data.iter().any(|m| m.id == "gpt-4o"));
}
