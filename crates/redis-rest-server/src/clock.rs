//! The only file of this crate that reads a clock.
//!
//! Deadlines use the runtime's clock, which a test can stop.

use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio::time::Instant;

/// Returns the current monotonic instant.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the instant `duration` from now; a year from now if that exceeds the clock's range.
pub(crate) fn after(duration: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let now = now();
    now.checked_add(duration).unwrap_or(now + YEAR)
}

/// Returns the current wall-clock time.
pub(crate) fn utc_now() -> DateTime<Utc> {
    Utc::now()
}
