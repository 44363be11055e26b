#![doc = include_str!("../../docs/guide/rustdoc-links.md")]
#![doc = include_str!("../../docs/observability.md")]

mod span;
#[cfg(feature = "metrics")]
mod table;
// Either of the two: both have the same interface, which does nothing without the feature.
#[cfg_attr(feature = "metrics", path = "on/mod.rs")]
#[cfg_attr(not(feature = "metrics"), path = "off.rs")]
mod recorded;

#[cfg(feature = "metrics")]
pub use table::{Instrument, METRICS, Metric, describe};

pub(crate) use recorded::{
    BreakerWatch, CacheLevel, HeldLevel, PendingLevel, Retrieval, commands_sent, redis_memory,
    retried, retry_refused, session_created, sessions_expired,
};
pub(crate) use span::{Attempt, Operation, call};

use crate::error::ErrorKind;

/// Origin of a request with several commands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Batch {
    /// Built from waiting calls.
    Auto,
    Pipeline,
    Transaction,
}

/// Owner of a breaker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guarded {
    SessionStore,
    Failover,
}

/// Place of a lookup or an expiry of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Manager,
    Memory,
    Redis,
}

/// Result of a session lookup.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Retrieved {
    Found,
    NotFound,
    Failed,
}

/// Returns the label of an error's kind: one of a fixed set.
const fn name_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Config => "config",
        ErrorKind::InvalidCommand => "invalid_command",
        ErrorKind::Connect => "connect",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Io => "io",
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::Unauthorized => "unauthorized",
        ErrorKind::Http => "http",
        ErrorKind::Decode => "decode",
        ErrorKind::ReplyTooLarge => "reply_too_large",
        ErrorKind::Redis => "redis",
        ErrorKind::Discarded => "discarded",
        ErrorKind::Conversion => "conversion",
        ErrorKind::Inexact => "inexact",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Closed => "closed",
    }
}
