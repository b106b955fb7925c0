//! A file's name as its uploader sent it: for showing, never for finding.

/// The last part of a path, without what would end a line or turn the text around; at most 255 characters.
pub fn shown(sent: &str) -> String {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let turns = |c: char| matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let clean: String = last.chars().filter(|c| !c.is_control() && !turns(*c)).take(255).collect();
    match clean.trim() {
        "" | "." | ".." => "file".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_name_is_no_path() {
        for (sent, name) in [
            ("picture.png", "picture.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\scan.pdf", "scan.pdf"),
            ("/", "file"),
            ("..", "file"),
            ("", "file"),
            ("a/../..", "file"),
            ("a\r\nset-cookie: x", "aset-cookie: x"),
            ("nul\0.png", "nul.png"),
            ("gpj.\u{202E}exe", "gpj.exe"),
            ("Übersicht 日本.pdf", "Übersicht 日本.pdf"),
        ] {
            assert_eq!(shown(sent), name, "{sent:?}");
        }
        assert_eq!(shown(&"x".repeat(1000)).len(), 255);
    }
}
