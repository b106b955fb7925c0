//! Parts that move or have pages: `video_url`, `video` and `file`, read, checked, and with the request's own wishes behind
//! the part's.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{ChatRequest, Part, messages::pixels, shapes};
use crate::{
    ApiError,
    check::{missing, one_of},
};

/// `video_url`, with the sampling that vLLM, DashScope and qwen-vl-utils have beside it or in it.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct VideoUrl {
    /// `https:`, `http:` or `data:`: MP4, MOV, WebM, MKV, AVI, animated GIF; or `data:video/jpeg;base64,` with the frames
    /// as JPEGs, divided by commas.
    #[schema(format = "uri")]
    pub url: String,
    /// Frames taken of each second; the model's own (2) where it is left out.
    pub fps: Option<f64>,
    /// Frames taken in all, instead of `fps`.
    pub num_frames: Option<u32>,
    /// Fewest frames taken.
    pub min_frames: Option<u32>,
    /// Most frames taken.
    pub max_frames: Option<u32>,
    /// Smallest area of one frame in pixels.
    pub min_pixels: Option<u64>,
    /// Largest area of one frame in pixels.
    pub max_pixels: Option<u64>,
    /// Most pixels of all frames together.
    pub total_pixels: Option<u64>,
}

/// `file`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = ChatFile)]
pub struct File {
    /// Its name; the ending says what a text is.
    #[schema(nullable = false)]
    pub filename: Option<String>,
    /// Its content: base64, or a `data:` URL of it.
    #[schema(nullable = false)]
    pub file_data: Option<String>,
    /// An uploaded file.
    #[schema(nullable = false)]
    pub file_id: Option<String>,
    /// As in the Responses API: where to fetch it.
    pub file_url: Option<String>,
    /// Pages of a PDF to read: `1-15`, `3,7-9,20-`; all where it is left out.
    pub pages: Option<String>,
    /// How large a PDF's pages are shown; `auto` where it is left out.
    #[schema(value_type = Option<shapes::Detail>)]
    pub detail: Option<String>,
}

/// Options of this server that no other has.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VlgateOptions {
    /// Say in the answer's `vlgate.media` what the model saw of each part.
    pub explain_media: Option<bool>,
    /// How the answer's time stamps are written: `seconds` as the model does (`<12.5 seconds>`), or `mm:ss`.
    pub timestamps: Option<String>,
}

/// How a clip is sampled and sized, the part's wishes before the request's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClipOptions {
    /// Frames of each second.
    pub fps: Option<f64>,
    /// Frames in all; never with `fps`.
    pub num_frames: Option<u32>,
    /// Fewest frames.
    pub min_frames: Option<u32>,
    /// Most frames.
    pub max_frames: Option<u32>,
    /// Smallest area of one frame.
    pub min_pixels: Option<u64>,
    /// Largest area of one frame.
    pub max_pixels: Option<u64>,
    /// Fewest pixels of all frames together.
    pub least_pixels: Option<u64>,
    /// Most pixels of all frames together.
    pub total_pixels: Option<u64>,
}

impl ClipOptions {
    /// These, and `other`'s where these say nothing.
    fn or(self, other: &Self) -> Self {
        let rate = self.fps.is_some() || self.num_frames.is_some();
        let (fps, num_frames) = if rate { (self.fps, self.num_frames) } else { (other.fps, other.num_frames) };
        Self {
            fps,
            num_frames,
            min_frames: self.min_frames.or(other.min_frames),
            max_frames: self.max_frames.or(other.max_frames),
            min_pixels: self.min_pixels.or(other.min_pixels),
            max_pixels: self.max_pixels.or(other.max_pixels),
            least_pixels: self.least_pixels.or(other.least_pixels),
            total_pixels: self.total_pixels.or(other.total_pixels),
        }
    }

