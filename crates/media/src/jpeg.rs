//! What a JPEG costs beside its pixels. Its tail may be missing: what is not there is grey, as Pillow has it under
//! `LOAD_TRUNCATED_IMAGES`; but a header with next to nothing behind it is no picture, and each scan goes over all blocks.

use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{Decoder, PixelFormat};

use crate::MediaError;

/// Scans of one picture: encoders write ten or so, the most elaborate scripts some dozens.
const SCANS: usize = 100;

/// Whether the bytes can hold about half of the picture at least, and not too many scans. The cheapest block of 8x8
/// pixels takes one bit (a one-bit code of the DC difference; end-of-block runs are shared by thousands).
///
/// # Errors
/// [`MediaError::Damaged`].
pub fn plausible(bytes: &[u8], width: u32, height: u32) -> Result<(), MediaError> {
    let blocks = u64::from(width.div_ceil(8)) * u64::from(height.div_ceil(8));
    if (bytes.len() as u64) * 8 < blocks / 2 {
        return Err(MediaError::Damaged);
    }
    if scans(bytes) > SCANS { Err(MediaError::Damaged) } else { Ok(()) }
}

/// The picture at the smallest of the sizes that its transform gives which has `least` (width, height); RGB or grey.
pub fn shrunk(bytes: &[u8], least: (u32, u32)) -> Option<DynamicImage> {
    let mut decoder = Decoder::new(bytes);
    decoder.read_info().ok()?;
    let (width, height) = decoder.scale(u16::try_from(least.0).ok()?, u16::try_from(least.1).ok()?).ok()?;
    let (width, height) = (u32::from(width), u32::from(height));
    let format = decoder.info()?.pixel_format;
    if !matches!(format, PixelFormat::RGB24 | PixelFormat::L8) {
        return None;
    }
    let pixels = decoder.decode().ok()?;
    match format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    }
}

/// Scans up to the end of the image, or one more than there may be. Segments are stepped over: profiles, thumbnails and what
/// phones append hold anything.
fn scans(bytes: &[u8]) -> usize {
    let (mut at, mut scans) = (2, 0);
    while scans <= SCANS {
        // To the next marker; within a scan 0xFF is stuffed with 0, and restarts belong to it.
        let Some(rest) = bytes.get(at..) else { break };
        let marker = rest
            .windows(2)
            .position(|pair| matches!(pair, [0xFF, marker] if !matches!(marker, 0 | 0xFF | 0xD0..=0xD7)));
        let Some(found) = marker else { break };
        at += found + 2;
        match (bytes.get(at - 1), bytes.get(at..at + 2)) {
            (Some(0xD9) | None, _) | (_, None) => break,
            (Some(marker), Some(length)) => {
                scans += usize::from(*marker == 0xDA);
                at += usize::from(length.first().copied().unwrap_or(0)) << 8
                    | usize::from(length.get(1).copied().unwrap_or(0));
            }
        }
    }
    scans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_pictures_pass_and_hollow_ones_do_not() {
        let mut flat = Vec::new();
        let white = image::GrayImage::from_pixel(2_000, 2_000, image::Luma([255]));
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut flat, 1).encode_image(&white).unwrap();
        assert_eq!(plausible(&flat, 2_000, 2_000), Ok(()));
        assert_eq!(plausible(&flat[..700], 2_000, 2_000), Err(MediaError::Damaged));
    }

    #[test]
    fn scans_are_counted() {
        let of = |n: usize| [b"\xFF\xD8".to_vec(), [0xFF, 0xDA, 0, 4, 1, 1, 0xFF, 0, 0xFF, 0xD0, 7].repeat(n)].concat();
        assert_eq!(plausible(&of(SCANS), 8, 8), Ok(()));
        assert_eq!(plausible(&of(SCANS + 1), 8, 8), Err(MediaError::Damaged));
        // What looks like scans in a profile, or behind the end (a phone's film), is none.
        let profile = [
            b"\xFF\xD8\xFF\xE2\x40\x02".to_vec(),
            [0xFF, 0xDA].repeat(8192),
            b"\xFF\xD9".to_vec(),
            [0xFF, 0xDA].repeat(8192),
        ];
        assert_eq!(scans(&profile.concat()), 0);
        assert_eq!(scans(b"\xFF"), 0);
    }
}
