//! The paged cache of keys and values: one pool of blocks per layer.
//!
//! A block holds `block_size` tokens: first the keys of each head, then the values of each head. Keys lie transposed, one
//! vector per dimension over the block's tokens, so that scores come out one token per lane; values lie row by row, so that
//! the sum over tokens comes out one dimension per lane. With 8-bit storage, each head's section ends with one f32 scale
//! per token. With bf16, two neighbours along the sum lie side by side, as the dot product of pairs reads them: two
//! dimensions of a token's key, the values of two tokens.
// Offsets come from `KvLayout`, whose sizes the pool is allocated by.
#![allow(clippy::indexing_slicing)]

use crate::pool::SendPtr;
use crate::{Buffer, Error, Kind, Level, Pool};
use half::f16;

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvKind {
    /// 32-bit floats: what was computed.
    F32,
    /// 16-bit floats.
    F16,
    /// The upper half of f32, multiplied with queries and weights that are rounded alike: the precision that the model was
    /// trained in, and twice as fast where [`Level::has_bf16_dots`](crate::Level::has_bf16_dots).
    Bf16,
    /// 8-bit integers, one f32 scale per token and head.
    Q8,
}

impl KvKind {
    /// What suits such weights: what was computed beside exact ones; beside quantised ones bf16, the precision that models are
    /// trained in and far closer than the weights are, where its dot products are one instruction.
    pub fn beside(weights: Kind, level: Level) -> Self {
        match weights {
            Kind::Q8 | Kind::Q4 if level.has_bf16_dots() => KvKind::Bf16,
            _ => KvKind::F32,
        }
    }

    /// Bytes of one number.
    pub(crate) fn size(self) -> usize {
        match self {
            KvKind::F32 => 4,
            KvKind::F16 | KvKind::Bf16 => 2,
            KvKind::Q8 => 1,
        }
    }
}

/// The shape of one layer's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvLayout {
    /// How numbers are stored.
    pub kind: KvKind,
    /// Tokens in a block: a multiple of 16. 32 is the fastest.
    pub block_size: usize,
    /// Heads of keys and of values.
    pub kv_heads: usize,
    /// Numbers per head.
    pub head_dim: usize,
}

impl KvLayout {
    /// Numbers per row of values: `head_dim` filled up to whole vectors.
    pub(crate) fn padded_dim(&self) -> usize {
        self.head_dim.next_multiple_of(16)
    }

    fn scale_bytes(&self) -> usize {
        if self.kind == KvKind::Q8 { self.block_size * 4 } else { 0 }
    }

    /// Numbers per key: whole pairs.
    fn key_dim(&self) -> usize {
        if self.kind == KvKind::Bf16 { self.head_dim.next_multiple_of(2) } else { self.head_dim }
    }

    /// Bytes of one head's keys in one block.
    pub(crate) fn key_bytes(&self) -> usize {
        (self.key_dim() * self.block_size * self.kind.size() + self.scale_bytes()).next_multiple_of(64)
    }

    /// Bytes of one head's values in one block.
    pub(crate) fn value_bytes(&self) -> usize {
        (self.padded_dim() * self.block_size * self.kind.size() + self.scale_bytes()).next_multiple_of(64)
    }

    /// Where a head's keys begin in a block.
    pub(crate) fn key_at(&self, head: usize) -> usize {
        head * self.key_bytes()
    }

    /// Where a head's values begin in a block.
    pub(crate) fn value_at(&self, head: usize) -> usize {
        self.kv_heads * self.key_bytes() + head * self.value_bytes()
    }

    /// Bytes of one block, keys and values of all heads of one layer.
    pub fn block_bytes(&self) -> usize {
        self.kv_heads * (self.key_bytes() + self.value_bytes())
    }

    /// Bytes that one token of context takes in one layer.
    pub fn token_bytes(&self) -> usize {
        self.block_bytes().div_ceil(self.block_size.max(1))
    }
}

