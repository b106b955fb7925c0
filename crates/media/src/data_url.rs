//! `data:` URLs (RFC 2397), as leniently as clients write them: any base64 alphabet, with or without padding, with line
//! breaks or percent escapes; the MIME type is not believed.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::MediaError;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes of a `data:` URL whose `data:` is already cut off.
///
/// # Errors
/// [`MediaError::InvalidBase64`], [`MediaError::Empty`], or [`MediaError::FileTooLarge`] before anything is decoded.
pub fn decode(rest: &str, limit: usize) -> Result<Vec<u8>, MediaError> {
    let (head, body) = rest.split_once(',').ok_or(MediaError::InvalidUrl("a data URL needs a comma."))?;
    within(rest, limit)?;
    let bytes = if head.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64")) {
        let text = standard(body)?;
        LENIENT.decode(text).map_err(|_| MediaError::InvalidBase64)?
    } else {
        percent(body.as_bytes())
    };
    match bytes.len() {
        0 => Err(MediaError::Empty),
        n if n > limit => Err(MediaError::FileTooLarge(limit >> 20)),
        _ => Ok(bytes),
    }
}

/// Whether what follows `data:` can hold at most `limit` bytes at all, leaving room for line breaks and some escapes.
///
/// # Errors
/// [`MediaError::FileTooLarge`].
pub fn within(rest: &str, limit: usize) -> Result<(), MediaError> {
    let most = limit.saturating_mul(2).saturating_add(1024);
    if rest.len() > most { Err(MediaError::FileTooLarge(limit >> 20)) } else { Ok(()) }
}

/// The text in the standard alphabet, without white space and escapes.
fn standard(body: &str) -> Result<Vec<u8>, MediaError> {
    let unescaped;
    let bytes = if body.contains('%') {
        unescaped = percent(body.as_bytes());
        unescaped.as_slice()
    } else {
        body.as_bytes()
    };
    bytes
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| match b {
            b'-' => Ok(b'+'),
            b'_' => Ok(b'/'),
            b'+' | b'/' | b'=' => Ok(*b),
            b if b.is_ascii_alphanumeric() => Ok(*b),
            _ => Err(MediaError::InvalidBase64),
        })
        .collect()
}

fn percent(bytes: &[u8]) -> Vec<u8> {
    let digit = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(b) = bytes.get(at) {
        match (b, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*b);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::MediaError;

    #[test]
    fn every_flavour_of_base64() {
        let raw = [0xFBu8, 0xFF, 0xBF, 0x00, 0x01];
        for text in [
            "image/png;base64,+/+/AAE=",
            "image/png;base64,-_-_AAE",
            ";base64,+/+/\r\nAAE=",
            "image/jpg;charset=x;BASE64, +/+/A AE",
            "base64,%2B%2F%2b/AAE%3D",
        ] {
            assert_eq!(decode(text, 100), Ok(raw.to_vec()), "{text}");
        }
        assert_eq!(decode("text/plain,a%20b%zz", 100), Ok(b"a b%zz".to_vec()));
    }

    #[test]
    fn what_is_not_base64() {
        assert_eq!(decode(";base64,!!", 100), Err(MediaError::InvalidBase64));
        assert_eq!(decode(";base64,A", 100), Err(MediaError::InvalidBase64));
        assert_eq!(decode(";base64,", 100), Err(MediaError::Empty));
        assert_eq!(decode(";base64,AAAAAAAA", 3), Err(MediaError::FileTooLarge(0)));
        assert!(matches!(decode("image/png", 100), Err(MediaError::InvalidUrl(_))));
    }
}
