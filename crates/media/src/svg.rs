//! SVG, drawn by librsvg in a child process with limits of memory and time: a drawing of a few bytes can ask for any amount of
//! both. It comes through the standard input, so it has no base, and librsvg loads nothing from outside.

use std::{ffi::OsString, fs::File, process::Stdio, sync::Arc};

use quick_xml::{Reader, events::Event};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    ContentHash, MediaError,
    child::{self, Limits},
    named::{Kept, Name},
    resolver::{Encoded, Resolver, blocking, kept},
};

/// Longest side that is drawn; models see less.
const LONGEST: f64 = 2048.0;
/// Side of a drawing that says nothing of its size (CSS: 300 x 150, which is little for letters).
const UNSAID: f64 = 1024.0;
/// Address space of the child, beyond what its libraries map.
const MEMORY: u64 = 1 << 30;
/// Bytes that are taken of it while it draws, for the budget of all decoders.
const BUDGET: u64 = 256 << 20;

impl Resolver {
    /// A drawing as a PNG of which the header was read.
    ///
    /// # Errors
    /// [`MediaError`].
    pub(crate) async fn drawn(&self, svg: Arc<Vec<u8>>) -> Result<Encoded, MediaError> {
        let config = &self.config;
        if svg.len() > config.svg_bytes {
            return Err(MediaError::FileTooLarge(config.svg_bytes >> 20));
        }
        let pixels = config.image_pixels;
        let hash: ContentHash = Sha256::digest(svg.as_slice()).into();
        if let Some(png) = self.drawings.one(Name::from(hash)) {
            return blocking(move || Encoded::read(png, pixels)).await;
        }
        let program = self.tools.rsvg.path()?.to_owned();
        let (size, file) = blocking(move || Ok((size(&svg)?, kept(&svg)?))).await?;
        let (width, height) = size;
        let arguments: Vec<OsString> =
            [format!("--width={width}"), format!("--height={height}"), "--format=png".to_owned()]
                .map(Into::into)
                .into();
        let _child = self.budget.wait_for_child().await?;
        let _memory = self.budget.wait_for_memory(BUDGET).await?;
        let input = File::open(file.path()).map_err(|_| MediaError::Busy)?;
        let limits = Limits { memory: MEMORY, cpu: config.svg_timeout };
        let deadline = Instant::now() + config.svg_timeout;
        let child = child::start_with(&program, &arguments, Stdio::from(input), limits)?;
        // Noise in every pixel has four bytes each, and a little.
        let most = (width as usize * height as usize) * 5 + 4096;
        let done = child::finish(child, most, deadline).await?;
        if !done.ok || done.out.is_empty() {
            tracing::debug!("rsvg-convert: {}", done.complaints);
            return Err(MediaError::Damaged);
        }
        let png = Arc::new(done.out);
        self.drawings.keep(Name::from(hash), Kept::One(Arc::clone(&png)));
        blocking(move || Encoded::read(png, pixels)).await
    }
}

/// Width and height in pixels that it is drawn with: its own, within [`LONGEST`].
///
/// # Errors
/// [`MediaError`].
pub fn size(svg: &[u8]) -> Result<(u32, u32), MediaError> {
    let (width, height, view) = root(svg)?;
    let (width, height) = match (width, height, view) {
        (Some(w), Some(h), _) => (w, h),
        (Some(w), None, Some((vw, vh))) => (w, w * vh / vw),
        (None, Some(h), Some((vw, vh))) => (h * vw / vh, h),
        (None, None, Some((vw, vh))) => (UNSAID * vw / vw.max(vh), UNSAID * vh / vw.max(vh)),
        _ => (UNSAID, UNSAID),
    };
    if !(width > 0.0 && height > 0.0 && width.is_finite() && height.is_finite()) {
        return Err(MediaError::Damaged);
    }
    if width.max(height) / width.min(height) > 200.0 {
        return Err(MediaError::AspectRatio);
    }
    let scale = (LONGEST / width.max(height)).min(1.0);
    let side = |n: f64| (n * scale).round().clamp(1.0, LONGEST) as u32;
    Ok((side(width), side(height)))
}

type Sides = (Option<f64>, Option<f64>, Option<(f64, f64)>);

/// What the root element says: width, height, and the size of its view box.
fn root(svg: &[u8]) -> Result<Sides, MediaError> {
    let mut reader = Reader::from_reader(svg);
    let element = loop {
        match reader.read_event().map_err(|_| MediaError::Damaged)? {
            Event::Start(element) | Event::Empty(element) => break element,
            Event::Eof => return Err(MediaError::Damaged),
            _ => {}
        }
    };
    if element.local_name().as_ref() != b"svg" {
        return Err(MediaError::Damaged);
    }
    let attribute = |name: &str| {
        let found = element.try_get_attribute(name).ok().flatten()?;
        Some(String::from_utf8_lossy(&found.value).trim().to_owned())
    };
    let length = |name: &str| match attribute(name) {
        None => Ok(None),
        Some(text) if text.ends_with('%') || text == "auto" || text.is_empty() => Ok(None),
        Some(text) => pixels(&text).filter(|n| *n > 0.0).map(Some).ok_or(MediaError::Damaged),
    };
    let view = attribute("viewBox").and_then(|text| {
        let numbers: Vec<f64> =
            text.split([',', ' ', '\t', '\n', '\r']).filter(|n| !n.is_empty()).map_while(|n| n.parse().ok()).collect();
        match numbers.as_slice() {
            [_, _, w, h] if *w > 0.0 && *h > 0.0 => Some((*w, *h)),
            _ => None,
        }
    });
    Ok((length("width")?, length("height")?, view))
}

