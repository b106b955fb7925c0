//! Bytes to upright, opaque RGB: the format judged by content, the pixels bounded by the header before decoding.

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, metadata::Orientation};

use crate::{MediaError, colour::to_srgb, foreign::foreign, heif, icon, jpeg, tiff};

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Width in pixels, as stored (before the EXIF orientation).
    pub width: u32,
    /// Height in pixels, as stored (before the EXIF orientation).
    pub height: u32,
    /// The format, judged by the content.
    pub format: Format,
    /// Bytes per pixel that the decoder gives.
    pub pixel_bytes: u8,
}

/// What a picture is decoded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The `image` crate, here.
    Plain(ImageFormat),
    /// libheif in a child process, which gives a PNG; by its name.
    Heif(&'static str),
    /// That PNG: what its EXIF says of turning was done.
    Unpacked,
}

impl Header {
    /// Bytes that decoding may hold at once: the decoder's output, a turned copy of it, and what a decoder keeps beside
    /// it (coefficients of a progressive JPEG, the canvas of an animation) or the conversion to RGB takes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let each = u64::from(self.pixel_bytes);
        // The PNG, and what the child holds before.
        let more = if matches!(self.format, Format::Heif(_)) { 2 * each } else { 0 };
        u64::from(self.width) * u64::from(self.height) * (2 * each + more + 6)
    }
}

/// Reads the header only; `pixels` is the most that a picture may have.
///
/// # Errors
/// [`MediaError::Empty`], [`MediaError::Format`], [`MediaError::UnsupportedFormat`], [`MediaError::Damaged`],
/// [`MediaError::TooManyPixels`].
pub fn header(bytes: &[u8], pixels: u64) -> Result<Header, MediaError> {
    if bytes.is_empty() {
        return Err(MediaError::Empty);
    }
    if heif::is_heif(bytes) {
        let heif::Heif { name, width, height, pixel_bytes, .. } = heif::read(bytes, pixels)?;
        return Ok(Header { width, height, format: Format::Heif(name), pixel_bytes });
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
        _ => return Err(foreign(bytes)),
    };
    let (bytes, inner) = inside(bytes, format);
    // The PNG decoder gives up on such sides in words of its own.
    if let Some((width, height)) = png_sides(bytes).filter(|(w, h)| u64::from(*w) * u64::from(*h) > pixels) {
        return Err(MediaError::TooManyPixels { width, height, limit: pixels });
    }
    let read = || {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), inner);
        reader.limits(limits(HEADER_BYTES));
        let decoder = reader.into_decoder().map_err(|_| MediaError::Damaged)?;
        let (width, height) = decoder.dimensions();
        let pixel_bytes = decoder.color_type().bytes_per_pixel();
        Ok(Header { width, height, format: Format::Plain(format), pixel_bytes })
    };
    let header = caught(read)?;
    let Header { width, height, .. } = header;
    if width == 0 || height == 0 {
        return Err(MediaError::Damaged);
    }
    if u64::from(width) * u64::from(height) > pixels {
        return Err(MediaError::TooManyPixels { width, height, limit: pixels });
    }
    if format == ImageFormat::Jpeg {
        jpeg::plausible(bytes, width, height)?;
    }
    Ok(header)
}

/// What is decoded: an icon's PNG, or all.
fn inside(bytes: &[u8], format: ImageFormat) -> (&[u8], ImageFormat) {
    match icon::png(bytes) {
        Some(png) if format == ImageFormat::Ico => (png, ImageFormat::Png),
        _ => (bytes, format),
    }
}

/// A format's name for clients.
pub const fn name(format: Format) -> &'static str {
    match format {
        Format::Heif(name) => name,
        Format::Unpacked | Format::Plain(ImageFormat::Png) => "png",
        Format::Plain(ImageFormat::Jpeg) => "jpeg",
        Format::Plain(ImageFormat::Gif) => "gif",
        Format::Plain(ImageFormat::WebP) => "webp",
        Format::Plain(ImageFormat::Bmp) => "bmp",
        Format::Plain(ImageFormat::Tiff) => "tiff",
        Format::Plain(ImageFormat::Ico) => "ico",
        Format::Plain(_) => "image",
    }
}

/// Width and height as a PNG's first chunk states them (PNG specification, 11.2.1).
fn png_sides(bytes: &[u8]) -> Option<(u32, u32)> {
    let chunk = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(4..16)?;
    let sides = chunk.strip_prefix(b"IHDR")?;
    let (width, height) = sides.split_at_checked(4)?;
    Some((u32::from_be_bytes(width.try_into().ok()?), u32::from_be_bytes(height.try_into().ok()?)))
}

/// The whole picture (the first frame of an animation, the first page), EXIF orientation applied, in sRGB, alpha composited
/// on white. A decoder may panic: callers catch it.
///
/// # Errors
/// [`MediaError::Damaged`].
pub fn decode(bytes: &[u8], header: Header) -> Result<RgbImage, MediaError> {
    let (bytes, format) = match header.format {
        Format::Plain(format) => inside(bytes, format),
        Format::Unpacked => (bytes, ImageFormat::Png),
        Format::Heif(_) => return Err(MediaError::Damaged),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits(header.memory().max(HEADER_BYTES)));
    let mut decoder = reader.into_decoder().map_err(|_| MediaError::Damaged)?;
    if decoder.dimensions() != (header.width, header.height) {
        return Err(MediaError::Damaged);
    }
    let orientation = match header.format {
        Format::Plain(_) => decoder.orientation().unwrap_or(Orientation::NoTransforms),
        _ => Orientation::NoTransforms,
    };
    let icc = match format {
        ImageFormat::Tiff => tiff::profile(bytes).map(<[u8]>::to_vec),
        _ => decoder.icc_profile().ok().flatten(),
    };
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|_| MediaError::Damaged)?;
    picture.apply_orientation(orientation);
    Ok(opaque(to_srgb(picture, icc.as_deref())))
}

/// A JPEG at an eighth, a quarter or a half of its size, at least `least` (width, height), upright and in sRGB, behind its
/// whole width and height, upright. Its coefficients are left out where they would make details that nobody sees: several times as
/// fast, and other pixels than those of a whole picture made smaller. `None` where it cannot be had so: CMYK, damage, a
/// missing tail.
pub fn shrunk(bytes: &[u8], header: Header, least: (u32, u32)) -> Option<((u32, u32), RgbImage)> {
    let read = || {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg);
        reader.limits(limits(HEADER_BYTES));
        let mut whole = reader.into_decoder().map_err(|_| MediaError::Damaged)?;
        let orientation = whole.orientation().unwrap_or(Orientation::NoTransforms);
        let icc = whole.icc_profile().ok().flatten();
        let mut picture = jpeg::shrunk(bytes, least).ok_or(MediaError::Damaged)?;
        picture.apply_orientation(orientation);
        let upright = opaque(to_srgb(picture, icc.as_deref()));
        let turned = matches!(
            orientation,
            Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
        );
        let Header { width, height, .. } = header;
        Ok((if turned { (height, width) } else { (width, height) }, upright))
    };
    caught(read).ok()
}

/// What a decoder may always allocate: tables, metadata, rows.
const HEADER_BYTES: u64 = 64 << 20;

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

/// A decoder that panics is a damaged picture, not a dead request.
fn caught<T>(work: impl FnOnce() -> Result<T, MediaError>) -> Result<T, MediaError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(MediaError::Damaged))
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
