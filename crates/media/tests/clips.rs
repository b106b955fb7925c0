//! Clips against transformers' own video processor (`tests/fixtures/clips`, made by its `make.py`), and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use vlgate_media::{
    Clip, MediaConfig, MediaError, Medium, Name, Picture, Resolved, Resolver, Sampling, VideoSpec, VisionSpec,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/clips")
}

fn data(bytes: &[u8]) -> String {
    format!("data:application/octet-stream;base64,{}", STANDARD.encode(bytes))
}

fn resolver() -> Resolver {
    Resolver::new(MediaConfig::default()).unwrap()
}

async fn take(bytes: &[u8], wish: &Sampling) -> Result<Resolved<Clip>, MediaError> {
    resolver().video(&data(bytes), None, &VisionSpec::QWEN3_VL, wish).await
}

fn wish(row: &Value) -> Sampling {
    let number = |key: &str| row[key].as_u64().map(|n| n as u32);
    Sampling {
        fps: row["fps"].as_f64(),
        num_frames: number("num_frames"),
        max_frames: number("max_frames"),
        ..Sampling::default()
    }
}

fn stamps(clip: &Clip) -> Vec<String> {
    clip.stamps.iter().map(|s| format!("<{s:.1} seconds>")).collect()
}

/// The file of a row; the sample clip lies beside the checkout, and only there.
fn file(name: &str) -> Option<Vec<u8>> {
    let Some(sample) = name.strip_prefix("sample:") else { return Some(fs::read(folder().join(name)).unwrap()) };
    let folders = ["../../../shared/samples", "../../shared/samples", "/work/shared/samples"];
    let here = |f: &&str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(f).join(sample)).ok();
    folders.iter().find_map(here)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_times_and_sizes_are_transformers_own() {
    let index: Value = serde_json::from_slice(&fs::read(folder().join("index.json")).unwrap()).unwrap();
    let mut seen = 0;
    for row in index["clips"].as_array().unwrap() {
        let name = row["file"].as_str().unwrap();
        let Some(bytes) = file(name) else { continue };
        let got = take(&bytes, &wish(&row["wish"])).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        let what = format!("{name} {}", row["wish"]);
        let indices: Vec<u64> = got.seen.frames.iter().map(|f| f.index).collect();
        let wanted: Vec<u64> = row["indices"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap()).collect();
        assert_eq!(indices, wanted, "{what}");
        let wanted: Vec<String> =
            row["stamps"].as_array().unwrap().iter().map(|s| s.as_str().unwrap().into()).collect();
        assert_eq!(stamps(&got.what), wanted, "{what}");
        let grid: Vec<u64> = row["grid_thw"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        let first = &got.what.frames[0];
        let size = [got.what.frames.len() as u64 / 2, u64::from(first.height) / 16, u64::from(first.width) / 16];
        assert_eq!(size, grid[..], "{what}");
        assert_eq!(u64::from(got.seen.tokens), grid.iter().product::<u64>() / 4, "{what}");
        let before = (row["width"].as_u64().unwrap() as u32, row["height"].as_u64().unwrap() as u32);
        assert_eq!(got.seen.before, Some(before), "{what}");
        if let Some(shown) = row["shown"].as_array() {
            let picture = image::open(folder().join(format!("{}.png", name.replace("sample:", "sample-")))).unwrap();
            let wanted = picture.into_rgb8().into_raw();
            let got: Vec<u8> =
                shown.iter().flat_map(|i| got.what.frames[i.as_u64().unwrap() as usize].rgb.to_vec()).collect();
            assert_eq!(got.len(), wanted.len());
            let each = got.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b));
            let (most, mean) = (each.clone().max().unwrap(), each.map(f64::from).sum::<f64>() / got.len() as f64);
            println!("{what}: at most {most}, {mean:.4} on average");
            // The decoders are exact; the conversion to RGB may round otherwise in another version of FFmpeg.
            assert!(most <= 4 && mean < 0.5, "{what}: at most {most}, {mean} on average");
            // RGB needs none.
            assert!(name != "rgb.mp4" || most == 0, "{what}: {most}");
        }
        seen += 1;
    }
    assert!(seen >= 32);
}

