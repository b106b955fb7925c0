//! From a `video_url`, or a list of frames, to a [`Clip`]: ffmpeg decodes in child processes, and only the frames that the
//! model sees come over; they are resized here, as pictures are.

mod format;
mod frames;
mod probe;
mod sample;

use std::{ffi::OsString, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use crate::{
    Clip, FrameSeen, MediaConfig, MediaError, Medium, Picture, Resolved, Seen, VisionSpec,
    bicubic::resize,
    child::{self, Limits},
    named::{Kept, Name},
    ppm::Pixmaps,
    resolver::{Resolver, blocking, head, kept},
    temp::TempFile,
    tools::Tools,
};
use format::Container;
use frames::Frame;
pub use probe::read as track_of;
pub use sample::Sampling;

/// The name of the container that these first bytes begin.
///
/// # Errors
/// As [`format::container`].
pub fn container(head: &[u8]) -> Result<&'static str, MediaError> {
    format::container(head).map(|container| container.name)
}

/// What reading a clip needs of the process.
pub struct Reader<'a> {
    config: &'a MediaConfig,
    tools: &'a Tools,
}

impl Reader<'_> {
    const fn limits(&self) -> Limits {
        Limits { memory: self.config.child_memory, cpu: self.config.child_cpu }
    }
}

impl Resolver {
    /// A clip behind a `data:` or `http(s)` URL, sampled and sized as the model's own processor does it. A data URL of
    /// the type `video/jpeg` is a list of JPEGs in base64, divided by commas (vLLM's form). Dropping the future kills
    /// the child processes. A clip with a name is kept under it, if it is small enough.
    ///
    /// # Errors
    /// [`MediaError`] of [`Medium::Video`], with a message that is safe to show.
    pub async fn video(
        &self,
        url: &str,
        name: Option<Name>,
        spec: &VisionSpec,
        wish: &Sampling,
    ) -> Result<Resolved<Clip>, MediaError> {
        let url = url.trim();
        let clip = async {
            if let Some(list) = frames::listed(url) {
                let urls: Vec<String> = list.map(|data| format!("data:image/jpeg;base64,{data}")).collect();
                let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
                return self.frames(&urls, None, name, spec, wish).await.map_err(|(_, error)| error);
            }
            self.tools.ffmpeg.path()?;
            let (file, head) = self.file(url, Medium::Video, self.config.video_bytes).await?;
            let clip = self.clip_of(&file, &head, spec, wish).await?;
            if let Some(name) = name {
                let most = self.config.named_bytes;
                if let Some(bytes) = blocking(move || Ok(file.read(most))).await? {
                    self.named.keep(name, Kept::One(Arc::new(bytes)));
                }
            }
            Ok(clip)
        };
        clip.await.map_err(|error: MediaError| error.of(Medium::Video))
    }

    /// A clip that was sent before under this name, in one file or as frames.
    ///
    /// # Errors
    /// [`MediaError::UnknownName`], and as [`Self::video`].
    pub async fn known_video(
        &self,
        name: Name,
        spec: &VisionSpec,
        wish: &Sampling,
    ) -> Result<Resolved<Clip>, MediaError> {
        let clip = async {
            match self.named.get(name) {
                Some(Kept::One(bytes)) => {
                    let (file, head) = blocking(move || Ok((kept(&bytes)?, head(&bytes)))).await?;
                    self.clip_of(&file, &head, spec, wish).await
                }
                Some(Kept::Frames { all, times }) => {
                    let frames = all.into_iter().map(Frame::Kept).collect();
                    let got = self.frames_of(frames, times.as_deref(), spec, wish, false).await;
                    got.map(|(clip, _)| clip).map_err(|(_, error)| error)
                }
                _ => Err(MediaError::UnknownName),
            }
        };
        clip.await.map_err(|error: MediaError| error.of(Medium::Video))
    }

    /// A clip in a file, of which `head` are the first bytes.
    async fn clip_of(
        &self,
        file: &TempFile,
        head: &[u8],
        spec: &VisionSpec,
        wish: &Sampling,
    ) -> Result<Resolved<Clip>, MediaError> {
        let reader = Reader { config: &self.config, tools: &self.tools };
        let container = format::container(head)?;
        let _child = self.budget.wait_for_child().await?;
        let deadline = Instant::now() + self.config.read_timeout;
        let mut track = probe::track(&reader, file, container, deadline).await?;
        let choose =
            |track: &probe::Track| wish.indices(&spec.video, track.frames, track.rate, self.config.video_frames);
        let mut indices = choose(&track)?;
        let _memory = self.budget.wait_for_memory(memory(&track, spec, wish, indices.len())?).await?;
        let size = |n: usize, (w, h): (u32, u32)| wish.size(&spec.video, spec.factor(), n, h, w);
        let mut film = film(&reader, file, container, &indices, size, deadline).await?;
        if film.frames.len() < distinct(&indices).len() {
            // Its packets are not its frames: two fields each, or damage. What can be decoded is sampled anew.
            track.frames = probe::decodable(&reader, file, container, deadline).await?;
            indices = choose(&track)?;
            film = self::film(&reader, file, container, &indices, size, deadline).await?;
        }
        let shown = distinct(&indices);
        let frame_of = |index: &u64| film.frames.get(shown.binary_search(index).ok()?).cloned();
        let taken: Vec<(u64, Picture)> = indices.iter().filter_map(|i| Some((*i, frame_of(i)?))).collect();
        let frames: Vec<FrameSeen> =
            taken.iter().map(|(i, _)| FrameSeen { index: *i, time: *i as f64 / track.rate }).collect();
        let seen =
            Seen { codec: Some(track.codec), before: film.before, frames, ..Seen::new(Medium::Video, container.name) };
        finish(taken.into_iter().map(|(_, picture)| picture).collect(), seen, spec)
    }
}

