//! Inputs made to hurt: each gives an error or a picture, soon, and never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    io::Cursor,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use vlgate_media::{ImageSource, MediaConfig, MediaError, Picture, Resolver, Sizing, VisionSpec};

const FORMATS: [ImageFormat; 7] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Gif,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
    ImageFormat::Ico,
];

fn resolver() -> Resolver {
    Resolver::new(MediaConfig::default()).unwrap()
}

/// One input through the whole pipeline, within its time.
async fn take(resolver: &Resolver, bytes: &[u8], name: &str) -> Result<Picture, MediaError> {
    let url = format!("data:image/png;base64,{}", STANDARD.encode(bytes));
    let began = Instant::now();
    let result =
        resolver.image(ImageSource { url: &url }, &VisionSpec::QWEN3_VL, &Sizing::default()).await.map(|r| r.what);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{name} took {took:?}");
    match &result {
        Err(e) => assert_eq!(e.status(), 400, "{name}: {e}"),
        Ok(p) => {
            assert_eq!(p.rgb.len(), (p.width * p.height * 3) as usize, "{name}");
            assert!(p.width % 32 == 0 && p.height % 32 == 0 && p.width * p.height <= 1_310_720, "{name}: {p:?}");
        }
    }
    result
}

fn picture(format: ImageFormat) -> Vec<u8> {
    let pixels =
        RgbaImage::from_fn(61, 43, |x, y| Rgba([(x * 4) as u8, (y * 5) as u8, (x * y) as u8, (x + 190) as u8]));
    let pixels = DynamicImage::from(pixels);
    let pixels = if format == ImageFormat::Jpeg { pixels.to_rgb8().into() } else { pixels };
    let mut out = Vec::new();
    pixels.write_to(&mut Cursor::new(&mut out), format).unwrap();
    out
}

/// A PNG whose header and data are well formed and whose pixels are missing.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 0]);
    // An empty deflate stream.
    for (kind, data) in [(b"IHDR", head), (b"IDAT", vec![0x78, 0x9c, 0x03, 0, 0, 0, 0, 1]), (b"IEND", Vec::new())] {
        out.extend((data.len() as u32).to_be_bytes());
        let from = out.len();
        out.extend(kind);
        out.extend(data);
        out.extend(crc32(&out[from..]).to_be_bytes());
    }
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

/// A decoder's panic is caught, and still it is a finding: this test prints it.
static PANICKED: AtomicBool = AtomicBool::new(false);

#[tokio::test]
async fn truncated_at_many_lengths() {
    let resolver = resolver();
    for format in FORMATS {
        let whole = picture(format);
        assert!(take(&resolver, &whole, "whole").await.is_ok(), "{format:?}");
        let lengths = (0..64.min(whole.len())).chain((1..40).map(|n| whole.len() * n / 40)).chain([whole.len() - 1]);
        let mut taken = 0;
        for length in lengths {
            taken +=
                usize::from(take(&resolver, &whole[..length], &format!("{format:?} cut at {length}")).await.is_ok());
        }
        println!("{format:?}: {taken} truncations gave a picture");
    }
}

#[tokio::test]
async fn flipped_bits() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Decoders work on the runtime's threads, assertions on the tests' own, which are named after them.
        let decoder = std::thread::current().name().is_some_and(|name| name.contains("tokio"));
        PANICKED.fetch_or(decoder, SeqCst);
        before(info);
    }));
    let resolver = resolver();
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for format in FORMATS {
        let whole = picture(format);
        for round in 0..120 {
            let mut bytes = whole.clone();
            // Headers are hit more often than pixels.
            let reach = if round % 2 == 0 { 64.min(bytes.len()) } else { bytes.len() };
            for _ in 0..=round % 6 {
                bytes[random() % reach] ^= 1 << (random() % 8);
            }
            let _ = take(&resolver, &bytes, &format!("{format:?} round {round}")).await;
        }
    }
    println!("a decoder panicked (and was caught): {}", PANICKED.load(SeqCst));
}

#[tokio::test]
async fn lying_headers() {
    let resolver = resolver();
    let began = Instant::now();
    for (width, height) in [(30_000, 30_000), (12_000, 12_000), (20_000, 5_001), (i32::MAX as u32, i32::MAX as u32)] {
        let error = take(&resolver, &png_of(width, height), "a big PNG").await.unwrap_err();
        assert_eq!(error.code(), "image_too_large", "{width}x{height}: {error}");
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(take(&resolver, &png_of(0, 5), "no width").await.unwrap_err().code(), "image_parse_error");
    // Allowed by size, and no pixels behind it.
    assert_eq!(take(&resolver, &png_of(9_000, 9_000), "hollow").await.unwrap_err().code(), "image_parse_error");
    assert_eq!(take(&resolver, &png_of(201, 1), "a line").await.unwrap_err().code(), "invalid_image");
    let mut jpeg = picture(ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xFF);
    assert_eq!(take(&resolver, &jpeg, "a big JPEG").await.unwrap_err().code(), "image_too_large");
    let mut gif = picture(ImageFormat::Gif);
    gif[6..10].fill(0xFF);
    assert_eq!(take(&resolver, &gif, "a big GIF").await.unwrap_err().code(), "image_too_large");
    let mut bmp = picture(ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&30_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&30_000u32.to_le_bytes());
    assert!(take(&resolver, &bmp, "a big BMP").await.is_err());
}

#[tokio::test]
async fn not_pictures() {
    let resolver = resolver();
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"file:///etc/passwd\"/></svg>";
    let cases: [(&[u8], &str); 9] = [
        (b"", "empty_image_file"),
        (b"\0", "invalid_image_format"),
        (b"hello", "invalid_image_format"),
        (b"<!DOCTYPE html><html>", "invalid_image_format"),
        (&[0xFF; 4000], "invalid_image_format"),
        (b"PK\x03\x04", "invalid_image_format"),
        (svg, "image_parse_error"),
        (b"\0\0\0\x14ftypheic\0\0\0\0mif1", "image_parse_error"),
        (b"\0\0\0\x14ftypavif\0\0\0\0mif1", "image_parse_error"),
    ];
    for (bytes, code) in cases {
        let error = take(&resolver, bytes, code).await.unwrap_err();
        assert_eq!(error.code(), code, "{bytes:?}");
    }
    let large = vec![0x89; (32 << 20) + 1];
    assert_eq!(take(&resolver, &large, "large").await.unwrap_err().code(), "image_file_too_large");
}

/// A GIF without end: frame after frame; only the first is read.
#[tokio::test]
async fn endless_gif() {
    let one = picture(ImageFormat::Gif);
    let frame = one.windows(2).position(|w| w == [0x21, 0xF9]).unwrap_or(13 + 768);
    let mut endless = one[..one.len() - 1].to_vec();
    while endless.len() < 20 << 20 {
        endless.extend_from_slice(&one[frame..one.len() - 1]);
    }
    assert!(take(&resolver(), &endless, "an endless GIF").await.is_ok());
}

#[tokio::test]
async fn tiny_and_repeated_pictures() {
    let resolver = resolver();
    let mut dot = Vec::new();
    image::RgbImage::from_pixel(1, 1, image::Rgb([1, 2, 3]))
        .write_to(&mut Cursor::new(&mut dot), ImageFormat::Png)
        .unwrap();
    let first = take(&resolver, &dot, "a dot").await.unwrap();
    assert_eq!((first.width, first.height, &first.rgb[..3]), (256, 256, [1u8, 2, 3].as_slice()));
    let again = take(&resolver, &dot, "a dot").await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&first.rgb, &again.rgb), "the second comes from the cache");
}
