//! XLSX: every sheet under its name, rows as lines, cells between tabs (ECMA-376, SpreadsheetML), read as a stream: a sheet
//! with one cell in its last corner is no larger than that cell.

use std::collections::HashSet;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    archive::Archive,
    office::{attributes, said, targets_of},
    text::Out,
};
use crate::MediaError;

/// Writes a workbook.
///
/// # Errors
/// [`MediaError::Damaged`], [`MediaError::Encrypted`], [`MediaError::TooMuchText`].
pub fn xlsx(bytes: &[u8], unpacked: u64, out: &mut Out) -> Result<(), MediaError> {
    let mut archive = Archive::open(bytes, unpacked)?;
    let book = archive.member("xl/workbook.xml")?.ok_or(MediaError::Damaged)?;
    let relations = archive.member("xl/_rels/workbook.xml.rels")?.ok_or(MediaError::Damaged)?;
    let targets = targets_of(&relations)?;
    let shared = archive.member("xl/sharedStrings.xml")?.map_or(Ok(Vec::new()), |xml| strings(&xml))?;
    let dates = archive.member("xl/styles.xml")?.map_or(Ok(Vec::new()), |xml| dated(&xml))?;
    let names = attributes(&book, b"sheet", b"name")?.into_iter().zip(attributes(&book, b"sheet", b"r:id")?);
    for (name, id) in names {
        let path = match targets.get(&id) {
            Some(target) if target.starts_with('/') => target.trim_start_matches('/').to_owned(),
            Some(target) => format!("xl/{target}"),
            None => continue,
        };
        // A chart's sheet has no cells.
        let Some(xml) = archive.member(&path)? else { continue };
        out.paragraph()?;
        out.push(&format!("[Sheet: {}]\n", line(&name)))?;
        cells(&xml, &shared, &dates, out)?;
    }
    Ok(())
}

/// `sharedStrings.xml`: the text of each `si`, its runs joined, phonetic hints left out.
fn strings(xml: &[u8]) -> Result<Vec<String>, MediaError> {
    let mut reader = Reader::from_reader(xml);
    let (mut all, mut text, mut hint, mut open) = (Vec::new(), String::new(), false, false);
    loop {
        match reader.read_event().map_err(|_| MediaError::Damaged)? {
            Event::Start(e) if e.local_name().as_ref() == b"t" => open = true,
            Event::End(e) if e.local_name().as_ref() == b"t" => open = false,
            Event::Start(e) if e.local_name().as_ref() == b"rPh" => hint = true,
            Event::End(e) if e.local_name().as_ref() == b"rPh" => hint = false,
            Event::End(e) if e.local_name().as_ref() == b"si" => all.push(std::mem::take(&mut text)),
            Event::Empty(e) if e.local_name().as_ref() == b"si" => all.push(String::new()),
            Event::Eof => return Ok(all),
            event if open && !hint => text.extend(said(&event)?),
            _ => {}
        }
    }
}

/// `styles.xml`: for each cell format whether it shows a date or a time.
fn dated(xml: &[u8]) -> Result<Vec<bool>, MediaError> {
    let mut reader = Reader::from_reader(xml);
    let (mut own, mut all, mut formats) = (HashSet::new(), Vec::new(), false);
    loop {
        match reader.read_event().map_err(|_| MediaError::Damaged)? {
            Event::Start(e) if e.local_name().as_ref() == b"cellXfs" => formats = true,
            Event::End(e) if e.local_name().as_ref() == b"cellXfs" => formats = false,
            Event::Start(e) | Event::Empty(e) => match e.local_name().as_ref() {
                b"numFmt" => {
                    let code = attribute(&e, b"formatCode").unwrap_or_default();
                    own.extend(attribute(&e, b"numFmtId").filter(|_| shows_date(&code)));
                }
                b"xf" if formats => {
                    let id = attribute(&e, b"numFmtId").unwrap_or_default();
                    let builtin = matches!(id.parse(), Ok(14..=22 | 27..=36 | 45..=47 | 50..=58u32));
                    all.push(builtin || own.contains(&id));
                }
                _ => {}
            },
            Event::Eof => return Ok(all),
            _ => {}
        }
    }
}

/// Whether a number format has a day, a year, an hour or a second outside of quotes and brackets.
fn shows_date(code: &str) -> bool {
    let (mut quoted, mut bracket, mut escaped) = (false, false, false);
    for c in code.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' | '_' | '*' => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => bracket = true,
            ']' if !quoted => bracket = false,
            'd' | 'y' | 'h' | 's' | 'D' | 'Y' | 'H' | 'S' if !quoted && !bracket => return true,
            _ => {}
        }
    }
    false
}

/// A cell while it is read.
#[derive(Default)]
struct Cell {
    column: u32,
    kind: String,
    style: usize,
    value: String,
    /// Inside `v` or `is`, where its value is.
    open: bool,
}

