#![no_main]
//! The rest of the wire: old completions (`c`), batches (`b`) and their lines (`l`), tokens (`t`, `d`), metadata (`m`), the
//! fields of uploads (`u`) and the queries of lists (`q`), each a line of `name=value`.

use vlgate_openai::{
    ListQuery,
    batches::{BatchEndpoint, BatchLine, BatchRequest},
    chat::{KeptQuery, MetadataUpdate, message_page},
    completions::CompletionRequest,
    files::UploadFields,
    tokens::{DetokenizeRequest, TokenizeRequest},
};

fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().filter_map(pair).collect()
}

fn upload(bytes: &[u8]) {
    let mut fields = UploadFields::default();
    for (name, value) in pairs(bytes) {
        let _ = fields.set(&name, value);
    }
    if let Ok((_, Some(seconds))) = fields.checked() {
        assert!((3600..=2_592_000).contains(&seconds));
    }
}

fn query(bytes: &[u8]) {
    let all = pairs(bytes);
    let of = |wanted: &str| all.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let list = ListQuery { limit: of("limit"), order: of("order"), after: of("after") };
    if let Ok((limit, _)) = list.checked(100, 20) {
        assert!((1..=100).contains(&limit));
    }
    let _ = (message_page(&list), KeptQuery::read(all));
}

vlgate_fuzz::fuzz!(|bytes| {
    let (first, rest) = vlgate_fuzz::choice(bytes);
    match first {
        b'b' => drop(BatchRequest::parse(rest)),
        b'l' => drop(BatchLine::parse(rest, 1, BatchEndpoint::Chat)),
        b't' => drop(TokenizeRequest::parse(rest, "model")),
        b'd' => drop(DetokenizeRequest::parse(rest)),
        b'm' => drop(MetadataUpdate::parse(rest)),
        b'u' => upload(rest),
        b'q' => query(rest),
        _ => {
            if let Ok(request) = CompletionRequest::parse(rest) {
                assert!(!request.prompts().expect("prompts").is_empty());
                let _ = (request.candidates(), request.token_limit(), request.stop_texts(), request.sampling());
            }
        }
    }
});
