//! Collects the spans of one test while other tests run in parallel.

use std::sync::OnceLock;
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Subscriber};

/// Sends spans of this thread to `subscriber` until the guard is dropped.
pub fn collect_spans(subscriber: impl Subscriber + Send + Sync) -> DefaultGuard {
    // With a single subscriber, tracing caches a call site as disabled for all threads if another
    // test's thread meets it first. A second subscriber makes tracing ask each time.
    static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
    ANOTHER.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
    tracing::subscriber::set_default(subscriber)
}
