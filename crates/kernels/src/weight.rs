//! Weight matrices, packed once for all levels.
//!
//! Outputs are cut into panels of [`PANEL`]; a panel is one contiguous stream that a kernel reads from end to end, whether
//! for one row of activations or for hundreds:
//!
//! | kind | a panel |
//! | --- | --- |
//! | `F32`, `Bf16` | for each k: 32 numbers, one per output |
//! | `Q8` | for each group of [`GROUP_Q8`] k: (for each 4 k: 32 outputs x 4 bytes, value + 128), then 32 scales in bf16 |
//! | `Q4` | for each group of [`GROUP_Q4`] k: (for each 8 k: 32 outputs x 4 bytes, k 0..4 in the low and 4..8 in the high nibbles, value + 8), then 32 scales in bf16 |
//!
//! The last panel is filled up with zeros, and so is the last group.
// Offsets are computed from the sizes that `Weight::bytes_for` allocates; slices are cut before the loops.
#![allow(clippy::indexing_slicing)]

use crate::pool::SendPtr;
use crate::quant::{GROUP_Q4, GROUP_Q8, q4, q8};
use crate::{Buffer, Error, Pool};
use half::bf16;
use memmap2::Mmap;
use std::io::Write;
use std::sync::Arc;

/// Outputs in a panel: two vectors of 512 bits.
pub const PANEL: usize = 32;

/// How a weight is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 32-bit floats.
    F32,
    /// bfloat16; multiplied as f32.
    Bf16,
    /// 8-bit integers, one bf16 scale for [`GROUP_Q8`] of them.
    Q8,
    /// 4-bit integers, one bf16 scale for [`GROUP_Q4`] of them.
    Q4,
}

impl Kind {
    /// Weights along K that share a scale; 1 where there is none.
    pub fn group(self) -> usize {
        match self {
            Kind::F32 | Kind::Bf16 => 1,
            Kind::Q8 => GROUP_Q8,
            Kind::Q4 => GROUP_Q4,
        }
    }

    /// Bytes of one group of one panel.
    pub(crate) fn group_bytes(self) -> usize {
        match self {
            Kind::F32 => PANEL * 4,
            Kind::Bf16 => PANEL * 2,
            Kind::Q8 => PANEL * GROUP_Q8 + PANEL * 2,
            Kind::Q4 => PANEL * GROUP_Q4 / 2 + PANEL * 2,
        }
    }

    fn code(self) -> u8 {
        match self {
            Kind::F32 => 0,
            Kind::Bf16 => 1,
            Kind::Q8 => 2,
            Kind::Q4 => 3,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Kind::F32, Kind::Bf16, Kind::Q8, Kind::Q4].into_iter().find(|k| k.code() == code)
    }
}

#[derive(Clone)]
enum Data {
    Owned(Arc<Buffer>),
    Mapped { map: Arc<Mmap>, start: usize, len: usize },
}

/// A packed matrix of N outputs by K inputs. Clones share the memory.
#[derive(Clone)]
pub struct Weight {
    kind: Kind,
    n: usize,
    k: usize,
    data: Data,
}

impl std::fmt::Debug for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weight({:?}, {} x {})", self.kind, self.n, self.k)
    }
}

/// First bytes of a serialised weight; the version goes up with every change of the packing.
const MAGIC: &[u8; 8] = b"vlgkern1";
/// Bytes before the packed data, a cache line so that mapped data is aligned.
const HEADER: usize = 64;

