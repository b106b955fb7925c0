//! From a file to what the model reads of it: text, and for a PDF each page's picture behind its text; a TIFF's pages are
//! pictures alone.

mod archive;
mod html;
mod office;
mod pages;
mod pdf;
mod sheet;
mod text;
mod tiff;

use crate::{
    MediaError, Medium, Picture, Resolved, Seen, Sizing, VisionSpec,
    resolver::{Resolver, blocking},
};
pub use pages::PageRange;
pub use pdf::pages_of;

/// A file as it came: sent with the request, kept by an earlier upload, or fetched.
#[derive(Debug, Clone, Default)]
pub struct FileBytes {
    /// Its content, which says what it is where it can.
    pub bytes: Vec<u8>,
    /// Its name, of which the ending is believed where the content says nothing.
    pub name: Option<String>,
    /// Its MIME type, believed where neither does.
    pub mime: Option<String>,
}

impl FileBytes {
    /// Whether it is a document of pictures: a TIFF of several pages.
    #[must_use]
    pub fn has_pictured_pages(&self) -> bool {
        crate::tiff::pages(&self.bytes) > 1
    }
}

/// What is wanted of a document.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Which pages; all where it is left out.
    pub pages: Option<PageRange>,
    /// How large each page is shown.
    pub sizing: Sizing,
}

impl Reading {
    /// The pages that are wanted of so many.
    fn wanted(&self, total: u32, limit: u32) -> Result<Vec<u32>, MediaError> {
        match &self.pages {
            Some(range) => range.of(total, limit),
            None if total > limit => Err(MediaError::TooManyPages { pages: total, limit }),
            None => Ok((1..=total).collect()),
        }
    }
}

/// What the model reads, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Texts and pictures.
    pub blocks: Vec<Block>,
}

/// A piece of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Text, as a stranger wrote it.
    Text(String),
    /// A page's picture.
    Picture(Picture),
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pdf,
    Tiff,
    Docx,
    Pptx,
    Xlsx,
    Html,
    /// Text that is read as it stands; its name for clients.
    Plain(&'static str),
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Tiff => "tiff",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Xlsx => "xlsx",
            Self::Html => "html",
            Self::Plain(name) => name,
        }
    }
}

impl Resolver {
    /// A document as the model reads it. `spec` is `None` for a model that sees no pictures: then pages are text only.
    /// Dropping the future kills the child processes.
    ///
    /// # Errors
    /// [`MediaError`] of [`Medium::File`], with a message that is safe to show.
    pub async fn document(
        &self,
        file: FileBytes,
        spec: Option<&VisionSpec>,
        reading: &Reading,
    ) -> Result<Resolved<Document>, MediaError> {
        self.read_document(file, spec, reading).await.map_err(|error| error.of(Medium::File))
    }

    async fn read_document(
        &self,
        file: FileBytes,
        spec: Option<&VisionSpec>,
        reading: &Reading,
    ) -> Result<Resolved<Document>, MediaError> {
        if file.bytes.len() > self.config.document_bytes {
            return Err(MediaError::FileTooLarge(self.config.document_bytes >> 20));
        }
        let kind = kind(&file)?;
        let title = title(file.name.as_deref(), kind);
        if kind == Kind::Pdf {
            return self.pdf(file.bytes, &title, spec, reading).await;
        }
        if let (Kind::Tiff, Some(spec)) = (kind, spec) {
            return self.tiff(file.bytes, &title, spec, reading).await;
        }
        if kind == Kind::Tiff {
            return Err(MediaError::UnsupportedFormat("picture"));
        }
        if reading.pages.is_some() {
            return Err(MediaError::Pages("only PDFs and TIFFs have pages."));
        }
        let (most, unpacked) = (self.config.document_text, self.config.document_unpacked);
        // Text, its copy, and for archives one member's.
        let _memory = self.budget.wait(file.bytes.len() as u64 * 3 + (16 << 20)).await?;
        let text = blocking(move || extract(kind, &file.bytes, unpacked, most)).await?;
        let block = Block::Text(format!("[{title}]\n{text}\n[End of {title}]\n"));
        let seen = Seen::new(Medium::File, kind.name());
        Ok(Resolved { what: Document { blocks: vec![block] }, seen })
    }
}

/// The text of what is read in this process; `unpacked` and `most` bound an archive's bytes and the characters.
///
/// # Errors
/// [`MediaError`].
pub fn text_of(file: &FileBytes, unpacked: u64, most: usize) -> Result<String, MediaError> {
    extract(kind(file)?, &file.bytes, unpacked, most)
}

fn extract(kind: Kind, bytes: &[u8], unpacked: u64, most: usize) -> Result<String, MediaError> {
    let mut out = text::Out::new(most);
    match kind {
        Kind::Docx => office::docx(bytes, unpacked, &mut out)?,
        Kind::Pptx => office::pptx(bytes, unpacked, &mut out)?,
        Kind::Xlsx => sheet::xlsx(bytes, unpacked, &mut out)?,
        Kind::Html => html::html(&text::decoded(bytes)?, &mut out)?,
        Kind::Plain(_) | Kind::Pdf | Kind::Tiff => out.push(&text::decoded(bytes)?)?,
    }
    Ok(out.done())
}

