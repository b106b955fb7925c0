//! How long a picture takes from its `data:` URL to the model's pixels: `picture_bench FILE [TIMES]` prints the median and
//! the fastest in milliseconds. `benches/pictures.py` compares it with Pillow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Instant;

use base64::{Engine, engine::general_purpose::STANDARD};
use vlgate_media::{Detail, ImageSource, MediaConfig, Resolver, Sizing, VisionSpec};

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
        let mut took = Vec::new();
        for _ in 0..times {
            let began = Instant::now();
            resolver.image(ImageSource { url: &url }, &VisionSpec::QWEN3_VL, &sizing).await.unwrap();
            took.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        took.sort_by(f64::total_cmp);
        println!("{name} {:.1} {:.1}", took[times / 2], took[0]);
    }
}
