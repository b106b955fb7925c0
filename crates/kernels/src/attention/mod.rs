//! Attention over the paged cache, and within the pictures of the vision tower. Both are one kernel, `flash`.

mod element;
mod flash;
mod kv;
mod piece;
mod state;

pub use kv::{KvKind, KvLayout, KvPool};

use crate::pool::SendPtr;
use crate::simd::{Kernel, Simd, dispatch_float};
use crate::{Error, Pool};
use flash::{Out, SPLIT, STREAM, TILE, Tile};
use state::{finish, merge, state_len};
use std::cell::RefCell;
use std::ops::Range;

/// One sequence's new tokens in a step.
#[derive(Clone, Debug)]
pub struct SequenceQueries<'a> {
    /// Its rows of `q` and `out`, in the order of positions.
    pub rows: Range<usize>,
    /// Tokens before the first row. Row `i` of the sequence sees tokens `0..=start + i`, so its own key and value, and those
    /// of the rows before it, must have been written.
    pub start: usize,
    /// The sequence's blocks in order.
    pub blocks: &'a [u32],
}

/// The arguments of [`paged_attention`].
#[derive(Clone, Debug)]
pub struct PagedAttention<'a> {
    /// Queries, all sequences': rows of `heads * head_dim`.
    pub q: &'a [f32],
    /// Query heads, a multiple of the cache's heads. Head `h` reads cache head `h / (heads / kv_heads)`.
    pub heads: usize,
    /// What scores are multiplied by, `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// The layer's cache.
    pub kv: &'a KvPool,
    /// Who asks. Rows of `out` that belong to nobody stay as they are.
    pub sequences: &'a [SequenceQueries<'a>],
}

