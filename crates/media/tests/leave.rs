//! The request's future is what a client's connection holds: when it is dropped, its child processes die. Alone in its
//! process, so that no other test's children are counted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    fs,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use vlgate_media::{MediaConfig, Resolver, Sampling, VisionSpec};

fn children() -> Vec<String> {
    let me = std::process::id().to_string();
    let all = fs::read_dir("/proc").unwrap().filter_map(|e| fs::read_to_string(e.ok()?.path().join("stat")).ok());
    all.filter(|stat| {
        let (name, rest) = stat.rsplit_once(") ").unwrap();
        let mut rest = rest.split(' ');
        name.contains("(ffmpeg") && rest.next() != Some("Z") && rest.next() == Some(me.as_str())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_ffmpeg_with_it() {
    // A big GIF that decodes for long: many frames of noise-free rectangles.
    let mut gif = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut gif, 30);
        let frame = image::RgbaImage::from_fn(900, 900, |x, y| image::Rgba([(x / 9) as u8, (y / 9) as u8, 0, 255]));
        for _ in 0..60 {
            encoder.encode_frame(image::Frame::new(frame.clone())).unwrap();
        }
    }
    let url = format!("data:image/gif;base64,{}", STANDARD.encode(gif));
    let resolver = Resolver::new(MediaConfig::default()).unwrap();
    let wish = Sampling { fps: Some(50.0), ..Sampling::default() };
    let work = resolver.video(&url, None, &VisionSpec::QWEN3_VL, &wish);
    let began = Instant::now();
    tokio::select! {
        got = work => panic!("too fast to be left: {:?} {:?}", began.elapsed(), got.map(|_| ())),
        () = async { while children().is_empty() { tokio::time::sleep(Duration::from_millis(1)).await } } => {}
    }
    let left = Instant::now();
    while !children().is_empty() && left.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(children().is_empty());
}
