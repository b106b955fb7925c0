//! The vlgate binary.
fn main() {}
