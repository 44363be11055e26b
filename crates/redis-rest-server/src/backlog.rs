//! Queues of pending events, bounded in bytes.
//!
//! Backends bound their queues by the number of events, each of which may be as large as a request.
//! A task therefore takes events out of the backend's queue as they arrive, and counts their bytes,
//! per reader and for the whole server.

use super::memory::Reservation;
use redis_rest::Event;
use redis_rest::backend::EventStream;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::{Notify, mpsc};

/// Memory of an event beside its bytes.
const OVERHEAD: usize = 128;

/// The reader's end of a queue. Dropping it ends the task.
pub(super) struct Backlog {
    events: mpsc::UnboundedReceiver<Event>,
    waiting: Arc<PendingBytes>,
}

/// Bytes pending for the reader.
struct PendingBytes(Mutex<(usize, Reservation)>);

impl PendingBytes {
    /// Adds an event. Returns false if more than `most` bytes would be pending, or if the server
    /// holds too much.
    fn add(&self, event: &Event, most: usize) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = size(event);
        waiting.0 = waiting.0.saturating_add(size);
        waiting.0 <= most && waiting.1.grow(size).is_ok()
    }

    fn remove(&self, event: &Event) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = size(event);
        waiting.0 = waiting.0.saturating_sub(size);
        waiting.1.shrink(size);
    }
}

/// Takes events from `events` until it ends, the reader is dropped, or more than `most` bytes are
/// pending: then `cut` is notified.
pub(super) fn follow(
    mut events: EventStream,
    most: usize,
    held: Reservation,
    cut: Arc<Notify>,
) -> Backlog {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(PendingBytes(Mutex::new((0, held))));
    let counted = Arc::clone(&waiting);
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                () = sender.closed() => return,
                next = poll_fn(|context| events.as_mut().poll_next(context)) => next,
            };
            // The end or an error of the backend: the stream ends.
            let Some(Ok(event)) = next else { return };
            if !counted.add(&event, most) {
                tracing::warn!("an event stream was cut off: its client reads too slowly");
                return cut.notify_one();
            }
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    Backlog { events: receiver, waiting }
}

impl Backlog {
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events
            .poll_recv(context)
            .map(|event| event.inspect(|event| self.waiting.remove(event)))
    }
}

fn size(event: &Event) -> usize {
    OVERHEAD
        + match event {
            Event::Message(message) => {
                message.channel.len()
                    + message.payload.len()
                    + message.pattern.as_ref().map_or(0, |name| name.len())
            }
            Event::Subscribed(bytes) | Event::Command(bytes) => bytes.len(),
            _ => 0,
        }
}
