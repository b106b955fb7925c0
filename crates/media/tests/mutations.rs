//! Every decoder against damaged versions of every golden picture: the same on every run. No decoder panics (in the
//! server that would be caught, and is a finding all the same), none takes long. `fuzz/` is the longer run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    panic::catch_unwind,
    path::PathBuf,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use vlgate_media::entry;

/// Mutations of each seed.
const ROUNDS: usize = 90;
/// Numbers that lengths and sizes are replaced by.
const NUMBERS: [u32; 9] = [0, 1, 2, 0x7F, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF];

fn seeds(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with(".out.png"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

fn mutate(random: &mut StdRng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..5) {
        let length = bytes.len().max(1);
        // Headers are hit more often than pixels.
        let reach = if random.random_bool(0.6) { length.min(128) } else { length };
        let at = random.random_range(0..reach).min(bytes.len().saturating_sub(1));
        let span = random.random_range(0..64).min(bytes.len() - at);
        match random.random_range(0..8) {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << random.random_range(0..8),
            2 if !bytes.is_empty() => bytes[at] = random.random(),
            3 if bytes.len() >= at + 4 => {
                let number = NUMBERS[random.random_range(0..NUMBERS.len())];
                let number = if random.random() { number.to_le_bytes() } else { number.to_be_bytes() };
                bytes[at..at + 4].copy_from_slice(&number);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..at + span)),
            6 => {
                let again = bytes[at..at + span].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let from = random.random_range(0..other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

#[test]
fn no_decoder_panics_or_dawdles() {
    let seeds = seeds("decode");
    assert!(seeds.len() > 40);
    let mut random = StdRng::seed_from_u64(5);
    let (mut panics, mut taken, mut slowest) = (Vec::new(), 0, (Duration::ZERO, String::new()));
    for (name, seed) in &seeds {
        assert!(entry::picture(seed).is_ok(), "{name}");
        for round in 0..ROUNDS {
            let other = &seeds[random.random_range(0..seeds.len())].1;
            let bytes = mutate(&mut random, seed, other);
            let began = Instant::now();
            match catch_unwind(|| entry::picture(&bytes)) {
                Ok(result) => taken += usize::from(result.is_ok()),
                Err(_) => panics.push(format!("{name} round {round}")),
            }
            slowest = slowest.max((began.elapsed(), format!("{name} round {round}")));
        }
    }
    println!("{} mutations, {taken} still gave a picture; slowest {slowest:?}", seeds.len() * ROUNDS);
    assert!(panics.is_empty(), "{panics:?}");
    assert!(slowest.0 < Duration::from_secs(20), "{slowest:?}");
}

#[test]
fn no_boxes_make_the_reader_panic_or_dawdle() {
    let seeds = seeds("heif");
    let mut random = StdRng::seed_from_u64(7);
    let began = Instant::now();
    let mut taken = 0;
    for (name, seed) in &seeds {
        assert!(entry::heif(seed).is_ok(), "{name}");
        for _ in 0..ROUNDS * 20 {
            let other = &seeds[random.random_range(0..seeds.len())].1;
            taken += usize::from(entry::heif(&mutate(&mut random, seed, other)).is_ok());
        }
    }
    println!("{} mutations, {taken} still read, {:?}", seeds.len() * ROUNDS * 20, began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn no_url_passes_that_names_a_private_address() {
    let mut random = StdRng::seed_from_u64(6);
    let pieces = [
        "http://",
        "https://",
        "HTTP:",
        "//",
        "user:pw@",
        "@",
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "0xa9fea9fe",
        "100.64.0.1",
        "%31%32%37.0.0.1",
        "127。0。0。1",
        "①②⑦.⓪.⓪.①",
        "localhost",
        "example.com",
        ".",
        ":80",
        ":443",
        ":22",
        "/",
        "\\",
        "#",
        "?",
        "\t",
        "\n",
        " ",
        "a.png",
        "%00",
        "é",
        "[",
        "]",
    ];
    for _ in 0..20_000 {
        let text: String =
            (0..random.random_range(1..8)).map(|_| pieces[random.random_range(0..pieces.len())]).collect();
        // The entry itself asserts what a URL that passes may be.
        let _ = entry::url(&text);
        let _ = entry::data(&text);
    }
    for disguise in [
        "http://127。0。0。1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://%31%32%37.0.0.1/",
        "http://0xa9fea9fe/",
        "http://127.1/",
        "http:\\\\127.0.0.1\\",
    ] {
        assert!(entry::url(disguise).is_err(), "{disguise}");
    }
}
