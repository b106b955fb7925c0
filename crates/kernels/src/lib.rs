//! The CPU kernels of the native runtime: matrix products over packed weights, attention over a paged cache, and the small
//! operations between them.
//!
//! # Use
//!
//! A [`Pool`] owns the threads and knows the instruction sets ([`Level`]); every function takes it. A [`Weight`] is packed
//! once; [`Activations`] prepare rows once for all weights that multiply them:
//!
//! ```
//! use vlgate_kernels::{Activations, Epilogue, Kind, Pool, Weight};
//! let pool = Pool::new(2);
//! let w = Weight::pack(&pool, Kind::Q8, 96, 64, &|row, out: &mut [f32]| out.fill(row as f32))?;
//! let x = vec![1.0; 3 * 64];
//! let acts = Activations::quantise(&pool, Kind::Q8, &x, 3, 64);
//! let mut out = vec![0.0; 3 * 96];
//! w.matmul_q(&pool, &acts, &mut out, Epilogue::default());
//! assert!((out[5] - 5.0 * 64.0).abs() < 2.0);
//! # Ok::<(), vlgate_kernels::Error>(())
//! ```
//!
//! # Guarantees
//!
//! * **Batch invariance.** A row of a result depends on that row's input alone, bit for bit: not on the number of rows, its
//!   place among them, the number of threads, or what else is in the step. Matmuls sum along K in one order for every batch
//!   size; attention is put together from splits at fixed positions of the context.
//! * **Integers are exact.** 8-bit and 4-bit products are exact within a group and identical at every level.
//! * Between levels, floats may differ in the last bits (the width of a vector decides the order of some sums).
//!
//! # Code
//!
//! Kernels are written once, over the vectors of [`mod@simd`], and compiled for each level: `simd/` is the only place with
//! intrinsics. `pool.rs` threads, `buffer.rs` memory, `quant.rs` and `weight.rs` packing, `activations.rs`, `matmul/`,
//! `attention/`, `ops.rs`.
#![allow(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod activations;
mod attention;
mod buffer;
mod error;
mod level;
mod matmul;
pub mod ops;
mod pool;
mod quant;
mod simd;
mod weight;

pub use activations::Activations;
pub use attention::{KvKind, KvLayout, KvPool, PagedAttention, SequenceQueries, paged_attention, vision_attention};
pub use buffer::Buffer;
pub use error::Error;
pub use level::Level;
pub use matmul::Epilogue;
pub use pool::{Pool, physical_cores};
pub use quant::{GROUP_Q4, GROUP_Q8};
pub use weight::{Kind, PANEL, Weight};
