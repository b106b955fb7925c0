//! What a clip is, as `ffprobe` finds it: its codec, its size, its rate, and how many frames it really has.

use std::ffi::OsString;

use tokio::time::Instant;

use super::{
    Reader,
    format::{Container, DECODERS, codec},
};
use crate::{MediaError, child, temp::TempFile};

/// A clip's picture track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Track {
    /// ffmpeg's name of the codec.
    pub codec: &'static str,
    /// Width in pixels, as stored.
    pub width: u32,
    /// Height in pixels, as stored.
    pub height: u32,
    /// Frames: packets that are to be shown, counted and not believed.
    pub frames: u64,
    /// Frames a second on average (`avg_frame_rate`, as PyAV's `average_rate`); 24 where nothing says it, as
    /// transformers does.
    pub rate: f64,
}

/// Bytes of `ffprobe`'s list of packets: about two million of them.
const LIST: usize = 32 << 20;

/// Finds the track, and counts its packets without decoding any.
///
/// # Errors
/// [`MediaError::Damaged`] where there is none, [`MediaError::UnsupportedFormat`], [`MediaError::TooManyPixels`],
/// [`MediaError::TooSlow`], [`MediaError::NotInstalled`].
pub async fn track(
    reader: &Reader<'_>,
    file: &TempFile,
    container: Container,
    deadline: Instant,
) -> Result<Track, MediaError> {
    let show = "stream=codec_name,width,height,avg_frame_rate,r_frame_rate:packet=flags";
    let list = probe(reader, file, container, &["-show_entries", show], deadline).await?;
    let track = read(&list)?;
    if u64::from(track.width) * u64::from(track.height) > reader.config.video_pixels {
        let Track { width, height, .. } = track;
        return Err(MediaError::TooManyPixels { width, height, limit: reader.config.video_pixels });
    }
    Ok(track)
}

/// How many frames can be decoded, where packets are not frames (fields, damage): all are decoded.
///
/// # Errors
/// As [`track`].
pub async fn decodable(
    reader: &Reader<'_>,
    file: &TempFile,
    container: Container,
    deadline: Instant,
) -> Result<u64, MediaError> {
    let show = ["-count_frames", "-show_entries", "stream=nb_read_frames"];
    let list = probe(reader, file, container, &show, deadline).await?;
    let number = fields(&list).find(|(key, _)| *key == "nb_read_frames").and_then(|(_, n)| n.parse().ok());
    number.ok_or(MediaError::Damaged)
}

async fn probe(
    reader: &Reader<'_>,
    file: &TempFile,
    container: Container,
    more: &[&str],
    deadline: Instant,
) -> Result<String, MediaError> {
    let program = reader.tools.ffprobe.path()?;
    let mut arguments: Vec<OsString> = ["-v", "error", "-hide_banner"].map(OsString::from).to_vec();
    arguments.extend(input(file, container));
    arguments.extend(["-select_streams", "V:0", "-of", "compact"].map(OsString::from));
    arguments.extend(more.iter().map(OsString::from));
    let done = child::run(program, &arguments, reader.limits(), LIST, deadline).await?;
    // ffprobe's own status is that of the whole file: one that breaks off may have shown enough.
    String::from_utf8(done.out).map_err(|_| MediaError::Damaged)
}

/// A file as ffmpeg and ffprobe may read it: as this container, with these decoders, and nothing that it names.
pub fn input(file: &TempFile, container: Container) -> Vec<OsString> {
    let mut name = OsString::from("file:");
    name.push(file.path());
    let mut all: Vec<OsString> =
        ["-protocol_whitelist", "file", "-f", container.demuxer, "-codec_whitelist", DECODERS, "-i"]
            .map(OsString::from)
            .to_vec();
    all.push(name);
    all
}

/// `key=value` of all lines, the lines' own names left out.
fn fields(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.lines().flat_map(|line| line.split('|').skip(1)).filter_map(|field| field.split_once('='))
}

/// What `ffprobe` lists of a track.
///
/// # Errors
/// As [`track`].
pub fn read(list: &str) -> Result<Track, MediaError> {
    let lines = list.lines().filter_map(|line| line.strip_prefix("packet|flags="));
    let frames = lines.filter(|flags| !flags.contains('D')).count() as u64;
    let stream: Vec<&str> = list.lines().filter(|line| line.starts_with("stream|")).collect();
    let of = |wanted: &str| {
        let mut all = stream.first().copied().into_iter().flat_map(fields);
        all.find(|(key, _)| *key == wanted).map(|(_, value)| value)
    };
    let codec = codec(of("codec_name").ok_or(MediaError::Damaged)?)?;
    let side = |key| of(key).and_then(|n| n.parse().ok()).filter(|n| *n > 0).ok_or(MediaError::Damaged);
    let rate = of("avg_frame_rate").and_then(ratio).or_else(|| of("r_frame_rate").and_then(ratio));
    if frames == 0 {
        return Err(MediaError::Damaged);
    }
    Ok(Track { codec, width: side("width")?, height: side("height")?, frames, rate: rate.unwrap_or(24.0) })
}

/// `30000/1001`.
fn ratio(text: &str) -> Option<f64> {
    let (above, below) = text.split_once('/')?;
    let value = above.parse::<f64>().ok()? / below.parse::<f64>().ok()?;
    (value.is_finite() && value > 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_what_is_not_shown_does_not_count() {
        let list = "packet|flags=K__\npacket|flags=__D\npacket|flags=___\nstream|codec_name=h264|width=64|height=48|r_frame_rate=60/1|avg_frame_rate=30000/1001\n";
        let track = read(list).unwrap();
        assert_eq!((track.codec, track.width, track.height, track.frames), ("h264", 64, 48, 2));
        assert!((track.rate - 30_000.0 / 1001.0).abs() < 1e-12);
        let unknown = list.replace("30000/1001", "0/0");
        assert_eq!(read(&unknown).map(|t| t.rate), Ok(60.0));
        assert_eq!(read(&unknown.replace("60/1", "0/0")).map(|t| t.rate), Ok(24.0));
        assert_eq!(read(""), Err(MediaError::Damaged));
        assert!(matches!(read(&list.replace("h264", "prores")), Err(MediaError::UnsupportedFormat("ProRes"))));
    }
}
