//! Which pages of a document are wanted: `1-15`, `3`, `1-3,7,10-`.

use crate::MediaError;

/// Ranges of pages, from 1, each with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRange(Vec<(u32, u32)>);

impl PageRange {
    /// Reads them as people write them; an open end is the last page.
    ///
    /// # Errors
    /// [`MediaError::Pages`].
    pub fn parse(text: &str) -> Result<Self, MediaError> {
        let wrong = MediaError::Pages("ranges such as \"1-15\" or \"1-3,7,10-\" are expected, counted from 1.");
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|n| *n > 0);
        let one = |range: &str| match range.split_once('-') {
            None => number(range).map(|n| (n, n)),
            Some((from, to)) => {
                let to = if to.trim().is_empty() { Some(u32::MAX) } else { number(to) };
                Some((number(from)?, to?)).filter(|(from, to)| from <= to)
            }
        };
        let ranges: Option<Vec<_>> = text.split(',').take(101).map(one).collect();
        ranges.filter(|all| all.len() <= 100).map(Self).ok_or(wrong)
    }

    /// The pages of a document that has `total`, in the document's order, each once.
    ///
    /// # Errors
    /// [`MediaError::Pages`] for a page that is not there, [`MediaError::TooManyPages`] beyond `limit`.
    pub fn of(&self, total: u32, limit: u32) -> Result<Vec<u32>, MediaError> {
        if self.0.iter().any(|(from, to)| *from > total || (*to > total && *to != u32::MAX)) {
            return Err(MediaError::Pages("the file has fewer pages."));
        }
        let mut all: Vec<u32> =
            self.0.iter().flat_map(|(from, to)| (*from..=(*to).min(total)).take(limit as usize + 1)).collect();
        all.sort_unstable();
        all.dedup();
        let pages = u32::try_from(all.len()).unwrap_or(u32::MAX);
        if pages > limit { Err(MediaError::TooManyPages { pages, limit }) } else { Ok(all) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, total: u32) -> Result<Vec<u32>, MediaError> {
        PageRange::parse(text)?.of(total, 100)
    }

    #[test]
    fn ranges_as_people_write_them() {
        assert_eq!(of("1-3", 9), Ok(vec![1, 2, 3]));
        assert_eq!(of(" 7 , 2-3,3 ", 9), Ok(vec![2, 3, 7]));
        assert_eq!(of("8-", 9), Ok(vec![8, 9]));
        for wrong in ["", "0", "3-2", "a", "1-2-3", "-4", "1,,2", "99999999999"] {
            assert!(matches!(of(wrong, 9), Err(MediaError::Pages(_))), "{wrong}");
        }
        assert!(matches!(of("9-10", 9), Err(MediaError::Pages(_))));
        assert_eq!(of("1-", 4_000_000_000), Err(MediaError::TooManyPages { pages: 101, limit: 100 }));
        assert!(PageRange::parse(&"1,".repeat(1_000_000)).is_err());
    }
}
