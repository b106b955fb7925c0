#![no_main]
//! `/v1/chat/completions`: reading and validating, and what the server asks of a request that passed.

use vlgate_openai::chat::ChatRequest;

vlgate_fuzz::fuzz!(|bytes| match ChatRequest::parse(bytes) {
    Ok(request) => {
        // None of these fails for a request that was validated.
        request.choice().expect("a choice");
        request.answer_format().expect("a format");
        assert!(request.n.is_none_or(|n| (1..=128).contains(&n)));
        let _ = (request.stop_texts(), request.token_limit(), request.thinking(), request.sampling());
        let _ = (request.offered().count(), request.clock_times(), request.explains_media());
        for message in &request.messages {
            message.calls().count();
        }
    }
    Err(error) => {
        assert_eq!(error.status, 400, "{error:?}");
        drop(error.body().to_string());
    }
});
