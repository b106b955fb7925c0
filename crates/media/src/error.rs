//! Why a picture could not be taken, in OpenAI's codes and words. No message holds a decoder's text or an address.

use thiserror::Error;

/// A picture that could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MediaError {
    /// Neither `data:` nor `http(s)`, a refused host, credentials, a refused port.
    #[error("Invalid image URL: {0}")]
    InvalidUrl(&'static str),
    /// The host did not answer in time.
    #[error("Timeout while downloading {0}.")]
    Timeout(String),
    /// The host answered with something else than the picture, or not at all.
    #[error("Failed to download image from {0}.")]
    Download(String),
    /// More bytes than a picture may have, at the end of a URL.
    #[error("Failed to download image from {0}. Image size exceeds the limit.")]
    DownloadTooLarge(String),
    /// The `data:` URL is not base64.
    #[error("Invalid base64 image_url.")]
    InvalidBase64,
    /// No bytes at all.
    #[error("The image file is empty.")]
    Empty,
    /// More bytes than a picture may have.
    #[error("The image file is too large: at most {0} MiB are accepted.")]
    FileTooLarge(usize),
    /// More pixels than a picture may have (read from its header).
    #[error("The image is too large: {width}x{height} pixels exceed the limit of {limit} pixels.")]
    TooManyPixels {
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
        /// Pixels allowed.
        limit: u64,
    },
    /// Not one of the formats that are decoded.
    #[error(
        "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp', 'bmp', 'tiff', 'ico']."
    )]
    Format,
    /// A known format that is not decoded here.
    #[error("Images in the {0} format are not supported. Please convert it to PNG, JPEG, GIF or WebP.")]
    UnsupportedFormat(&'static str),
    /// The bytes begin like a picture and do not go on like one.
    #[error("The image data is damaged or incomplete and could not be decoded.")]
    Damaged,
    /// A shape that no model takes.
    #[error("The image's sides are too different: the longer may be at most 200 times the shorter.")]
    AspectRatio,
    /// The memory for decoding stayed taken.
    #[error("The server is busy decoding other images. Please try again later.")]
    Busy,
    /// The configuration is wrong (at start only).
    #[error("The media configuration is wrong: {0}")]
    Config(String),
}

impl MediaError {
    /// OpenAI's code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidUrl(_) | Self::Timeout(_) => "invalid_image_url",
            Self::Download(_) => "failed_to_download_image",
            Self::DownloadTooLarge(_) | Self::AspectRatio => "invalid_image",
            Self::InvalidBase64 => "invalid_base64_image",
            Self::Empty => "empty_image_file",
            Self::FileTooLarge(_) => "image_file_too_large",
            Self::TooManyPixels { .. } => "image_too_large",
            Self::Format => "invalid_image_format",
            Self::UnsupportedFormat(_) => "unsupported_image_media_type",
            Self::Damaged => "image_parse_error",
            Self::Busy => "server_is_overloaded",
            Self::Config(_) => "server_error",
        }
    }

    /// The HTTP status: 400, which no SDK sends again, but for a lack of memory.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Busy => 429,
            Self::Config(_) => 500,
            _ => 400,
        }
    }
}
