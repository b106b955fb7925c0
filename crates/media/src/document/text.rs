//! Text files of any common encoding, and the bounded text that every format is written into.

use std::borrow::Cow;

use crate::MediaError;

/// Text that may not grow beyond a number of characters.
pub struct Out {
    text: String,
    left: usize,
    most: usize,
}

impl Out {
    /// Room for `most` characters.
    pub const fn new(most: usize) -> Self {
        Self { text: String::new(), left: most, most }
    }

    /// Appends text.
    ///
    /// # Errors
    /// [`MediaError::TooMuchText`].
    pub fn push(&mut self, text: &str) -> Result<(), MediaError> {
        let characters = text.chars().count();
        self.left = self.left.checked_sub(characters).ok_or(MediaError::TooMuchText(self.most))?;
        self.text.push_str(text);
        Ok(())
    }

    /// Begins a new line, unless one has just begun.
    ///
    /// # Errors
    /// [`MediaError::TooMuchText`].
    pub fn line(&mut self) -> Result<(), MediaError> {
        if self.text.is_empty() || self.text.ends_with('\n') { Ok(()) } else { self.push("\n") }
    }

    /// Leaves an empty line, unless one has just been left.
    ///
    /// # Errors
    /// [`MediaError::TooMuchText`].
    pub fn paragraph(&mut self) -> Result<(), MediaError> {
        self.line()?;
        if self.text.is_empty() || self.text.ends_with("\n\n") { Ok(()) } else { self.push("\n") }
    }

    /// What has been written so far.
    pub fn so_far(&self) -> &str {
        &self.text
    }

    /// The text without white space at its end.
    pub fn done(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text
    }
}

/// Whether bytes are text in an encoding that [`decoded`] knows.
pub fn looks_like(bytes: &[u8]) -> bool {
    let head = bytes.get(..8192.min(bytes.len())).unwrap_or_default();
    let marked = matches!(head, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]);
    let odd = |b: &&u8| matches!(**b, 0..=8 | 14..=26 | 28..=31 | 127);
    marked || head.iter().filter(odd).count() * 100 <= head.len() && !head.contains(&0)
}

/// UTF-8, UTF-16 by its byte order mark, or Windows-1252 where it is neither.
///
/// # Errors
/// [`MediaError::Damaged`] for UTF-16 that is none.
pub fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, MediaError> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(unit);
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.map(Cow::Owned).map_err(|_| MediaError::Damaged)
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Ok(String::from_utf8_lossy(rest)),
        _ => Ok(match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(bytes.iter().map(|b| windows(*b)).collect()),
        }),
    }
}

/// Windows-1252, as the WHATWG's Encoding standard has it.
fn windows(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
    ];
    let high = byte.checked_sub(0x80).and_then(|at| HIGH.get(usize::from(at)));
    high.copied().unwrap_or_else(|| char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        for bytes in [
            &b"\xEF\xBB\xBFgr\xC3\xBC\xC3\x9F"[..],
            b"gr\xC3\xBC\xC3\x9F",
            b"gr\xFC\xDF",
            b"\xFF\xFEg\0r\0\xFC\0\xDF\0",
        ] {
            assert_eq!(decoded(bytes).unwrap(), "grüß");
            assert!(looks_like(bytes));
        }
        assert_eq!(decoded(b"\x80 5").unwrap(), "€ 5");
        assert_eq!(decoded(b"\xFF\xFE\x00\xD8"), Err(MediaError::Damaged));
        assert!(!looks_like(b"MZ\0\x01"));
    }

    #[test]
    fn text_is_bounded_by_characters() {
        let mut out = Out::new(5);
        out.push("äöü").unwrap();
        out.paragraph().unwrap();
        assert_eq!(out.push("x"), Err(MediaError::TooMuchText(5)));
        assert_eq!(out.done(), "äöü");
    }
}