/// Long, short, slow and fast clips, of which only the numbers are needed.
#[test]
fn numbers_times_and_sizes_are_transformers_own_also_where_nothing_is_decoded() {
    let index: Value = serde_json::from_slice(&fs::read(folder().join("index.json")).unwrap()).unwrap();
    let (spec, dot) = (VideoSpec::QWEN3_VL, Picture::new(1, 1, vec![0; 3]));
    for row in index["indices"].as_array().unwrap() {
        let (total, rate) = (row["total"].as_u64().unwrap(), row["rate"].as_f64().unwrap());
        let wish = Sampling { fps: row["fps"].as_f64(), ..Sampling::default() };
        let indices = wish.indices(&spec, total, rate, 768).unwrap();
        let wanted =
            |key: &str| -> Vec<u64> { row[key].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect() };
        assert_eq!(indices.len() as u64, row["count"].as_u64().unwrap(), "{row}");
        assert_eq!(indices.iter().sum::<u64>(), row["sum"].as_u64().unwrap(), "{row}");
        assert!(indices.starts_with(&wanted("head")) && indices.ends_with(&wanted("tail")), "{row}");
        let times: Vec<f64> = indices.iter().map(|i| *i as f64 / rate).collect();
        let clip = Clip::new(vec![dot.clone(); indices.len()], &times);
        let stamps: Vec<String> = clip.stamps.iter().map(|s| format!("{s:.1}")).collect();
        let hash = Sha256::digest(stamps.join(" ")).iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hash, row["stamps"].as_str().unwrap(), "{row}: {stamps:?}");
    }
    for row in index["sizes"].as_array().unwrap() {
        let [n, h, w, min, max, rows, columns]: [u64; 7] =
            row.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>().try_into().unwrap();
        let wish = Sampling { min_pixels: Some(min), max_pixels: Some(max), ..Sampling::default() };
        let size = wish.size(&spec, 32, n as usize, h as u32, w as u32).unwrap();
        assert_eq!(size, (rows as u32, columns as u32), "{row}");
    }
}

fn png(rgb: [u8; 3], width: u32, height: u32) -> String {
    let mut out = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(width, height, image::Rgb(rgb)).write_to(&mut out, image::ImageFormat::Png).unwrap();
    data(&out.into_inner())
}

#[tokio::test]
async fn frames_that_come_as_pictures_are_taken_as_they_are() {
    let urls = [png([1; 3], 64, 64), png([90; 3], 64, 64), png([200; 3], 64, 64)];
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let (resolver, spec) = (resolver(), VisionSpec::QWEN3_VL);
    let at_two = resolver.frames(&urls, None, None, &spec, &Sampling::default()).await.unwrap();
    assert_eq!(at_two.what.stamps, [0.25, 1.0]);
    assert_eq!(at_two.what.frames.iter().map(|f| f.rgb[0]).collect::<Vec<_>>(), [1, 90, 200, 200]);
    let slow = Sampling { fps: Some(0.5), ..Sampling::default() };
    assert_eq!(resolver.frames(&urls, None, None, &spec, &slow).await.unwrap().what.stamps, [1.0, 4.0]);
    let timed = resolver.frames(&urls, Some(&[3.0, 4.0, 9.5]), None, &spec, &slow).await.unwrap();
    assert_eq!((timed.what.stamps.as_slice(), timed.seen.format), (&[3.5, 9.5][..], "frames"));

    let other = png([5; 3], 32, 64);
    let (frame, error) = resolver.frames(&[urls[0], &other], None, None, &spec, &slow).await.unwrap_err();
    assert_eq!((frame, error.code().as_str()), (1, "invalid_video"), "{error}");
    let (frame, error) = resolver.frames(&[urls[0], "data:,x"], None, None, &spec, &slow).await.unwrap_err();
    assert_eq!((frame, error.code().as_str()), (1, "invalid_image_format"), "{error}");
    let many = vec![urls[0]; 769];
    let (frame, error) = resolver.frames(&many, None, None, &spec, &slow).await.unwrap_err();
    assert_eq!((frame, error), (768, MediaError::TooManyFrames(768).of(Medium::Video)));
}

/// vLLM's `data:video/jpeg;base64,` with JPEGs between commas.
#[tokio::test]
async fn frames_in_one_url() {
    let jpeg = |value: u8| {
        let mut out = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_pixel(64, 64, image::Rgb([value; 3]))
            .write_to(&mut out, image::ImageFormat::Jpeg)
            .unwrap();
        STANDARD.encode(out.into_inner())
    };
    let url = format!("data:video/jpeg;base64,{},{}", jpeg(10), jpeg(200));
    let got = resolver().video(&url, None, &VisionSpec::QWEN3_VL, &Sampling::default()).await.unwrap();
    assert_eq!(got.what.stamps, [0.25]);
    assert_eq!(got.what.frames.len(), 2);
}

