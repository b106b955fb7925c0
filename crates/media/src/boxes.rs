//! Boxes of ISO base media files (ISO/IEC 14496-12, 4.2) and the numbers in them; what reaches beyond its place is damaged.

use crate::MediaError;

/// A box.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub kind: [u8; 4],
    pub body: &'a [u8],
    /// Where its body begins in the file.
    pub at: usize,
}

/// The boxes in `bytes`, which begin at `at` in the file; the first damaged one is the last.
pub fn children(bytes: &[u8], at: usize) -> impl Iterator<Item = Result<Part<'_>, MediaError>> {
    let mut of = Cursor::new(bytes);
    std::iter::from_fn(move || {
        if of.rest().is_empty() {
            return None;
        }
        let part = next(&mut of, at);
        if part.is_err() {
            of = Cursor::new(&[]);
        }
        Some(part)
    })
}

fn next<'a>(of: &mut Cursor<'a>, at: usize) -> Result<Part<'a>, MediaError> {
    let begins = of.read;
    let (size, kind) = (of.u32()?, of.array()?);
    let size = match size {
        0 => None,
        1 => Some(of.number(8)?),
        size => Some(size.into()),
    };
    let head = of.read - begins;
    let length = match size {
        None => of.rest().len(),
        Some(size) => {
            let size = usize::try_from(size).map_err(|_| MediaError::Damaged)?;
            size.checked_sub(head).ok_or(MediaError::Damaged)?
        }
    };
    let at = at + of.read;
    Ok(Part { kind, body: of.take(length)?, at })
}

/// Reads big-endian numbers one behind another.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    /// Bytes that were read.
    pub read: usize,
}

impl<'a> Cursor<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, read: 0 }
    }

    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], MediaError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(MediaError::Damaged)?;
        self.bytes = rest;
        self.read += length;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], MediaError> {
        self.take(N)?.try_into().map_err(|_| MediaError::Damaged)
    }

    pub fn u8(&mut self) -> Result<u8, MediaError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, MediaError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, MediaError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A number of so many bytes, none of them for 0.
    pub fn number(&mut self, bytes: u8) -> Result<u64, MediaError> {
        if bytes > 8 {
            return Err(MediaError::Damaged);
        }
        Ok(self.take(bytes.into())?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A number of 16 or (`wide`) 32 bits.
    pub fn id(&mut self, wide: bool) -> Result<u32, MediaError> {
        if wide { self.u32() } else { self.u16().map(u32::from) }
    }

    /// A full box's version and flags.
    pub fn version(&mut self) -> Result<(u8, u32), MediaError> {
        let all = self.u32()?;
        Ok(((all >> 24) as u8, all & 0xFF_FFFF))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_of_all_sizes_and_none_beyond_the_end() {
        let bytes = b"\0\0\0\x0aabcdxy\0\0\0\x01wide\0\0\0\0\0\0\0\x11z\0\0\0\0lastrest";
        let all: Vec<Part> = children(bytes, 100).map(Result::unwrap).collect();
        let told: Vec<_> = all.iter().map(|part| (&part.kind, part.body, part.at)).collect();
        assert_eq!(told, [(b"abcd", &b"xy"[..], 108), (b"wide", b"z", 126), (b"last", b"rest", 135)]);
        let cases: [&[u8]; 5] = [
            b"\0\0\0\x07abcd",
            b"\0\0\0\x09abcd",
            b"\0\0\0\x01abcd\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\0\x01abcd\0\0\0\0\0\0\0\x08",
            b"abc",
        ];
        for wrong in cases {
            let all: Vec<_> = children(wrong, 0).collect();
            assert!(matches!(all.as_slice(), [Err(MediaError::Damaged)]), "{wrong:?}");
        }
    }
}
