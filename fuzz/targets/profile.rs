#![no_main]
//! ICC profiles (`i`) and EXIF data (`e`), which decoders hand over as they are.

use vlgate_media::entry;

vlgate_fuzz::fuzz!(|bytes| {
    let (first, rest) = vlgate_fuzz::choice(bytes);
    vlgate_fuzz::caught(|| if first == b'e' { _ = entry::exif(rest) } else { entry::profile(rest) })
});
