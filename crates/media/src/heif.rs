//! AVIF and HEIC: what their boxes say (ISO/IEC 14496-12 and 23008-12), read here before libheif sees the file in a child
//! process: bombs and lies cost no process, and the child gets a file in which the primary picture is the only one.

use crate::{
    MediaError,
    boxes::{Cursor, children},
};

/// Items, their pieces and properties in one file; phones write some hundreds.
const MOST: usize = 4096;

/// What the primary picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heif {
    /// `avif` or `heic`, by what the picture is coded in.
    pub name: &'static str,
    /// Width in pixels, before turning.
    pub width: u32,
    /// Height in pixels, before turning.
    pub height: u32,
    /// Bytes of a pixel, at the most: alpha, and more than 8 bits.
    pub pixel_bytes: u8,
    /// Whether a part of it is cut out (`clap`).
    pub cut: bool,
}

/// Whether a file begins as one: by its brands.
pub fn is_heif(bytes: &[u8]) -> bool {
    let known = |brand: &[u8]| {
        matches!(
            brand,
            b"avif" | b"avis" | b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1"
        )
    };
    let Some(Ok(first)) = children(bytes, 0).next() else { return false };
    // The major brand, its version, and those that it is compatible with.
    let brands = first.body.chunks_exact(4).enumerate().filter(|(i, _)| *i != 1).map(|(_, brand)| brand);
    first.kind == *b"ftyp" && brands.take(64).any(known)
}

/// Reads the boxes; `pixels` is the most that a picture may have.
///
/// # Errors
/// [`MediaError::Damaged`], [`MediaError::TooManyPixels`], [`MediaError::UnsupportedFormat`].
pub fn read(bytes: &[u8], pixels: u64) -> Result<Heif, MediaError> {
    let meta = Meta::read(bytes)?;
    if let Some((width, height)) = meta.sizes().find(|(w, h)| u64::from(*w) * u64::from(*h) > pixels) {
        return Err(MediaError::TooManyPixels { width, height, limit: pixels });
    }
    let primary = meta.item(meta.primary)?;
    let (width, height) = meta.size(primary.id).filter(|(w, h)| *w > 0 && *h > 0).ok_or(MediaError::Damaged)?;
    let mut coded = meta.coded(primary, bytes)?;
    let kind = coded.first().map(|item| item.kind).ok_or(MediaError::Damaged)?;
    let aux: Vec<u32> =
        meta.references.iter().filter(|r| r.kind == *b"auxl" && r.to.contains(&primary.id)).map(|r| r.from).collect();
    for id in &aux {
        coded.extend(meta.coded(meta.item(*id)?, bytes)?);
    }
    // Tiles reach over the edge, and the alpha has a picture of its own; a tile that is used again and again is a bomb.
    let area = |item: &&Item| meta.size(item.id).map_or(0, |(w, h)| u64::from(w) * u64::from(h));
    if coded.iter().map(area).sum::<u64>() > 3 * pixels || meta.extents > bytes.len() as u64 {
        return Err(MediaError::Damaged);
    }
    let name = match &kind {
        b"av01" => "avif",
        b"hvc1" => "heic",
        _ => return Err(MediaError::UnsupportedFormat("HEIF with another codec than HEVC and AV1")),
    };
    let channels = if aux.is_empty() { 3 } else { 4 };
    Ok(Heif { name, width, height, pixel_bytes: channels * if meta.deep { 2 } else { 1 }, cut: meta.cut })
}

/// The file with every item hidden but the primary one, since libheif's program decodes all that are shown, and with a still
/// picture's brand, since it takes no sequence.
///
/// # Errors
/// As [`read`].
pub fn alone(bytes: &[u8], name: &str) -> Result<Vec<u8>, MediaError> {
    let meta = Meta::read(bytes)?;
    let mut out = bytes.to_vec();
    // Behind the box's size and kind.
    let brand = out.get_mut(8..12).ok_or(MediaError::Damaged)?;
    brand.copy_from_slice(if name == "avif" { b"avif" } else { b"heic" });
    for item in &meta.items {
        let flags = out.get_mut(item.flags).ok_or(MediaError::Damaged)?;
        *flags = if item.id == meta.primary { *flags & !1 } else { *flags | 1 };
    }
    Ok(out)
}

