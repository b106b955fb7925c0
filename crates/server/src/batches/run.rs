//! The runner: takes every open batch through its states. All of its state is in the store, so a new server goes on where
//! an old one stopped.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix_web::web;
use tokio::task::{JoinHandle, JoinSet};
use vlgate_openai::batches::{Batch, BatchErrors, BatchLine, BatchStatus};

use super::{answer, lines::Lines, output, turn, validate};
use crate::{
    State,
    store::{BatchRow, Store, StoreError, now},
};

/// How often the store is asked for batches of other servers on its folder, and a running batch for its cancellation.
const ASK: Duration = Duration::from_secs(1);
/// Batches that run side by side; they share the requests that may be in the engine.
const SIDE_BY_SIDE: usize = 8;

/// Runs until the server ends. Only one server on a folder may do this.
pub async fn run(state: web::Data<State>) {
    let mut running: HashMap<String, Running> = HashMap::new();
    loop {
        running.retain(|_, batch| !batch.0.is_finished());
        match state.store.open_batches().await {
            Ok(open) => {
                for row in open {
                    if running.len() < SIDE_BY_SIDE && !running.contains_key(&row.batch.id) {
                        let id = row.batch.id.clone();
                        running.insert(id, Running(tokio::spawn(one(state.clone(), row))));
                    }
                }
            }
            Err(error) => tracing::error!("batches cannot be read: {error}"),
        }
        state.batches.news(ASK).await;
    }
}

/// A batch's task, stopped with its runner.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One batch, to its end.
async fn one(state: web::Data<State>, row: BatchRow) {
    let (owner, id) = (row.owner.clone(), row.batch.id.clone());
    tracing::info!(%id, "a batch begins, or goes on");
    let mut run = Run { state, row };
    match run.advance().await {
        Ok(()) => {
            tracing::info!(%id, status = ?run.row.batch.status, counts = ?run.row.batch.request_counts, "a batch is over")
        }
        // The row has ended, or was taken away by hand.
        Err(StoreError::NotFound) => tracing::warn!(%id, "a batch is gone"),
        Err(error) => {
            tracing::error!(%id, "a batch failed: {error}");
            let (code, message) = match error {
                StoreError::Full { .. } => ("storage_full", "The server has no room for further answers."),
                _ => ("server_error", "The server had an error while processing the batch."),
            };
            // What was answered is not lost; the disk may be what failed.
            let _ = run.keep_answers().await;
            let failed = run.state.store.change_batch(&owner, &id, move |batch| fail(batch, code, message));
            let _ = failed.await;
            let _ = run.state.store.forget_lines(&id).await;
        }
    }
}

fn fail(batch: &mut Batch, code: &str, message: &str) {
    let error = validate::error(code, message.to_owned(), None);
    batch.errors.get_or_insert_default().data.push(error);
    batch.status = BatchStatus::Failed;
    batch.failed_at = Some(now());
}

struct Run {
    state: web::Data<State>,
    row: BatchRow,
}

impl Run {
    async fn advance(&mut self) -> Result<(), StoreError> {
        while !self.row.batch.status.is_over() {
            match self.row.batch.status {
                BatchStatus::Validating => self.validate().await?,
                BatchStatus::InProgress => self.answer().await?,
                _ => self.finish().await?,
            }
        }
        Ok(())
    }

    async fn change(&mut self, change: impl FnOnce(&mut Batch) + Send + 'static) -> Result<(), StoreError> {
        self.row.batch = self.state.store.change_batch(&self.row.owner, &self.row.batch.id, change).await?;
        Ok(())
    }

