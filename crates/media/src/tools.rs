//! The programs that read clips, PDFs and some pictures: looked for once, at start.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::MediaError;

/// A program that may be installed.
#[derive(Debug, Clone)]
pub struct Tool {
    name: &'static str,
    package: &'static str,
    path: Option<PathBuf>,
}

impl Tool {
    /// Looks for it in `folders`, written as `PATH` is.
    fn find(name: &'static str, package: &'static str, folders: &OsStr) -> Self {
        let path = std::env::split_paths(folders)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name).with_extension(std::env::consts::EXE_EXTENSION))
            .find(|path| path.is_file());
        Self { name, package, path }
    }

    /// Where it is.
    ///
    /// # Errors
    /// [`MediaError::NotInstalled`].
    pub fn path(&self) -> Result<&Path, MediaError> {
        let missing = MediaError::NotInstalled { program: self.name, package: self.package };
        self.path.as_deref().ok_or(missing)
    }
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Decodes clips.
    pub ffmpeg: Tool,
    /// Looks into clips.
    pub ffprobe: Tool,
    /// Counts pages.
    pub pdfinfo: Tool,
    /// Reads their text.
    pub pdftotext: Tool,
    /// Draws them.
    pub pdftoppm: Tool,
    /// Draws SVG.
    pub rsvg: Tool,
    /// Decodes AVIF and HEIC.
    pub heif: Tool,
}

impl Tools {
    /// Looks for each in `folders` (written as `PATH` is), or in `PATH` itself.
    #[must_use]
    pub fn find(folders: Option<&OsStr>) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = folders.unwrap_or(&path);
        let find = |name, package| Tool::find(name, package, folders);
        Self {
            ffmpeg: find("ffmpeg", "ffmpeg"),
            ffprobe: find("ffprobe", "ffmpeg"),
            pdfinfo: find("pdfinfo", "poppler-utils"),
            pdftotext: find("pdftotext", "poppler-utils"),
            pdftoppm: find("pdftoppm", "poppler-utils"),
            rsvg: find("rsvg-convert", "librsvg2-bin"),
            // Newer versions of libheif call it so; it was heif-convert before.
            heif: Some(find("heif-dec", "libheif-examples"))
                .filter(|tool| tool.path.is_some())
                .unwrap_or_else(|| find("heif-convert", "libheif-examples")),
        }
    }

    /// Whether clips are read.
    #[must_use]
    pub const fn video(&self) -> bool {
        self.ffmpeg.path.is_some() && self.ffprobe.path.is_some()
    }

    /// Whether SVG is drawn.
    #[must_use]
    pub const fn svg(&self) -> bool {
        self.rsvg.path.is_some()
    }

    /// Whether AVIF and HEIC are decoded.
    #[must_use]
    pub const fn heif(&self) -> bool {
        self.heif.path.is_some()
    }

    /// Whether PDFs are read.
    #[must_use]
    pub const fn pdf(&self) -> bool {
        self.pdfinfo.path.is_some() && self.pdftotext.path.is_some() && self.pdftoppm.path.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_what_to_install() {
        let none = Tools::find(Some(OsStr::new("/nowhere:relative")));
        assert!(!none.video() && !none.pdf());
        let error = none.ffmpeg.path().unwrap_err().of(crate::Medium::Video);
        assert!(error.to_string().contains("apt-get install ffmpeg"), "{error}");
        assert_eq!((error.status(), error.code().as_str()), (400, "unsupported_video_media_type"));
    }
}