#[derive(Debug)]
struct Item {
    id: u32,
    kind: [u8; 4],
    /// Where in the file the last byte of its flags is, of which the lowest bit hides it.
    flags: usize,
}

#[derive(Debug)]
struct Reference {
    kind: [u8; 4],
    from: u32,
    to: Vec<u32>,
}

/// Where an item's bytes begin.
#[derive(Debug)]
struct Place {
    id: u32,
    /// In the `idat` box, not in the file.
    inner: bool,
    offset: u64,
}

/// What the `meta` box says.
#[derive(Debug, Default)]
struct Meta<'a> {
    primary: u32,
    items: Vec<Item>,
    /// Width and height, for each property that is one.
    properties: Vec<Option<(u32, u32)>>,
    /// Items and the numbers of their properties, from 1.
    has: Vec<(u32, Vec<usize>)>,
    references: Vec<Reference>,
    /// Items that are referred to, once for each time.
    referred: usize,
    places: Vec<Place>,
    /// Bytes of all items together.
    extents: u64,
    /// Whether anything has more than 8 bits.
    deep: bool,
    /// Whether anything is cut.
    cut: bool,
    idat: &'a [u8],
}

impl<'a> Meta<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, MediaError> {
        let mut found = None;
        for part in children(bytes, 0) {
            // What follows the boxes that matter may be cut or be anything.
            let Ok(part) = part else { break };
            if part.kind == *b"meta" {
                found = Some(part);
                break;
            }
        }
        let meta = found.ok_or(MediaError::Damaged)?;
        let mut out = Self::default();
        let (body, at) = (meta.body.get(4..).unwrap_or_default(), meta.at + 4);
        for part in children(body, at) {
            let part = part?;
            let mut of = Cursor::new(part.body);
            match &part.kind {
                b"pitm" => {
                    let version = of.version()?.0;
                    out.primary = of.id(version > 0)?;
                }
                b"iinf" => out.infos(&mut of, part.at)?,
                b"iprp" => {
                    for part in children(part.body, part.at) {
                        let part = part?;
                        match &part.kind {
                            b"ipco" => out.containers(part.body, part.at)?,
                            b"ipma" => out.associations(&mut Cursor::new(part.body))?,
                            _ => {}
                        }
                    }
                }
                b"iref" => out.references(&mut of, part.at)?,
                b"iloc" => out.locations(&mut of)?,
                b"idat" => out.idat = part.body,
                _ => {}
            }
        }
        Ok(out)
    }

    fn infos(&mut self, of: &mut Cursor<'a>, at: usize) -> Result<(), MediaError> {
        let version = of.version()?.0;
        of.id(version > 0)?;
        let read = of.read;
        for part in children(of.rest(), at + read) {
            let part = part?;
            let mut of = Cursor::new(part.body);
            let (version, _) = of.version()?;
            if part.kind != *b"infe" || version < 2 {
                continue;
            }
            let id = of.id(version > 2)?;
            of.take(2)?;
            let kind = of.array()?;
            self.items.push(Item { id, kind, flags: part.at + 3 });
            few(self.items.len())?;
        }
        Ok(())
    }

    fn containers(&mut self, body: &[u8], at: usize) -> Result<(), MediaError> {
        for part in children(body, at) {
            let part = part?;
            let mut of = Cursor::new(part.body);
            let size = match &part.kind {
                b"ispe" => {
                    of.version()?;
                    Some((of.u32()?, of.u32()?))
                }
                b"pixi" => {
                    of.version()?;
                    self.deep |= of.rest().iter().skip(1).any(|bits| *bits > 8);
                    None
                }
                b"clap" => {
                    self.cut = true;
                    None
                }
                b"hvcC" => {
                    // The low bits of bytes 17 and 18 are the bits of brightness and colour beyond 8.
                    self.deep |= part.body.iter().skip(17).take(2).any(|byte| byte & 7 > 0);
                    None
                }
                b"av1C" => {
                    self.deep |= part.body.get(2).is_some_and(|byte| byte & 0x40 > 0);
                    None
                }
                _ => None,
            };
            self.properties.push(size);
            few(self.properties.len())?;
        }
        Ok(())
    }

    fn associations(&mut self, of: &mut Cursor<'a>) -> Result<(), MediaError> {
        let (version, flags) = of.version()?;
        for _ in 0..of.u32()? {
            let id = of.id(version > 0)?;
            let mut numbers = Vec::new();
            for _ in 0..of.u8()? {
                // The highest bit says that the property is essential.
                numbers.push(usize::from(if flags & 1 > 0 { of.u16()? & 0x7FFF } else { u16::from(of.u8()? & 0x7F) }));
            }
            self.has.push((id, numbers));
            few(self.has.len())?;
        }
        Ok(())
    }

    fn references(&mut self, of: &mut Cursor<'a>, at: usize) -> Result<(), MediaError> {
        let wide = of.version()?.0 > 0;
        for part in children(of.rest(), at + 4) {
            let part = part?;
            let mut of = Cursor::new(part.body);
            let from = of.id(wide)?;
            let count = of.u16()?;
            let to: Vec<u32> = (0..count).map(|_| of.id(wide)).collect::<Result<_, _>>()?;
            self.referred += to.len();
            self.references.push(Reference { kind: part.kind, from, to });
            few(self.references.len().max(self.referred))?;
        }
        Ok(())
    }

    fn locations(&mut self, of: &mut Cursor<'a>) -> Result<(), MediaError> {
        let version = of.version()?.0;
        let (sizes, more) = (of.u8()?, of.u8()?);
        let (offset, length, base) = (sizes >> 4, sizes & 15, more >> 4);
        let index = if version > 0 { more & 15 } else { 0 };
        let mut pieces = 0;
        for _ in 0..of.id(version > 1)? {
            let id = of.id(version > 1)?;
            let inner = version > 0 && of.u16()? & 15 == 1;
            of.u16()?;
            let base = of.number(base)?;
            let extents = of.u16()?;
            pieces += usize::from(extents);
            few(pieces)?;
            for extent in 0..extents {
                of.number(index)?;
                let (from, length) = (of.number(offset)?, of.number(length)?);
                self.extents = self.extents.saturating_add(length);
                if extent == 0 {
                    self.places.push(Place { id, inner, offset: base.saturating_add(from) });
                }
            }
        }
        Ok(())
    }

    fn item(&self, id: u32) -> Result<&Item, MediaError> {
        self.items.iter().find(|item| item.id == id).ok_or(MediaError::Damaged)
    }

    /// All widths and heights in the file.
    fn sizes(&self) -> impl Iterator<Item = (u32, u32)> {
        self.properties.iter().copied().flatten()
    }

    fn size(&self, id: u32) -> Option<(u32, u32)> {
        let numbers = self.has.iter().filter(|(item, _)| *item == id).flat_map(|(_, numbers)| numbers);
        numbers.filter_map(|n| *self.properties.get(n.checked_sub(1)?)?).next()
    }

    /// The coded pictures that an item is made of: itself, or its tiles, once for each use.
    fn coded<'b>(&'b self, item: &'b Item, file: &[u8]) -> Result<Vec<&'b Item>, MediaError> {
        match &item.kind {
            b"grid" => {
                let tiles = self.references.iter().find(|r| r.kind == *b"dimg" && r.from == item.id);
                let tiles: Vec<&Item> =
                    tiles.ok_or(MediaError::Damaged)?.to.iter().map(|id| self.item(*id)).collect::<Result<_, _>>()?;
                let flat = tiles.iter().all(|tile| tile.kind == *b"hvc1" || tile.kind == *b"av01");
                let sound =
                    flat && self.grid(item.id, file)? == (tiles.len(), self.size(item.id).ok_or(MediaError::Damaged)?);
                if sound { Ok(tiles) } else { Err(MediaError::Damaged) }
            }
            b"iovl" | b"iden" | b"tmap" => Err(MediaError::UnsupportedFormat("HEIF with a composed picture")),
            _ => Ok(vec![item]),
        }
    }

    /// The number of a grid's tiles, and its width and height, as its own bytes say it.
    fn grid(&self, id: u32, file: &[u8]) -> Result<(usize, (u32, u32)), MediaError> {
        let place = self.places.iter().find(|place| place.id == id).ok_or(MediaError::Damaged)?;
        let all = if place.inner { self.idat } else { file };
        let from = usize::try_from(place.offset).map_err(|_| MediaError::Damaged)?;
        let mut of = Cursor::new(all.get(from..).ok_or(MediaError::Damaged)?);
        of.u8()?;
        let wide = of.u8()? & 1 > 0;
        let tiles = (usize::from(of.u8()?) + 1) * (usize::from(of.u8()?) + 1);
        Ok((tiles, (of.id(wide)?, of.id(wide)?)))
    }
}

