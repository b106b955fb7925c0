//! Only tests: see `tests/vlgate.rs`.
