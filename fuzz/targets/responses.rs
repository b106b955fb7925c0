#![no_main]
//! `/v1/responses`, its count of tokens, and the chains of items.

use vlgate_openai::responses::{CountRequest, Input, ResponseRequest, Tool, check_calls};

vlgate_fuzz::fuzz!(|bytes| {
    let _ = CountRequest::parse(bytes, "model");
    match ResponseRequest::parse(bytes) {
        Ok(request) => {
            request.choice().expect("a choice");
            request.answer_format().expect("a format");
            let _ = (request.token_limit(), request.logprobs(), request.thinking(), request.stored());
            request.tools.iter().flatten().map(Tool::function).for_each(drop);
            if let Input::Parts(items) = &request.input {
                let _ = check_calls(items.iter());
                for item in items {
                    drop(item.resource("msg_1").to_string());
                }
            }
        }
        Err(error) => {
            assert_eq!(error.status, 400, "{error:?}");
            drop(error.body().to_string());
        }
    }
});
