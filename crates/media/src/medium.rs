//! What a part is, for the words and codes of its errors.

/// A kind of part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Medium {
    /// A picture.
    #[default]
    Image,
    /// A clip.
    Video,
    /// A document.
    File,
}

impl Medium {
    /// The word for it.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::File => "file",
        }
    }

    /// What a server is asked for.
    pub(crate) const fn accept(self) -> &'static str {
        match self {
            Self::Image => "image/*",
            Self::Video => "video/*, image/gif",
            Self::File => "*/*",
        }
    }

    /// What is read, in the words of an error.
    const fn formats(self) -> &'static str {
        match self {
            Self::Image => "['png', 'jpeg', 'gif', 'webp', 'bmp', 'tiff', 'ico', 'svg', 'avif', 'heic']",
            Self::Video => "['mp4', 'mov', 'webm', 'mkv', 'avi', 'gif']",
            Self::File => "['pdf', 'tiff', 'txt', 'md', 'html', 'csv', 'json', 'docx', 'pptx', 'xlsx']",
        }
    }

    /// OpenAI's sentence about a format that is not read.
    pub(crate) fn not_read(self) -> String {
        let (noun, formats) = (self.noun(), self.formats());
        format!(
            "You uploaded an unsupported {noun}. Please make sure your {noun} has of one the following formats: {formats}."
        )
    }

    /// What to convert it to.
    pub(crate) const fn better(self) -> &'static str {
        match self {
            Self::Image => "PNG, JPEG, GIF or WebP",
            Self::Video => "MP4 with H.264",
            Self::File => "PDF or plain text",
        }
    }
}
