//! Memory of the kernels: page-aligned, zeroed, and in huge pages where the system has them.

use crate::Error;
use memmap2::{MmapMut, MmapOptions};
use std::mem::MaybeUninit;

/// Zeroed memory that starts on a page. Pages cost nothing before their first write.
#[derive(Debug)]
pub struct Buffer {
    map: MmapMut,
    len: usize,
}

impl Buffer {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Result<Self, Error> {
        let map =
            MmapOptions::new().len(len.max(1)).map_anon().map_err(|source| Error::Memory { bytes: len, source })?;
        // Weights are streamed from end to end: 2 MiB pages spare a TLB miss every 4 KiB. Only advice, so a refusal is fine.
        #[cfg(target_os = "linux")]
        if len >= 4 << 20 {
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Ok(Self { map, len })
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
