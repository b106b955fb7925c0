//! A batch's input, line by line, whatever its size.

use std::io;

use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
};

/// Reads lines of bounded length.
#[derive(Debug)]
pub struct Lines {
    file: BufReader<File>,
    limit: u64,
    number: u64,
}

/// A line that is not blank.
#[derive(Debug)]
pub struct Line {
    /// Its place in the file, from 1, blank lines counted.
    pub number: u64,
    /// Its bytes, without white space around; `None` when there are too many.
    pub bytes: Option<Vec<u8>>,
}

impl Lines {
    /// Lines of at most `limit` bytes.
    #[must_use]
    pub fn new(file: File, limit: usize) -> Self {
        Self { file: BufReader::with_capacity(64 << 10, file), limit: limit as u64, number: 0 }
    }

    /// The next line that is not blank. Behind one that is too long nothing more can be read.
    ///
    /// # Errors
    /// The disk's.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let mut bounded = (&mut self.file).take(self.limit.saturating_add(1));
            if bounded.read_until(b'\n', &mut bytes).await? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let number = self.number;
            if bytes.len() as u64 > self.limit && bytes.last() != Some(&b'\n') {
                return Ok(Some(Line { number, bytes: None }));
            }
            // Editors on Windows put a mark before the first line.
            let text = bytes.strip_prefix(b"\xEF\xBB\xBF").filter(|_| number == 1).unwrap_or(&bytes).trim_ascii();
            if !text.is_empty() {
                return Ok(Some(Line { number, bytes: Some(text.to_vec()) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8], limit: usize) -> Vec<(u64, Option<String>)> {
        let path = std::env::temp_dir().join(crate::store::new_id("vlgate-lines-"));
        std::fs::write(&path, text).unwrap();
        let mut lines = Lines::new(File::open(&path).await.unwrap(), limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            let end = line.bytes.is_none();
            all.push((line.number, line.bytes.map(|b| String::from_utf8(b).unwrap())));
            if end {
                break;
            }
        }
        std::fs::remove_file(path).unwrap();
        all
    }

    #[tokio::test]
    async fn lines_are_numbered_blank_ones_skipped_and_long_ones_named() {
        let some = |n, text: &str| (n, Some(text.to_owned()));
        assert_eq!(lines(b"\xEF\xBB\xBFa\r\n\n  \nb\n", 10).await, [some(1, "a"), some(4, "b")]);
        assert_eq!(lines(b"a\nlast", 10).await, [some(1, "a"), some(2, "last")]);
        assert_eq!(lines(b"", 10).await, []);
        assert_eq!(lines(b"1234\n12345\n", 5).await, [some(1, "1234"), some(2, "12345")]);
        assert_eq!(lines(b"1\n123456\n1\n", 5).await, [some(1, "1"), (2, None)]);
    }
}
