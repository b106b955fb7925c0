//! From pixels to the rows that the vision tower takes, in the order of transformers' image and video processors.

use std::sync::Arc;

use vlgate_media::{Picture, VisionSpec};

use super::config::VisionConfig;

/// What the tower is shown at once: the two frames of one temporal patch. A picture is both.
pub type Pair = [Arc<Picture>; 2];

/// The grid of a pair: patches per column and per row.
#[must_use]
pub fn grid(config: &VisionConfig, pair: &Pair) -> (usize, usize) {
    let [first, _] = pair;
    (first.height as usize / config.patch, first.width as usize / config.patch)
}

/// Patches x (channel, frame, row, column), normalised: the patches of each merged square lie together
/// (`Qwen2VLImageProcessor` and `Qwen3VLVideoProcessor.patchify`).
///
/// # Errors
/// When a frame's size is not a whole number of merged patches, or the frames differ in size.
pub fn patches(config: &VisionConfig, spec: &VisionSpec, pair: &Pair) -> Result<Vec<f32>, String> {
    let [first, second] = pair;
    let (width, height) = (first.width as usize, first.height as usize);
    let side = config.patch * config.merge;
    let whole = width > 0 && height > 0 && width.is_multiple_of(side) && height.is_multiple_of(side);
    let full = |p: &Picture| p.rgb.len() == width * height * 3;
    if !whole || (second.width, second.height) != (first.width, first.height) || !full(first) || !full(second) {
        return Err(format!("a picture of {width}x{height} pixels does not fit merged patches of {side}"));
    }
    // transformers fuses the scale of 1/255 into mean and deviation; the values are those of its f32 arithmetic.
    let mut tables = [[0f32; 256]; 3];
    for ((table, mean), std) in tables.iter_mut().zip(spec.mean).zip(spec.std) {
        for (value, out) in table.iter_mut().enumerate() {
            *out = (value as f32 - mean * 255.0) / (std * 255.0);
        }
    }
    let (patch, merge) = (config.patch, config.merge);
    let mut out = Vec::with_capacity(width * height * 3 * config.frames);
    for (block_row, block_column) in each(height / side, width / side) {
        for (row, column) in each(merge, merge) {
            let (top, left) = ((block_row * merge + row) * patch, (block_column * merge + column) * patch);
            for (channel, table) in tables.iter().enumerate() {
                for frame in pair {
                    for line in 0..patch {
                        let from = ((top + line) * width + left) * 3;
                        let pixels = frame.rgb.get(from..from + patch * 3).unwrap_or_default();
                        let values = pixels.iter().skip(channel).step_by(3);
                        out.extend(values.map(|v| table.get(usize::from(*v)).copied().unwrap_or_default()));
                    }
                }
            }
        }
    }
    Ok(out)
}

/// Row by row.
pub fn each(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |r| (0..columns).map(move |c| (r, c)))
}

/// Row and column of every patch, in the order of [`patches`].
#[must_use]
pub fn places(grid: (usize, usize), merge: usize) -> Vec<(usize, usize)> {
    let mut out = Vec::with_capacity(grid.0 * grid.1);
    for (block_row, block_column) in each(grid.0 / merge, grid.1 / merge) {
        out.extend(each(merge, merge).map(|(r, c)| (block_row * merge + r, block_column * merge + c)));
    }
    out
}
