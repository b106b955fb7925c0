#![no_main]
//! HTTP's caching rules: the headers of two answers, an empty line between them.

use http::{HeaderMap, HeaderName, HeaderValue};

fn headers(lines: &[u8]) -> HeaderMap {
    let mut all = HeaderMap::new();
    for line in lines.split(|b| *b == b'\n').take(100) {
        let Some(at) = line.iter().position(|b| *b == b':') else { continue };
        let (name, value) = (&line[..at], line[at + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            all.append(name, value);
        }
    }
    all
}

vlgate_fuzz::fuzz!(|bytes| {
    let middle = bytes.windows(2).position(|w| w == b"\n\n").unwrap_or(bytes.len());
    let (first, second) = bytes.split_at(middle);
    vlgate_media::entry::cached(&headers(first), &headers(second))
});
