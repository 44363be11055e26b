//! The only file of this crate that reads a clock.
//!
//! Deadlines use the runtime's clock, which a test can stop.

use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio::time::Instant;

/// The current monotonic instant.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The instant `duration` from now; a year from now if that is beyond what the clock can hold.
pub(crate) fn after(duration: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let now = now();
    now.checked_add(duration).unwrap_or(now + YEAR)
}

/// The current wall-clock time.
pub(crate) fn utc_now() -> DateTime<Utc> {
    Utc::now()
}
