#![no_main]
//! A clip's first bytes (`h`), how its frames are chosen (`s`), and what the child processes say: a listing (`l`) and pictures
//! (`p`).

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use vlgate_media::{Sampling, VideoSpec, entry};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

/// Eight numbers of eight bytes; missing ones are 0.
fn sample(bytes: &[u8]) {
    let number = |i: usize| {
        let bytes = bytes.get(i * 8..).unwrap_or_default();
        u64::from_le_bytes(std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default()))
    };
    let some = |i: usize| (number(i) > 0).then(|| number(i));
    let few = |i: usize| some(i).map(|n| n as u32);
    let positive = |i: usize| Some(f64::from_bits(number(i))).filter(|f| f.is_finite() && *f > 0.0);
    let wish = Sampling {
        fps: positive(2),
        num_frames: few(3),
        min_frames: few(4),
        max_frames: few(5),
        frame_max_pixels: some(6),
        max_pixels: some(7),
        ..Sampling::default()
    };
    let (spec, total) = (VideoSpec::QWEN3_VL, number(0) >> 12);
    if let Ok(indices) = wish.indices(&spec, total, positive(1).unwrap_or(24.0), 768) {
        assert!((1..=768).contains(&indices.len()) && indices.is_sorted(), "{wish:?}");
        assert!(indices.iter().all(|i| *i < total.max(1)), "{wish:?} of {total}: {indices:?}");
        let (height, width) = ((number(6) as u32 % 8192).max(1), (number(7) as u32 % 8192).max(1));
        if let Ok((h, w)) = wish.size(&spec, 32, indices.len(), height, width) {
            assert!(h > 0 && w > 0 && h % 32 == 0 && w % 32 == 0, "{wish:?}: {width}x{height} gave {w}x{h}");
        }
    }
}

vlgate_fuzz::fuzz!(|bytes| {
    let (first, rest) = vlgate_fuzz::choice(bytes);
    match first {
        b's' => sample(rest),
        b'l' => drop(entry::listing(&String::from_utf8_lossy(rest))),
        b'p' => drop(RUNTIME.block_on(entry::pixmaps(rest))),
        _ => drop(entry::clip(rest)),
    }
});
