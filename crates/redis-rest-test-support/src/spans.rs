//! Seeing spans of one test while others run beside it.

use std::sync::OnceLock;
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Subscriber};

/// Shows spans of this thread to `subscriber` until the guard is dropped.
pub fn seen_by(subscriber: impl Subscriber + Send + Sync) -> DefaultGuard {
    // While there is only one subscriber, a span that is first met on the thread of another test is asked of nobody, and switched off
    // for all. With a second one everybody is asked.
    static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
    ANOTHER.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
    tracing::subscriber::set_default(subscriber)
}
