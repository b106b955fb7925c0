#![no_main]
//! The XML within office archives: members divided by zero bytes, packed into an archive that is whole. Mutated archives
//! seldom get so far.

use std::io::{Cursor, Write};

use vlgate_media::{FileBytes, entry};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const DOCX: &[&str] = &["word/document.xml", "word/footnotes.xml", "word/endnotes.xml"];
const PPTX: &[&str] = &[
    "ppt/presentation.xml",
    "ppt/_rels/presentation.xml.rels",
    "ppt/slides/slide1.xml",
    "ppt/slides/_rels/slide1.xml.rels",
    "ppt/notesSlides/notesSlide1.xml",
    "ppt/slides/slide2.xml",
];
const XLSX: &[&str] = &[
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
    "xl/worksheets/sheet1.xml",
    "xl/worksheets/sheet2.xml",
];

fn packed(names: &[&str], bytes: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, member) in names.iter().zip(bytes.split(|b| *b == 0)) {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored))?;
        zip.write_all(member)?;
    }
    Ok(zip.finish()?.into_inner())
}

vlgate_fuzz::fuzz!(|bytes| {
    let (first, rest) = vlgate_fuzz::choice(bytes);
    let names = match first {
        b'p' => PPTX,
        b'x' => XLSX,
        _ => DOCX,
    };
    let bytes = packed(names, rest).expect("an archive");
    vlgate_fuzz::caught(|| entry::text(&FileBytes { bytes, name: None, mime: None }))
});
