//! Pictures as child processes hand them over, one behind another: portable pixmaps (netpbm's `P6`), which say their own
//! size.

use image::RgbImage;
use tokio::{
    io::{AsyncRead, AsyncReadExt, BufReader},
    time::{Instant, timeout_at},
};

use crate::MediaError;

/// Reads them from a pipe.
pub struct Pixmaps<R> {
    from: BufReader<R>,
    /// Most pixels of one.
    pixels: u64,
    deadline: Instant,
}

impl<R: AsyncRead + Unpin> Pixmaps<R> {
    /// Pictures of at most `pixels` each, until `deadline`.
    pub fn new(from: R, pixels: u64, deadline: Instant) -> Self {
        Self { from: BufReader::with_capacity(1 << 16, from), pixels, deadline }
    }

    /// The next one; `None` at the end, also where the last one breaks off.
    ///
    /// # Errors
    /// [`MediaError::TooManyPixels`], [`MediaError::TooSlow`], [`MediaError::Damaged`].
    pub async fn next(&mut self) -> Result<Option<RgbImage>, MediaError> {
        let deadline = self.deadline;
        timeout_at(deadline, self.read()).await.unwrap_or(Err(MediaError::TooSlow))
    }

    async fn read(&mut self) -> Result<Option<RgbImage>, MediaError> {
        let mut magic = [0; 2];
        if self.from.read_exact(&mut magic).await.is_err() {
            return Ok(None);
        }
        let (width, height, most) = (self.number().await?, self.number().await?, self.number().await?);
        if magic != *b"P6" || most != 255 || width == 0 || height == 0 {
            return Err(MediaError::Damaged);
        }
        if u64::from(width) * u64::from(height) > self.pixels {
            return Err(MediaError::TooManyPixels { width, height, limit: self.pixels });
        }
        let mut rgb = vec![0; width as usize * height as usize * 3];
        if self.from.read_exact(&mut rgb).await.is_err() {
            return Ok(None);
        }
        Ok(RgbImage::from_raw(width, height, rgb))
    }

    /// A decimal number between white space, of which one byte behind it belongs to it.
    async fn number(&mut self) -> Result<u32, MediaError> {
        let mut number = None;
        for _ in 0..16 {
            match (self.from.read_u8().await.map_err(|_| MediaError::Damaged)?, number) {
                (digit @ b'0'..=b'9', _) => {
                    let so_far = number.unwrap_or(0u32).checked_mul(10);
                    number = so_far.and_then(|n| n.checked_add(u32::from(digit - b'0')));
                    number.ok_or(MediaError::Damaged)?;
                }
                (b' ' | b'\n' | b'\r' | b'\t', Some(number)) => return Ok(number),
                (b' ' | b'\n' | b'\r' | b'\t', None) => {}
                _ => break,
            }
        }
        Err(MediaError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn all(bytes: &[u8]) -> Result<Vec<RgbImage>, MediaError> {
        let mut pixmaps = Pixmaps::new(bytes, 100, Instant::now() + Duration::from_secs(60));
        let mut out = Vec::new();
        while let Some(one) = pixmaps.next().await? {
            out.push(one);
        }
        Ok(out)
    }

    #[tokio::test]
    async fn one_behind_another_until_one_breaks_off() {
        let got = all(b"P6\n2 1\n255\nabcdefP6 1 1 255\nxyzP6\n2 2\n255\nab").await.unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!((got[0].dimensions(), got[0].as_raw().as_slice()), ((2, 1), &b"abcdef"[..]));
        assert_eq!(got[1].as_raw().as_slice(), b"xyz");
    }

    #[tokio::test]
    async fn lies_are_refused_before_memory_is_taken() {
        let huge = all(b"P6\n4000000000 4000000000\n255\n").await;
        assert!(matches!(huge, Err(MediaError::TooManyPixels { .. })), "{huge:?}");
        for bad in [&b"P5\n1 1\n255\nabc"[..], b"P6\n99999999999 1\n255\n", b"P6\n1 1\n65535\nab", b"P6\nx"] {
            assert_eq!(all(bad).await, Err(MediaError::Damaged));
        }
        assert_eq!(all(b"").await, Ok(vec![]));
    }
}