/// Causal attention of every new token over its sequence's cache: `out` has the rows of `q`.
///
/// A row's result depends only on its own query and its own context: not on the other sequences of the step, nor on how a
/// prompt was cut into steps, nor on the number of threads.
///
/// # Panics
/// When lengths disagree, rows overlap or are out of range, or a block is missing or outside the pool.
pub fn paged_attention(pool: &Pool, args: &PagedAttention, out: &mut [f32]) {
    let layout = *args.kv.layout();
    let (dim, kv_heads) = (layout.head_dim, layout.kv_heads);
    let width = args.heads * dim;
    assert!(args.heads > 0 && args.heads.is_multiple_of(kv_heads), "{} heads over {kv_heads}", args.heads);
    let group = args.heads / kv_heads;
    assert!(group <= TILE, "{group} heads share a key head");
    assert!(args.q.len() == out.len() && out.len().is_multiple_of(width), "queries of {width}");
    let rows = out.len() / width;
    let mut taken = Vec::with_capacity(args.sequences.len());
    for s in args.sequences {
        assert!(s.rows.start <= s.rows.end && s.rows.end <= rows, "rows {:?} of {rows}", s.rows);
        let tokens = s.start + s.rows.len();
        assert!(tokens <= s.blocks.len() * layout.block_size, "{tokens} tokens in {} blocks", s.blocks.len());
        assert!(s.blocks.iter().all(|b| (*b as usize) < args.kv.blocks()), "block outside the pool");
        if !s.rows.is_empty() {
            taken.push((s.rows.start, s.rows.end));
        }
    }
    taken.sort_unstable();
    assert!(taken.iter().zip(taken.iter().skip(1)).all(|(a, b)| a.1 <= b.0), "two sequences share a row");

    // Few queries over long contexts are split along the context: one task per split, and then their sums.
    let per_tile = (TILE / group).max(1);
    let splits = |s: &SequenceQueries, first: usize, queries: usize| (s.start + first + queries).div_ceil(SPLIT);
    let units: usize = args.sequences.iter().map(|s| s.rows.len().div_ceil(per_tile)).sum();
    let streams = |queries: usize| queries * group <= STREAM;
    // Heads go together over a block where there are few queries, but not if that leaves threads without work.
    let spread = if pool.threads() == 1 { 1 } else { (4 * pool.threads()).div_ceil(units.max(1)) };
    let (mut items, mut parts, mut states) = (Vec::new(), Vec::new(), 0);
    for s in args.sequences {
        // The last tiles see the most: first come the long tasks.
        for first in (0..s.rows.len()).step_by(per_tile).rev() {
            let queries = per_tile.min(s.rows.len() - first);
            let splits = splits(s, first, queries);
            let apart = splits > 1 && pool.threads() > 1 && streams(queries);
            let tasks_per_head = if apart { splits } else { 1 };
            let heads = if streams(queries) { (kv_heads * tasks_per_head / spread).clamp(1, kv_heads) } else { 1 };
            for head in (0..kv_heads).step_by(heads) {
                let heads = head..(head + heads).min(kv_heads);
                let rows = heads.len() * queries * group;
                let at = (s.rows.start + first) * width + head * group * dim;
                let item = items.len();
                let into = apart.then_some(states);
                for split in if apart { 0..splits } else { 0..1 } {
                    let range = if apart { split..split + 1 } else { 0..splits };
                    parts.push(Part {
                        item,
                        splits: range,
                        states: into.map(|at| at + split * rows * state_len(&layout)),
                    });
                }
                if apart {
                    states += splits * rows * state_len(&layout);
                }
                items.push(Item { sequence: s, heads, first, queries, splits, at, states: into });
            }
        }
    }
    let mut memory = vec![0.0f32; states];
    let (base, q, to) = (SendPtr(memory.as_mut_ptr()), SendPtr(args.q.as_ptr().cast_mut()), SendPtr(out.as_mut_ptr()));
    pool.run(parts.len(), |p| {
        let Some((part, item)) = parts.get(p).and_then(|p| items.get(p.item).map(|i| (p, i))) else { return };
        // SAFETY: rows and blocks were checked above; rows and heads of two items are disjoint, so are their outputs, and
        // each part has its own states.
        unsafe {
            let tile = Tile {
                layout,
                kv: args.kv.ptr(),
                blocks: item.sequence.blocks,
                heads: item.heads.clone(),
                group,
                q: q.get().add(item.at),
                q_stride: width,
                queries: item.queries,
                limit: item.sequence.start + item.first + 1,
                step: 1,
                scale: args.scale,
                splits: part.splits.clone(),
                out: part.states.map_or_else(|| Out::Rows(to.get().add(item.at)), |at| Out::States(base.get().add(at))),
            };
            tile.run(pool.level());
        }
    });
    if states == 0 {
        return;
    }
    pool.run(items.len(), |i| {
        let Some(item) = items.get(i) else { return };
        let Some(at) = item.states else { return };
        let (rows, per_head) = (item.heads.len() * item.queries * group, item.queries * group);
        for head in 0..item.heads.len() {
            // SAFETY: the item's own states and rows; the level was checked.
            unsafe {
                let gather = Gather {
                    states: base.get().add(at + head * per_head * state_len(&layout)),
                    splits: item.splits,
                    split_rows: rows,
                    rows: per_head,
                    layout,
                    out: to.get().add(item.at + head * group * dim),
                    group,
                    stride: width,
                };
                dispatch_float(pool.level(), gather);
            }
        }
    });
}

/// A tile of queries of one sequence, for some heads.
struct Item<'a> {
    sequence: &'a SequenceQueries<'a>,
    /// Key-value heads.
    heads: Range<usize>,
    /// Its first query among the sequence's, and how many.
    first: usize,
    queries: usize,
    /// Splits of its context.
    splits: usize,
    /// Where its first row's first head begins in queries and output.
    at: usize,
    /// Where its states begin, if each split is a task of its own.
    states: Option<usize>,
}

/// One task: an item, or one split of it.
struct Part {
    item: usize,
    splits: Range<usize>,
    states: Option<usize>,
}

/// Puts the splits of one head of an item together.
struct Gather {
    /// `split_rows` states per split, of which the first `rows` are this head's.
    states: *mut f32,
    splits: usize,
    split_rows: usize,
    rows: usize,
    layout: KvLayout,
    /// Rows as in [`Tile`].
    out: *mut f32,
    group: usize,
    stride: usize,
}

impl Kernel for Gather {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let state = state_len(&self.layout);
        for r in 0..self.rows {
            // SAFETY: as the struct says.
            unsafe {
                let total = self.states.add(r * state);
                for split in 1..self.splits {
                    merge::<S>(total, self.states.add((split * self.split_rows + r) * state), self.layout.padded_dim());
                }
                let to = self.out.add(r / self.group * self.stride + r % self.group * self.layout.head_dim);
                finish::<S>(total, to, self.layout.head_dim);
            }
        }
    }
}

