//! The results and reports of a manager.

use crate::error::ErrorKind;
use crate::retry::breaker::BreakerState;
use crate::session::durability::Durability;
use crate::session::record::Session;
use chrono::{DateTime, Utc};

/// A session that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// The session.
    pub session: Session,
    /// Whether the store has it.
    pub durability: Durability,
}

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Whether there was such a session, as far as is known.
    pub existed: bool,
    /// Whether the store has executed the end.
    pub durability: Durability,
}

/// The end of all sessions of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedOut {
    /// The number of sessions that are known to have ended.
    pub sessions: usize,
    /// Whether the store has executed the log-out.
    pub durability: Durability,
}

/// The result of a [`flush`](super::SessionManager::flush).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// Sessions written.
    pub written: usize,
    /// Sessions ended.
    pub deleted: usize,
    /// Changes dropped because the session has ended meanwhile, or because somebody else's later
    /// version stands.
    pub dropped: usize,
    /// Changes, ends and log-outs that the store refused. They stay pending, and are tried again
    /// after a second, and then after pauses that double up to ten minutes.
    pub failed: usize,
}

/// The changes that the store has not confirmed, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Sessions it has never seen.
    pub new: usize,
    /// Sessions that were changed.
    pub changed: usize,
    /// Sessions that were only used, or whose time to live was set.
    pub touched: usize,
    /// Sessions that were deleted.
    pub deleted: usize,
    /// Users all of whose sessions were ended.
    pub revoked: usize,
}

/// The state of a manager and of its store, as it is known here: reading it asks nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the store works; `None` without one.
    pub state: Option<BreakerState>,
    /// Since when it does or does not.
    pub since: Option<DateTime<Utc>>,
    /// The changes that it has not confirmed.
    pub pending: Pending,
    /// Why it was last found not to work, and when.
    pub last_error: Option<(ErrorKind, DateTime<Utc>)>,
    /// The bytes that the store uses, as of when it was set or
    /// [maintained](super::SessionManager::maintain).
    pub redis_memory: Option<u64>,
    /// The number of sessions held in memory.
    pub held: usize,
}