impl Weight {
    /// Packs `n` rows of `k` numbers. `fill(row, out)` writes row `row` into `out` (`k` floats); it is called once for each
    /// row, from several threads, in no order.
    pub fn pack(
        pool: &Pool,
        kind: Kind,
        n: usize,
        k: usize,
        fill: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Result<Self, Error> {
        let mut buffer = Buffer::zeroed(Self::bytes_for(kind, n, k))?;
        let stride = Self::panel_bytes(kind, k);
        let base = SendPtr(buffer.bytes_mut().as_mut_ptr());
        pool.run(n.div_ceil(PANEL), |p| {
            // SAFETY: panel `p` of the buffer, which no other task touches.
            let panel = unsafe { std::slice::from_raw_parts_mut(base.get().add(p * stride), stride) };
            let padded = k.next_multiple_of(kind.group());
            let mut row = vec![0.0; padded];
            for i in 0..PANEL.min(n - p * PANEL) {
                fill(p * PANEL + i, &mut row[..k]);
                pack_row(kind, &row, i, panel);
            }
        });
        Ok(Self { kind, n, k, data: Data::Owned(Arc::new(buffer)) })
    }

    /// Bytes of the packed form.
    pub fn bytes_for(kind: Kind, n: usize, k: usize) -> usize {
        n.div_ceil(PANEL) * Self::panel_bytes(kind, k)
    }

    fn panel_bytes(kind: Kind, k: usize) -> usize {
        k.div_ceil(kind.group()) * kind.group_bytes()
    }

    /// How it is stored.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Outputs.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Inputs.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Bytes it takes, which is also what one decode step reads.
    pub fn bytes(&self) -> usize {
        self.packed().len()
    }

    /// The packed data.
    pub fn packed(&self) -> &[u8] {
        match &self.data {
            Data::Owned(buffer) => buffer.bytes(),
            Data::Mapped { map, start, len } => map.get(*start..*start + *len).unwrap_or_default(),
        }
    }

    pub(crate) fn panel(&self, p: usize) -> &[u8] {
        let stride = Self::panel_bytes(self.kind, self.k);
        &self.packed()[p * stride..(p + 1) * stride]
    }

    /// Row `i`, dequantised, into the `k` floats of `out`: what a lookup in a tied embedding wants.
    ///
    /// # Panics
    /// When there is no such row or `out` has another length.
    pub fn row(&self, i: usize, out: &mut [f32]) {
        assert!(i < self.n && out.len() == self.k, "row {i} of {self:?} into {} floats", out.len());
        let (panel, lane, kind) = (self.panel(i / PANEL), i % PANEL, self.kind);
        let group_bytes = kind.group_bytes();
        let two = |at: usize| u16::from_le_bytes([panel[at], panel[at + 1]]);
        for (g, out) in out.chunks_mut(kind.group()).enumerate() {
            let at = g * group_bytes;
            let scale = || bf16::from_bits(two(at + group_bytes - PANEL * 2 + lane * 2)).to_f32();
            match kind {
                Kind::F32 => {
                    let at = at + lane * 4;
                    out[0] = f32::from_le_bytes([panel[at], panel[at + 1], panel[at + 2], panel[at + 3]]);
                }
                Kind::Bf16 => out[0] = bf16::from_bits(two(at + lane * 2)).to_f32(),
                Kind::Q8 => {
                    let scale = scale();
                    for (j, out) in out.iter_mut().enumerate() {
                        *out = scale * (f32::from(panel[at + q8_at(lane, j)]) - 128.0);
                    }
                }
                Kind::Q4 => {
                    let scale = scale();
                    for (j, out) in out.iter_mut().enumerate() {
                        let (byte, shift) = q4_at(lane, j);
                        *out = scale * (f32::from((panel[at + byte] >> shift) & 15) - 8.0);
                    }
                }
            }
        }
    }

    /// Rows `ids`, dequantised, one after the other into `out` (`ids.len() * k` floats).
    ///
    /// # Panics
    /// When an id is not below `n` or `out` has another length.
    pub fn rows(&self, pool: &Pool, ids: &[u32], out: &mut [f32]) {
        assert_eq!(out.len(), ids.len() * self.k, "{} rows of {self:?}", ids.len());
        let base = SendPtr(out.as_mut_ptr());
        pool.run(ids.len(), |i| {
            // SAFETY: row `i` of `out`, which no other task touches; the length was checked.
            let row = unsafe { std::slice::from_raw_parts_mut(base.get().add(i * self.k), self.k) };
            self.row(ids[i] as usize, row);
        });
    }

    /// Writes a header of 64 bytes and the packed data, a multiple of 64 bytes in all. Return: the bytes written.
    pub fn write_to(&self, out: &mut dyn Write) -> std::io::Result<u64> {
        let mut header = [0u8; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8] = self.kind.code();
        header[16..24].copy_from_slice(&(self.n as u64).to_le_bytes());
        header[24..32].copy_from_slice(&(self.k as u64).to_le_bytes());
        out.write_all(&header)?;
        out.write_all(self.packed())?;
        Ok((HEADER + self.bytes()) as u64)
    }

    /// The weight that [`Weight::write_to`] wrote at `offset` of a mapped file, without a copy, and the offset behind it.
    /// The file must not change while the map lives.
    pub fn from_mapped(map: &Arc<Mmap>, offset: usize) -> Result<(Self, usize), Error> {
        let header = map.get(offset..offset.saturating_add(HEADER)).ok_or(Error::Format("cut off"))?;
        if !header.starts_with(MAGIC) || offset % HEADER != 0 {
            return Err(Error::Format("another version, or not a weight"));
        }
        let number = |at: usize| {
            let bytes = header.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
            usize::try_from(bytes).ok().filter(|n| *n < 1 << 31).ok_or(Error::Format("impossible size"))
        };
        let kind = Kind::from_code(header[8]).ok_or(Error::Format("unknown kind"))?;
        let (n, k) = (number(16)?, number(24)?);
        let start = offset + HEADER;
        let len = (n.div_ceil(PANEL))
            .checked_mul(Self::panel_bytes(kind, k))
            .filter(|len| start.checked_add(*len).is_some_and(|end| end <= map.len()))
            .ok_or(Error::Format("cut off"))?;
        Ok((Self { kind, n, k, data: Data::Mapped { map: Arc::clone(map), start, len } }, start + len))
    }
}

/// Where weight `j` of a group lies: the byte.
fn q8_at(lane: usize, j: usize) -> usize {
    (j / 4 * PANEL + lane) * 4 + j % 4
}

/// Where weight `j` of a group lies: the byte and the shift.
fn q4_at(lane: usize, j: usize) -> (usize, usize) {
    ((j / 8 * PANEL + lane) * 4 + j % 4, j % 8 / 4 * 4)
}

/// Writes one row into its lane of a panel.
fn pack_row(kind: Kind, row: &[f32], lane: usize, panel: &mut [u8]) {
    let group_bytes = kind.group_bytes();
    let mut q = [0u8; GROUP_Q8];
    for (g, w) in row.chunks_exact(kind.group()).enumerate() {
        let out = &mut panel[g * group_bytes..(g + 1) * group_bytes];
        let scale_at = group_bytes - PANEL * 2 + lane * 2;
        match kind {
            Kind::F32 => out[lane * 4..lane * 4 + 4].copy_from_slice(&w[0].to_le_bytes()),
            Kind::Bf16 => out[lane * 2..lane * 2 + 2].copy_from_slice(&bf16::from_f32(w[0]).to_le_bytes()),
            Kind::Q8 => {
                let scale = q8(w, &mut q);
                out[scale_at..scale_at + 2].copy_from_slice(&scale.to_le_bytes());
                for (j, q) in q[..GROUP_Q8].chunks_exact(4).enumerate() {
                    out[q8_at(lane, j * 4)..][..4].copy_from_slice(q);
                }
            }
            Kind::Q4 => {
                let scale = q4(w, &mut q[..GROUP_Q4]);
                out[scale_at..scale_at + 2].copy_from_slice(&scale.to_le_bytes());
                for j in 0..GROUP_Q4 {
                    let (byte, shift) = q4_at(lane, j);
                    out[byte] |= q[j] << shift;
                }
            }
        }
    }
}
