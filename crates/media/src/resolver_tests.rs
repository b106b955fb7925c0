//! Decoders that panic, dawdle or want too much memory; pictures that come again.

use std::{
    io::Cursor,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, Rgb, RgbImage};

use crate::{
    ImageSource, MediaConfig, MediaError, Medium, Name, Picture, Resolver, Sizing, VisionSpec,
    decode::{Header, decode},
};

fn url(shade: u8) -> String {
    let mut out = Vec::new();
    RgbImage::from_pixel(40, 30, Rgb([shade, 10, 10])).write_to(&mut Cursor::new(&mut out), ImageFormat::Png).unwrap();
    format!("data:image/png;base64,{}", STANDARD.encode(out))
}

async fn get(resolver: &Resolver, url: &str) -> Result<Picture, MediaError> {
    resolver.image(ImageSource { url }, &VisionSpec::QWEN3_VL, &Sizing::default()).await.map(|r| r.what)
}

#[tokio::test]
async fn a_decoder_that_panics_costs_one_request() {
    static BROKEN: AtomicBool = AtomicBool::new(true);
    fn fragile(bytes: &[u8], header: Header) -> Result<RgbImage, MediaError> {
        assert!(!BROKEN.swap(false, SeqCst), "as decoders do");
        decode(bytes, header)
    }
    let resolver = Resolver::new(MediaConfig { decoders: 1, ..MediaConfig::default() }).unwrap().with_decoder(fragile);
    let free = resolver.counts().memory_free;
    assert_eq!(get(&resolver, &url(1)).await, Err(MediaError::Damaged));
    assert_eq!((resolver.counts().panics, resolver.counts().memory_free), (1, free));
    assert!(get(&resolver, &url(1)).await.is_ok());
}

#[tokio::test]
async fn a_decoder_that_dawdles_is_left_and_keeps_its_share() {
    fn slow(_: &[u8], _: Header) -> Result<RgbImage, MediaError> {
        std::thread::sleep(Duration::from_millis(700));
        Ok(RgbImage::new(40, 30))
    }
    let config = MediaConfig {
        decoders: 1,
        decode_timeout: Duration::from_millis(50),
        decode_wait: Duration::from_millis(50),
        ..MediaConfig::default()
    };
    let resolver = Resolver::new(config).unwrap().with_decoder(slow);
    let free = resolver.counts().memory_free;
    assert_eq!(get(&resolver, &url(1)).await, Err(MediaError::TooSlow));
    assert!(resolver.counts().memory_free < free);
    // Its place is taken: the next one waits, and then gives up with 429.
    let error = get(&resolver, &url(2)).await.unwrap_err();
    assert_eq!((error.clone(), error.status(), resolver.counts().busy), (MediaError::Busy, 429, 1));
    while resolver.counts().memory_free < free {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // By now its picture is kept, and costs nothing.
    assert!(get(&resolver, &url(1)).await.is_ok());
}

#[tokio::test]
async fn a_picture_that_comes_again_is_not_decoded_again() {
    let resolver = Resolver::new(MediaConfig::default()).unwrap();
    let first = get(&resolver, &url(1)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(get(&resolver, &url(1)).await.unwrap(), first);
    }
    assert_ne!(get(&resolver, &url(2)).await.unwrap(), first);
    let counts = resolver.counts();
    assert_eq!((counts.decodes, counts.pixel_hits), (2, 3));
}

#[tokio::test]
async fn kept_pixels_are_bounded() {
    // Each has 320 x 224 pixels: three fit.
    let resolver =
        Resolver::new(MediaConfig { cache_bytes: 3 * 320 * 224 * 3 + 1000, ..MediaConfig::default() }).unwrap();
    for shade in 0..20 {
        assert!(get(&resolver, &url(shade)).await.is_ok());
    }
    assert!(resolver.kept_pixel_bytes() <= 3 * 320 * 224 * 3 + 1000);
}

#[tokio::test]
async fn a_named_picture_need_not_be_sent_again() {
    let resolver = Resolver::new(MediaConfig::default()).unwrap();
    let (spec, sizing) = (VisionSpec::QWEN3_VL, Sizing::default());
    let name = Name::new("key", Medium::Image, "cat");
    let unknown = resolver.named_image(name, None, &spec, &sizing).await.map(|r| r.what);
    assert_eq!(unknown.clone().map_err(|e| (e.status(), e.code())), Err((400, "unknown_uuid".to_owned())));
    let sent = resolver.named_image(name, Some(&url(1)), &spec, &sizing).await.unwrap().what;
    assert_eq!(resolver.named_image(name, None, &spec, &sizing).await.unwrap().what, sent);
    // At another size too.
    let large = Sizing { min_pixels: Some(300_000), ..sizing };
    assert!(resolver.named_image(name, None, &spec, &large).await.unwrap().what.width > sent.width);
    assert!(resolver.named_image(Name::new("other", Medium::Image, "cat"), None, &spec, &sizing).await.is_err());
    // What is sent goes before what is kept, and what is damaged changes nothing.
    let other = resolver.named_image(name, Some(&url(9)), &spec, &sizing).await.unwrap().what;
    assert_ne!(other, sent);
    assert!(resolver.named_image(name, Some("data:,x"), &spec, &sizing).await.is_err());
    assert_eq!(resolver.named_image(name, None, &spec, &sizing).await.unwrap().what, other);
}
