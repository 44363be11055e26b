//! Reads of the store under way: many callers of one session share one request.

use crate::clock::{self, Instant};
use crate::session::error::SessionError;
use crate::session::record::Session;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// By session.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<String, Arc<Flight>>>);

struct Flight {
    /// The version of the sessions before it was sent.
    sent: u64,
    at: Instant,
    reply: OnceCell<Result<Session, SessionError>>,
}

/// A caller's part in a request. The last one that is dropped before there is an answer ends it.
pub(super) struct Seat<'a> {
    flights: &'a Flights,
    id: &'a str,
    flight: Arc<Flight>,
}

impl Flights {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part in the request for a session; in one of its own, at the version `sent`, where there is none or it is older than
    /// `max_age`.
    pub(super) fn join<'a>(&'a self, id: &'a str, sent: u64, max_age: Duration) -> Seat<'a> {
        let mut flights = self.lock();
        let flight = match flights.get(id).filter(|flight| flight.at.elapsed() <= max_age) {
            Some(flight) => Arc::clone(flight),
            None => {
                let flight = Arc::new(Flight { sent, at: clock::now(), reply: OnceCell::new() });
                flights.insert(id.to_owned(), Arc::clone(&flight));
                flight
            }
        };
        Seat { flights: self, id, flight }
    }

    /// Whoever joins from now on asks anew.
    pub(super) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }
}

impl Seat<'_> {
    pub(super) fn sent(&self) -> u64 {
        self.flight.sent
    }

    /// The answer, to the request of one of those who wait for it.
    pub(super) async fn reply(
        &self,
        ask: impl Future<Output = Result<Session, SessionError>>,
    ) -> Result<Session, SessionError> {
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
    async fn requests_end_with_their_answer_or_with_the_last_who_gives_up() {
        let flights = Flights::default();
        let (one, two) = (flights.join("a", 1, MINUTE), flights.join("a", 2, MINUTE));
        assert_eq!((two.sent(), flights.lock().len()), (1, 1));
        drop(one);
        assert_eq!(flights.join("a", 3, MINUTE).sent(), 1, "who still waits can be joined");
        drop(two);
        assert!(flights.lock().is_empty(), "given up");
        let (one, two) = (flights.join("a", 4, MINUTE), flights.join("a", 5, MINUTE));
        one.reply(async { Err(SessionError::NotFound) }).await.unwrap_err();
        drop(one);
        assert!(flights.lock().is_empty(), "answered");
        two.reply(async { unreachable!("the answer is there") }).await.unwrap_err();
        let newer = flights.join("a", 6, MINUTE);
        drop(two);
        assert_eq!((newer.sent(), flights.lock().len()), (6, 1), "not theirs to end");
    }
}
