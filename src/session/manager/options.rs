//! Options of a manager and of a new session.

use crate::retry::breaker::BreakerPolicy;
use crate::session::error::SessionError;
use crate::session::metadata::Metadata;
use crate::session::record::Session;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// When reads ask the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyncMode {
    /// Never: the store is a backup. Fastest, for a single instance.
    Off,
    /// When a session is not in memory, or its copy is older than
    /// [`ManagerOptions::max_staleness`]. For several instances on one Redis.
    OnAccess,
}

/// `true` is [`SyncMode::OnAccess`].
impl From<bool> for SyncMode {
    fn from(on_access: bool) -> Self {
        if on_access { Self::OnAccess } else { Self::Off }
    }
}

/// Recovery of a store that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Recovery {
    /// By itself: after a while one call probes the store, and when it works again, what it missed
    /// is written and it is used again. The default opens at the first failure, since sessions go
    /// on in memory at no cost.
    Automatic(BreakerPolicy),
    /// Not before [`set_session_store`](crate::session::SessionManager::set_session_store) or
    /// [`flush`](crate::session::SessionManager::flush) is called.
    Manual,
}

impl Default for Recovery {
    fn default() -> Self {
        Self::Automatic(BreakerPolicy::default().min_calls(1).failure_ratio(0.0))
    }
}

impl Recovery {
    pub(super) fn policy(&self) -> BreakerPolicy {
        const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        match self {
            Self::Automatic(policy) => policy.clone(),
            Self::Manual => BreakerPolicy::default()
                .min_calls(1)
                .failure_ratio(0.0)
                .open_for(NEVER, NEVER)
                .quota_open(NEVER),
        }
    }
}

/// The copies that a manager returns from memory while the store cannot be asked. With
/// [`SyncMode::Off`] memory is asked anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadPolicy {
    /// Sessions that the store was last seen to have at most so long ago, and those that are
    /// pending. Others are [`Unavailable`](SessionError::Unavailable).
    ServeStale(Duration),
    /// Nothing: every session is unavailable.
    FailClosed,
}

/// The fate of changes while the store is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WritePolicy {
    /// Changes succeed as pending, and are sent later.
    Journal,
    /// Changes fail, and are not made.
    FailClosed,
}

/// Options of a manager, with their defaults.
#[derive(Clone, Debug)]
#[must_use]
pub struct ManagerOptions {
    pub(super) max_staleness: Duration,
    pub(super) touch_interval: Duration,
    pub(super) recovery: Recovery,
    pub(super) reads: ReadPolicy,
    pub(super) writes: WritePolicy,
    pub(super) max_pending: usize,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        Self {
            max_staleness: Duration::from_secs(5),
            touch_interval: Duration::from_secs(60),
            recovery: Recovery::default(),
            reads: ReadPolicy::ServeStale(Duration::from_secs(24 * 3600)),
            writes: WritePolicy::Journal,
            max_pending: 100_000,
        }
    }
}

impl ManagerOptions {
    /// Sets how old a copy may be before the store is asked again (default 5 s), with
    /// [`SyncMode::OnAccess`].
    pub fn max_staleness(mut self, age: Duration) -> Self {
        self.max_staleness = age;
        self
    }

    /// Sets how often at most a session that is asked for moves its `last_active_at` and slides its
    /// time to live (default 60 s).
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.touch_interval = interval;
        self
    }

    /// Sets what is returned from memory while the store cannot be asked (default: copies of up to
    /// 24 hours).
    pub fn reads(mut self, policy: ReadPolicy) -> Self {
        self.reads = policy;
        self
    }

    /// Sets the fate of changes while the store is unavailable (default: they stay pending).
    pub fn writes(mut self, policy: WritePolicy) -> Self {
        self.writes = policy;
        self
    }

    /// Sets how many sessions may be pending (default 100 000). Beyond that, creating or changing
    /// one more fails with [`SessionError::JournalFull`]; ends of sessions that are held here are
    /// always accepted.
    pub fn max_pending(mut self, sessions: usize) -> Self {
        self.max_pending = sessions;
        self
    }

    /// Sets how a store that failed is used again (default: by itself).
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }
}

/// The fields of a new session.
///
/// ```
/// use redis_rest::session::NewSession;
/// let new = NewSession::new("user-123", "org-456").system_prompt("Be brief").mcp_clients(["client-1"]).with("plan", "pro");
/// # let _ = new;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NewSession {
    session: Session,
    expires_at: Option<DateTime<Utc>>,
    /// Why it cannot be created.
    failed: Option<SessionError>,
}

impl NewSession {
    /// A session of this user and organisation.
    pub fn new(user_id: impl Into<String>, org_id: impl Into<String>) -> Self {
        Self { session: Session::new(user_id).org_id(org_id), expires_at: None, failed: None }
    }

    /// Sets the id (default: a random UUID). It must not be guessable. One that is taken is a
    /// [`Conflict`](SessionError::Conflict) as far as it is known: while the store is away, only
    /// this manager's sessions are.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.session.id = id.into();
        self
    }

    /// Sets when it ends: an explicit time to live, which being used does not move (default: the
    /// store's time to live, from its last use on).
    pub fn expires_at(mut self, at: DateTime<Utc>) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Sets the system prompt.
    pub fn system_prompt(mut self, prompt: impl Into<String>) -> Self {
        self.session.system_prompt = prompt.into();
        self
    }

    /// Sets the MCP clients.
    pub fn mcp_clients(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.session.mcp_client_ids = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the metadata.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.session.metadata = metadata;
        self
    }

    /// Sets one value of the metadata. One that cannot be written as JSON makes creating the
    /// session fail, with [`SessionError::Unwritable`].
    pub fn with(mut self, name: impl Into<String>, value: impl serde::Serialize) -> Self {
        self.failed = self.session.metadata.insert(name, value).err().or(self.failed);
        self
    }

    pub(super) fn into_parts(self) -> Result<(Session, Option<DateTime<Utc>>), SessionError> {
        self.failed.map_or(Ok((self.session, self.expires_at)), Err)
    }
}
