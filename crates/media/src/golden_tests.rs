//! Against transformers' image processor and Pillow: `tests/golden`, made by its `make.py`.

use std::{fs, path::PathBuf, sync::Arc};

use image::RgbImage;

use crate::{
    Detail, MediaConfig, Resolver, Sizing, VisionSpec,
    bicubic::resize,
    decode::{self, decode, header},
    resize::smart_resize,
    resolver::Encoded,
};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn read(path: PathBuf) -> RgbImage {
    let bytes = fs::read(&path).unwrap();
    let header = header(&bytes, 1 << 24).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    decode(&bytes, header).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The largest difference and the mean one, of 255.
fn difference(a: &[u8], b: &[u8]) -> (u8, f64) {
    assert_eq!(a.len(), b.len());
    let each = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    (each.clone().max().unwrap(), each.map(f64::from).sum::<f64>() / a.len() as f64)
}

/// Bit for bit: see `bicubic`.
#[test]
fn resized_pictures_are_transformers_own() {
    let index: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder("resize/index.json")).unwrap()).unwrap();
    for (name, bounds) in index.as_object().unwrap() {
        let picture = read(folder(&format!("resize/{name}.png")));
        let wanted = read(folder(&format!("resize/{name}.out.png")));
        let (min, max) = (bounds["min_pixels"].as_u64().unwrap(), bounds["max_pixels"].as_u64().unwrap());
        let (height, width) = smart_resize(picture.height(), picture.width(), 32, min, max).unwrap();
        assert_eq!((width, height), wanted.dimensions(), "{name}");
        let (most, mean) = difference(&resize(picture, height, width), wanted.as_raw());
        assert_eq!(most, 0, "{name}: mean {mean}");
    }
}

/// The fixtures that the engine is held to: sizes and pixels at Qwen3-VL's own settings.
#[test]
fn the_engines_fixtures_are_resized_alike() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/processor");
    let index: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.join("index.json")).unwrap()).unwrap();
    let cases = index["cases"].as_array().unwrap();
    assert!(cases.len() > 5);
    for case in cases {
        let name = case["input"].as_str().unwrap();
        let picture = read(folder.join(name));
        let wanted = read(folder.join(case["resized"].as_str().unwrap()));
        let (height, width) = smart_resize(picture.height(), picture.width(), 32, 65_536, 16_777_216).unwrap();
        assert_eq!((width, height), wanted.dimensions(), "{name}");
        assert_eq!(difference(&resize(picture, height, width), wanted.as_raw()).0, 0, "{name}");
    }
}

#[test]
fn decoded_pictures_are_pillows_own() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder("decode")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".out.png") {
            continue;
        }
        let stem = path.with_extension("");
        let wanted = read(stem.with_extension("out.png"));
        let got = read(path);
        assert_eq!(got.dimensions(), wanted.dimensions(), "{name}");
        let (most, mean) = difference(got.as_raw(), wanted.as_raw());
        println!("{name}: max {most}, mean {mean:.3}");
        // JPEG decoders may differ in chroma upsampling and in the inverse transform's rounding.
        let (at_most, on_average) = if name.ends_with("jpg") { (24, 2.0) } else { (1, 0.5) };
        if most > at_most || mean > on_average {
            wrong.push(format!("{name}: max {most}, mean {mean}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 45, "{seen}");
}

/// By libheif in a child process; see `tests/golden/heif.py`.
#[tokio::test]
async fn avif_and_heic_are_pillows_own() {
    let resolver = Resolver::new(MediaConfig::default()).unwrap();
    assert!(resolver.tools().heif(), "heif-convert is missing: tests/debian.txt");
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder("heif")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".out.png") {
            continue;
        }
        let wanted = read(folder(&format!("heif/{name}.out.png")));
        let encoded = Encoded::read(Arc::new(fs::read(&path).unwrap()), 1 << 24).unwrap();
        assert_eq!(decode::name(encoded.header.format), path.extension().unwrap(), "{name}");
        let turn = resolver.child_for(&encoded).await.unwrap();
        let png = resolver.unpacked(encoded, turn).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        let got = decode(&png.bytes, png.header).unwrap();
        assert_eq!(got.dimensions(), wanted.dimensions(), "{name}");
        let (most, mean) = difference(got.as_raw(), wanted.as_raw());
        println!("{name}: max {most}, mean {mean:.3}");
        // From YCbCr to RGB rounding differs, and halved colours are spread otherwise (Pillow's libavif: smoothly).
        let (at_most, on_average) = if name.starts_with("chroma") { (6, 2.0) } else { (2, 0.7) };
        if most > at_most || mean > on_average {
            wrong.push(format!("{name}: max {most}, mean {mean}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 20, "{seen}");
}

/// What is there is shown and what is missing is flat, as Pillow has it under `LOAD_TRUNCATED_IMAGES`.
#[test]
fn a_jpeg_without_its_tail_is_shown_as_far_as_it_goes() {
    let (whole, cut) = (read(folder("tail/whole.jpg")), read(folder("tail/cut.jpg")));
    assert_eq!(whole.dimensions(), cut.dimensions());
    let row = 160 * 3;
    let top = row * 96;
    assert_eq!(difference(&whole.as_raw()[..top], &cut.as_raw()[..top]).0, 0);
    let last = &cut.as_raw()[row * 239..];
    println!("{:?}", &last[..6]);
    assert!(last.chunks_exact(3).all(|p| p == &last[..3]), "{:?}", &last[..30]);
}

/// With little detail asked for, a JPEG is decoded at a part of its size: near the exact way, not equal to it.
#[tokio::test]
async fn little_detail_is_near_the_exact_way() {
    let photo = read(folder("resize/lounge_640x480.png"));
    let mut plain = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut plain, 92).encode_image(&photo).unwrap();
    // A quarter turn to the right (EXIF 6).
    let exif = b"\xFF\xE1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&plain[..2], exif, &plain[2..]].concat();
    let spec = VisionSpec { min_pixels: 1024, ..VisionSpec::QWEN3_VL };
    for (bytes, size) in [(plain, (640, 480)), (turned, (480, 640))] {
        let resolver = Resolver::new(MediaConfig::default()).unwrap();
        let shown = async |detail, most| {
            let sizing = Sizing { detail, max_pixels: Some(most), ..Sizing::default() };
            resolver.image_bytes(bytes.clone(), &spec, &sizing).await.unwrap()
        };
        let (exact, sooner) = (shown(Detail::Auto, 65_536).await, shown(Detail::Low, 65_536).await);
        assert_eq!((exact.seen.before, sooner.seen.before), (Some(size), Some(size)));
        assert_eq!((exact.seen.after, exact.seen.tokens), (sooner.seen.after, sooner.seen.tokens));
        assert!(!sooner.seen.cached, "each way has pixels of its own");
        let (most, mean) = difference(&exact.what.rgb, &sooner.what.rgb);
        println!("{size:?}: max {most}, mean {mean:.3}");
        assert!((1..=48).contains(&most) && mean < 1.5, "max {most}, mean {mean}");
        // Where more than half is shown, it is the exact way.
        assert_eq!(shown(Detail::Auto, 300_000).await.what, shown(Detail::Low, 300_000).await.what);
    }
}
