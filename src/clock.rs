//! The only file that reads a clock.
//!
//! Deadlines use the monotonic clock of the runtime or the host, so that a test with a paused clock sees them move; session times are wall
//! clock times.

use chrono::{DateTime, Utc};

/// A monotonic instant.
pub(crate) use crate::platform::Instant;

/// The current monotonic instant.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The instant `duration` from now; a year from now where that is beyond what the clock can hold.
pub(crate) fn after(duration: std::time::Duration) -> Instant {
    const YEAR: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);
    let now = now();
    now.checked_add(duration).unwrap_or(now + YEAR)
}

/// The current wall-clock time.
pub(crate) fn utc_now() -> DateTime<Utc> {
    Utc::now()
}