fn cells(xml: &[u8], shared: &[String], dates: &[bool], out: &mut Out) -> Result<(), MediaError> {
    let mut reader = Reader::from_reader(xml);
    let (mut cell, mut at, mut next) = (Cell::default(), 0u32, 0u32);
    loop {
        let event = reader.read_event().map_err(|_| MediaError::Damaged)?;
        match &event {
            Event::Start(e) => match e.local_name().as_ref() {
                b"row" => {
                    out.line()?;
                    (at, next) = (0, 0);
                }
                b"c" => {
                    let column = attribute(e, b"r").and_then(|r| column(&r)).unwrap_or(next);
                    let style = attribute(e, b"s").and_then(|s| s.parse().ok()).unwrap_or(0);
                    let kind = attribute(e, b"t").unwrap_or_default();
                    next = column.saturating_add(1);
                    cell = Cell { column, kind, style, ..Cell::default() };
                }
                b"v" | b"is" => cell.open = true,
                _ => {}
            },
            Event::Empty(e) if e.local_name().as_ref() == b"c" => next = next.saturating_add(1),
            Event::End(e) => match e.local_name().as_ref() {
                b"v" | b"is" => cell.open = false,
                b"c" => {
                    let text = shown(&cell, shared, dates);
                    if !text.is_empty() {
                        // Empty cells stand for themselves as long as they are few.
                        let gap = cell.column.saturating_sub(at).min(64) as usize;
                        out.push(&"\t".repeat(gap))?;
                        out.push(&text)?;
                        at = cell.column;
                    }
                }
                b"row" => out.line()?,
                _ => {}
            },
            Event::Text(text) if cell.open => {
                cell.value.push_str(&text.decode().map_err(|_| MediaError::Damaged)?);
            }
            Event::GeneralRef(_) if cell.open => cell.value.extend(said(&event)?),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// A cell's value on one line.
fn shown(cell: &Cell, shared: &[String], dates: &[bool]) -> String {
    let value = cell.value.trim();
    match cell.kind.as_str() {
        "s" => value.parse().ok().and_then(|at: usize| shared.get(at)).map(|text| line(text)).unwrap_or_default(),
        "b" => if value == "1" { "TRUE" } else { "FALSE" }.to_owned(),
        "" | "n" => match value.parse::<f64>() {
            Ok(serial) if dates.get(cell.style) == Some(&true) => date(serial),
            // 0.1 + 0.2 is stored with all its digits; a reader sees fifteen.
            Ok(number) => format!("{:.14e}", number).parse::<f64>().unwrap_or(number).to_string(),
            Err(_) => line(value),
        },
        _ => line(value),
    }
}

/// The column of a reference such as `BC12`, from 0.
fn column(reference: &str) -> Option<u32> {
    let letters = reference.bytes().take_while(u8::is_ascii_uppercase);
    let number = letters.take(4).fold(0u32, |n, letter| n * 26 + u32::from(letter - b'A') + 1);
    number.checked_sub(1)
}

fn attribute(e: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let value = e.try_get_attribute(name).ok()??;
    value.unescape_value().ok().map(std::borrow::Cow::into_owned)
}

fn line(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ")
}

/// A serial number of days since 1899-12-30 as ISO 8601, a time alone where there is no day; those of the 1904 system are rare.
fn date(serial: f64) -> String {
    if !(0.0..3_000_000.0).contains(&serial) {
        return serial.to_string();
    }
    let seconds = ((serial.fract() * 86_400.0).round() as u64).min(86_399);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let time = format!("{h:02}:{m:02}:{s:02}");
    if serial < 1.0 {
        return time;
    }
    let (year, month, day) = civil(serial.trunc() as i64 - 25_569);
    let day = format!("{year:04}-{month:02}-{day:02}");
    if seconds == 0 { day } else { format!("{day} {time}") }
}

/// Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + (month <= 2) as i64, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_dates() {
        assert_eq!(date(45_292.0), "2024-01-01");
        assert_eq!(date(45_351.5), "2024-02-29 12:00:00");
        assert_eq!(date(0.25), "06:00:00");
        assert_eq!(date(1e300), 1e300.to_string());
    }

    #[test]
    fn formats_and_references() {
        for (code, date) in [
            ("yyyy\\-mm", true),
            ("0.00", false),
            ("\"day\" 0", false),
            ("[Red]0", false),
            ("h:mm", true),
            ("#,##0 \\d", false),
        ] {
            assert_eq!(shows_date(code), date, "{code}");
        }
        assert_eq!(
            [column("A1"), column("Z9"), column("AA10"), column("XFD1")],
            [Some(0), Some(25), Some(26), Some(16_383)]
        );
        assert_eq!(column("7"), None);
    }
}
