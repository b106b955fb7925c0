//! Why a part could not be taken, in OpenAI's codes and words. No message holds a decoder's text or an address.

use std::fmt;

use crate::Medium;

/// A part that could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaError {
    /// Neither `data:` nor `http(s)`, a refused host, credentials, a refused port.
    InvalidUrl(&'static str),
    /// The host did not answer in time.
    Timeout(String),
    /// The host answered with something else than the part, or not at all.
    Download(String),
    /// More bytes than a part may have, at the end of a URL.
    DownloadTooLarge(String),
    /// The `data:` URL is not base64.
    InvalidBase64,
    /// No bytes at all.
    Empty,
    /// More bytes than a part may have.
    FileTooLarge(usize),
    /// More pixels than a picture may have (read from its header).
    TooManyPixels {
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
        /// Pixels allowed.
        limit: u64,
    },
    /// Not one of the formats that are decoded.
    Format,
    /// A known format that is not decoded here.
    UnsupportedFormat(&'static str),
    /// The bytes begin like a picture and do not go on like one.
    Damaged,
    /// A shape that no model takes.
    AspectRatio,
    /// The memory for decoding stayed taken.
    Busy,
    /// More frames than a clip may have.
    TooManyFrames(u32),
    /// Frames of different sizes, or times that are not one for each frame, rising.
    Frames(&'static str),
    /// More pages than a document may have.
    TooManyPages {
        /// Pages that were asked for.
        pages: u32,
        /// Pages allowed.
        limit: u32,
    },
    /// Page ranges that cannot be read, or that the document does not have.
    Pages(&'static str),
    /// A document that opens with a password only.
    Encrypted,
    /// More text than a document may have, in characters.
    TooMuchText(usize),
    /// Reading it took longer than it may.
    TooSlow,
    /// A name (`uuid`) under which nothing is kept, and nothing was sent.
    UnknownName,
    /// A program that reads it is not installed here.
    NotInstalled {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The same of another kind of part than a picture.
    Of(Medium, Box<Self>),
    /// The configuration is wrong (at start only).
    Config(String),
}

impl MediaError {
    /// The same error, of this kind of part.
    #[must_use]
    pub fn of(self, medium: Medium) -> Self {
        match self {
            Self::Of(..) | Self::Config(_) => self,
            error if medium == Medium::Image => error,
            error => Self::Of(medium, Box::new(error)),
        }
    }

    /// The error and its kind of part.
    fn apart(&self) -> (Medium, &Self) {
        match self {
            Self::Of(medium, error) => (*medium, error.apart().1),
            error => (Medium::Image, error),
        }
    }

    /// OpenAI's code; where OpenAI has none, one of the same form.
    #[must_use]
    pub fn code(&self) -> String {
        let (medium, error) = self.apart();
        let noun = medium.noun();
        match error {
            Self::InvalidUrl(_) | Self::Timeout(_) => format!("invalid_{noun}_url"),
            Self::Download(_) => format!("failed_to_download_{noun}"),
            Self::DownloadTooLarge(_) | Self::AspectRatio | Self::Frames(_) => format!("invalid_{noun}"),
            Self::InvalidBase64 => format!("invalid_base64_{noun}"),
            Self::Empty if medium == Medium::File => "empty_file".to_owned(),
            Self::Empty => format!("empty_{noun}_file"),
            Self::FileTooLarge(_) if medium == Medium::File => "file_too_large".to_owned(),
            Self::FileTooLarge(_) => format!("{noun}_file_too_large"),
            Self::TooManyPixels { .. } | Self::TooManyFrames(_) => format!("{noun}_too_large"),
            Self::TooManyPages { .. } => "too_many_pages".to_owned(),
            Self::TooMuchText(_) => "file_text_too_long".to_owned(),
            Self::Pages(_) => "invalid_page_range".to_owned(),
            Self::Encrypted => "encrypted_file".to_owned(),
            Self::Format => format!("invalid_{noun}_format"),
            Self::UnsupportedFormat(_) | Self::NotInstalled { .. } => format!("unsupported_{noun}_media_type"),
            Self::Damaged | Self::TooSlow => format!("{noun}_parse_error"),
            Self::UnknownName => "unknown_uuid".to_owned(),
            Self::Busy => "server_is_overloaded".to_owned(),
            Self::Of(..) | Self::Config(_) => "server_error".to_owned(),
        }
    }

    /// The HTTP status: 400, which no SDK sends again, but for a lack of memory.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.apart().1 {
            Self::Busy => 429,
            Self::Config(_) => 500,
            _ => 400,
        }
    }
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (medium, error) = self.apart();
        let noun = medium.noun();
        let big = match medium {
            Medium::Image => "Image",
            Medium::Video => "Video",
            Medium::File => "File",
        };
        match error {
            Self::InvalidUrl(why) => write!(f, "Invalid {noun} URL: {why}"),
            Self::Timeout(url) => write!(f, "Timeout while downloading {url}."),
            Self::Download(url) => write!(f, "Failed to download {noun} from {url}."),
            Self::DownloadTooLarge(url) => {
                write!(f, "Failed to download {noun} from {url}. {big} size exceeds the limit.")
            }
            Self::InvalidBase64 if medium == Medium::File => f.write_str("Invalid base64 file_data."),
            Self::InvalidBase64 => write!(f, "Invalid base64 {noun}_url."),
            Self::Empty if medium == Medium::File => f.write_str("The file is empty."),
            Self::Empty => write!(f, "The {noun} file is empty."),
            Self::FileTooLarge(mib) if medium == Medium::File => {
                write!(f, "The file is too large: at most {mib} MiB are accepted.")
            }
            Self::FileTooLarge(mib) => write!(f, "The {noun} file is too large: at most {mib} MiB are accepted."),
            Self::TooManyPixels { width, height, limit } => {
                write!(f, "The {noun} is too large: {width}x{height} pixels exceed the limit of {limit} pixels.")
            }
            Self::Format => f.write_str(&medium.not_read()),
            Self::UnsupportedFormat(name) => {
                let better = medium.better();
                write!(f, "{big}s in the {name} format are not supported. Please convert it to {better}.")
            }
            Self::Damaged => write!(f, "The {noun} data is damaged or incomplete and could not be decoded."),
            Self::AspectRatio => {
                write!(f, "The {noun}'s sides are too different: the longer may be at most 200 times the shorter.")
            }
            Self::Busy => write!(f, "The server is busy decoding other {noun}s. Please try again later."),
            Self::TooManyFrames(limit) => write!(f, "The video has too many frames: at most {limit} are accepted."),
            Self::Frames(why) => write!(f, "Invalid video: {why}"),
            Self::TooManyPages { pages, limit } => write!(
                f,
                "The file has too many pages: {pages} were asked for, at most {limit} are accepted. Choose some with 'pages', for example \"1-{limit}\"."
            ),
            Self::Pages(why) => write!(f, "Invalid 'pages': {why}"),
            Self::Encrypted => f.write_str("The file is encrypted. Please remove its password."),
            Self::TooMuchText(limit) => {
                write!(f, "The file's text is too long: at most {limit} characters are accepted.")
            }
            Self::UnknownName => {
                f.write_str("Nothing is kept under this 'uuid' (any more). Please send the part again, with its media.")
            }
            Self::TooSlow => write!(f, "The {noun} could not be decoded in the time that it may take."),
            Self::NotInstalled { program, package } => write!(
                f,
                "This server cannot read such {noun}s: '{program}' is not installed there. Its operator can install it (Debian, Ubuntu: apt-get install {package})."
            ),
            Self::Of(..) => f.write_str("The part could not be read."),
            Self::Config(why) => write!(f, "The media configuration is wrong: {why}"),
        }
    }
}

impl std::error::Error for MediaError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes_are_those_of_the_part() {
        let url = || MediaError::Download("http://a/image.png".into());
        assert_eq!(url().to_string(), "Failed to download image from http://a/image.png.");
        assert_eq!(url().of(Medium::Video).to_string(), "Failed to download video from http://a/image.png.");
        assert_eq!(url().of(Medium::Video).code(), "failed_to_download_video");
        assert_eq!(MediaError::FileTooLarge(1).code(), "image_file_too_large");
        assert_eq!(MediaError::FileTooLarge(1).of(Medium::Video).code(), "video_file_too_large");
        assert_eq!(MediaError::FileTooLarge(1).of(Medium::File).code(), "file_too_large");
        assert_eq!(MediaError::Busy.of(Medium::File).status(), 429);
        assert_eq!(MediaError::Damaged.of(Medium::File).of(Medium::Video).code(), "file_parse_error");
    }
}
