//! Gauges of amounts, reported as increments and decrements, so that several of a kind add up.

use super::super::{Guarded, table};
use super::{counter, gauge, key};
use ::metrics::Key;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// The amount of one holder; the rest is subtracted when it is dropped.
struct Tally {
    key: &'static Key,
    value: usize,
}

impl Tally {
    const fn new(key: &'static Key) -> Self {
        Self { key, value: 0 }
    }

    fn set(&mut self, value: usize) {
        if value > self.value {
            gauge(self.key).increment((value - self.value) as f64);
        } else if value < self.value {
            gauge(self.key).decrement((self.value - value) as f64);
        }
        self.value = value;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The level of an in-memory store.
pub(crate) struct CacheLevel {
    entries: Tally,
    bytes: Tally,
}

impl Default for CacheLevel {
    fn default() -> Self {
        static ENTRIES: Key = key!(table::ENTRIES);
        static BYTES: Key = key!(table::BYTES);
        Self { entries: Tally::new(&ENTRIES), bytes: Tally::new(&BYTES) }
    }
}

impl CacheLevel {
    pub(crate) fn set(&mut self, entries: usize, bytes: usize) {
        self.entries.set(entries);
        self.bytes.set(bytes);
    }
}

/// The level of a manager's memory.
pub(crate) struct HeldLevel(Tally);

impl Default for HeldLevel {
    fn default() -> Self {
        static HELD: Key = key!(table::HELD);
        Self(Tally::new(&HELD))
    }
}

impl HeldLevel {
    pub(crate) fn set(&mut self, sessions: usize) {
        self.0.set(sessions);
    }
}

/// The level of changes pending for a store.
pub(crate) struct PendingLevel {
    sessions: Tally,
    deletions: Tally,
    revocations: Tally,
}

impl Default for PendingLevel {
    fn default() -> Self {
        static SESSIONS: Key = key!(table::PENDING, "kind" => "session");
        static DELETIONS: Key = key!(table::PENDING, "kind" => "deletion");
        static REVOCATIONS: Key = key!(table::PENDING, "kind" => "revocation");
        Self {
            sessions: Tally::new(&SESSIONS),
            deletions: Tally::new(&DELETIONS),
            revocations: Tally::new(&REVOCATIONS),
        }
    }
}

impl PendingLevel {
    pub(crate) fn set(&mut self, sessions: usize, deletions: usize, revocations: usize) {
        self.sessions.set(sessions);
        self.deletions.set(deletions);
        self.revocations.set(revocations);
    }
}

const CLOSED: u8 = 0;

/// The last reported state of one breaker.
pub(crate) struct BreakerWatch {
    guarded: Guarded,
    /// Changed under the breaker's lock only.
    state: AtomicU8,
}

impl BreakerWatch {
    /// Creates the watch of a closed breaker.
    pub(crate) fn new(guarded: Guarded) -> Self {
        gauge(level(guarded, CLOSED)).increment(1.0);
        Self { guarded, state: AtomicU8::new(CLOSED) }
    }

    /// `state`: 0 closed, 1 open, 2 half-open.
    pub(crate) fn moves_to(&self, state: u8) {
        let before = self.state.swap(state, Ordering::Relaxed);
        if before == state {
            return;
        }
        gauge(level(self.guarded, before)).decrement(1.0);
        gauge(level(self.guarded, state)).increment(1.0);
        counter(transition(self.guarded, state)).increment(1);
    }
}

impl Drop for BreakerWatch {
    fn drop(&mut self) {
        gauge(level(self.guarded, *self.state.get_mut())).decrement(1.0);
    }
}

impl fmt::Debug for BreakerWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BreakerWatch")
    }
}

/// A key for each state, of each breaker.
macro_rules! by_state {
    ($guarded:expr, $state:expr, $name:expr) => {{
        static STORE: [Key; 3] = [
        key!($name, "breaker" => "session_store", "state" => "closed"),
        key!($name, "breaker" => "session_store", "state" => "open"),
        key!($name, "breaker" => "session_store", "state" => "half_open"),
        ];
        static FAILOVER: [Key; 3] = [
        key!($name, "breaker" => "failover", "state" => "closed"),
        key!($name, "breaker" => "failover", "state" => "open"),
        key!($name, "breaker" => "failover", "state" => "half_open"),
        ];
        let keys = match $guarded {
            Guarded::SessionStore => &STORE,
            Guarded::Failover => &FAILOVER,
        };
        // The states are numbered in this order.
        &keys[usize::from($state)]
    }};
}

fn level(guarded: Guarded, state: u8) -> &'static Key {
    by_state!(guarded, state, table::BREAKERS)
}

fn transition(guarded: Guarded, state: u8) -> &'static Key {
    by_state!(guarded, state, table::TRANSITIONS)
}