/// The most working memory that is kept from one layer's [`vision_attention`] to the next: a picture of 16,384 patches.
const KEEP: usize = 128 << 20;

thread_local! {
    static VISION: RefCell<Option<KvPool>> = const { RefCell::new(None) };
}

/// Full attention within each segment (a picture's patches): `q`, `k`, `v` and `out` have rows of `heads * head_dim`;
/// `segments` are disjoint ranges of rows. `kind` is how keys and values are held meanwhile. `scale` multiplies the scores, `1 / sqrt(head_dim)`. Rows in no segment stay as
/// they are. Working memory is one copy of `k` and `v`, kept for the next call from the same thread.
///
/// # Panics
/// When lengths disagree, or segments overlap or are out of range.
#[allow(clippy::too_many_arguments)]
pub fn vision_attention(
    pool: &Pool,
    kind: KvKind,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    segments: &[Range<usize>],
    heads: usize,
    head_dim: usize,
    scale: f32,
    out: &mut [f32],
) -> Result<(), Error> {
    let width = heads * head_dim;
    assert!(width > 0 && q.len() == out.len() && k.len() == q.len() && v.len() == q.len(), "vision attention");
    let rows = out.len() / width;
    assert_eq!(rows * width, out.len(), "vision attention of {width}");
    let layout = KvLayout { kind, block_size: 32, kv_heads: heads, head_dim };
    let mut sorted: Vec<_> = segments.iter().filter(|s| !s.is_empty()).cloned().collect();
    sorted.sort_unstable_by_key(|s| s.start);
    assert!(sorted.iter().all(|s| s.end <= rows), "segment outside the rows");
    assert!(sorted.iter().zip(sorted.iter().skip(1)).all(|(a, b)| a.end <= b.start), "segments overlap");

    // Each segment begins a block; a slot for every row.
    let (mut blocks, mut slots, mut firsts) = (0usize, vec![u32::MAX; rows], Vec::new());
    for s in &sorted {
        firsts.push(blocks);
        for (i, slot) in slots.iter_mut().skip(s.start).take(s.len()).enumerate() {
            *slot = (blocks * layout.block_size + i) as u32;
        }
        blocks += s.len().div_ceil(layout.block_size);
    }
    let kept = VISION.with(|v| v.try_borrow_mut().ok().and_then(|mut v| v.take()));
    let mut cache = match kept {
        Some(kept) if *kept.layout() == layout && kept.blocks() >= blocks => kept,
        _ => KvPool::new(layout, blocks)?,
    };
    if sorted.iter().map(|s| s.len()).sum::<usize>() == rows {
        cache.write(pool, &slots, k, v);
    } else {
        for s in &sorted {
            let (slots, range) = (slots.get(s.clone()), s.start * width..s.end * width);
            if let (Some(slots), Some(k), Some(v)) = (slots, k.get(range.clone()), v.get(range)) {
                cache.write(pool, slots, k, v);
            }
        }
    }
    let numbers: Vec<u32> = (0..blocks as u32).collect();
    let mut items = Vec::new();
    for (s, first) in sorted.iter().zip(firsts) {
        for head in 0..heads {
            for row in s.clone().step_by(TILE) {
                items.push((s, first, head, row));
            }
        }
    }
    let (q, to) = (SendPtr(q.as_ptr().cast_mut()), SendPtr(out.as_mut_ptr()));
    pool.run(items.len(), |i| {
        if let Some((s, first, head, row)) = items.get(i) {
            let at = row * width + head * head_dim;
            // SAFETY: segments were checked above; rows and heads of two items are disjoint, so are their outputs.
            unsafe {
                let tile = Tile {
                    layout,
                    kv: cache.ptr(),
                    blocks: numbers.get(*first..).unwrap_or_default(),
                    heads: *head..*head + 1,
                    group: 1,
                    q: q.get().add(at),
                    q_stride: width,
                    queries: TILE.min(s.end - row),
                    limit: s.len(),
                    step: 0,
                    scale,
                    splits: 0..s.len().div_ceil(SPLIT),
                    out: Out::Rows(to.get().add(at)),
                };
                tile.run(pool.level());
            }
        }
    });
    if cache.blocks() * layout.block_bytes() <= KEEP {
        VISION.with(|v| v.try_borrow_mut().map(|mut v| *v = Some(cache)).unwrap_or_default());
    }
    Ok(())
}
