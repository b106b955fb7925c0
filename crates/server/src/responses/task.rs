//! Responses that are made in the background: they go on without the client, can be looked at and cancelled, and tell
//! their story to as many as want to hear it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{HttpResponse, web};
use futures::StreamExt;
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_stream::wrappers::WatchStream;
use vlgate_engine::EventStream;
use vlgate_openai::responses::StreamEvent;

use super::{history, tell::Telling};
use crate::{
    State, reply,
    sse::{self, Gone, Lines},
    store::Owner,
};

/// How often a task says that it lives, and hears whether another server was asked to cancel it.
const PULSE: Duration = Duration::from_secs(2);

/// The tasks of this server, by the id of their response.
#[derive(Default)]
pub struct Tasks(Mutex<HashMap<String, Arc<Task>>>);

/// A response that is being made.
pub struct Task {
    owner: Owner,
    telling: Mutex<Telling>,
    /// What was told, as it is sent; empty when no stream was asked for.
    story: Mutex<Vec<String>>,
    streamed: bool,
    /// Whether it has ended; sent anew with each line of the story.
    progress: watch::Sender<bool>,
    cancel: Notify,
}

/// A poisoned lock holds what it held: every change under these locks is a single step.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tasks {
    /// This owner's task.
    pub fn find(&self, owner: &Owner, id: &str) -> Option<Arc<Task>> {
        locked(&self.0).get(id).filter(|task| task.owner == *owner).cloned()
    }

    /// Starts one, whose response is kept already.
    pub fn start(
        &self,
        state: &web::Data<State>,
        owner: &Owner,
        telling: Telling,
        streamed: bool,
        events: EventStream,
    ) -> Arc<Task> {
        let id = telling.response.id.clone();
        let task = Arc::new(Task {
            owner: owner.clone(),
            telling: Mutex::new(telling),
            story: Mutex::default(),
            streamed,
            progress: watch::Sender::new(false),
            cancel: Notify::new(),
        });
        let begun = locked(&task.telling).begin();
        task.add(begun);
        locked(&self.0).insert(id.clone(), Arc::clone(&task));
        tokio::spawn(run(state.clone(), id, Arc::clone(&task), events));
        task
    }
}

impl Task {
    /// The response as it is now; one that has ended is kept before it is seen.
    pub async fn look(&self) -> Value {
        if locked(&self.telling).response.status.ended() {
            self.ended().await;
        }
        self.now()
    }

    fn now(&self) -> Value {
        serde_json::to_value(&locked(&self.telling).response).unwrap_or_default()
    }

    async fn ended(&self) {
        let _ = self.progress.subscribe().wait_for(|ended| *ended).await;
    }

    /// Whether its story can be heard.
    pub const fn streamed(&self) -> bool {
        self.streamed
    }

    /// Ends it, and waits until that is done.
    pub async fn cancel(&self) -> Value {
        self.cancel.notify_one();
        self.ended().await;
        self.now()
    }

    /// Tells its story from an event on, to its end.
    pub fn follow(self: Arc<Self>, from: usize) -> HttpResponse {
        let (lines, response) = sse::open();
        tokio::spawn(async move {
            let _ = self.tell(&lines, from).await;
        });
        response
    }

    async fn tell(&self, lines: &Lines, from: usize) -> Result<(), Gone> {
        let mut progress = WatchStream::new(self.progress.subscribe());
        let mut next = from;
        while let Some(ended) = lines.next(&mut progress, sse::COMMENT).await? {
            let news: Vec<String> = locked(&self.story).iter().skip(next).cloned().collect();
            next += news.len();
            for line in news {
                lines.text(line).await?;
            }
            if ended {
                break;
            }
        }
        Ok(())
    }

    fn add(&self, events: Vec<StreamEvent>) {
        if !self.streamed || events.is_empty() {
            return;
        }
        locked(&self.story).extend(events.iter().map(line));
        self.progress.send_replace(false);
    }
}

/// An event as it is sent.
pub fn line(event: &StreamEvent) -> String {
    sse::named(event.event.name(), event).unwrap_or_default()
}

/// To the end of the response, which is kept before anyone hears of its end.
async fn run(state: web::Data<State>, id: String, task: Arc<Task>, mut events: EventStream) {
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let last = loop {
        let told = tokio::select! {
            () = task.cancel.notified() => break locked(&task.telling).cancel(),
            _ = pulse.tick() => match state.store.response_lives(&id).await {
                Ok(false) => break locked(&task.telling).cancel(),
                _ => continue,
            },
            event = events.next() => match event {
                Some(Ok(event)) => locked(&task.telling).tell(event),
                Some(Err(error)) => locked(&task.telling).fail(&reply::engine(&error)),
                None => locked(&task.telling).fail(&reply::engine(&sse::unfinished())),
            },
        };
        if locked(&task.telling).response.status.ended() {
            break told;
        }
        task.add(told);
    };
    // The engine stops before the response says that it has.
    drop(events);
    let response = task.now();
    let story = task.streamed.then(|| locked(&task.story).iter().cloned().chain(last.iter().map(line)).collect());
    let output = history::output(&response);
    if let Err(error) = state.store.end_response(&id, response.to_string(), output, story).await {
        tracing::error!("the response {id} could not be kept: {error}");
    }
    task.add(last);
    locked(&state.tasks.0).remove(&id);
    task.progress.send_replace(true);
}
