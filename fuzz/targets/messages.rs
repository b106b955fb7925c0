#![no_main]
//! `/v1/messages` (Anthropic's), and its count of tokens.

use vlgate_openai::anthropic::{CountRequest, MessageRequest, Tool};

vlgate_fuzz::fuzz!(|bytes| {
    let _ = CountRequest::parse(bytes);
    match MessageRequest::parse(bytes) {
        Ok(request) => {
            request.thinking().expect("a budget");
            request.answer_format().expect("a format");
            drop(request.choice());
            request.tools.iter().flatten().map(Tool::function).for_each(drop);
        }
        Err(error) => {
            assert_eq!(error.status, 400, "{error:?}");
            drop(error.body().to_string());
        }
    }
});
