//! Embedded ICC profiles to sRGB, which is what models were shown. A profile that cannot be read, or is not of the picture's
//! kind (the CMYK profile of a picture that is RGB by now), is left out, as viewers do.

use image::{DynamicImage, GrayImage, RgbImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};
use std::sync::Arc;

/// Larger profiles are left out; those for printing presses have a megabyte or two.
const MOST: usize = 4 << 20;

/// The picture in sRGB; alpha stays as it is.
pub fn to_srgb(picture: DynamicImage, icc: Option<&[u8]>) -> DynamicImage {
    let Some(profile) = icc.filter(|icc| icc.len() <= MOST).and_then(|icc| ColorProfile::new_from_slice(icc).ok())
    else {
        return picture;
    };
    let (grey, alpha) = (!picture.color().has_color(), picture.color().has_alpha());
    match (profile.color_space, grey, alpha) {
        (DataColorSpace::Rgb, _, true) => match transform(&profile, Layout::Rgba, Layout::Rgba) {
            Some(with) => {
                let mut rgba = picture.into_rgba8();
                rows(with.as_ref(), rgba.width(), &mut rgba, 4);
                rgba.into()
            }
            None => picture,
        },
        (DataColorSpace::Rgb, _, false) => match transform(&profile, Layout::Rgb, Layout::Rgb) {
            Some(with) => {
                let mut rgb = picture.into_rgb8();
                rows(with.as_ref(), rgb.width(), &mut rgb, 3);
                rgb.into()
            }
            None => picture,
        },
        (DataColorSpace::Gray, true, false) => match transform(&profile, Layout::Gray, Layout::Rgb) {
            Some(with) => coloured(with.as_ref(), &picture.into_luma8()).into(),
            None => picture,
        },
        _ => picture,
    }
}

/// None where the profile is sRGB, or as good as: a profile that moves no colour by more than one step is not worth the
/// rounding of all pixels.
fn transform(profile: &ColorProfile, from: Layout, to: Layout) -> Option<Arc<Transform8BitExecutor>> {
    let srgb = ColorProfile::new_srgb();
    let with = profile.create_transform_8bit(from, &srgb, to, TransformOptions::default()).ok()?;
    let probe = |channels: usize| -> Vec<u8> {
        let steps = (0..=255u8).step_by(51);
        let all = steps
            .clone()
            .flat_map(|r| steps.clone().flat_map(move |g| (0..=255).step_by(51).map(move |b| [r, g, b, 255])));
        all.flat_map(|colour| colour.into_iter().take(channels)).collect()
    };
    let (before, wanted) = match from {
        Layout::Gray => (probe(1), probe(1).into_iter().flat_map(|v| [v; 3]).collect()),
        Layout::Rgba => (probe(4), probe(4)),
        _ => (probe(3), probe(3)),
    };
    let mut after = vec![0; wanted.len()];
    with.transform(&before, &mut after).ok()?;
    let moved = after.iter().zip(&wanted).any(|(a, b): (&u8, &u8)| a.abs_diff(*b) > 1);
    moved.then_some(with)
}

/// Row by row, so that no second picture is held.
fn rows(with: &Transform8BitExecutor, width: u32, pixels: &mut [u8], channels: usize) {
    let mut before = vec![0; width as usize * channels];
    for row in pixels.chunks_exact_mut(before.len().max(1)) {
        before.copy_from_slice(row);
        // Lengths fit: nothing else can go wrong.
        let _ = with.transform(&before, row);
    }
}

fn coloured(with: &Transform8BitExecutor, grey: &GrayImage) -> RgbImage {
    let mut out = RgbImage::new(grey.width(), grey.height());
    let width = (grey.width() as usize).max(1);
    for (to, from) in out.chunks_exact_mut(width * 3).zip(grey.chunks_exact(width)) {
        let _ = with.transform(from, to);
    }
    out
}

#[cfg(test)]
mod tests {
    use image::{Rgb, Rgba};

    use super::*;

    #[test]
    fn srgb_stays_bit_for_bit_and_p3_moves() {
        let picture = || DynamicImage::from(RgbImage::from_fn(9, 7, |x, y| Rgb([x as u8 * 28, y as u8 * 36, 200])));
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        assert_eq!(to_srgb(picture(), Some(&srgb)), picture());
        let p3 = ColorProfile::new_display_p3().encode().unwrap();
        let moved = to_srgb(picture(), Some(&p3)).into_rgb8();
        assert_ne!(moved, picture().into_rgb8());
        // Grey is grey in both.
        let grey = DynamicImage::from(RgbImage::from_pixel(3, 3, Rgb([120; 3])));
        assert!(to_srgb(grey, Some(&p3)).into_rgb8().iter().all(|v| v.abs_diff(120) <= 1));
        let clear = DynamicImage::from(image::RgbaImage::from_pixel(2, 2, Rgba([250, 20, 20, 77])));
        assert_eq!(to_srgb(clear, Some(&p3)).into_rgba8().get_pixel(1, 1).0[3], 77);
    }

    #[test]
    fn what_is_no_profile_changes_nothing() {
        let picture = || DynamicImage::from(RgbImage::from_pixel(2, 2, Rgb([1, 2, 3])));
        let huge = vec![0; MOST + 1];
        let cases: [&[u8]; 4] = [b"", b"no profile", &[0xFF; 4000], &huge];
        for icc in cases {
            assert_eq!(to_srgb(picture(), Some(icc)), picture());
        }
        assert_eq!(to_srgb(picture(), None), picture());
    }
}
