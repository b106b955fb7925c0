//! What a file is, by its first bytes; where these say nothing, by its name.

/// Bytes from a file's beginning that are enough to tell.
pub const HEAD: usize = 4096;

/// The media type of bytes that begin with `head`.
pub fn of(head: &[u8], name: &str) -> String {
    if let Some(found) = infer::get(head) {
        return found.mime_type().to_owned();
    }
    if let Some(named) = mime_guess::from_path(name).first_raw() {
        // A name alone makes no picture of what does not look like one.
        if !named.starts_with("image/") && !named.starts_with("video/") {
            return named.to_owned();
        }
    }
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut at the end.
        Err(error) if error.error_len().is_none() => "",
        Err(_) => return "application/octet-stream".to_owned(),
    };
    let plain = !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    if plain { "text/plain" } else { "application/octet-stream" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn bytes_go_before_names() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        for (head, name, mime) in [
            (&png[..], "x.txt", "image/png"),
            (b"\xFF\xD8\xFF\xE0\0\x10JFIF", "", "image/jpeg"),
            (b"%PDF-1.7\n", "x", "application/pdf"),
            (b"hello", "notes.md", "text/markdown"),
            (b"hello", "x.png", "text/plain"),
            (b"caf\xC3", "x", "text/plain"),
            (b"\0\x01\x02", "x.unknown", "application/octet-stream"),
            (b"\xFF\xFE\xFA", "x", "application/octet-stream"),
        ] {
            assert_eq!(of(head, name), mime, "{name}");
        }
    }
}
