//! The structure of TIFF files (TIFF 6.0, section 2; BigTIFF): their pages and colour profiles, which the decoder does not give
//! (profiles it does give where the picture is 32 times as large).

use crate::MediaError;

/// Directories of one file.
const MOST: usize = 10_000;
/// Tag `NewSubfileType`; bit 0 is a preview, bit 2 a mask.
const SUBFILE: u64 = 254;
/// Tag of the ICC profile.
const PROFILE: u64 = 34_675;

/// The number of a TIFF's pages; 0 of what is none.
pub fn pages(bytes: &[u8]) -> usize {
    Layout::of(bytes).and_then(|layout| layout.pages(bytes).ok()).map_or(0, |pages| pages.len())
}

/// The ICC profile of the page that the head points to.
pub fn profile(bytes: &[u8]) -> Option<&[u8]> {
    let layout = Layout::of(bytes)?;
    let (at, length) = layout.head();
    let directory = layout.directory(bytes, layout.number(bytes, at, length)?)?;
    let entry = directory.entry(PROFILE)?;
    // Bytes, or what is undefined: each is one.
    let count = usize::try_from(layout.number(entry, 4, length)?).ok()?;
    let from = usize::try_from(layout.number(entry, 4 + length, length)?).ok()?;
    bytes.get(from..from.checked_add(count)?)
}

/// How its numbers are written.
#[derive(Clone, Copy)]
pub struct Layout {
    little: bool,
    /// BigTIFF: 64 bits for places and counts.
    big: bool,
}

impl Layout {
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.get(..4)? {
            b"II*\0" => Some(Self { little: true, big: false }),
            b"MM\0*" => Some(Self { little: false, big: false }),
            b"II+\0" => Some(Self { little: true, big: true }),
            b"MM\0+" => Some(Self { little: false, big: true }),
            _ => None,
        }
    }

    /// Where the head says where the first directory is, and the bytes of a place.
    const fn head(self) -> (usize, usize) {
        if self.big { (8, 8) } else { (4, 4) }
    }

    fn number(self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let digits = bytes.get(at..at.checked_add(length)?)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.little { digits.iter().rev().fold(0, add) } else { digits.iter().fold(0, add) })
    }

    /// Where the directory of each page is; previews and masks are none.
    pub fn pages(self, bytes: &[u8]) -> Result<Vec<u64>, MediaError> {
        let (at, length) = self.head();
        let mut next = self.number(bytes, at, length).ok_or(MediaError::Damaged)?;
        let (mut pages, mut read) = (Vec::new(), 0);
        while next != 0 {
            read += 1;
            let directory = self.directory(bytes, next).filter(|_| read <= MOST).ok_or(MediaError::Damaged)?;
            let (_, length) = self.head();
            let subfile = directory.entry(SUBFILE).and_then(|entry| self.number(entry, 4 + length, 4)).unwrap_or(0);
            if subfile & 5 == 0 || pages.is_empty() {
                pages.push(next);
            }
            next = directory.next;
        }
        Ok(pages)
    }

    fn directory(self, bytes: &[u8], place: u64) -> Option<Directory<'_>> {
        let (counted, each, length) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let place = usize::try_from(place).ok()?;
        let first = place.checked_add(counted)?;
        let count = usize::try_from(self.number(bytes, place, counted)?).ok()?;
        let end = first.checked_add(count.checked_mul(each)?)?;
        Some(Directory { layout: self, each, entries: bytes.get(first..end)?, next: self.number(bytes, end, length)? })
    }

    /// Points the head at a directory.
    pub fn point(self, bytes: &mut [u8], place: u64) {
        let (at, length) = self.head();
        let digits = if self.little { place.to_le_bytes() } else { place.to_be_bytes() };
        let digits = if self.little { digits.get(..length) } else { digits.get(8 - length..) };
        if let (Some(to), Some(from)) = (bytes.get_mut(at..at + length), digits) {
            to.copy_from_slice(from);
        }
    }
}

/// A directory: what is said of one page.
struct Directory<'a> {
    layout: Layout,
    /// Bytes of an entry.
    each: usize,
    entries: &'a [u8],
    /// Where the next one is; 0 where there is none.
    next: u64,
}

impl<'a> Directory<'a> {
    fn entry(&self, tag: u64) -> Option<&'a [u8]> {
        let mut entries = self.entries.chunks_exact(self.each).take(MOST);
        entries.find(|entry| self.layout.number(entry, 0, 2) == Some(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_loops_end_and_profiles_are_found() {
        let directory = |subfile: u32, next: u32| {
            let entry = [&[254, 0, 4, 0, 1, 0, 0, 0][..], &subfile.to_le_bytes()].concat();
            [&[1, 0][..], &entry, &next.to_le_bytes()].concat()
        };
        let of = |directories: &[Vec<u8>]| [b"II*\0\x08\0\0\0".to_vec(), directories.concat()].concat();
        // A page, its preview, another page.
        assert_eq!(pages(&of(&[directory(0, 26), directory(1, 44), directory(2, 0)])), 2);
        assert_eq!(pages(&of(&[directory(0, 8)])), 0);
        assert_eq!(pages(&of(&[directory(0, 4000)])), 0);
        assert_eq!(pages(b"II*\0"), 0);
        assert_eq!(pages(b"\x89PNG"), 0);
        let big = [b"MM\0+\0\x08\0\0".to_vec(), 16u64.to_be_bytes().to_vec(), vec![0; 16]].concat();
        assert_eq!(pages(&big), 1);
        // A profile of three bytes at 26; one that reaches beyond the end.
        let entry = |count: u32| [&[0x73, 0x87, 7, 0][..], &count.to_le_bytes(), &[26, 0, 0, 0]].concat();
        let of = |count: u32| [b"II*\0\x08\0\0\0\x01\0".to_vec(), entry(count), vec![0; 4], b"icc".to_vec()].concat();
        assert_eq!((profile(&of(3)), profile(&of(4)), profile(&big)), (Some(&b"icc"[..]), None, None));
        let mut moved = big;
        Layout::of(&moved).unwrap().point(&mut moved, 24);
        assert_eq!(moved[8..16], 24u64.to_be_bytes());
    }
}
