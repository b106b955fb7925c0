//! Where strangers' bytes meet a parser, one function each, for `fuzz/` and the mutation test.

use url::Url;

use crate::{MediaConfig, MediaError, bicubic, data_url, decode, guard::Guard, heif, smart_resize};

/// Pixels that a fuzzed picture may have: enough for every path, and no more memory than a fuzzer allows.
const PIXELS: u64 = 1 << 20;

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
    data_url::decode(rest, 1 << 20).map(|bytes| bytes.len())
}

/// Whether a URL passes the guard before it is looked up; what passes names a public host.
///
/// # Errors
/// [`MediaError`].
pub fn url(text: &str) -> Result<(), MediaError> {
    let url = Url::parse(text).map_err(|_| MediaError::InvalidUrl("it cannot be parsed."))?;
    Guard::new(&MediaConfig::default())?.url(&url)?;
    assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty(), "{url}");
    let private = ["localhost.", "127.", "10.", "192.168.", "169.254.", "[::", "[fe80", "[fc", "[fd"];
    let host = url.host_str().unwrap_or_default();
    let address = matches!(url.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)));
    assert!(!(address && private.iter().any(|p| host.starts_with(p))), "{url}");
    Ok(())
}
