//! What runs beside the requests: batches, and the store is swept.

use std::time::Duration;

use actix_web::web;

use crate::{
    State, batches,
    store::{Lock, now},
};

/// How often the store is swept.
const SWEEP: Duration = Duration::from_secs(3600);
/// How often another server on the same folder is asked whether it still lives.
const TURN: Duration = Duration::from_secs(2);

/// Runs until the server ends; does nothing while another server on the same folder does it.
pub async fn run(state: web::Data<State>) {
    let _lock = lock(&state).await;
    tokio::join!(batches::run(state.clone()), sweep(&state));
}

async fn sweep(state: &State) {
    loop {
        if let Err(error) = state.store.sweep(now()).await {
            tracing::error!("the store could not be swept: {error}");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

/// Waits for the lock of the store's folder.
async fn lock(state: &State) -> Lock {
    loop {
        match state.store.try_lock() {
            Ok(Some(lock)) => return lock,
            Ok(None) => {}
            Err(error) => tracing::error!("the store's lock: {error}"),
        }
        tokio::time::sleep(TURN).await;
    }
}