/// The blocks of one layer. Memory is taken from the system when a block is first written.
#[derive(Debug)]
pub struct KvPool {
    layout: KvLayout,
    blocks: usize,
    data: Buffer,
}

impl KvPool {
    /// `blocks` blocks, numbered from 0.
    ///
    /// # Panics
    /// When the block size is not a multiple of 16, or a size is 0.
    pub fn new(layout: KvLayout, blocks: usize) -> Result<Self, Error> {
        let KvLayout { block_size, kv_heads, head_dim, .. } = layout;
        assert!(block_size > 0 && block_size.is_multiple_of(16), "blocks of {block_size} tokens");
        assert!(kv_heads > 0 && head_dim > 0, "{kv_heads} heads of {head_dim}");
        Ok(Self { layout, blocks, data: Buffer::zeroed(blocks * layout.block_bytes())? })
    }

    /// Its shape.
    pub fn layout(&self) -> &KvLayout {
        &self.layout
    }

    /// How many blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Stores the keys and values of new tokens. `slots` gives each one's place, `block * block_size + offset`, no two the
    /// same; `k` and `v` have a row of `kv_heads * head_dim` for each.
    ///
    /// # Panics
    /// When a length disagrees or a slot is outside the pool.
    pub fn write(&mut self, pool: &Pool, slots: &[u32], k: &[f32], v: &[f32]) {
        let layout = self.layout;
        let width = layout.kv_heads * layout.head_dim;
        assert!(k.len() == slots.len() * width && v.len() == k.len(), "{} new tokens", slots.len());
        let end = self.blocks * layout.block_size;
        assert!(slots.iter().all(|s| (*s as usize) < end), "slot outside the pool");
        let base = SendPtr(self.data.bytes_mut().as_mut_ptr());
        // By head: two heads never share a byte, whatever the slots.
        let tokens_per_task = (32768 / layout.head_dim).max(1);
        if slots.len() * layout.kv_heads <= tokens_per_task {
            for head in 0..layout.kv_heads {
                // SAFETY: the pool is ours alone, see below.
                unsafe { write_head(&layout, base.get(), head, slots, k, v) };
            }
            return;
        }
        pool.run(layout.kv_heads, |head| {
            // SAFETY: `&mut self`, and this task alone writes this head's sections; the slots were checked.
            unsafe { write_head(&layout, base.get(), head, slots, k, v) };
        });
    }

    /// Copies block `from` over block `to` (copy on write).
    ///
    /// # Panics
    /// When either is outside the pool.
    pub fn copy_block(&mut self, from: u32, to: u32) {
        let (from, to, size) = (from as usize, to as usize, self.layout.block_bytes());
        assert!(from < self.blocks && to < self.blocks, "copy of block {from} to {to}");
        self.data.bytes_mut().copy_within(from * size..(from + 1) * size, to * size);
    }

    pub(crate) fn ptr(&self) -> *const u8 {
        self.data.bytes().as_ptr()
    }
}

/// # Safety
/// `base` is a pool of `layout` that has all `slots`, and nobody else touches `head` there meanwhile.
unsafe fn write_head(layout: &KvLayout, base: *mut u8, head: usize, slots: &[u32], k: &[f32], v: &[f32]) {
    let (dim, width) = (layout.head_dim, layout.kv_heads * layout.head_dim);
    for (row, slot) in slots.iter().enumerate() {
        let (block, token) = (*slot as usize / layout.block_size, *slot as usize % layout.block_size);
        let from = row * width + head * dim;
        // SAFETY: as above; sections are as `KvLayout` says.
        unsafe {
            let block = base.add(block * layout.block_bytes());
            let keys = block.add(layout.key_at(head));
            let padded = layout.padded_dim();
            if layout.kind == KvKind::Bf16 {
                write_pairs(
                    keys.cast(),
                    block.add(layout.value_at(head)).cast(),
                    layout,
                    token,
                    &k[from..from + dim],
                    &v[from..from + dim],
                );
                continue;
            }
            write_row(
                layout.kind,
                keys,
                token,
                layout.block_size,
                layout.block_size * dim,
                token,
                &k[from..from + dim],
            );
            let values = block.add(layout.value_at(head));
            write_row(layout.kind, values, token * padded, 1, layout.block_size * padded, token, &v[from..from + dim]);
        }
    }
}

