//! What all targets share.

use std::{
    collections::BTreeSet,
    panic::{self, UnwindSafe, catch_unwind},
    sync::Mutex,
};

/// A panic of ours ends the run. One in a crate of others' goes on to whoever catches it, which must be the code that is
/// fuzzed, or [`caught`] where the server runs it in a pool that catches; it is told once for each place.
pub fn watch() {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let new = TOLD.lock().is_ok_and(|mut told| told.insert(place.clone()));
        if new {
            eprintln!("panic at {place}: {panic}");
        }
        if !place.contains("/registry/src/") {
            std::process::abort();
        }
    }));
}

/// As the server's blocking pool, where a panic costs one request.
pub fn caught<T>(work: impl FnOnce() -> T + UnwindSafe) -> Option<T> {
    catch_unwind(work).ok()
}

/// A target: `fuzz!(|bytes| …)`.
#[macro_export]
macro_rules! fuzz {
    (|$bytes:ident| $body:expr) => {
        libfuzzer_sys::fuzz_target!(init: $crate::watch(), |$bytes: &[u8]| {
            let _ = $body;
        });
    };
}

/// The first byte chooses, the rest is the input.
pub fn choice(bytes: &[u8]) -> (u8, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest))
}