    /// The input, from its beginning; `None` when it is gone.
    async fn input(&self) -> Result<Option<Lines>, StoreError> {
        let store = &self.state.store;
        let opened = async {
            let file = store.file(&self.row.owner, &self.row.batch.input_file_id).await?;
            store.open_file(&file).await
        };
        match opened.await {
            Ok(file) => Ok(Some(Lines::new(file, self.state.config.body_bytes))),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Without its input a batch cannot go on.
    async fn without_input(&mut self) -> Result<(), StoreError> {
        self.keep_answers().await?;
        self.change(|batch| fail(batch, "file_not_found", "The input file is gone.")).await?;
        self.state.store.forget_lines(&self.row.batch.id).await
    }

    async fn validate(&mut self) -> Result<(), StoreError> {
        let Some(lines) = self.input().await? else { return self.without_input().await };
        let checked = validate::check(&self.state, lines, self.row.batch.endpoint).await?;
        self.change(move |batch| {
            // It may have been cancelled meanwhile.
            if batch.status != BatchStatus::Validating {
                return;
            }
            batch.model = checked.model;
            if checked.errors.data.is_empty() {
                batch.request_counts.total = checked.total;
                batch.status = BatchStatus::InProgress;
                batch.in_progress_at = Some(now());
            } else {
                batch.errors = Some(BatchErrors { ..checked.errors });
                batch.status = BatchStatus::Failed;
                batch.failed_at = Some(now());
            }
        })
        .await
    }

    /// Answers the lines that have no answer yet, until all have one, or the batch is cancelled, or its window closes.
    async fn answer(&mut self) -> Result<(), StoreError> {
        let Some(lines) = self.input().await? else { return self.without_input().await };
        let ended = ended(self.state.store.clone(), self.row.clone());
        tokio::select! {
            done = answer_all(&self.state, &self.row, lines) => done?,
            // Dropping the other branch stops its requests, in the engine too.
            ended = ended => ended?,
        }
        self.change(|batch| {
            if batch.status == BatchStatus::InProgress {
                let counts = batch.request_counts;
                batch.status = BatchStatus::Finalizing;
                batch.finalizing_at = Some(now());
                // Said at once: a restart before the end must not take it for a batch that was completed.
                batch.expired_at = (counts.completed + counts.failed < counts.total).then(now);
            }
        })
        .await
    }

    /// Writes the files, and says how it ended.
    async fn finish(&mut self) -> Result<(), StoreError> {
        if self.row.batch.expired_at.is_some()
            && let Some(lines) = self.input().await?
        {
            answer::expire(&self.state.store, &self.row, lines).await?;
        }
        self.keep_answers().await?;
        self.change(|batch| {
            let (status, at) = match batch.status {
                BatchStatus::Cancelling => (BatchStatus::Cancelled, &mut batch.cancelled_at),
                _ if batch.expired_at.is_some() => (BatchStatus::Expired, &mut batch.expired_at),
                _ => (BatchStatus::Completed, &mut batch.completed_at),
            };
            *at = Some(now());
            batch.status = status;
        })
        .await?;
        self.state.store.forget_lines(&self.row.batch.id).await
    }

    /// Writes answers and errors to files, once.
    async fn keep_answers(&mut self) -> Result<(), StoreError> {
        if self.row.batch.output_file_id.is_none() {
            let id = output::write(&self.state.store, &self.row, true).await?;
            self.change(move |batch| batch.output_file_id = id).await?;
        }
        if self.row.batch.error_file_id.is_none() {
            let id = output::write(&self.state.store, &self.row, false).await?;
            self.change(move |batch| batch.error_file_id = id).await?;
        }
        Ok(())
    }
}

/// Comes back when the batch is cancelled or its window closes.
async fn ended(store: Store, row: BatchRow) -> Result<(), StoreError> {
    loop {
        let batch = store.batch(&row.owner, &row.batch.id).await?;
        if batch.status != BatchStatus::InProgress || batch.expires_at.is_some_and(|end| end <= now()) {
            return Ok(());
        }
        tokio::time::sleep(ASK).await;
    }
}

/// Sends every line that is not done, each when its turn comes, and waits for all.
async fn answer_all(state: &web::Data<State>, row: &BatchRow, mut lines: Lines) -> Result<(), StoreError> {
    let finished = state.store.finished_lines(&row.batch.id).await?;
    let mut running: JoinSet<Result<(), StoreError>> = JoinSet::new();
    let row = Arc::new(row.clone());
    while let Some(line) = lines.next().await? {
        let Some(bytes) = line.bytes else { break };
        if finished.contains(&line.number) {
            continue;
        }
        let Some(turn) = turn::wait(state).await else { break };
        let (state, row, number) = (state.clone(), Arc::clone(&row), line.number);
        running.spawn(async move {
            let parsed = BatchLine::parse(&bytes, number, row.batch.endpoint);
            drop(bytes);
            // The whole input was checked: what is no request now was changed on the disk.
            let Ok(request) = parsed else { return Err(StoreError::Stopped) };
            let done = answer::answer(&state, &row, number, request).await;
            drop(turn);
            state.store.finish_line(&row.owner, &row.batch.id, done).await
        });
        while let Some(done) = running.try_join_next() {
            done.map_err(|_| StoreError::Stopped)??;
        }
    }
    while let Some(done) = running.join_next().await {
        done.map_err(|_| StoreError::Stopped)??;
    }
    Ok(())
}