    fn check(&self, path: &str) -> Result<(), ApiError> {
        if self.fps.is_some() && self.num_frames.is_some() {
            let message = "Invalid 'num_frames': it cannot be given together with 'fps'.";
            return Err(ApiError::invalid(format!("{path}.num_frames"), message));
        }
        if self.fps.is_some_and(|f| !(f > 0.0 && f <= 1000.0)) {
            let message = "Invalid 'fps': expected a number above 0 and up to 1000.";
            return Err(ApiError::invalid(format!("{path}.fps"), message));
        }
        for (name, value) in
            [("num_frames", self.num_frames), ("min_frames", self.min_frames), ("max_frames", self.max_frames)]
        {
            if value == Some(0) {
                return Err(ApiError::invalid(
                    format!("{path}.{name}"),
                    format!("Invalid '{name}': expected a value >= 1."),
                ));
            }
        }
        if let (Some(min), Some(max)) = (self.min_frames, self.max_frames)
            && min > max
        {
            let message = "Invalid 'max_frames': it is less than 'min_frames'.";
            return Err(ApiError::invalid(format!("{path}.max_frames"), message));
        }
        if self.total_pixels == Some(0) {
            let message = "Invalid 'total_pixels': expected a value >= 1.";
            return Err(ApiError::invalid(format!("{path}.total_pixels"), message));
        }
        pixels(self.min_pixels, self.max_pixels, path)
    }
}

impl VideoUrl {
    fn options(&self) -> ClipOptions {
        ClipOptions {
            fps: self.fps,
            num_frames: self.num_frames,
            min_frames: self.min_frames,
            max_frames: self.max_frames,
            min_pixels: self.min_pixels,
            max_pixels: self.max_pixels,
            least_pixels: None,
            total_pixels: self.total_pixels,
        }
    }
}

