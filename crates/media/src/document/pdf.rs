//! PDF pages: their text and their pictures, page by page, as poppler's programs read and draw them in child processes.

use std::ffi::OsString;

use tokio::time::Instant;

use super::{Block, Document, Reading, title_of_pages};
use crate::{
    Detail, MediaError, Medium, PageSeen, Picture, Resolved, Seen, Sizing, VisionSpec,
    bicubic::resize,
    child::{self, Limits},
    ppm::Pixmaps,
    resize::smart_resize,
    resolver::{Resolver, blocking, kept},
    temp::TempFile,
};

/// A file's pages.
pub struct Pages {
    total: u32,
    /// Width and height of the wanted ones in points (1/72 inch).
    sizes: Vec<(f64, f64)>,
}

/// What a step needs.
struct Job<'a> {
    resolver: &'a Resolver,
    file: TempFile,
    deadline: Instant,
}

impl Resolver {
    /// A PDF's wanted pages: for each its text, then its picture.
    pub(super) async fn pdf(
        &self,
        bytes: Vec<u8>,
        title: &str,
        spec: Option<&VisionSpec>,
        reading: &Reading,
    ) -> Result<Resolved<Document>, MediaError> {
        self.tools.pdfinfo.path()?;
        let _child = self.budget.wait_for_child().await?;
        let deadline = Instant::now() + self.config.read_timeout;
        let file = blocking(move || kept(&bytes)).await?;
        let job = Job { resolver: self, file, deadline };
        let total = job.info(1, 1).await?.total;
        let wanted = reading.wanted(total, self.config.document_pages)?;
        let mut document = Document { blocks: vec![Block::Text(title_of_pages(title, total, &wanted))] };
        let mut seen = Seen { of_pages: Some(total), ..Seen::new(Medium::File, "pdf") };
        let mut characters = self.config.document_text;
        for run in runs(&wanted) {
            let texts = job.texts(run, self.config.document_text).await?;
            let drawn = match spec {
                Some(spec) => job.pictures(run, spec, &reading.sizing).await?,
                None => Vec::new(),
            };
            let mut drawn = drawn.into_iter();
            for (page, text) in (run.0..=run.1).zip(texts) {
                let count = text.chars().count();
                let most = self.config.document_text;
                characters = characters.checked_sub(count).ok_or(MediaError::TooMuchText(most))?;
                document.blocks.push(Block::Text(format!("\n[Page {page}]\n{text}\n")));
                let (picture, dpi) = drawn.next().unzip();
                let picture: Option<Picture> = picture;
                let tokens = picture.as_ref().zip(spec).map_or(0, |(picture, spec)| picture.tokens(spec));
                seen.tokens += tokens;
                let after = picture.as_ref().map(|p| (p.width, p.height));
                seen.pages.push(PageSeen { page, characters: count, after, dpi: dpi.unwrap_or(0), tokens });
                document.blocks.extend(picture.map(Block::Picture));
            }
        }
        document.blocks.push(Block::Text(format!("\n[End of {title}]\n")));
        Ok(Resolved { what: document, seen })
    }
}

/// Dots per inch for a detail: what the model's picture of a Letter or A4 page can hold at that detail.
const fn dpi(detail: Detail) -> f64 {
    match detail {
        Detail::Low => 72.0,
        Detail::Auto => 110.0,
        Detail::High => 200.0,
    }
}

/// Largest area of a drawn page in pixels.
const AREA: f64 = 16_000_000.0;

/// Bytes of `pdfinfo`'s answer.
const INFO: usize = 1 << 20;

