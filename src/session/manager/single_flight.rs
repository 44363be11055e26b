//! Concurrent reads of one session share one request.

use super::cache::Began;
use crate::clock;
use crate::platform::Mutex;
use crate::session::error::SessionError;
use crate::session::store::Stored;
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;
use tokio::sync::OnceCell;

/// The reads under way, by session.
#[derive(Default)]
pub(super) struct SingleFlight(Mutex<HashMap<String, Arc<Flight>>>);

struct Flight {
    /// When it was sent.
    began: Began,
    reply: OnceCell<Result<Stored, SessionError>>,
}

/// A caller's part in a request. The last one that is dropped before there is a reply ends it.
pub(super) struct Seat<'a> {
    flights: &'a SingleFlight,
    id: &'a str,
    flight: Arc<Flight>,
}

impl SingleFlight {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Flight>>> {
        self.0.lock()
    }

    /// A part in the request for a session; in one of its own, which begins now, if there is none
    /// or it is older than `max_age`.
    pub(super) fn join<'a>(&'a self, id: &'a str, began: Began, max_age: Duration) -> Seat<'a> {
        let mut flights = self.lock();
        let current = flights
            .get(id)
            .filter(|flight| clock::now().saturating_duration_since(flight.began.at) <= max_age);
        let flight = match current {
            Some(flight) => Arc::clone(flight),
            None => {
                let flight = Arc::new(Flight { began, reply: OnceCell::new() });
                flights.insert(id.to_owned(), Arc::clone(&flight));
                flight
            }
        };
        Seat { flights: self, id, flight }
    }

    /// Callers that join from now on ask anew.
    pub(super) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }
}

impl Seat<'_> {
    pub(super) fn began(&self) -> Began {
        self.flight.began
    }

    /// The reply, to the request of one of the callers that wait for it.
    pub(super) async fn reply(
        &self,
        ask: impl Future<Output = Result<Stored, SessionError>>,
    ) -> Result<Stored, SessionError> {
        self.flight.reply.get_or_init(|| ask).await.clone()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        // The map and this one; others join under the lock only.
        let over = self.flight.reply.initialized() || Arc::strong_count(&self.flight) == 2;
        if over && flights.get(self.id).is_some_and(|current| Arc::ptr_eq(current, &self.flight)) {
            flights.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn requests_end_with_their_reply_or_with_the_last_caller() {
        let flights = SingleFlight::default();
        let at = |tick| Began { tick, at: clock::now() };
        let one = flights.join("a", at(1), MINUTE);
        let two = flights.join("a", at(2), MINUTE);
        assert_eq!((two.began().tick, flights.lock().len()), (1, 1));
        drop(one);
        assert_eq!(flights.join("a", at(3), MINUTE).began().tick, 1, "one still waits");
        drop(two);
        assert!(flights.lock().is_empty(), "cancelled");
        let one = flights.join("a", at(4), MINUTE);
        let two = flights.join("a", at(5), MINUTE);
        one.reply(async { Err(SessionError::NotFound) }).await.unwrap_err();
        drop(one);
        assert!(flights.lock().is_empty(), "replied");
        two.reply(async { unreachable!("the reply is there") }).await.unwrap_err();
        let newer = flights.join("a", at(6), MINUTE);
        drop(two);
        assert_eq!((newer.began().tick, flights.lock().len()), (6, 1), "not theirs to end");
    }
}
