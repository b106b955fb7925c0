//! Naming what is recognised and not decoded, so that the client learns what to convert.

use crate::MediaError;

/// Why bytes that no decoder takes are refused.
pub fn foreign(bytes: &[u8]) -> MediaError {
    let head = bytes.get(..1024.min(bytes.len())).unwrap_or_default();
    if head.get(4..8) == Some(b"ftyp") {
        return MediaError::UnsupportedFormat("MP4 video");
    }
    if is_svg(bytes) {
        return MediaError::UnsupportedFormat("SVG");
    }
    let magics: [(&[u8], &'static str); 6] = [
        (b"%PDF", "PDF"),
        (b"\xFF\x0A", "JPEG XL"),
        (b"\0\0\0\x0CJXL ", "JPEG XL"),
        (b"\0\0\0\x0CjP  ", "JPEG 2000"),
        (b"8BPS", "Photoshop"),
        (b"\x1A\x45\xDF\xA3", "WebM video"),
    ];
    let known = magics.iter().find(|(magic, _)| bytes.starts_with(magic));
    known.map_or(MediaError::Format, |(_, name)| MediaError::UnsupportedFormat(name))
}

/// Whether it begins as an SVG does.
pub fn is_svg(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes.get(..1024.min(bytes.len())).unwrap_or_default());
    let start = text.trim_start_matches('\u{FEFF}').trim_start();
    let markup = start.starts_with("<?xml") || start.starts_with("<!--") || start.starts_with("<!DOCTYPE svg");
    start.starts_with("<svg") || (markup && text.contains("<svg"))
}

#[cfg(test)]
mod tests {
    use super::foreign;
    use crate::MediaError;

    #[test]
    fn known_strangers_are_named() {
        let cases: [(&[u8], &str); 4] = [
            (b"\0\0\0\x18ftypisom0000", "MP4 video"),
            (b"\xEF\xBB\xBF <?xml version=\"1.0\"?><svg/>", "SVG"),
            (b"<svg xmlns='x'/>", "SVG"),
            (b"%PDF-1.7", "PDF"),
        ];
        for (bytes, name) in cases {
            assert_eq!(foreign(bytes), MediaError::UnsupportedFormat(name));
        }
        assert_eq!(foreign(b"<!doctype html><html><svg></svg>"), MediaError::Format);
        assert_eq!(foreign(b"?"), MediaError::Format);
    }
}