/// Not more than a file may have of them.
const fn few(many: usize) -> Result<(), MediaError> {
    if many > MOST { Err(MediaError::Damaged) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    fn golden(name: &str) -> Vec<u8> {
        fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/heif").join(name)).unwrap()
    }

    #[test]
    fn the_boxes_say_what_the_picture_is() {
        let of = |name: &str| {
            let heif = read(&golden(name), 1 << 24).unwrap();
            (heif.name, heif.width, heif.height, heif.pixel_bytes)
        };
        assert_eq!(of("plain.avif"), ("avif", 48, 32, 3));
        // x265 takes no less, and the box `clap` cuts it.
        assert_eq!(of("plain.heic"), ("heic", 64, 64, 3));
        assert!(read(&golden("plain.heic"), 1 << 24).unwrap().cut);
        assert_eq!(of("alpha.avif"), ("avif", 48, 32, 4));
        assert_eq!(of("alpha.heic"), ("heic", 64, 64, 4));
        assert_eq!(of("deep.heic"), ("heic", 64, 64, 6));
        assert_eq!(of("deep.avif"), ("avif", 48, 32, 6));
        assert_eq!(of("grid.heic"), ("heic", 160, 100, 3));
        // Before turning.
        assert_eq!(of("sideways.avif"), ("avif", 48, 32, 3));
    }

    #[test]
    fn too_many_pixels_are_seen_before_anything_is_decoded() {
        for name in ["plain.avif", "grid.heic"] {
            let error = read(&golden(name), 1000).unwrap_err();
            assert!(matches!(error, MediaError::TooManyPixels { limit: 1000, .. }), "{error:?}");
        }
    }

    #[test]
    fn one_picture_is_left() {
        let several = golden("several.heic");
        let meta = Meta::read(&several).unwrap();
        let pictures = meta.items.iter().filter(|item| item.kind == *b"hvc1").count();
        assert!(pictures > 1 && meta.primary != meta.items[0].id);
        let left = alone(&several, "heic").unwrap();
        assert_eq!(left.len(), several.len());
        let meta = Meta::read(&left).unwrap();
        let shown: Vec<u32> = meta.items.iter().filter(|item| left[item.flags] & 1 == 0).map(|item| item.id).collect();
        assert_eq!(shown, [meta.primary]);
        assert_eq!(&alone(&golden("moving.avif"), "avif").unwrap()[8..12], b"avif");
    }

    #[test]
    fn brands_tell_pictures_from_clips() {
        assert!(is_heif(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"));
        assert!(is_heif(b"\0\0\0\x18ftypxxxx\0\0\0\0mif1miaf"));
        for other in [&b"\0\0\0\x18ftypisom\0\0\0\0mp41iso2"[..], b"\0\0\0\x18ftypisomheic", b"ftypheic", b""] {
            assert!(!is_heif(other));
        }
    }

    #[test]
    fn cut_anywhere_it_is_an_error_or_a_picture() {
        for name in ["grid.avif", "several.heic", "alpha.avif", "moving.avif"] {
            let whole = golden(name);
            for length in 0..whole.len().min(2000) {
                let _ = (is_heif(&whole[..length]), read(&whole[..length], 1 << 24), alone(&whole[..length], "avif"));
            }
        }
    }
}
