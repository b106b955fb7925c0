#![no_main]
//! Ranges of pages, of a file with as many as the first two bytes say.

use vlgate_media::PageRange;

vlgate_fuzz::fuzz!(|bytes| {
    let Some((total, text)) = bytes.split_at_checked(2) else { return };
    let total = u32::from(total[0]) << (total[1] % 25);
    if let Ok(range) = PageRange::parse(&String::from_utf8_lossy(text))
        && let Ok(pages) = range.of(total, 100)
    {
        assert!(pages.len() <= 100 && pages.windows(2).all(|pair| pair[0] < pair[1]), "{pages:?}");
        assert!(pages.iter().all(|page| (1..=total).contains(page)), "{pages:?} of {total}");
    }
});
