//! What an answer says beside OpenAI's fields: what the model saw of each part.

use serde::Serialize;
use utoipa::ToSchema;

/// `vlgate`, where the request asked for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct VlgateNotes {
    /// Each picture, clip and file of the request, in order.
    pub media: Vec<MediaNote>,
}

/// What the model saw of a part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct MediaNote {
    /// The part in the request: `messages[0].content[1].image_url`.
    pub param: String,
    /// `image`, `video` or `file`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Judged by the content: `png`, `mp4`, `pdf`; `frames` for a clip that came as pictures.
    pub format: &'static str,
    /// A video's codec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<&'static str>,
    /// Width and height in pixels as they came, upright.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u32>>)]
    pub size: Option<(u32, u32)>,
    /// Width and height that the model saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u32>>)]
    pub size_seen: Option<(u32, u32)>,
    /// Tokens of its pictures or frames, without texts and time stamps.
    pub tokens: u32,
    /// A clip's frames.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub frames: Vec<FrameNote>,
    /// A PDF's pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub pages: Vec<PageNote>,
    /// A PDF's pages in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages_total: Option<u32>,
    /// Whether nothing had to be decoded.
    pub cached: bool,
}

/// A frame that the model saw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct FrameNote {
    /// Its number in the clip, from 0.
    pub index: u64,
    /// Its time in seconds.
    pub time: f64,
}

/// A page that the model saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct PageNote {
    /// Its number, from 1.
    pub page: u32,
    /// Characters of its text.
    pub characters: u32,
    /// Width and height of its picture; none where the model sees no pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u32>>)]
    pub size_seen: Option<(u32, u32)>,
    /// Dots per inch that it was drawn with.
    pub dpi: u32,
    /// Tokens of its picture.
    pub tokens: u32,
}