impl Job<'_> {
    fn limits(&self) -> Limits {
        let config = &self.resolver.config;
        Limits { memory: config.child_memory, cpu: config.child_cpu }
    }

    /// The number of pages, and the sizes of those from `first` to `last`.
    async fn info(&self, first: u32, last: u32) -> Result<Pages, MediaError> {
        let program = self.resolver.tools.pdfinfo.path()?;
        let arguments = self.arguments(&[], (first, last));
        let done = child::run(program, &arguments, self.limits(), INFO, self.deadline).await?;
        if !done.ok {
            tracing::debug!("pdfinfo: {}", done.complaints);
            return Err(if done.complaints.contains("Incorrect password") {
                MediaError::Encrypted
            } else {
                MediaError::Damaged
            });
        }
        pages_of(&String::from_utf8_lossy(&done.out))
    }

    /// The text of each page of a run.
    async fn texts(&self, run: (u32, u32), most: usize) -> Result<Vec<String>, MediaError> {
        let program = self.resolver.tools.pdftotext.path()?;
        let mut arguments = self.arguments(&["-enc", "UTF-8", "-eol", "unix"], run);
        arguments.push("-".into());
        // A character has up to four bytes.
        let done = child::run(program, &arguments, self.limits(), most.saturating_mul(4), self.deadline).await?;
        if !done.ok {
            return Err(MediaError::Damaged);
        }
        let text = String::from_utf8_lossy(&done.out);
        let mut pages: Vec<String> = text.split('\u{C}').map(|page| page.trim().to_owned()).collect();
        pages.resize((run.1 - run.0 + 1) as usize, String::new());
        Ok(pages)
    }

    /// The picture of each page of a run, and the dots per inch that it was drawn with.
    async fn pictures(
        &self,
        run: (u32, u32),
        spec: &VisionSpec,
        sizing: &Sizing,
    ) -> Result<Vec<(Picture, u32)>, MediaError> {
        let sizes = self.info(run.0, run.1).await?.sizes;
        let mut pages = (run.0..=run.1).zip(sizes).map(|(page, size)| (page, density(size, sizing.detail))).peekable();
        let mut pictures = Vec::new();
        while let Some((first, density)) = pages.next() {
            // Pages of one density are drawn by one process.
            let mut last = first;
            while let Some((page, _)) = pages.next_if(|(_, other)| *other == density) {
                last = page;
            }
            let drawn = self.draw((first, last), density, spec, sizing).await?;
            pictures.extend(drawn.into_iter().map(|picture| (picture, density)));
        }
        if pictures.len() < (run.1 - run.0 + 1) as usize { Err(MediaError::Damaged) } else { Ok(pictures) }
    }

    async fn draw(
        &self,
        run: (u32, u32),
        density: u32,
        spec: &VisionSpec,
        sizing: &Sizing,
    ) -> Result<Vec<Picture>, MediaError> {
        let program = self.resolver.tools.pdftoppm.path()?;
        let arguments = self.arguments(&["-r", &density.to_string()], run);
        let mut child = child::start(program, &arguments, self.limits())?;
        let Some(out) = child.stdout.take() else { return Err(MediaError::Busy) };
        child::log_complaints("pdftoppm", child.stderr.take());
        let (factor, (min, max)) = (spec.factor(), sizing.bounds(spec));
        let mut pixmaps = Pixmaps::new(out, (AREA * 1.1) as u64, self.deadline);
        let mut pictures = Vec::new();
        while let Some(page) = pixmaps.next().await? {
            let _memory = self.resolver.budget.wait_for_memory(page.as_raw().len() as u64 * 4).await?;
            let (height, width) = smart_resize(page.height(), page.width(), factor, min, max)?;
            let resized = move || Ok(Picture::new(width, height, resize(page, height, width)));
            pictures.push(blocking(resized).await?);
        }
        Ok(pictures)
    }

    /// Options, the pages, and the file.
    fn arguments(&self, options: &[&str], (first, last): (u32, u32)) -> Vec<OsString> {
        let pages = ["-f", &first.to_string(), "-l", &last.to_string()].map(OsString::from);
        let mut all: Vec<OsString> = options.iter().map(OsString::from).chain(pages).collect();
        all.push(self.file.path().into());
        all
    }
}

/// The number of pages, and the sizes of those that `pdfinfo` lists.
///
/// # Errors
/// [`MediaError::Damaged`].
pub fn pages_of(text: &str) -> Result<Pages, MediaError> {
    let total = text.lines().find_map(|line| line.strip_prefix("Pages:")?.trim().parse().ok());
    let total = total.filter(|n| *n > 0).ok_or(MediaError::Damaged)?;
    let turned = text.lines().filter(|l| l.starts_with("Page ")).filter_map(|l| l.split_once(" rot:"));
    let turned: Vec<bool> = turned.map(|(_, angle)| matches!(angle.trim(), "90" | "270")).collect();
    let sizes = text.lines().filter(|l| l.starts_with("Page ")).filter_map(|line| line.split_once(" size:"));
    let sizes = sizes.filter_map(|(_, size)| {
        let (width, rest) = size.trim().split_once(" x ")?;
        let height = rest.split_whitespace().next()?;
        let side = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
        Some((side(width)?, side(height)?))
    });
    let upright = |((w, h), turned): ((f64, f64), bool)| if turned { (h, w) } else { (w, h) };
    let turned = turned.into_iter().chain(std::iter::repeat(false));
    Ok(Pages { total, sizes: sizes.zip(turned).map(upright).collect() })
}

/// Whole dots per inch for a page of a size in points, fewer for a large one.
fn density((width, height): (f64, f64), detail: Detail) -> u32 {
    let largest = (AREA / (width * height)).sqrt() * 72.0;
    (dpi(detail).min(largest) as u32).max(1)
}

/// Pages that follow each other.
fn runs(pages: &[u32]) -> Vec<(u32, u32)> {
    let mut all: Vec<(u32, u32)> = Vec::new();
    for page in pages {
        match all.last_mut() {
            Some((_, last)) if *last + 1 == *page => *last = *page,
            _ => all.push((*page, *page)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_follow_each_other_are_read_together() {
        assert_eq!(runs(&[1, 2, 3, 7, 9, 10]), [(1, 3), (7, 7), (9, 10)]);
        assert!(runs(&[]).is_empty());
    }

    #[test]
    fn dots_follow_the_detail_and_huge_pages_are_drawn_coarsely() {
        assert_eq!(density((595.0, 842.0), Detail::Auto), 110);
        assert_eq!(density((595.0, 842.0), Detail::Low), 72);
        let huge = density((14_400.0, 14_400.0), Detail::High);
        assert!(f64::from(huge) / 72.0 * 14_400.0 < 4_001.0, "{huge}");
        assert_eq!(density((1e9, 1e9), Detail::High), 1);
    }
}
