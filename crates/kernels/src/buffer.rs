//! Memory of the kernels: page-aligned, zeroed, and in huge pages where the system has them.

use crate::Error;
use std::mem::MaybeUninit;

/// Zeroed memory that starts on a page. Pages cost nothing before their first write.
#[derive(Debug)]
pub struct Buffer {
    map: Memory,
    len: usize,
}

#[cfg(not(sanitized))]
type Memory = memmap2::MmapMut;
/// From the heap, with nothing behind the last byte: sanitizers see no end in a mapping.
#[cfg(sanitized)]
type Memory = Box<[u8]>;

impl Buffer {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Result<Self, Error> {
        Ok(Self { map: memory(len)?, len })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.map.get(..self.len).unwrap_or_default()
    }

    /// Its bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.map.get_mut(..self.len).unwrap_or_default()
    }
}

#[cfg(not(sanitized))]
fn memory(len: usize) -> Result<Memory, Error> {
    let map = memmap2::MmapOptions::new().len(len.max(1)).map_anon();
    let map = map.map_err(|source| Error::Memory { bytes: len, source })?;
    // Weights are streamed from end to end: 2 MiB pages spare a TLB miss every 4 KiB. Only advice, so a refusal is fine.
    #[cfg(target_os = "linux")]
    if len >= 4 << 20 {
        let _ = map.advise(memmap2::Advice::HugePage);
    }
    Ok(map)
}

#[cfg(sanitized)]
fn memory(len: usize) -> Result<Memory, Error> {
    let mut map = Vec::new();
    let none = |_| Error::Memory { bytes: len, source: std::io::ErrorKind::OutOfMemory.into() };
    map.try_reserve_exact(len).map_err(none)?;
    map.resize(len, 0);
    Ok(map.into_boxed_slice())
}

/// A cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [MaybeUninit<u8>; 64]);

/// Working memory that grows and is not cleared: whoever asks writes before it reads.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// At least `bytes` bytes on a cache line. What was there before is lost.
    pub(crate) fn ensure(&mut self, bytes: usize) -> *mut u8 {
        let lines = bytes.div_ceil(64);
        if self.0.len() < lines {
            self.0.clear();
            self.0.reserve(lines);
            // SAFETY: reserved, and a line of `MaybeUninit` needs no value.
            unsafe { self.0.set_len(lines) };
        }
        self.0.as_mut_ptr().cast()
    }

    pub(crate) fn ptr(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }
}