/// A CSS length in pixels.
fn pixels(text: &str) -> Option<f64> {
    let units = [
        ("px", 1.0),
        ("pt", 4.0 / 3.0),
        ("pc", 16.0),
        ("mm", 96.0 / 25.4),
        ("cm", 96.0 / 2.54),
        ("in", 96.0),
        ("em", 16.0),
        ("ex", 8.0),
    ];
    let (number, unit) = units.iter().find_map(|(u, n)| Some((text.strip_suffix(u)?, *n))).unwrap_or((text, 1.0));
    let number: f64 = number.trim().parse().ok()?;
    number.is_finite().then_some(number * unit)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::{ImageSource, MediaConfig, Sizing, Tools, VisionSpec};

    fn of(attributes: &str) -> Result<(u32, u32), MediaError> {
        size(
            format!("<?xml version='1.0'?><!-- x --><svg xmlns='http://www.w3.org/2000/svg' {attributes}/>").as_bytes(),
        )
    }

    #[test]
    fn a_drawings_size_is_its_own_within_bounds() {
        assert_eq!(of("width='64' height='32px'"), Ok((64, 32)));
        assert_eq!(of("width='1in' height='72pt'"), Ok((96, 96)));
        assert_eq!(of("width='200' viewBox='0 0 10 5'"), Ok((200, 100)));
        assert_eq!(of("viewBox='0,0,10,5' width='100%'"), Ok((1024, 512)));
        assert_eq!(of(""), Ok((1024, 1024)));
        assert_eq!(of("width='8192' height='4096'"), Ok((2048, 1024)));
        assert_eq!(of("width='1e9' height='1e9'"), Ok((2048, 2048)));
        assert_eq!(of("width='1000' height='1'"), Err(MediaError::AspectRatio));
        for wrong in [
            "width='0' height='0'",
            "width='-5' height='5'",
            "width='NaN' height='5'",
            "width='inf' height='9'",
            "width='x'",
        ] {
            assert_eq!(of(wrong), Err(MediaError::Damaged), "{wrong}");
        }
        assert_eq!(size(b"<html/>"), Err(MediaError::Damaged));
        assert_eq!(size(b"<svg"), Err(MediaError::Damaged));
    }

    async fn draw(svg: &str) -> Result<image::RgbImage, MediaError> {
        let resolver = Resolver::new(MediaConfig::default()).unwrap();
        assert!(resolver.tools().svg(), "rsvg-convert is missing: tests/debian.txt");
        let sizing = Sizing { min_pixels: Some(65_536), ..Sizing::default() };
        let url = format!("data:image/svg+xml,{}", svg.replace('%', "%25").replace('#', "%23"));
        let got = resolver.image(ImageSource { url: &url }, &VisionSpec::QWEN3_VL, &sizing).await?.what;
        Ok(image::RgbImage::from_raw(got.width, got.height, got.rgb.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn shapes_and_letters_are_drawn_on_white() {
        let head = "<svg xmlns='http://www.w3.org/2000/svg' width='256' height='256'>";
        let drawn = draw(&format!("{head}<rect width='128' height='256' fill='#ff0000'/></svg>")).await.unwrap();
        assert_eq!((drawn.get_pixel(40, 128).0, drawn.get_pixel(220, 128).0), ([255, 0, 0], [255; 3]));
        let text = draw(&format!("{head}<text x='20' y='140' font-size='80'>Abc</text></svg>")).await.unwrap();
        assert!(text.pixels().filter(|p| p.0[0] < 90).count() > 300);
    }

    #[tokio::test]
    async fn nothing_is_loaded_from_outside() {
        let name = format!("vlgate-svg-{}", std::process::id());
        let path = std::env::temp_dir().join(format!("{name}.png"));
        let mut red = Vec::new();
        image::RgbImage::from_pixel(64, 64, image::Rgb([255, 0, 0]))
            .write_to(&mut Cursor::new(&mut red), image::ImageFormat::Png)
            .unwrap();
        std::fs::write(&path, red).unwrap();
        let secret = std::env::temp_dir().join(format!("{name}.txt"));
        std::fs::write(&secret, "MMMMMM").unwrap();
        for href in [
            format!("file://{}", path.display()),
            format!("{name}.png"),
            path.display().to_string(),
            "http://127.0.0.1:1/x.png".into(),
        ] {
            let svg = format!(
                "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='256' height='256'><image href='{href}' xlink:href='{href}' width='256' height='256'/></svg>"
            );
            // A picture without it, or none at all.
            if let Ok(drawn) = draw(&svg).await {
                assert!(drawn.pixels().all(|p| p.0 == [255; 3]), "{href}");
            }
        }
        let include = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xi='http://www.w3.org/2001/XInclude' width='256' height='256'><text x='0' y='200' font-size='60'><xi:include href='{}' parse='text'/></text></svg>",
            secret.display()
        );
        if let Ok(drawn) = draw(&include).await {
            assert!(drawn.pixels().all(|p| p.0 == [255; 3]));
        }
        let _ = (std::fs::remove_file(path), std::fs::remove_file(secret));
    }

    #[test]
    fn where_it_cannot_be_drawn_the_error_says_what_to_install() {
        let none = Tools::find(Some(std::ffi::OsStr::new("/nowhere")));
        assert!(none.rsvg.path().unwrap_err().to_string().contains("librsvg2-bin"));
    }
}
