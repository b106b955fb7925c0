//! DOCX and PPTX: their paragraphs, tables and slides in order (ECMA-376), read as a stream of XML that never becomes a
//! tree.

use std::collections::{HashMap, HashSet};

use quick_xml::{Reader, escape::resolve_predefined_entity, events::Event};

use super::{archive::Archive, text::Out};
use crate::MediaError;

/// Writes the body of a document, then its foot- and endnotes.
///
/// # Errors
/// [`MediaError::Damaged`], [`MediaError::Encrypted`], [`MediaError::TooMuchText`].
pub fn docx(bytes: &[u8], unpacked: u64, out: &mut Out) -> Result<(), MediaError> {
    let mut archive = Archive::open(bytes, unpacked)?;
    let body = archive.member("word/document.xml")?.ok_or(MediaError::Damaged)?;
    paragraphs(&body, out)?;
    for notes in ["word/footnotes.xml", "word/endnotes.xml"] {
        if let Some(notes) = archive.member(notes)? {
            out.paragraph()?;
            paragraphs(&notes, out)?;
        }
    }
    Ok(())
}

/// Writes each slide under its number, with its notes.
///
/// # Errors
/// As [`docx`].
pub fn pptx(bytes: &[u8], unpacked: u64, out: &mut Out) -> Result<(), MediaError> {
    let mut archive = Archive::open(bytes, unpacked)?;
    let number = |name: &String| name.strip_prefix("ppt/slides/slide")?.strip_suffix(".xml")?.parse::<u32>().ok();
    let slides: HashSet<u32> = archive.names().iter().filter_map(number).collect();
    let order = order(&mut archive)?;
    // The presentation's own order, where it can be read; names are numbers in order of making.
    let slides = order.into_iter().flatten().filter(|n| slides.contains(n)).collect::<Vec<_>>();
    for (at, slide) in (1..).zip(slides) {
        out.paragraph()?;
        out.push(&format!("[Slide {at}]\n"))?;
        let content = archive.member(&format!("ppt/slides/slide{slide}.xml"))?.ok_or(MediaError::Damaged)?;
        paragraphs(&content, out)?;
        if let Some(notes) = notes(&mut archive, slide)? {
            out.line()?;
            out.push("[Notes]\n")?;
            paragraphs(&notes, out)?;
        }
    }
    Ok(())
}

/// The slides' numbers as the presentation shows them.
fn order(archive: &mut Archive<'_>) -> Result<Option<Vec<u32>>, MediaError> {
    let (Some(show), Some(relations)) =
        (archive.member("ppt/presentation.xml")?, archive.member("ppt/_rels/presentation.xml.rels")?)
    else {
        return Err(MediaError::Damaged);
    };
    let targets = targets_of(&relations)?;
    let ids = attributes(&show, b"sldId", b"r:id")?;
    let number = |target: &String| target.rsplit('/').next()?.strip_prefix("slide")?.strip_suffix(".xml")?.parse().ok();
    Ok(Some(ids.iter().filter_map(|id| number(targets.get(id)?)).collect()))
}

/// A slide's notes, found by its relations.
fn notes(archive: &mut Archive<'_>, slide: u32) -> Result<Option<Vec<u8>>, MediaError> {
    let Some(relations) = archive.member(&format!("ppt/slides/_rels/slide{slide}.xml.rels"))? else { return Ok(None) };
    let targets = relations_of(&relations)?;
    let name = targets.iter().find_map(|(_, target)| target.strip_prefix("../notesSlides/"));
    name.map_or(Ok(None), |name| archive.member(&format!("ppt/notesSlides/{name}")))
}

/// Targets of a `.rels` member by their ids, the first of several: millions of ids may name millions of them.
pub fn targets_of(xml: &[u8]) -> Result<HashMap<String, String>, MediaError> {
    Ok(relations_of(xml)?.into_iter().rev().collect())
}

/// Ids and targets of a `.rels` member.
fn relations_of(xml: &[u8]) -> Result<Vec<(String, String)>, MediaError> {
    let (ids, targets) = (attributes(xml, b"Relationship", b"Id")?, attributes(xml, b"Relationship", b"Target")?);
    Ok(ids.into_iter().zip(targets).collect())
}

/// One attribute of all elements of a name (without its prefix), in order; empty where an element lacks it.
pub fn attributes(xml: &[u8], element: &[u8], name: &[u8]) -> Result<Vec<String>, MediaError> {
    let mut reader = Reader::from_reader(xml);
    let mut all = Vec::new();
    loop {
        match reader.read_event().map_err(|_| MediaError::Damaged)? {
            Event::Start(e) | Event::Empty(e) if e.local_name().as_ref() == element => {
                let value = e.try_get_attribute(name).ok().flatten();
                let text = value.and_then(|a| a.unescape_value().ok().map(std::borrow::Cow::into_owned));
                all.push(text.unwrap_or_default());
            }
            Event::Eof => return Ok(all),
            _ => {}
        }
    }
}

/// The text of `t` elements by paragraphs (`p`); tabs, breaks, table cells and rows as they are.
fn paragraphs(xml: &[u8], out: &mut Out) -> Result<(), MediaError> {
    let mut reader = Reader::from_reader(xml);
    let (mut in_text, mut cells) = (false, 0usize);
    loop {
        match reader.read_event().map_err(|_| MediaError::Damaged)? {
            Event::Start(e) => match e.local_name().as_ref() {
                b"t" => in_text = true,
                b"tc" => cells += 1,
                _ => {}
            },
            Event::Empty(e) => match e.local_name().as_ref() {
                b"tab" => out.push("\t")?,
                b"br" | b"cr" => out.push("\n")?,
                _ => {}
            },
            event @ (Event::Text(_) | Event::GeneralRef(_)) if in_text => {
                if let Some(text) = said(&event)? {
                    out.push(&text)?;
                }
            }
            Event::End(e) => match e.local_name().as_ref() {
                b"t" => in_text = false,
                b"p" if cells > 0 => out.push(" ")?,
                b"p" => out.line()?,
                b"tc" => {
                    cells = cells.saturating_sub(1);
                    out.push("\t")?;
                }
                b"tr" => out.line()?,
                _ => {}
            },
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// What a piece of text says, its references resolved; entities that a document would define itself say nothing.
pub fn said(event: &Event<'_>) -> Result<Option<String>, MediaError> {
    match event {
        Event::Text(text) => text.decode().map(|t| Some(t.into_owned())).map_err(|_| MediaError::Damaged),
        Event::GeneralRef(entity) => {
            let name = entity.decode().map_err(|_| MediaError::Damaged)?;
            Ok(match entity.resolve_char_ref() {
                Ok(Some(c)) => Some(c.to_string()),
                _ => resolve_predefined_entity(&name).map(str::to_owned),
            })
        }
        _ => Ok(None),
    }
}
