//! Pictures, clips and files of a request, resolved several at once into what the model is shown; for every skin.

use std::{borrow::Cow, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use vlgate_engine::{ModelCard, Part};
use vlgate_media::{
    Block, FileBytes, ImageSource, MediaError, Medium, Name, PageRange, Picture, Reading, Resolved, Sampling, Seen,
    Sizing, VisionSpec,
};
use vlgate_openai::{
    ApiError,
    chat::{FrameNote, MediaNote, PageNote},
};

use crate::{State, files, reply, store::Owner};

/// Parts of one request that are fetched and decoded at once.
const AT_ONCE: usize = 8;

/// A part that a request names.
#[derive(Debug)]
pub struct Item<'a> {
    /// Where it is in the request: `messages[0].content[1].image_url`.
    pub path: String,
    /// What it is.
    pub wish: Wish<'a>,
}

/// What is wanted of a part.
#[derive(Debug)]
pub enum Wish<'a> {
    /// A picture, under a name of the client's own (`uuid`), or both; `field` is where in the part its URL or the file's id is: `.url`.
    Image { origin: Option<Origin<'a>>, field: &'static str, uuid: Option<&'a str>, sizing: Sizing },
    /// A clip behind a URL, under a name, or both.
    Video { url: Option<&'a str>, uuid: Option<&'a str>, sampling: Sampling },
    /// A clip of frames, each behind a URL.
    Frames { urls: Vec<&'a str>, times: Option<&'a [f64]>, uuid: Option<&'a str>, sampling: Sampling },
    /// A document, under a name, or both.
    File {
        source: Option<FileSource<'a>>,
        uuid: Option<&'a str>,
        name: Option<&'a str>,
        pages: Option<&'a str>,
        sizing: Sizing,
    },
}

/// Where a picture's bytes are.
#[derive(Debug)]
pub enum Origin<'a> {
    /// In a `data:` URL, or behind an `http(s)` one.
    Url(Cow<'a, str>),
    /// In an uploaded file, by its id.
    File(&'a str),
}

/// Where a document's bytes are.
#[derive(Debug)]
pub enum FileSource<'a> {
    /// In the request: base64, or a `data:` URL.
    Data(Cow<'a, str>),
    /// Behind a URL.
    Url(&'a str),
    /// Uploaded before.
    Id(&'a str),
}

impl<'a> FileSource<'a> {
    /// By the fields that OpenAI's requests have for it.
    pub fn of(data: Option<&'a str>, url: Option<&'a str>, id: Option<&'a str>) -> Option<Self> {
        data.map(|data| Self::Data(data.into())).or(url.map(Self::Url)).or(id.map(Self::Id))
    }
}

/// A part, resolved.
pub struct Taken {
    /// What stands in its place in the conversation.
    pub parts: Vec<Part>,
    /// What the model saw.
    pub note: MediaNote,
}

/// All of them, in order. `owner` tells callers apart: names of parts are theirs.
///
/// # Errors
/// The first that cannot be taken, with its path.
pub async fn take(
    state: &State,
    owner: &Owner,
    card: &ModelCard,
    items: Vec<Item<'_>>,
) -> Result<Vec<Taken>, ApiError> {
    fits(state, card, &items)?;
    // Not a stream of closures: those keep the future from being sent to another thread.
    let each: Vec<_> = items.into_iter().map(|item| one(state, owner, card, item)).collect();
    let taken: Vec<Taken> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
    let mut pages = 0;
    for taken in &taken {
        pages += taken.note.pages.len();
        if pages > state.config.pages_per_request {
            let most = state.config.pages_per_request;
            let message = format!("Too many pages: at most {most} are accepted in one request.");
            return Err(ApiError::new(400, "invalid_request_error", "too_many_pages", message).at(&taken.note.param));
        }
    }
    Ok(taken)
}

/// Whether there may be as many, and whether the model takes them.
fn fits(state: &State, card: &ModelCard, items: &[Item<'_>]) -> Result<(), ApiError> {
    let config = &state.config;
    let clip = |w: &Wish<'_>| matches!(w, Wish::Video { .. } | Wish::Frames { .. });
    let image = |w: &Wish<'_>| matches!(w, Wish::Image { .. });
    let file = |w: &Wish<'_>| matches!(w, Wish::File { .. });
    let beyond = |is: &dyn Fn(&Wish<'_>) -> bool, most: usize| items.iter().filter(|i| is(&i.wish)).nth(most);
    for (noun, beyond, most) in [
        ("images", beyond(&image, config.images_per_request), config.images_per_request),
        ("videos", beyond(&clip, config.videos_per_request), config.videos_per_request),
        ("files", beyond(&file, config.files_per_request), config.files_per_request),
    ] {
        if let Some(item) = beyond {
            let message = format!("Too many {noun}: at most {most} are accepted in one request.");
            return Err(ApiError::invalid(&item.path, message));
        }
    }
    let refuse = |item: &Item<'_>, noun: &str| {
        Err(ApiError::invalid(&item.path, format!("The model '{}' does not take {noun}.", card.id)))
    };
    match (items.iter().find(|i| image(&i.wish)), items.iter().find(|i| clip(&i.wish))) {
        (Some(item), _) if card.vision.is_none() => refuse(item, "images"),
        (_, Some(item)) if card.vision.is_none() || !card.video => refuse(item, "video"),
        _ => Ok(()),
    }
}

async fn one(state: &State, owner: &Owner, card: &ModelCard, item: Item<'_>) -> Result<Taken, ApiError> {
    let Item { path, wish } = item;
    let resolver = &state.resolver;
    let spec = card.vision.unwrap_or(VisionSpec::QWEN3_VL);
    let named = |medium, uuid: Option<&str>| uuid.map(|uuid| Name::new(owner.as_str(), medium, uuid));
    let (parts, seen) = match wish {
        Wish::Image { origin, field, uuid, sizing } => {
            let at = format!("{path}{field}");
            let name = named(Medium::Image, uuid);
            let got = match (origin, name) {
                (Some(Origin::Url(url)), None) => resolver.image(ImageSource { url: &url }, &spec, &sizing).await,
                (Some(Origin::Url(url)), Some(name)) => resolver.named_image(name, Some(&url), &spec, &sizing).await,
                (Some(Origin::File(id)), _) => {
                    let (bytes, _memory) = uploaded_picture(state, owner, id, &at).await?;
                    resolver.image_bytes(bytes, &spec, &sizing).await
                }
                (None, Some(name)) => resolver.named_image(name, None, &spec, &sizing).await,
                (None, None) => Err(MediaError::UnknownName),
            };
            picture(got.map_err(|e| reply::media(&e, at))?)
        }
        Wish::Video { url, uuid, sampling } => {
            let got = match (url, named(Medium::Video, uuid)) {
                (Some(url), name) => resolver.video(url, name, &spec, &sampling).await,
                (None, Some(name)) => resolver.known_video(name, &spec, &sampling).await,
                (None, None) => Err(MediaError::UnknownName),
            };
            let got = got.map_err(|e| reply::media(&e, path.clone()))?;
            (vec![Part::Video(Arc::new(got.what))], got.seen)
        }
        Wish::Frames { urls, times, uuid, sampling } => {
            let got = resolver.frames(&urls, times, named(Medium::Video, uuid), &spec, &sampling).await;
            let got = got.map_err(|(frame, e)| reply::media(&e, format!("{path}[{frame}]")))?;
            (vec![Part::Video(Arc::new(got.what))], got.seen)
        }
        Wish::File { source, uuid, name, pages, sizing } => {
            let wrong = |error: MediaError| {
                let of_pages = matches!(error.code().as_str(), "invalid_page_range" | "too_many_pages");
                reply::media(&error, if of_pages { format!("{path}.pages") } else { path.clone() })
            };
            let pages = pages.map(PageRange::parse).transpose().map_err(wrong)?;
            let known = named(Medium::File, uuid);
            let (file, _memory) = match (source, known) {
                (Some(source), _) => file(state, owner, source, name, &path).await?,
                (None, Some(known)) => (resolver.named_file(known).map_err(wrong)?, None),
                (None, None) => return Err(wrong(MediaError::UnknownName)),
            };
            // What cannot be read is not kept.
            let copy = known.map(|known| (known, file.clone()));
            let is_picture = file.mime.as_deref().is_some_and(|m| m.starts_with("image/"));
            let taken = if is_picture && !file.has_pictured_pages() {
                // As OpenAI takes it: a picture that was uploaded as a file is seen as a picture.
                picture(resolver.image_bytes(file.bytes, &spec, &sizing).await.map_err(wrong)?)
            } else {
                let reading = Reading { pages, sizing };
                let got = resolver.document(file, card.vision.as_ref(), &reading).await.map_err(wrong)?;
                let part = |block| match block {
                    Block::Text(text) => Part::Text(text),
                    Block::Picture(picture) => Part::Image(Arc::new(picture)),
                };
                (got.what.blocks.into_iter().map(part).collect(), got.seen)
            };
            if let Some((known, file)) = copy {
                resolver.name_file(known, file);
            }
            taken
        }
    };
    Ok(Taken { parts, note: note(path, seen) })
}

/// A picture's bytes, and what has to be held for as long as they are.
async fn uploaded_picture(
    state: &State,
    owner: &Owner,
    id: &str,
    at: &str,
) -> Result<(Vec<u8>, OwnedSemaphorePermit), ApiError> {
    let file = files::resolve(state, owner, id, state.resolver.image_limit() as u64, at).await?;
    if !file.mime.starts_with("image/") {
        let message = format!("The file '{}' is no image: its type is '{}'.", file.name, file.mime);
        return Err(ApiError::new(400, "invalid_request_error", "unsupported_content", message).at(at));
    }
    Ok(file.into_bytes())
}

fn picture(got: Resolved<Picture>) -> (Vec<Part>, Seen) {
    (vec![Part::Image(Arc::new(got.what))], got.seen)
}

/// A document's bytes, and what has to be held for as long as they are.
async fn file(
    state: &State,
    owner: &Owner,
    source: FileSource<'_>,
    name: Option<&str>,
    path: &str,
) -> Result<(FileBytes, Option<OwnedSemaphorePermit>), ApiError> {
    let resolver = &state.resolver;
    let limit = resolver.document_bytes();
    let wrong = |error: &MediaError, field: &str| reply::media(error, format!("{path}.{field}"));
    let name = name.map(str::to_owned);
    match source {
        FileSource::Data(text) => {
            let text = text.trim();
            let mime = text.strip_prefix("data:").and_then(|rest| rest.split([',', ';']).next()).map(str::to_owned);
            let url = if mime.is_some() { text.into() } else { format!("data:;base64,{text}") };
            let bytes = resolver.bytes(&url, Medium::File, limit).await.map_err(|e| wrong(&e, "file_data"))?;
            Ok((FileBytes { bytes, name, mime }, None))
        }
        FileSource::Url(url) => {
            let bytes = resolver.bytes(url, Medium::File, limit).await.map_err(|e| wrong(&e, "file_url"))?;
            let last = || url.split(['?', '#']).next()?.rsplit('/').next().map(str::to_owned);
            Ok((FileBytes { bytes, name: name.or_else(last), mime: None }, None))
        }
        FileSource::Id(id) => {
            let file = files::resolve(state, owner, id, limit as u64, &format!("{path}.file_id")).await?;
            let (own, mime) = (file.name.clone(), file.mime.clone());
            let (bytes, memory) = file.into_bytes();
            Ok((FileBytes { bytes, name: name.or(Some(own)), mime: Some(mime) }, Some(memory)))
        }
    }
}

fn note(param: String, seen: Seen) -> MediaNote {
    MediaNote {
        param,
        kind: seen.medium.noun(),
        format: seen.format,
        codec: seen.codec,
        size: seen.before,
        size_seen: seen.after,
        tokens: seen.tokens,
        frames: seen.frames.iter().map(|f| FrameNote { index: f.index, time: f.time }).collect(),
        pages: seen
            .pages
            .iter()
            .map(|p| PageNote {
                page: p.page,
                characters: u32::try_from(p.characters).unwrap_or(u32::MAX),
                size_seen: p.after,
                dpi: p.dpi,
                tokens: p.tokens,
            })
            .collect(),
        pages_total: seen.of_pages,
        cached: seen.cached,
    }
}
