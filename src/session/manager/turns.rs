//! One request at a time for each session, so that changes of a session reach the store in their order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedMutexGuard;

type Queues = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// The queues of the sessions that somebody writes at the moment.
#[derive(Default)]
pub(super) struct Turns(Arc<Queues>);

/// The right to write a session; given up when dropped.
pub(super) struct Turn {
    queues: Arc<Queues>,
    id: String,
    guard: Option<OwnedMutexGuard<()>>,
}

fn lock(queues: &Queues) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    fn queue(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.0).entry(id.to_owned()).or_default())
    }

    /// Waits for the turn.
    pub(super) async fn take(&self, id: &str) -> Turn {
        let guard = self.queue(id).lock_owned().await;
        self.turn(id, guard)
    }

    /// The turn, unless somebody has it.
    pub(super) fn try_take(&self, id: &str) -> Option<Turn> {
        let guard = self.queue(id).try_lock_owned().ok()?;
        Some(self.turn(id, guard))
    }

    fn turn(&self, id: &str, guard: OwnedMutexGuard<()>) -> Turn {
        Turn { queues: Arc::clone(&self.0), id: id.to_owned(), guard: Some(guard) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = lock(&self.queues);
        // Who waits holds the queue; with nobody left it is the map's alone. One who gave up waiting leaves it to the next turn.
        if queues.get(&self.id).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.id);
        }
    }
}
