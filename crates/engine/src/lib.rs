//! The Engine contract, what all runtimes share (prompt rendering, sampling, grammars, parsing of tool calls and
//! reasoning), and the runtimes.

pub mod contract;

pub use contract::*;
