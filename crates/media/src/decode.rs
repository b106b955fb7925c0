//! Bytes to upright, opaque RGB: the format judged by content, the pixels bounded by the header before decoding.

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::MediaError;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Width in pixels, as stored.
    pub width: u32,
    /// Height in pixels, as stored.
    pub height: u32,
    /// The format.
    pub format: ImageFormat,
}

impl Header {
    /// Bytes that decoding may take: the pixels at up to 8 bytes each in the decoder and 4 more in conversions.
    #[must_use]
    pub fn memory(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * 12
    }
}

/// Reads the header only.
///
/// # Errors
/// [`MediaError::Format`], [`MediaError::UnsupportedFormat`], [`MediaError::Damaged`], [`MediaError::TooManyPixels`].
pub fn header(bytes: &[u8], pixels: u64) -> Result<Header, MediaError> {
    if bytes.is_empty() {
        return Err(MediaError::Empty);
    }
    let format = match image::guess_format(bytes) {
        Ok(
            format @ (ImageFormat::Png
            | ImageFormat::Jpeg
            | ImageFormat::Gif
            | ImageFormat::WebP
            | ImageFormat::Bmp
            | ImageFormat::Tiff
            | ImageFormat::Ico),
        ) => format,
        Ok(ImageFormat::Avif) => return Err(MediaError::UnsupportedFormat("AVIF")),
        _ => return Err(foreign(bytes)),
    };
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let size = catch_unwind(AssertUnwindSafe(|| reader.into_dimensions()));
    let (width, height) = size.map_err(|_| MediaError::Damaged)?.map_err(|_| MediaError::Damaged)?;
    if width == 0 || height == 0 {
        return Err(MediaError::Damaged);
    }
    if u64::from(width) * u64::from(height) > pixels {
        return Err(MediaError::TooManyPixels { width, height, limit: pixels });
    }
    Ok(Header { width, height, format })
}

/// The whole picture (the first frame of an animation), EXIF orientation applied, alpha composited on white.
///
/// # Errors
/// [`MediaError::Damaged`].
pub fn decode(bytes: &[u8], header: Header) -> Result<RgbImage, MediaError> {
    catch_unwind(AssertUnwindSafe(|| pixels(bytes, header))).unwrap_or(Err(MediaError::Damaged))
}

fn pixels(bytes: &[u8], header: Header) -> Result<RgbImage, MediaError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), header.format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(header.memory().max(16 << 20));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|_| MediaError::Damaged)?;
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|_| MediaError::Damaged)?;
    picture.apply_orientation(orientation);
    Ok(opaque(picture))
}

/// 8-bit RGB on white.
fn opaque(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let rgba = picture.into_rgba8();
    let mut out = RgbImage::new(rgba.width(), rgba.height());
    for (to, from) in out.pixels_mut().zip(rgba.pixels()) {
        let [r, g, b, a] = from.0;
        let over = |c: u8| ((u32::from(c) * u32::from(a) + 255 * (255 - u32::from(a)) + 127) / 255) as u8;
        to.0 = [over(r), over(g), over(b)];
    }
    out
}

/// Names what is recognised and not decoded.
fn foreign(bytes: &[u8]) -> MediaError {
    let head = bytes.get(..512.min(bytes.len())).unwrap_or_default();
    let brand = head.get(4..12).unwrap_or_default();
    if brand.starts_with(b"ftyp") {
        return match brand.get(4..).unwrap_or_default() {
            b"avif" | b"avis" => MediaError::UnsupportedFormat("AVIF"),
            b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1" | b"heim" => MediaError::UnsupportedFormat("HEIC"),
            _ => MediaError::UnsupportedFormat("MP4 video"),
        };
    }
    let text = String::from_utf8_lossy(head);
    let start = text.trim_start_matches('\u{FEFF}').trim_start();
    if head.starts_with(b"%PDF") {
        MediaError::UnsupportedFormat("PDF")
    } else if start.starts_with("<svg") || (start.starts_with("<?xml") && text.contains("<svg")) {
        MediaError::UnsupportedFormat("SVG")
    } else {
        MediaError::Format
    }
}
