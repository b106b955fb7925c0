//! Containers by their first bytes: what ffmpeg is told to read it as, so that it never guesses (a playlist, a script
//! that names other files), and what a client reads.

use crate::MediaError;

/// A container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Container {
    /// For a client.
    pub name: &'static str,
    /// ffmpeg's name of the demuxer.
    pub demuxer: &'static str,
}

/// The container that these first bytes begin; 64 of them are enough.
///
/// # Errors
/// [`MediaError::Empty`], [`MediaError::Format`], [`MediaError::UnsupportedFormat`].
pub fn container(head: &[u8]) -> Result<Container, MediaError> {
    let at = |from: usize, to: usize| head.get(from..to).unwrap_or_default();
    let mov = |name| Ok(Container { name, demuxer: "mov" });
    match head {
        [] => Err(MediaError::Empty),
        _ if at(4, 8) == b"ftyp" => match at(8, 12) {
            b"avif" | b"avis" => Err(MediaError::UnsupportedFormat("AVIF")),
            b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1" => Err(MediaError::UnsupportedFormat("HEIC")),
            b"qt  " => mov("mov"),
            _ => mov("mp4"),
        },
        _ if matches!(at(4, 8), b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot") => mov("mov"),
        [0x1A, 0x45, 0xDF, 0xA3, rest @ ..] => {
            let webm = rest.get(..60.min(rest.len())).is_some_and(|r| r.windows(4).any(|w| w == b"webm"));
            Ok(Container { name: if webm { "webm" } else { "mkv" }, demuxer: "matroska" })
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Container { name: "gif", demuxer: "gif" }),
        [b'R', b'I', b'F', b'F', ..] if at(8, 12) == b"AVI " => Ok(Container { name: "avi", demuxer: "avi" }),
        [b'O', b'g', b'g', b'S', ..] => Err(MediaError::UnsupportedFormat("Ogg")),
        [b'F', b'L', b'V', ..] => Err(MediaError::UnsupportedFormat("FLV")),
        [0x30, 0x26, 0xB2, 0x75, ..] => Err(MediaError::UnsupportedFormat("WMV")),
        [0, 0, 1, 0xBA | 0xB3, ..] => Err(MediaError::UnsupportedFormat("MPEG program stream")),
        [0x47, ..] if head.len() < 189 || head.get(188) == Some(&0x47) => {
            Err(MediaError::UnsupportedFormat("MPEG transport stream"))
        }
        _ => Err(MediaError::Format),
    }
}

/// ffmpeg's names of the codecs that are read, those of each of its decoders among them.
pub const CODECS: [&str; 9] = ["h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "gif"];

/// The same with the decoders that ffmpeg may use for them.
pub const DECODERS: &str = "h264,hevc,vp8,libvpx,vp9,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg4,mpeg2video,mjpeg,gif";

/// Refuses a codec by name.
///
/// # Errors
/// [`MediaError::UnsupportedFormat`].
pub fn codec(name: &str) -> Result<&'static str, MediaError> {
    let known = CODECS.iter().find(|codec| **codec == name);
    known.copied().ok_or(MediaError::UnsupportedFormat(match name {
        "theora" => "Theora",
        "prores" => "ProRes",
        "dnxhd" => "DNxHD",
        "vc1" | "wmv1" | "wmv2" | "wmv3" => "WMV",
        "vvc" => "H.266",
        "h263" | "h263p" => "H.263",
        "ffv1" => "FFV1",
        "rawvideo" => "raw video",
        _ => "this codec's",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_by_their_first_bytes() {
        for (head, name) in [
            (&b"\0\0\0\x18ftypisom\0\0"[..], "mp4"),
            (b"\0\0\0\x14ftypqt  ", "mov"),
            (b"\0\0\0\x08wide\0\0", "mov"),
            (b"\x1A\x45\xDF\xA3\x9F\x42\x86\x81\x01\x42\x82\x84webm", "webm"),
            (b"\x1A\x45\xDF\xA3\x9F\x42\x86\x81\x01\x42\x82\x88matroska", "mkv"),
            (b"GIF89a\x01\0", "gif"),
            (b"RIFF\0\0\0\0AVI LIST", "avi"),
        ] {
            assert_eq!(container(head).unwrap().name, name);
        }
        assert_eq!(container(b""), Err(MediaError::Empty));
        assert_eq!(container(b"#EXTM3U\nhttp://x"), Err(MediaError::Format));
        assert_eq!(container(b"ffconcat version 1.0"), Err(MediaError::Format));
        assert_eq!(container(b"OggS"), Err(MediaError::UnsupportedFormat("Ogg")));
        assert_eq!(container(b"\0\0\0\x18ftypheic"), Err(MediaError::UnsupportedFormat("HEIC")));
        assert_eq!(codec("h264"), Ok("h264"));
        assert!(codec("theora").is_err());
    }
}
