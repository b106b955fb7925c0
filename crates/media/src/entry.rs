//! Where strangers' bytes meet a parser, one function each, for `fuzz/` and the mutation test.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage, metadata::Orientation};
use tokio::time::Instant;
use url::Url;

use crate::{
    FileBytes, MediaConfig, MediaError, bicubic, colour, data_url, decode, document,
    fetched::{Fetched, Known},
    guard::Guard,
    heif,
    ppm::Pixmaps,
    smart_resize, svg, video,
};

/// Pixels that a fuzzed picture may have: enough for every path, and quick.
const PIXELS: u64 = 1 << 18;

/// Header, pixels, colours and size of a picture; its width and height as the model would see it.
///
/// # Errors
/// [`MediaError`].
pub fn picture(bytes: &[u8]) -> Result<(u32, u32), MediaError> {
    let header = decode::header(bytes, PIXELS)?;
    let upright = decode::decode(bytes, header)?;
    let (height, width) = smart_resize(upright.height(), upright.width(), 32, 1024, 65_536)?;
    let shown = bicubic::resize(upright, height, width);
    assert_eq!(shown.len(), (width * height * 3) as usize, "the picture has the size that it says");
    Ok((width, height))
}

/// A colour profile, on a picture of each kind.
pub fn profile(icc: &[u8]) {
    let pictures: [DynamicImage; 3] = [
        RgbImage::from_pixel(3, 2, Rgb([10, 120, 250])).into(),
        RgbaImage::from_pixel(3, 2, Rgba([10, 120, 250, 77])).into(),
        GrayImage::from_pixel(3, 2, Luma([120])).into(),
    ];
    for picture in pictures {
        let size = (picture.width(), picture.height());
        let shown = colour::to_srgb(picture, Some(icc));
        assert_eq!((shown.width(), shown.height()), size, "colours have no size");
    }
}

/// A picture's EXIF data, of which the orientation alone is read.
pub fn exif(chunk: &[u8]) -> bool {
    Orientation::from_exif_chunk(chunk).is_some()
}

/// A drawing's size; librsvg does the rest in a process of its own.
///
/// # Errors
/// [`MediaError`].
pub fn drawing(bytes: &[u8]) -> Result<(u32, u32), MediaError> {
    let (width, height) = svg::size(bytes)?;
    assert!((1..=2048).contains(&width) && (1..=2048).contains(&height), "{width}x{height}");
    Ok((width, height))
}

/// The boxes of AVIF and HEIC, which are read before libheif sees the file in a child process.
///
/// # Errors
/// [`MediaError`].
pub fn heif(bytes: &[u8]) -> Result<(u32, u32), MediaError> {
    let found = heif::read(bytes, PIXELS);
    let left = heif::alone(bytes, "avif");
    assert!(found.is_err() || left.is_ok_and(|left| left.len() == bytes.len()), "what is read can be handed on");
    found.map(|heif| (heif.width, heif.height))
}

/// What follows `data:`.
///
/// # Errors
/// [`MediaError`].
pub fn data(rest: &str) -> Result<usize, MediaError> {
    let length = data_url::decode(rest, 1 << 20)?.len();
    assert!((1..=1 << 20).contains(&length), "{length} bytes passed the limit");
    Ok(length)
}

/// The text of an office file, a page or a text.
///
/// # Errors
/// [`MediaError`].
pub fn text(file: &FileBytes) -> Result<String, MediaError> {
    let text = document::text_of(file, 1 << 20, 100_000)?;
    assert!(text.chars().count() <= 100_000, "the text is bounded");
    Ok(text)
}

/// A clip's first bytes, or a list of its frames in base64.
///
/// # Errors
/// [`MediaError`].
pub fn clip(bytes: &[u8]) -> Result<&'static str, MediaError> {
    video::container(bytes)
}

/// What the child processes say: `ffprobe` of a clip, and `pdfinfo` of a document. Their input is a stranger's, so what they
/// write may be too.
///
/// # Errors
/// [`MediaError`].
pub fn listing(text: &str) -> Result<(), MediaError> {
    let pages = document::pages_of(text);
    let track = video::track_of(text)?;
    assert!(track.frames > 0 && track.rate.is_finite() && track.rate > 0.0, "{track:?}");
    pages.map(|_| ())
}

/// Pictures that a child process hands over.
///
/// # Errors
/// [`MediaError`].
pub async fn pixmaps(bytes: &[u8]) -> Result<usize, MediaError> {
    let mut pixmaps = Pixmaps::new(bytes, PIXELS, Instant::now() + Duration::from_secs(60));
    let mut count = 0;
    while let Some(picture) = pixmaps.next().await? {
        assert!(u64::from(picture.width()) * u64::from(picture.height()) <= PIXELS, "{:?}", picture.dimensions());
        count += 1;
    }
    Ok(count)
}

/// A server's headers, and those of its answer when it is asked again: whether its body is kept, and used again.
pub fn cached(first: &HeaderMap, second: &HeaderMap) -> bool {
    let Ok(url) = Url::parse("http://example.com/a.png") else { return false };
    let (cache, asked) = (Fetched::new(1 << 20), HeaderMap::new());
    let Some(policy) = Fetched::policy(&url, &asked, first) else { return false };
    cache.keep(&url, policy, vec![0]);
    match cache.find(&url, &asked) {
        Known::Stale(kept, asking) => cache.confirm(&url, &asking, &Arc::clone(&kept), second),
        Known::Fresh(_) => true,
        Known::Nothing => false,
    }
}

/// Whether a URL passes the guard before it is looked up; what passes names a public host. Also what a redirect to it from
/// a public page would lead to.
///
/// # Errors
/// [`MediaError`].
pub fn url(text: &str) -> Result<(), MediaError> {
    let guard = Guard::new(&MediaConfig::default())?;
    let page = Url::parse("https://example.com/a/b?c#d").map_err(|_| MediaError::Empty)?;
    if let Ok(url) = page.join(text) {
        let _ = passes(&guard, &url);
    }
    passes(&guard, &Url::parse(text).map_err(|_| MediaError::InvalidUrl("it cannot be parsed."))?)
}

fn passes(guard: &Guard, url: &Url) -> Result<(), MediaError> {
    guard.url(url)?;
    assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty(), "{url}");
    let private = ["localhost.", "127.", "10.", "192.168.", "169.254.", "[::", "[fe80", "[fc", "[fd"];
    let host = url.host_str().unwrap_or_default();
    let address = matches!(url.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)));
    assert!(!(address && private.iter().any(|p| host.starts_with(p))), "{url}");
    Ok(())
}
