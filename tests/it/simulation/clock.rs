//! The wall clocks of the machines, each with its own error, over the virtual time.

use chrono::{DateTime, Utc};
use redis_rest::session::WallClock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::Instant;

/// The beginning of each history, in milliseconds since 1970: before now, so that times of the
/// system's clock are later.
const EPOCH: i64 = 1_600_000_000_000;

/// The clock of one machine. Clones are the same clock.
#[derive(Clone)]
pub struct Clock {
    began: Instant,
    error: Arc<AtomicI64>,
}

impl Clock {
    /// Creates a clock that is ahead by `error` milliseconds.
    pub fn new(began: Instant, error: i64) -> Self {
        Self { began, error: Arc::new(AtomicI64::new(error)) }
    }

    pub fn jump(&self, millis: i64) {
        self.error.fetch_add(millis, Ordering::Relaxed);
    }

    /// Returns milliseconds since 1970.
    pub fn millis(&self) -> i64 {
        EPOCH + self.elapsed() + self.error.load(Ordering::Relaxed)
    }

    /// Returns milliseconds since the history began.
    pub fn elapsed(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap()
    }
}

impl WallClock for Clock {
    fn utc_now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.millis()).unwrap()
    }
}