/// How the model and a person speak of the file: its own name where it has one, on one line.
fn title(name: Option<&str>, kind: Kind) -> String {
    let name: String = name.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    if name.is_empty() { format!("File ({})", kind.name()) } else { format!("File: {name}") }
}

/// What stands before a document's pages.
fn title_of_pages(title: &str, total: u32, wanted: &[u32]) -> String {
    let all = u32::try_from(wanted.len()) == Ok(total);
    let pages = if total == 1 { "page" } else { "pages" };
    let some = if all { String::new() } else { format!(", {} of them shown", wanted.len()) };
    format!("[{title}, {total} {pages}{some}]\n")
}

/// What a file is: by its content, then by its name, then by its type.
fn kind(file: &FileBytes) -> Result<Kind, MediaError> {
    let bytes = file.bytes.as_slice();
    let head = bytes.get(..1024.min(bytes.len())).unwrap_or_default();
    match head {
        [] => return Err(MediaError::Empty),
        _ if head.windows(5).any(|w| w == b"%PDF-") => return Ok(Kind::Pdf),
        [b'P', b'K', 3, 4, ..] => return archive::kind(bytes),
        [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => return Ok(Kind::Tiff),
        [0xD0, 0xCF, 0x11, 0xE0, ..] => return Err(MediaError::UnsupportedFormat("old Office (DOC, XLS, PPT)")),
        [b'{', b'\\', b'r', b't', b'f', ..] => return Err(MediaError::UnsupportedFormat("RTF")),
        _ => {}
    }
    let name = file.name.as_deref().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    let mime = file.mime.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match (ending.as_str(), mime) {
        ("pdf" | "docx" | "pptx" | "xlsx", _) => return Err(MediaError::Damaged),
        ("html" | "htm" | "xhtml", _) | ("", "text/html") => return Ok(Kind::Html),
        _ => {}
    }
    if !text::looks_like(bytes) {
        let picture = image::guess_format(head).is_ok();
        return Err(if picture { MediaError::UnsupportedFormat("picture") } else { MediaError::Format });
    }
    let start = String::from_utf8_lossy(head).trim_start_matches('\u{FEFF}').trim_start().to_ascii_lowercase();
    if ending.is_empty() && (start.starts_with("<!doctype html") || start.starts_with("<html")) {
        return Ok(Kind::Html);
    }
    Ok(Kind::Plain(match (ending.as_str(), mime) {
        ("md" | "markdown", _) | ("", "text/markdown") => "md",
        ("csv" | "tsv", _) | ("", "text/csv") => "csv",
        ("json" | "jsonl" | "ndjson", _) | ("", "application/json") => "json",
        _ => "txt",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], name: &str) -> Result<&'static str, MediaError> {
        kind(&FileBytes { bytes: bytes.to_vec(), name: Some(name.into()), mime: None }).map(Kind::name)
    }

    #[test]
    fn content_goes_before_names() {
        assert_eq!(of(b"%PDF-1.7", "a.txt"), Ok("pdf"));
        assert_eq!(of(b"junk\n%PDF-1.4", ""), Ok("pdf"));
        assert_eq!(of(b"<!DOCTYPE html><p>", ""), Ok("html"));
        assert_eq!(of(b"<p>", "a.HTM"), Ok("html"));
        assert_eq!(of(b"MM\0*\0\0\0\x08", "scan.txt"), Ok("tiff"));
        assert_eq!(of(b"<!DOCTYPE html>", "page.md"), Ok("md"));
        assert_eq!(of(b"a,b", "a.csv"), Ok("csv"));
        assert_eq!(of(b"x", "a.rs"), Ok("txt"));
        assert_eq!(of(b"no pdf", "a.pdf"), Err(MediaError::Damaged));
        assert_eq!(of(b"", "a.txt"), Err(MediaError::Empty));
        assert_eq!(of(b"\x89PNG\r\n\x1a\n", "a.txt"), Err(MediaError::UnsupportedFormat("picture")));
        assert_eq!(of(b"\x7FELF\0\0\0", "a.txt"), Err(MediaError::Format));
        assert_eq!(of(b"\xD0\xCF\x11\xE0", "a.doc"), Err(MediaError::UnsupportedFormat("old Office (DOC, XLS, PPT)")));
        assert_eq!(of(b"{\\rtf1", "a.rtf"), Err(MediaError::UnsupportedFormat("RTF")));
    }

    #[test]
    fn a_title_is_one_line() {
        assert_eq!(title(Some("a\n[Page 2]\u{7}.pdf"), Kind::Pdf), "File: a[Page 2].pdf");
        assert_eq!(title(None, Kind::Html), "File (html)");
    }
}
