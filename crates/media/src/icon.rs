//! Icons hold bitmaps or whole PNGs. The `image` crate takes PNGs of 32 bits alone, though others are written too (by Pillow,
//! for one), so a PNG is taken out and decoded as what it is.

/// Bytes of the icon's head and of each entry (ICONDIR, ICONDIRENTRY).
const HEAD: usize = 6;
const ENTRY: usize = 16;

/// The PNG of the icon's largest entry, if that is a PNG.
pub fn png(icon: &[u8]) -> Option<&[u8]> {
    let count = u16::from_le_bytes(icon.get(4..HEAD)?.try_into().ok()?);
    let entries = icon.get(HEAD..)?.chunks_exact(ENTRY).take(usize::from(count));
    let number = |entry: &[u8], at: usize| Some(u32::from_le_bytes(entry.get(at..at + 4)?.try_into().ok()?) as usize);
    // 0 stands for 256.
    let side = |entry: &[u8], at: usize| entry.get(at).map_or(0, |s| if *s == 0 { 256 } else { u32::from(*s) });
    let bits = |entry: &[u8]| Some(u16::from_le_bytes(entry.get(6..8)?.try_into().ok()?));
    let best = entries.max_by_key(|entry| (side(entry, 0) * side(entry, 1), bits(entry)))?;
    let (size, offset) = (number(best, 8)?, number(best, 12)?);
    let data = icon.get(offset..offset.checked_add(size)?)?;
    data.starts_with(b"\x89PNG\r\n\x1a\n").then_some(data)
}

#[cfg(test)]
mod tests {
    use super::png;

    #[test]
    fn the_largest_entry_counts_and_lies_are_none() {
        let entry = |side: u8, size: u32, at: u32| {
            [vec![side, side, 0, 0, 1, 0, 32, 0], size.to_le_bytes().to_vec(), at.to_le_bytes().to_vec()].concat()
        };
        let head = [vec![0, 0, 1, 0, 2, 0], entry(16, 4, 38), entry(0, 8, 42)].concat();
        let icon = [head.clone(), b"bits\x89PNG\r\n\x1a\n".to_vec()].concat();
        assert_eq!(png(&icon), Some(&icon[42..]));
        assert_eq!(png(&icon[..45]), None);
        for length in 0..head.len() {
            assert_eq!(png(&head[..length]), None);
        }
        let far = [vec![0, 0, 1, 0, 1, 0], entry(16, u32::MAX, u32::MAX)].concat();
        assert_eq!(png(&far), None);
    }
}
