//! How long a picture takes from its `data:` URL to the model's pixels: `picture_bench FILE [TIMES]` prints the median and
//! the fastest in milliseconds, and the median of the processor's time. `benches/pictures.py` compares it with others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Instant;

use base64::{Engine, engine::general_purpose::STANDARD};
use vlgate_media::{Detail, ImageSource, MediaConfig, Resolver, Sizing, VisionSpec};

/// Milliseconds of the processor that all threads took so far (Linux).
fn processor() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let taken = threads.filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok());
    taken.filter_map(|s| s.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() / 1e6
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("a file");
    let times: usize = arguments.next().map_or(7, |n| n.parse().expect("a number"));
    let url = format!("data:image/jpeg;base64,{}", STANDARD.encode(std::fs::read(file).unwrap()));
    // Nothing is kept, so each time is a first time.
    let resolver = Resolver::new(MediaConfig { cache_bytes: 0, ..MediaConfig::default() }).unwrap();
    for (name, detail) in [("low", Detail::Low), ("auto", Detail::Auto), ("high", Detail::High)] {
        let sizing = Sizing { detail, ..Sizing::default() };
        let (mut took, mut taken) = (Vec::new(), Vec::new());
        for _ in 0..times {
            let (began, before) = (Instant::now(), processor());
            resolver.image(ImageSource { url: &url }, &VisionSpec::QWEN3_VL, &sizing).await.unwrap();
            took.push(began.elapsed().as_secs_f64() * 1000.0);
            taken.push(processor() - before);
        }
        took.sort_by(f64::total_cmp);
        taken.sort_by(f64::total_cmp);
        println!("{name} {:.1} {:.1} {:.1}", took[times / 2], took[0], taken[times / 2]);
    }
}
