//! When a batch's request may go to the engine: behind everybody who waits for an answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::State;

/// How often the engine is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// After so long one request goes although others are being answered, if the engine lets none wait: batches are slow
/// under load and never stand still.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all batches share.
#[derive(Debug)]
pub struct Turns {
    /// Requests that batches may have in the engine together.
    permits: Arc<Semaphore>,
    /// A batch was created or cancelled.
    news: Notify,
    /// Requests of people that are being answered.
    foreground: AtomicUsize,
}

impl Turns {
    /// For `at_once` requests of batches together.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        let permits = Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)));
        Self { permits, news: Notify::new(), foreground: AtomicUsize::new(0) }
    }

    /// Tells the runner that there is something to do.
    pub fn wake(&self) {
        self.news.notify_one();
    }

    /// Waits for [`Self::wake`], at most so long.
    pub async fn news(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.news.notified()).await;
    }

    /// A person's request begins.
    pub fn enter(&self) {
        self.foreground.fetch_add(1, Ordering::AcqRel);
    }

    /// A person's request is answered.
    pub fn leave(&self) {
        self.foreground.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Waits until a request of a batch may go; it goes for as long as the permit is held.
pub async fn wait(state: &State) -> Option<OwnedSemaphorePermit> {
    let permit = Arc::clone(&state.batches.permits).acquire_owned().await.ok()?;
    let began = Instant::now();
    while !calm(state, began.elapsed() > PATIENCE) {
        tokio::time::sleep(LOOK).await;
    }
    Some(permit)
}

fn calm(state: &State, waited: bool) -> bool {
    let load = state.engine.load();
    let alone = state.batches.foreground.load(Ordering::Acquire) == 0;
    load.ready && load.waiting == 0 && (alone || waited)
}
