//! What a JPEG costs beside its pixels. Its tail may be missing: what is not there is grey, as Pillow has it under
//! `LOAD_TRUNCATED_IMAGES`; but a header with next to nothing behind it is no picture, and each scan goes over all blocks.

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
    // 0xFF is stuffed within a scan, so this counts markers, and a thumbnail's or two.
    let scans = bytes.windows(2).filter(|pair| *pair == [0xFF, 0xDA]).take(SCANS + 1).count();
    if scans > SCANS { Err(MediaError::Damaged) } else { Ok(()) }
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
        let scans = |n: usize| [0xFF, 0xDA, 0, 8].repeat(n);
        assert_eq!(plausible(&scans(SCANS), 8, 8), Ok(()));
        assert_eq!(plausible(&scans(SCANS + 1), 8, 8), Err(MediaError::Damaged));
    }
}
