//! What the model saw of a part, for the client who asks.

use crate::Medium;

/// A part, and what the model saw of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved<T> {
    /// For the model.
    pub what: T,
    /// For the client.
    pub seen: Seen,
}

/// What the model saw of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// What it is.
    pub medium: Medium,
    /// Its format, judged by its content: `png`, `mp4`, `pdf`; `frames` for a clip that was sent as pictures.
    pub format: &'static str,
    /// The video's codec.
    pub codec: Option<&'static str>,
    /// Width and height in pixels as they came, upright.
    pub before: Option<(u32, u32)>,
    /// Width and height that the model saw.
    pub after: Option<(u32, u32)>,
    /// Tokens of pictures or frames; texts and time stamps are not counted.
    pub tokens: u32,
    /// A clip's frames in order.
    pub frames: Vec<FrameSeen>,
    /// A document's pages, where it has such.
    pub pages: Vec<PageSeen>,
    /// A document's pages in all.
    pub of_pages: Option<u32>,
    /// Whether nothing had to be decoded.
    pub cached: bool,
}

impl Seen {
    /// Something of which nothing is known yet.
    #[must_use]
    pub const fn new(medium: Medium, format: &'static str) -> Self {
        Self {
            medium,
            format,
            codec: None,
            before: None,
            after: None,
            tokens: 0,
            frames: Vec::new(),
            pages: Vec::new(),
            of_pages: None,
            cached: false,
        }
    }
}

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameSeen {
    /// Its number in the clip, from 0.
    pub index: u64,
    /// Its time in seconds.
    pub time: f64,
}

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSeen {
    /// Its number, from 1.
    pub page: u32,
    /// Characters of its text.
    pub characters: usize,
    /// Width and height of its picture as the model saw it; none where the model sees no pictures.
    pub after: Option<(u32, u32)>,
    /// Dots per inch that it was drawn with.
    pub dpi: u32,
    /// Tokens of its picture.
    pub tokens: u32,
}
