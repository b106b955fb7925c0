//! Office files are ZIP archives of XML: what they are, and their members, unpacked within a budget whatever their
//! headers say.

use std::io::{BufReader, Cursor, Read};

use zip::ZipArchive;

use super::Kind;
use crate::MediaError;

/// An office file.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that may still be unpacked.
    left: u64,
}

/// Members of an archive; more are a bomb's.
const MEMBERS: usize = 20_000;

impl<'a> Archive<'a> {
    /// Opens it; `unpacked` is the most that all members together may hold.
    ///
    /// # Errors
    /// [`MediaError::Damaged`].
    pub fn open(bytes: &'a [u8], unpacked: u64) -> Result<Self, MediaError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| MediaError::Damaged)?;
        if zip.len() > MEMBERS { Err(MediaError::Damaged) } else { Ok(Self { zip, left: unpacked }) }
    }

    /// The names of all members.
    pub fn names(&self) -> Vec<String> {
        self.zip.file_names().map(str::to_owned).collect()
    }

    /// A member's content; `None` where there is none of this name.
    ///
    /// # Errors
    /// [`MediaError::Encrypted`], [`MediaError::Damaged`] also beyond the budget.
    pub fn member(&mut self, name: &str) -> Result<Option<Vec<u8>>, MediaError> {
        let Some(at) = self.zip.index_for_name(name) else { return Ok(None) };
        let member = self.zip.by_index(at).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(zip::result::ZipError::PASSWORD_REQUIRED) => {
                MediaError::Encrypted
            }
            _ => MediaError::Damaged,
        })?;
        let mut content = Vec::new();
        let read = BufReader::new(member.take(self.left + 1)).read_to_end(&mut content);
        read.map_err(|_| MediaError::Damaged)?;
        self.left = self.left.checked_sub(content.len() as u64).ok_or(MediaError::Damaged)?;
        Ok(Some(content))
    }
}

/// What an archive is, by the member that only its kind has.
///
/// # Errors
/// [`MediaError::UnsupportedFormat`], [`MediaError::Damaged`].
pub fn kind(bytes: &[u8]) -> Result<Kind, MediaError> {
    let archive = Archive::open(bytes, 0)?;
    let has = |name: &str| archive.zip.index_for_name(name).is_some();
    match () {
        () if has("word/document.xml") => Ok(Kind::Docx),
        () if has("ppt/presentation.xml") => Ok(Kind::Pptx),
        () if has("xl/workbook.xml") => Ok(Kind::Xlsx),
        () if has("xl/workbook.bin") => Err(MediaError::UnsupportedFormat("XLSB")),
        () if has("content.xml") => Err(MediaError::UnsupportedFormat("OpenDocument")),
        () if has("META-INF/container.xml") => Err(MediaError::UnsupportedFormat("EPUB")),
        () => Err(MediaError::UnsupportedFormat("ZIP")),
    }
}