/// What a `video` part is.
#[derive(Debug, Clone, PartialEq)]
pub enum VideoSource<'a> {
    /// One file.
    Url(&'a str),
    /// Its frames.
    Frames(Vec<&'a str>),
}

impl Part {
    fn clip_options(&self) -> ClipOptions {
        ClipOptions {
            fps: self.fps,
            num_frames: self.num_frames,
            min_frames: self.min_frames,
            max_frames: self.max_frames,
            min_pixels: self.min_pixels,
            max_pixels: self.max_pixels,
            least_pixels: None,
            total_pixels: self.total_pixels,
        }
    }

    /// Whether it is a clip that was sent before, and only its name comes now.
    #[must_use]
    pub fn is_only_named(&self) -> bool {
        let nothing = match self.kind.as_str() {
            "video_url" => self.video_url.is_none(),
            "video" => self.video.is_none(),
            _ => false,
        };
        nothing && self.uuid.is_some()
    }

    /// The clip of a `video_url` or `video` part, and its path below the part's.
    #[must_use]
    pub fn video_source(&self) -> Option<(VideoSource<'_>, &'static str)> {
        match self.kind.as_str() {
            "video_url" => Some((VideoSource::Url(&self.video_url.as_ref()?.url), "video_url.url")),
            "video" => match self.video.as_ref()? {
                Value::String(url) => Some((VideoSource::Url(url), "video")),
                Value::Array(all) => {
                    all.iter().map(frame).collect::<Option<_>>().map(|f| (VideoSource::Frames(f), "video"))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// A frame: a URL, `{url}`, or an `image_url` part.
fn frame(value: &Value) -> Option<&str> {
    let url = value.get("image_url").unwrap_or(value);
    url.as_str().or_else(|| url.get("url")?.as_str())
}

impl ChatRequest {
    /// How a part's clip is sampled and sized: what is in `video_url`, then beside it, then `media_io_kwargs.video`, then
    /// `mm_processor_kwargs`.
    #[must_use]
    pub fn clip_options(&self, part: &Part) -> ClipOptions {
        let within = part.video_url.as_ref().map(VideoUrl::options).unwrap_or_default();
        let loading = self.media_io_kwargs.as_ref().and_then(|k| k.video.as_ref());
        let loading = loading.map(|v| ClipOptions { fps: v.fps, num_frames: v.num_frames, ..ClipOptions::default() });
        within.or(&part.clip_options()).or(&loading.unwrap_or_default()).or(&self.all_clips())
    }

    /// What `mm_processor_kwargs` say of all clips.
    fn all_clips(&self) -> ClipOptions {
        let all = self.mm_processor_kwargs.clone().unwrap_or_default();
        let size = all.size.unwrap_or_default();
        ClipOptions {
            fps: all.fps,
            num_frames: all.num_frames,
            min_frames: all.min_frames,
            max_frames: all.max_frames,
            min_pixels: all.min_pixels,
            max_pixels: all.max_pixels,
            least_pixels: size.shortest_edge,
            total_pixels: all.total_pixels.or(size.longest_edge),
        }
    }

    /// Whether the answer's time stamps become `mm:ss`.
    #[must_use]
    pub fn clock_times(&self) -> bool {
        self.vlgate.as_ref().is_some_and(|v| v.timestamps.as_deref() == Some("mm:ss"))
    }

    /// Whether the answer says what the model saw.
    #[must_use]
    pub fn explains_media(&self) -> bool {
        self.vlgate.as_ref().is_some_and(|v| v.explain_media == Some(true))
    }

    pub(super) fn check_media(&self) -> Result<(), ApiError> {
        self.all_clips().check("mm_processor_kwargs")?;
        if let Some(video) = self.media_io_kwargs.as_ref().and_then(|k| k.video.as_ref()) {
            let options = ClipOptions { fps: video.fps, num_frames: video.num_frames, ..ClipOptions::default() };
            options.check("media_io_kwargs.video")?;
        }
        let sampled = self.mm_processor_kwargs.as_ref().and_then(|k| k.do_sample_frames);
        let parts = self.messages.iter().filter_map(|m| match &m.content {
            super::Content::Parts(parts) => Some(parts),
            _ => None,
        });
        let is_file = |p: &Part| matches!(p.video_source(), Some((VideoSource::Url(_), _)));
        if sampled == Some(false) && parts.flatten().any(is_file) {
            let message = "Invalid 'mm_processor_kwargs.do_sample_frames': only a list of frames is taken unsampled.";
            return Err(ApiError::invalid("mm_processor_kwargs.do_sample_frames", message));
        }
        let timestamps = self.vlgate.as_ref().and_then(|v| v.timestamps.as_deref());
        one_of("vlgate.timestamps", timestamps, &["seconds", "mm:ss"])
    }
}

/// A `video_url` or `video` part.
pub fn check_video(p: &Part, path: &str) -> Result<(), ApiError> {
    let field = p.kind.as_str();
    if p.is_only_named() {
        if p.times.is_some() {
            let message = "Invalid 'times': frames that were sent before have the times that they had.";
            return Err(ApiError::invalid(format!("{path}.times"), message));
        }
        return p.clip_options().check(path);
    }
    if (field == "video_url" && p.video_url.is_none()) || (field == "video" && p.video.is_none()) {
        return Err(missing(&format!("{path}.{field}")));
    }
    p.clip_options().check(path)?;
    if let Some(video) = &p.video_url {
        video.options().check(&format!("{path}.video_url"))?;
    }
    match p.video_source() {
        None => {
            let message = "Invalid 'video': a URL or an array of URLs of its frames is expected.";
            Err(ApiError::invalid(format!("{path}.video"), message))
        }
        Some((VideoSource::Frames(frames), _)) if frames.is_empty() => {
            Err(ApiError::invalid(format!("{path}.video"), "Invalid 'video': at least one frame is expected."))
        }
        Some((VideoSource::Frames(frames), _)) => match &p.times {
            Some(times) if times.len() != frames.len() => {
                let message = "Invalid 'times': one time for each frame is expected.";
                Err(ApiError::invalid(format!("{path}.times"), message))
            }
            Some(times) if !times.is_sorted() || times.iter().any(|t| !(*t >= 0.0 && *t < 1e6)) => {
                Err(ApiError::invalid(format!("{path}.times"), "Invalid 'times': seconds in order are expected."))
            }
            _ => Ok(()),
        },
        Some(_) if p.times.is_some() => {
            Err(ApiError::invalid(format!("{path}.times"), "Invalid 'times': only a list of frames has times."))
        }
        Some(_) => Ok(()),
    }
}

/// A `file` part: one of its sources.
pub fn check_file(p: &Part, path: &str) -> Result<(), ApiError> {
    let path = format!("{path}.file");
    let file = match &p.file {
        Some(file) => file,
        None if p.uuid.is_some() => return Ok(()),
        None => return Err(missing(&path)),
    };
    one_of(&format!("{path}.detail"), file.detail.as_deref(), &["low", "high", "auto"])?;
    match [&file.file_data, &file.file_id, &file.file_url].into_iter().flatten().count() {
        0 if p.uuid.is_some() => Ok(()),
        0 => Err(missing(&format!("{path}.file_data"))),
        1 => Ok(()),
        _ => Err(ApiError::invalid(
            path,
            "Invalid 'file': only one of 'file_data', 'file_id' and 'file_url' may be given.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(part: &Value, extra: &Value) -> Result<ChatRequest, ApiError> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": [part]}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ChatRequest::parse(body.to_string().as_bytes())
    }

    fn options(part: Value, extra: Value) -> ClipOptions {
        let request = request(&part, &extra).unwrap();
        let super::super::Content::Parts(parts) = &request.messages[0].content else { panic!() };
        request.clip_options(&parts[0])
    }

    #[test]
    fn the_nearest_wish_counts() {
        let video = json!({"type": "video_url", "video_url": {"url": "u", "num_frames": 8}, "fps": 3, "max_pixels": 9});
        let got = options(video.clone(), json!({"mm_processor_kwargs": {"fps": 1, "max_frames": 5, "max_pixels": 7}}));
        assert_eq!((got.fps, got.num_frames), (None, Some(8)));
        assert_eq!((got.max_frames, got.max_pixels), (Some(5), Some(9)));
        let plain =
            json!({"type": "video", "video": ["a", {"url": "b"}, {"type": "image_url", "image_url": {"url": "c"}}]});
        let got = options(
            plain.clone(),
            json!({"mm_processor_kwargs": {"size": {"longest_edge": 99}}, "media_io_kwargs": {"video": {"num_frames": 4}}}),
        );
        assert_eq!((got.num_frames, got.total_pixels), (Some(4), Some(99)));
        let request = request(&plain, &json!({})).unwrap();
        let super::super::Content::Parts(parts) = &request.messages[0].content else { panic!() };
        assert_eq!(parts[0].video_source(), Some((VideoSource::Frames(vec!["a", "b", "c"]), "video")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let at = "messages[0].content[0]";
        let url = |extra: Value| {
            let mut part = json!({"type": "video_url", "video_url": {"url": "u"}});
            part.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            part
        };
        for (part, extra, param) in [
            (json!({"type": "video_url"}), json!({}), format!("{at}.video_url")),
            (json!({"type": "video"}), json!({}), format!("{at}.video")),
            (json!({"type": "video", "video": 5}), json!({}), format!("{at}.video")),
            (json!({"type": "video", "video": []}), json!({}), format!("{at}.video")),
            (json!({"type": "video", "video": ["a", {"x": 1}]}), json!({}), format!("{at}.video")),
            (json!({"type": "video", "video": ["a"], "times": [1, 2]}), json!({}), format!("{at}.times")),
            (json!({"type": "video", "video": ["a", "b"], "times": [2, 1]}), json!({}), format!("{at}.times")),
            (url(json!({"times": [1]})), json!({}), format!("{at}.times")),
            (url(json!({"fps": 0})), json!({}), format!("{at}.fps")),
            (url(json!({"fps": 1, "num_frames": 2})), json!({}), format!("{at}.num_frames")),
            (url(json!({"min_frames": 3, "max_frames": 2})), json!({}), format!("{at}.max_frames")),
            (url(json!({"video_url": {"url": "u", "num_frames": 0}})), json!({}), format!("{at}.video_url.num_frames")),
            (url(json!({})), json!({"mm_processor_kwargs": {"fps": -1}}), "mm_processor_kwargs.fps".into()),
            (
                url(json!({})),
                json!({"mm_processor_kwargs": {"do_sample_frames": false}}),
                "mm_processor_kwargs.do_sample_frames".into(),
            ),
            (url(json!({})), json!({"media_io_kwargs": {"video": {"fps": 0}}}), "media_io_kwargs.video.fps".into()),
            (url(json!({})), json!({"vlgate": {"timestamps": "hours"}}), "vlgate.timestamps".into()),
            (url(json!({})), json!({"vlgate": {"explain": true}}), "vlgate.explain".into()),
            (json!({"type": "file"}), json!({}), format!("{at}.file")),
            (json!({"type": "file", "file": {}}), json!({}), format!("{at}.file.file_data")),
            (json!({"type": "file", "file": {"file_id": "f", "file_data": "d"}}), json!({}), format!("{at}.file")),
            (json!({"type": "file", "file": {"file_id": "f", "detail": "x"}}), json!({}), format!("{at}.file.detail")),
        ] {
            let error = request(&part, &extra).unwrap_err();
            assert_eq!((error.status, error.param), (400, Some(param)), "{part} {extra}: {}", error.message);
        }
        assert!(request(&json!({"type": "file", "file": {"file_data": "d", "pages": "1-2"}}), &json!({})).is_ok());
    }
}
