//! A stream of what happens to sessions.

use crate::observe;
use std::fmt;
use std::sync::Arc;
use tokio::sync::broadcast;

/// The number of events that a slow reader may be behind before it misses the oldest.
const BEHIND: usize = 256;

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The session was created here.
    Created,
    /// The session was asked for and found.
    Retrieved,
    /// The copy here was read from, or written to, the store.
    Synced,
    /// The session was found to be gone from the store.
    Expired,
    /// The session was deleted here.
    Deleted,
    /// The copy here was dropped.
    Evicted,
    /// A change made here was pending, and somebody else's later version stands instead.
    Superseded,
    /// The reader was too slow and missed this many events.
    Missed(u64),
}

/// Something that happened to a session.
#[derive(Clone)]
#[non_exhaustive]
pub struct Event {
    /// The kind.
    pub kind: EventKind,
    /// The session's id; empty for [`EventKind::Missed`].
    pub session_id: Arc<str>,
}

/// Shows the kind only: ids are credentials.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({:?})", self.kind)
    }
}

/// A stream of events, from when it was asked for. A reader that falls behind misses events and is
/// told so; the manager never waits for it.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when the manager is gone.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(missed(count)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next event that is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.0.try_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::TryRecvError::Lagged(count)) => Some(missed(count)),
            Err(_) => None,
        }
    }
}

fn missed(count: u64) -> Event {
    Event { kind: EventKind::Missed(count), session_id: Arc::from("") }
}

/// The sending side.
pub(super) struct Sender(broadcast::Sender<Event>);

impl Sender {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }

    pub(super) fn subscribe(&self) -> Events {
        Events(self.0.subscribe())
    }

    pub(super) fn send(&self, kind: EventKind, id: &str) {
        if kind == EventKind::Expired {
            observe::sessions_expired(observe::Place::Manager, 1);
        }
        if self.0.receiver_count() > 0 {
            // Without a reader left there is nobody to tell.
            let _ = self.0.send(Event { kind, session_id: id.into() });
        }
    }
}
