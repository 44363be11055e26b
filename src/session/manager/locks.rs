//! [`SessionLocks`]: one writer at a time for each session, and for each user's log-outs.

use crate::platform::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

type Queues = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// The locks that are held or waited for.
#[derive(Default)]
pub(super) struct SessionLocks(Arc<Queues>);

/// The right to change a session; released when dropped.
pub(super) struct SessionLock {
    queues: Arc<Queues>,
    name: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl SessionLocks {
    fn queue(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.0.lock().entry(name.to_owned()).or_default())
    }

    /// Waits for a session's lock.
    pub(super) async fn lock(&self, name: impl Into<String>) -> SessionLock {
        // Made before the wait, so that a caller that is cancelled removes the queue too.
        let mut lock = self.free(name.into());
        lock.guard = Some(self.queue(&lock.name).lock_owned().await);
        lock
    }

    /// A session's lock, unless it is held.
    pub(super) fn try_lock(&self, name: impl Into<String>) -> Option<SessionLock> {
        let mut lock = self.free(name.into());
        lock.guard = Some(self.queue(&lock.name).try_lock_owned().ok()?);
        Some(lock)
    }

    /// The name of the lock of a user's log-outs. No session has a colon in its id.
    pub(super) fn of_user(user_id: &str) -> String {
        format!(":{user_id}")
    }

    fn free(&self, name: String) -> SessionLock {
        SessionLock { queues: Arc::clone(&self.0), name, guard: None }
    }
}

impl Drop for SessionLock {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = self.queues.lock();
        // Every caller that waits has a clone of the queue; with none left it is the map's alone.
        if queues.get(&self.name).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    #[tokio::test]
    async fn queues_go_with_the_last_holder_or_waiter() {
        let locks = SessionLocks::default();
        let first = locks.lock("a").await;
        let mut second = Box::pin(locks.lock("a"));
        let waits =
            std::future::poll_fn(|context| Poll::Ready(second.as_mut().poll(context).is_pending()));
        assert!(waits.await);
        assert!(locks.try_lock("a").is_none());
        drop(first);
        assert_eq!(locks.0.lock().len(), 1);
        drop(second);
        assert!(locks.0.lock().is_empty(), "cancelled after its turn had come");
    }
}
