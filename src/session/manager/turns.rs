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
        // Made before the wait, so that one who gives up puts the queue away too.
        let mut turn = self.turn(id);
        turn.guard = Some(self.queue(id).lock_owned().await);
        turn
    }

    /// The turn, unless somebody has it.
    pub(super) fn try_take(&self, id: &str) -> Option<Turn> {
        let mut turn = self.turn(id);
        turn.guard = Some(self.queue(id).try_lock_owned().ok()?);
        Some(turn)
    }

    fn turn(&self, id: &str) -> Turn {
        Turn { queues: Arc::clone(&self.0), id: id.to_owned(), guard: None }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = lock(&self.queues);
        // Who waits holds the queue; with nobody left it is the map's alone.
        if queues.get(&self.id).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_queue_goes_with_the_last_who_has_the_turn_or_waits_for_it() {
        let turns = Turns::default();
        let first = turns.take("a").await;
        let mut second = Box::pin(turns.take("a"));
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(
                second.as_mut().poll(context).is_pending()
            ))
            .await
        );
        assert!(turns.try_take("a").is_none());
        drop(first);
        assert_eq!(lock(&turns.0).len(), 1);
        drop(second);
        assert!(lock(&turns.0).is_empty(), "given up, after the turn had come");
    }
}
