//! A cache of packed weights beside the model: the second start maps it instead of packing again.
//!
//! The file is a line that names what it was made of, filled up to 4,096 bytes, and then every packed matrix in the order in
//! which the model asks for them (`vlgate_kernels::Weight::write_to`). It is written beside its place and moved there, so that
//! nobody ever maps half a file.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use memmap2::Mmap;
use vlgate_kernels::{Kind, Weight};

use super::weights::Kinds;

const HEADER: usize = 4096;
/// How a file is named while a process of that number writes it.
const PART: &str = "part-";

/// Reads or writes the cache while a model is loaded.
#[derive(Debug, Default)]
pub struct Packed {
    read: Option<Mutex<(Arc<Mmap>, usize)>>,
    write: Option<Mutex<Writing>>,
}

#[derive(Debug)]
struct Writing {
    part: PathBuf,
    place: PathBuf,
    /// `None` after a failure: loading goes on without a cache.
    out: Option<BufWriter<File>>,
}

impl Packed {
    /// The cache in `cache` for the model in `folder`: to be read if it was made of these very files, else to be written. A
    /// cache that cannot be written is a warning, not an error.
    #[must_use]
    pub fn open(cache: &Path, folder: &Path, kinds: &Kinds) -> Self {
        let name = fingerprint(folder, kinds);
        let place = cache.join(format!("{:?}-{:?}.vlgate-packed", kinds.text, kinds.vision).to_lowercase());
        if let Some(map) = existing(&place, &name) {
            return Self { read: Some(Mutex::new((map, HEADER))), write: None };
        }
        let part = place.with_extension(format!("{PART}{}", std::process::id()));
        sweep(cache);
        let begin = || {
            std::fs::create_dir_all(cache)?;
            let mut out = BufWriter::with_capacity(1 << 20, File::create(&part)?);
            let mut header = name.into_bytes();
            header.resize(HEADER, b' ');
            out.write_all(&header)?;
            Ok::<_, std::io::Error>(out)
        };
        match begin() {
            Ok(out) => Self { read: None, write: Some(Mutex::new(Writing { part, place, out: Some(out) })) },
            Err(error) => {
                tracing::warn!("no cache of packed weights in {}: {error}", cache.display());
                Self::default()
            }
        }
    }

    /// Whether weights come from the cache.
    #[must_use]
    pub const fn hit(&self) -> bool {
        self.read.is_some()
    }

    /// The next weight, if the cache has it.
    ///
    /// # Errors
    /// When the cache holds something else.
    pub fn next(&self, kind: Kind, n: usize, k: usize) -> Result<Option<Weight>, String> {
        let Some(read) = &self.read else { return Ok(None) };
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        let (weight, offset) = Weight::from_mapped(&read.0, read.1).map_err(|e| e.to_string())?;
        if (weight.kind(), weight.n(), weight.k()) != (kind, n, k) {
            return Err(format!(
                "the cache of packed weights holds {weight:?} where {kind:?} {n} x {k} is wanted; delete it"
            ));
        }
        read.1 = offset;
        Ok(Some(weight))
    }

    /// Adds a weight that was packed.
    pub fn add(&self, weight: &Weight) {
        let Some(write) = &self.write else { return };
        let mut write = write.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(out) = &mut write.out
            && let Err(error) = weight.write_to(out)
        {
            tracing::warn!("the cache of packed weights cannot be written: {error}");
            write.out = None;
        }
    }

    /// Moves the whole file to its place; half a one is deleted.
    pub fn finish(self, whole: bool) {
        let Some(write) = self.write else { return };
        let Writing { part, place, out } = write.into_inner().unwrap_or_else(PoisonError::into_inner);
        let moved = match out {
            Some(mut out) if whole => out.flush().and_then(|()| std::fs::rename(&part, &place)),
            _ => Err(std::io::Error::other("not whole")),
        };
        if moved.is_err() {
            let _ = std::fs::remove_file(&part);
        }
    }
}

/// Deletes what processes left that were killed while they wrote.
fn sweep(cache: &Path) {
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        let path = entry.path();
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let Some(writer) = ending.strip_prefix(PART).and_then(|id| id.parse::<u32>().ok()) else { continue };
        // Where there is no /proc, what is left stays.
        if Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{writer}")).exists() {
            tracing::info!("deleting {}: its writer was killed", path.display());
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The cache, if it was made of `name` and is whole.
#[allow(unsafe_code)]
fn existing(place: &Path, name: &str) -> Option<Arc<Mmap>> {
    let file = File::open(place).ok()?;
    // SAFETY: read only; the file is replaced by moving another into its place, never changed.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    if map.get(..HEADER)?.trim_ascii_end() != name.as_bytes() {
        return None;
    }
    let (map, mut at) = (Arc::new(map), HEADER);
    while at < map.len() {
        at = Weight::from_mapped(&map, at).ok()?.1;
    }
    Some(map)
}

/// What the packed form depends on: the weights' files by name, size and time, the kinds, and this version.
fn fingerprint(folder: &Path, kinds: &Kinds) -> String {
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            if !(name.ends_with(".safetensors") || name == "config.json") {
                return None;
            }
            // Through links: a hub folder is links to blobs.
            let meta = std::fs::metadata(entry.path()).ok()?;
            let time = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
            Some(format!("{name} {} {time}", meta.len()))
        })
        .collect();
    files.sort();
    let mut name = format!("vlgate packed 1 {kinds:?} {}", files.join(" "));
    if name.len() > HEADER {
        // Hundreds of shards: their names' hash instead of their names.
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        name = format!("vlgate packed 1 {kinds:?} {:x}", hasher.finish());
    }
    name
}