/// The clip of these frames, whose times `seen` has.
fn finish(frames: Vec<Picture>, mut seen: Seen, spec: &VisionSpec) -> Result<Resolved<Clip>, MediaError> {
    let first = frames.first().ok_or(MediaError::Damaged)?;
    seen.after = Some((first.width, first.height));
    let times: Vec<f64> = seen.frames.iter().map(|f| f.time).collect();
    let what = Clip::new(frames, &times);
    seen.tokens = what.tokens(spec);
    Ok(Resolved { what, seen })
}

/// Frames as ffmpeg gave them, resized.
struct Film {
    frames: Vec<Picture>,
    /// Width and height before.
    before: Option<(u32, u32)>,
}

/// Without repetitions, in order.
fn distinct(indices: &[u64]) -> Vec<u64> {
    let mut all = indices.to_vec();
    all.sort_unstable();
    all.dedup();
    all
}

/// Bytes that decoding holds: two frames being resized, one being read, and all of them at their size.
fn memory(track: &probe::Track, spec: &VisionSpec, wish: &Sampling, count: usize) -> Result<u64, MediaError> {
    let whole = u64::from(track.width) * u64::from(track.height) * 3;
    let (h, w) = wish.size(&spec.video, spec.factor(), count, track.height, track.width)?;
    Ok(whole * 5 + u64::from(h) * u64::from(w) * 3 * (count as u64 + 2))
}

/// Decodes the file and takes the frames of these numbers; `size` gives `(height, width)` for a number of frames of a width
/// and height.
async fn film(
    reader: &Reader<'_>,
    file: &TempFile,
    container: Container,
    indices: &[u64],
    size: impl Fn(usize, (u32, u32)) -> Result<(u32, u32), MediaError>,
    deadline: Instant,
) -> Result<Film, MediaError> {
    let mut child =
        child::start(reader.tools.ffmpeg.path()?, &decoding(reader, file, container, indices), reader.limits())?;
    let Some(out) = child.stdout.take() else { return Err(MediaError::Busy) };
    child::log_complaints("ffmpeg", child.stderr.take());
    let pixmaps = Pixmaps::new(out, reader.config.video_pixels, deadline);
    let mut before = None;
    let frames = stream::try_unfold(pixmaps, |mut pixmaps| async move {
        Ok::<_, MediaError>(pixmaps.next().await?.map(|picture| (picture, pixmaps)))
    })
    .map(|picture| {
        let picture = picture?;
        let first = *before.get_or_insert(picture.dimensions());
        // The size may change within a clip; the model's frames have one.
        let (height, width) = size(indices.len(), first)?;
        Ok::<_, MediaError>(blocking(move || Ok(Picture::new(width, height, resize(picture, height, width)))))
    })
    .try_buffered(2)
    .try_collect()
    .await?;
    Ok(Film { frames, before })
}

fn decoding(reader: &Reader<'_>, file: &TempFile, container: Container, indices: &[u64]) -> Vec<OsString> {
    let shown = distinct(indices);
    let (select, count) = (format!("select={}", chosen(&shown)), shown.len().to_string());
    // The size may grow within a clip.
    let pixels = reader.config.video_pixels.to_string();
    let mut all: Vec<OsString> = ["-nostdin", "-hide_banner", "-v", "error", "-threads", "2", "-max_pixels", &pixels]
        .map(OsString::from)
        .to_vec();
    all.extend(probe::input(file, container));
    let out = ["-map", "0:V:0", "-an", "-sn", "-dn", "-vf", &select, "-fps_mode", "passthrough", "-frames:v", &count];
    all.extend(out.map(OsString::from));
    all.extend(["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"].map(OsString::from));
    all
}

/// An expression of ffmpeg's that is true for these frame numbers: halves of halves, since a sum of more than a hundred
/// terms is not read, and would cost as many comparisons for each frame.
fn chosen(numbers: &[u64]) -> String {
    match numbers {
        [] => "0".to_owned(),
        [one] => format!("eq(n\\,{one})"),
        more => {
            let (low, high) = more.split_at(more.len() / 2);
            let first = high.first().copied().unwrap_or_default();
            format!("if(lt(n\\,{first})\\,{}\\,{})", chosen(low), chosen(high))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_chosen_by_halves() {
        assert_eq!(chosen(&[3]), "eq(n\\,3)");
        assert_eq!(chosen(&[3, 9]), "if(lt(n\\,9)\\,eq(n\\,3)\\,eq(n\\,9))");
        let all: Vec<u64> = (0..768).collect();
        // Ten levels, far below what ffmpeg nests.
        assert_eq!(chosen(&all).split("eq(n").next().unwrap_or_default().matches("if(").count(), 9);
    }
}
