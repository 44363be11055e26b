//! The only file that reads a clock.
//!
//! Deadlines use the monotonic clock of the runtime or the host, so that a test with a paused clock
//! sees them move; session times are wall clock times.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// A monotonic instant.
pub(crate) use crate::platform::Instant;

/// Returns the current monotonic instant.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the instant `duration` from now; a year from now if that exceeds the clock's range.
pub(crate) fn after(duration: Duration) -> Instant {
    later(now(), duration)
}

/// Returns the instant `duration` after a known now, like [`after`].
pub(crate) fn later(now: Instant, duration: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(duration).unwrap_or(now + YEAR)
}

/// Returns the current wall-clock time.
pub(crate) fn utc_now() -> DateTime<Utc> {
    Utc::now()
}
