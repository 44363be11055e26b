//! Events that wait for their reader, bounded in bytes.
//!
//! Backends bound their queues by the number of events, each of which may be as large as a request. So a task takes events out of
//! the backend's queue as they come, and counts.

use crate::backend::EventStream;
use crate::subscribe::Event;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::{Notify, mpsc};

/// What an event takes beside its bytes.
const OVERHEAD: usize = 128;

/// The reader's end. Dropping it ends the task.
pub(super) struct Backlog {
    events: mpsc::UnboundedReceiver<Event>,
    waiting: Arc<AtomicUsize>,
}

/// Takes events from `events` until it ends, nobody reads any more, or more than `most` bytes wait: then `cut` is notified.
pub(super) fn follow(mut events: EventStream, most: usize, cut: Arc<Notify>) -> Backlog {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&waiting);
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                () = sender.closed() => return,
                next = poll_fn(|context| events.as_mut().poll_next(context)) => next,
            };
            // The end, or an error of the backend's: the stream ends.
            let Some(Ok(event)) = next else { return };
            let size = size(&event);
            if counted.fetch_add(size, Ordering::Relaxed).saturating_add(size) > most {
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
        self.events.poll_recv(context).map(|event| {
            event.inspect(|event| {
                self.waiting.fetch_sub(size(event), Ordering::Relaxed);
            })
        })
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
            Event::Gap | Event::KeepAlive => 0,
        }
}