/// `x` rounded to the nearest bf16, ties to even, without a branch.
#[inline(always)]
pub(super) fn bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    (if x.is_nan() { bits >> 16 | 0x40 } else { rounded }) as u16
}

/// Two numbers side by side, the first in the lower half.
#[inline(always)]
pub(super) fn pair(a: f32, b: f32) -> u32 {
    u32::from(bf16(a)) | u32::from(bf16(b)) << 16
}

/// Stores one token's key and value of a head in pairs.
///
/// # Safety
/// `keys` and `values` are a head's sections of a block of `layout`, and `token` is one of its tokens.
unsafe fn write_pairs(keys: *mut u16, values: *mut u16, layout: &KvLayout, token: usize, k: &[f32], v: &[f32]) {
    let (size, padded) = (layout.block_size, layout.padded_dim());
    // SAFETY: as above; `key_bytes` has room for whole pairs.
    unsafe {
        for (w, two) in k.chunks(2).enumerate() {
            let second = two.get(1).copied().unwrap_or(0.0);
            keys.cast::<u32>().add(w * size + token).write(pair(two[0], second));
        }
        let values = values.add(token / 2 * padded * 2 + token % 2);
        for (d, x) in v.iter().enumerate() {
            values.add(d * 2).write(bf16(*x));
        }
    }
}

/// Stores `x` in the elements `first`, `first + stride`, ... of a section whose `scales` come after `elements` elements.
///
/// # Safety
/// The section is that large.
unsafe fn write_row(
    kind: KvKind,
    section: *mut u8,
    first: usize,
    stride: usize,
    elements: usize,
    token: usize,
    x: &[f32],
) {
    // SAFETY: as above. Sections begin on a cache line, so each type is aligned.
    unsafe {
        match kind {
            KvKind::F32 => {
                for (i, x) in x.iter().enumerate() {
                    section.cast::<f32>().add(first + i * stride).write(*x);
                }
            }
            KvKind::F16 => {
                for (i, x) in x.iter().enumerate() {
                    section.cast::<f16>().add(first + i * stride).write(f16::from_f32(*x));
                }
            }
            // In pairs: `write_pairs`.
            KvKind::Bf16 => {}
            KvKind::Q8 => {
                let peak = x.iter().fold(0.0f32, |a, x| a.max(x.abs()));
                let inverse = if peak > f32::MIN_POSITIVE * 256.0 { 127.0 / peak } else { 0.0 };
                for (i, x) in x.iter().enumerate() {
                    section.cast::<i8>().add(first + i * stride).write((x * inverse).round_ties_even() as i8);
                }
                let scale = if inverse > 0.0 { peak / 127.0 } else { 0.0 };
                section.add(elements).cast::<f32>().add(token).write(scale);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_rounded_as_the_crate_half_does() {
        let around = |bits: u32| (-2..=2).map(move |d: i32| bits.wrapping_add_signed(d));
        for bits in (0..=u16::MAX).flat_map(|high| [0, 0x7fff, 0x8000].map(|low| u32::from(high) << 16 | low)) {
            for bits in around(bits) {
                let x = f32::from_bits(bits);
                let (ours, theirs) = (half::bf16::from_bits(bf16(x)), half::bf16::from_f32(x));
                assert!(ours == theirs || x.is_nan() && ours.is_nan(), "{x}: {ours} {theirs}");
            }
        }
        assert_eq!(pair(1.0, -2.0), 0xc000_3f80);
    }
}
