//! TIFF files of several pages (scans, faxes): each page's picture. The decoder reads the page that the file's head points to,
//! so the head is pointed at one after the other.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Block, Document, Reading, title_of_pages};
use crate::{
    MediaError, Medium, PageSeen, Resolved, Seen, VisionSpec, decode,
    resolver::{Encoded, Resolver, blocking},
    tiff::Layout,
};

impl Resolver {
    /// A TIFF's wanted pages.
    pub(super) async fn tiff(
        &self,
        mut bytes: Vec<u8>,
        title: &str,
        spec: &VisionSpec,
        reading: &Reading,
    ) -> Result<Resolved<Document>, MediaError> {
        let places = Layout::of(&bytes).ok_or(MediaError::Damaged)?.pages(&bytes)?;
        let total = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let wanted = reading.wanted(total, self.config.document_pages)?;
        let mut document = Document { blocks: vec![Block::Text(title_of_pages(title, total, &wanted))] };
        let mut seen = Seen { of_pages: Some(total), ..Seen::new(Medium::File, "tiff") };
        let pixels = self.config.image_pixels;
        let file = Sha256::digest(&bytes);
        for page in wanted {
            let place = *places.get(page as usize - 1).ok_or(MediaError::Damaged)?;
            let hash = Sha256::new().chain_update(file).chain_update(page.to_be_bytes()).finalize().into();
            let read = move || {
                Layout::of(&bytes).ok_or(MediaError::Damaged)?.point(&mut bytes, place);
                let header = decode::header(&bytes, pixels)?;
                Ok(Encoded { bytes: Arc::new(bytes), hash, header })
            };
            let encoded = blocking(read).await?;
            let all = Arc::clone(&encoded.bytes);
            let picture = self.shown(encoded, spec, &reading.sizing).await?.what;
            bytes = Arc::unwrap_or_clone(all);
            let (after, tokens) = (Some((picture.width, picture.height)), picture.tokens(spec));
            seen.pages.push(PageSeen { page, characters: 0, after, dpi: 0, tokens });
            seen.tokens += tokens;
            document.blocks.extend([Block::Text(format!("\n[Page {page}]\n")), Block::Picture(picture)]);
        }
        document.blocks.push(Block::Text(format!("\n[End of {title}]\n")));
        Ok(Resolved { what: document, seen })
    }
}