#[tokio::test]
async fn what_is_no_clip_is_refused_by_name() {
    for (bytes, code, words) in [
        (&b""[..], "empty_video_file", "empty"),
        (b"hello", "invalid_video_format", "'mp4'"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\nhttp://127.0.0.1/x.ts", "invalid_video_format", "'mp4'"),
        (b"OggS\0\0\0\0", "unsupported_video_media_type", "Ogg"),
        (b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2", "video_parse_error", "damaged"),
        (b"\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x23webm", "video_parse_error", "damaged"),
        (b"GIF89a\xFF\xFF\xFF\xFF", "video_parse_error", "damaged"),
    ] {
        let error = take(bytes, &Sampling::default()).await.unwrap_err();
        assert_eq!((error.code().as_str(), error.status()), (code, 400), "{bytes:?}: {error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A clip that breaks off shows what there is; one that lies about its length is counted.
#[tokio::test]
async fn a_clip_that_breaks_off_shows_what_there_is() {
    let whole = file("vp9.webm").unwrap();
    let all = take(&whole, &Sampling::default()).await.unwrap();
    let cut = take(&whole[..whole.len() * 2 / 3], &Sampling::default()).await.unwrap();
    assert!(cut.what.frames.len() >= 4 && cut.what.stamps.last() < all.what.stamps.last());
    // The frame count in the header of an MP4's track (`stsz`), where PyAV reads it, made a thousand times larger.
    let mut forged = file("h264.mp4").unwrap();
    let at = forged.windows(4).position(|w| w == b"stsz").unwrap() + 12;
    assert_eq!(forged[at..at + 4], 60u32.to_be_bytes());
    forged[at..at + 4].copy_from_slice(&60_000u32.to_be_bytes());
    match take(&forged, &Sampling::default()).await {
        Ok(clip) => assert!(clip.seen.frames.iter().all(|f| f.index < 60), "{:?}", clip.seen.frames.last()),
        Err(error) => assert_eq!(error.code(), "video_parse_error"),
    }
}

#[tokio::test]
async fn limits_are_settings() {
    let bytes = file("h264.mp4").unwrap();
    let with = |config: MediaConfig| async {
        let resolver = Resolver::new(config).unwrap();
        resolver
            .video(&data(&bytes), None, &VisionSpec::QWEN3_VL, &Sampling::default())
            .await
            .map(|r| r.what.frames.len())
    };
    let d = MediaConfig::default;
    assert_eq!(with(d()).await, Ok(10));
    assert_eq!(with(MediaConfig { video_frames: 4, ..d() }).await, Ok(4));
    let code = |got: Result<usize, MediaError>| got.unwrap_err().code();
    assert_eq!(code(with(MediaConfig { video_bytes: 1000, ..d() }).await), "video_file_too_large");
    assert_eq!(code(with(MediaConfig { video_pixels: 160 * 111, ..d() }).await), "video_too_large");
    assert_eq!(code(with(MediaConfig { read_timeout: Duration::from_millis(1), ..d() }).await), "video_parse_error");
    assert_eq!(
        code(with(MediaConfig { child_cpu: Duration::from_secs(60), child_memory: 1 << 20, ..d() }).await),
        "video_parse_error"
    );
    let none = with(MediaConfig { tools: Some("/nowhere".into()), ..d() }).await.unwrap_err();
    assert!(none.to_string().contains("apt-get install ffmpeg"), "{none}");
    let many = Sampling { num_frames: Some(769), ..Sampling::default() };
    assert_eq!(take(&bytes, &many).await.unwrap_err().code(), "video_too_large");
}

/// Nothing that a clip names is opened: a MOV whose samples lie in another file has none.
#[tokio::test]
async fn a_clip_names_no_other_file() {
    let secret = std::env::temp_dir().join("vlgate-test-outside.mp4");
    fs::write(&secret, file("h264.mp4").unwrap()).unwrap();
    let list = format!("ffconcat version 1.0\nfile 'file:{}'\n", secret.display());
    let error = take(list.as_bytes(), &Sampling::default()).await.unwrap_err();
    assert_eq!(error.code(), "invalid_video_format");
    fs::remove_file(secret).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_clip_need_not_be_sent_again() {
    let (resolver, spec, wish) = (resolver(), VisionSpec::QWEN3_VL, Sampling::default());
    let name = |owner: &str| Name::new(owner, Medium::Video, "clip");
    let error = resolver.known_video(name("key"), &spec, &wish).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (400, "unknown_uuid".to_owned()));
    let url = data(&fs::read(folder().join("short.mp4")).unwrap());
    let sent = resolver.video(&url, Some(name("key")), &spec, &wish).await.unwrap();
    assert_eq!(resolver.known_video(name("key"), &spec, &wish).await.unwrap().what, sent.what);
    // Sampled otherwise too, and not for others.
    let fewer = Sampling { num_frames: Some(2), ..Sampling::default() };
    assert!(resolver.known_video(name("key"), &spec, &fewer).await.unwrap().what.frames.len() < sent.what.frames.len());
    assert!(resolver.known_video(name("other"), &spec, &wish).await.is_err());
    // Frames, with their times.
    let picture = data(&fs::read(folder().join("short.mp4.png")).unwrap());
    let (urls, times) = (vec![picture.as_str(); 4], [0.0, 1.0, 3.0, 7.0]);
    let named = Name::new("key", Medium::Video, "frames");
    let sent = resolver.frames(&urls, Some(&times), Some(named), &spec, &wish).await.unwrap();
    assert_eq!(resolver.known_video(named, &spec, &wish).await.unwrap().what, sent.what);
    // What is larger than all that is kept is answered, and not kept.
    let small = Resolver::new(MediaConfig { named_bytes: 1000, ..MediaConfig::default() }).unwrap();
    assert!(small.video(&url, Some(named), &spec, &wish).await.is_ok());
    assert!(small.frames(&urls, None, Some(name("key")), &spec, &wish).await.is_ok());
    for name in [named, name("key")] {
        assert_eq!(small.known_video(name, &spec, &wish).await.unwrap_err().code(), "unknown_uuid");
    }
}
