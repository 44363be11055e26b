//! [`SessionStore`]: a place where sessions are kept, and the requests that it executes.

use super::change::ChangeId;
use super::error::SessionError;
use super::marks::Marks;
use super::record::Session;
use super::results::SessionList;
use super::version::Version;
use crate::platform::{BoxFuture, MaybeSend};
use std::fmt;
use std::time::Duration;

/// The default time to live of a session: 24 hours.
pub const DEFAULT_TTL: Duration = Duration::from_secs(24 * 3600);

/// The longest time that a request may be on its way: it is not executed later than this after it
/// may last be sent. A store remembers an id for at least this long after its session ended.
pub const REQUEST_LIFETIME: Duration = Duration::from_secs(60);

/// The future of a store's method.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, SessionError>>;

/// A place where sessions are kept: seven requests, each of which may be repeated. A store that can
/// do more in less overrides the other methods. Calls under their usual names (`store_session`,
/// `retrieve_session` …) come with [`SessionStoreExt`](super::SessionStoreExt).
///
/// The contract, held by every store of this crate and checked by the conformance cases of feature
/// `conformance`:
///
/// * Methods on several sessions return one result for each, in their order. A failure of one
///   session is its own: the others are executed.
/// * A write or delete is atomic for its session, and changes nothing unless the result is
///   [`Written::Written`] or `true`. (A delete of a session that is not there returns `false`, and
///   is remembered.)
/// * Each [`ChangeId`] has an effect at most once. A request that was executed before, and whose
///   session is as it left it, has the same result again.
/// * No read writes, not even a time to live.
/// * Record and index change together: a session that was written is listed, a deleted one is not.
///   (In two steps on [Redis Cluster](crate::session#on-redis-cluster).)
/// * An id that has existed is remembered: after a delete for the longest of what was left of the
///   session, [`Delete::mark_for`] and [`REQUEST_LIFETIME`]; after an expiry for
///   [`REQUEST_LIFETIME`]. The memory is never shortened.
/// * Only durations cross this trait: a store's clock is compared with nobody else's.
pub trait SessionStore: MaybeSend + 'static {
    /// Reads sessions.
    ///
    /// # Errors
    /// For each session [`SessionError::NotFound`], [`SessionError::InvalidId`], or
    /// [`SessionError::Corrupt`] for a record that cannot be read.
    fn get<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Vec<Result<Stored, SessionError>>>;

    /// Reads the sessions of a user, in the order of the index.
    fn list<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Listed>;

    /// Writes sessions, each under its condition. Writes of one session are executed in their
    /// order.
    fn write<'a>(
        &'a self,
        writes: &'a [Write<'a>],
    ) -> BoxFuture<'a, Vec<Result<Written, SessionError>>>;

    /// Deletes sessions, each under its condition; true for one that was there and is not any more.
    fn delete<'a>(
        &'a self,
        deletes: &'a [Delete<'a>],
    ) -> BoxFuture<'a, Vec<Result<bool, SessionError>>>;

    /// Logs a user out: from now on a create of that user is refused unless its
    /// [marks](Mode::Create::marks) have `log_out`. Returns the ids of the index, which the caller
    /// then deletes by [`When::UnlessKnown`].
    ///
    /// The last [`Marks::MOST`] log-outs of a user are kept for the default time to live and
    /// [`REQUEST_LIFETIME`] from the last.
    fn revoke<'a>(&'a self, user_id: &'a str, log_out: ChangeId) -> StoreFuture<'a, Vec<String>>;

    /// Removes ids from a user's index whose sessions are gone; returns how many.
    fn prune<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize>;

    /// Checks that the store works.
    fn health(&self, check: Check) -> StoreFuture<'_, StoreHealth>;

    /// The time to live of a session for which a caller names none. The default is [`DEFAULT_TTL`].
    fn default_ttl(&self) -> Duration {
        DEFAULT_TTL
    }

    /// Reads a session as [`get`](Self::get) does, alone: for callers who need neither its version
    /// nor its time to live.
    fn read_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Session> {
        Box::pin(async move { one(self.get(&[id]).await).map(|stored| stored.session) })
    }

    /// Reads the sessions of a user as [`list`](Self::list) does, alone.
    fn read_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, SessionList> {
        Box::pin(async move {
            let Listed { sessions, corrupt, partial, .. } = self.list(user_id).await?;
            let sessions = sessions.into_iter().map(|stored| stored.session).collect();
            Ok(SessionList { sessions, corrupt, partial: partial.is_some() })
        })
    }

    /// A version that the session had lately, when it was this user's, if the store knows one
    /// without a request. A write that replaces it saves the read, or is refused as outdated.
    fn recent_version(&self, id: &str, user_id: &str) -> Option<Version> {
        let _ = (id, user_id);
        None
    }
}

/// The result of a request about one session.
pub(super) fn one<T>(results: Vec<Result<T, SessionError>>) -> Result<T, SessionError> {
    // A store that returns no result breaks its contract.
    results.into_iter().next().unwrap_or(Err(SessionError::Corrupt { field: "result" }))
}

/// A session as a store has it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The session.
    pub session: Session,
    /// Its version.
    pub version: Version,
    /// The time to live from when it was read; `None` if it has no end.
    pub ttl: Option<Duration>,
}

/// The write of one session.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The id of the change.
    pub id: ChangeId,
    /// The session as it is to be.
    pub session: &'a Session,
    /// The condition.
    pub mode: Mode<'a>,
    /// Whether it changes the content: more than `last_active_at`. Ignored by a create, which
    /// always does.
    pub content: bool,
    /// The rule for the time to live.
    pub ttl: TtlRule,
}

/// When a session is written.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// If there is none of that id.
    Create {
        /// The log-outs of the user that the caller knows.
        marks: &'a Marks,
        /// Also if there was one: after an expiry at once, and [`REQUEST_LIFETIME`] after a delete.
        /// For callers who write a session now; never for a change that was made earlier.
        reuse: bool,
    },
    /// If this version is there. The session must have the user that the version was read with. A
    /// write of the session as it was read with the version, without content, may be executed
    /// whatever another service wrote since: it moves the end alone.
    Replace(&'a Version),
}

/// A rule for a session's time to live. Times are rounded up to milliseconds, and are at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlRule {
    /// The end stays. A new session lives for the store's default time to live.
    Keep,
    /// The session lives at least this long from now, unless its time to live is explicit.
    Slide(Duration),
    /// The session lives exactly this long from now: an explicit time to live.
    Set(Duration),
    /// The session lives exactly this long from now, as a new one does: later slides apply.
    Restart(Duration),
}

impl TtlRule {
    /// The duration; `None` for [`TtlRule::Keep`].
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Keep => None,
            Self::Slide(ttl) | Self::Set(ttl) | Self::Restart(ttl) => Some(ttl),
        }
    }
}

/// The result of a [`Write`].
#[derive(Clone, Debug)]
pub enum Written {
    /// The session was written.
    Written {
        /// Its version.
        version: Version,
        /// The time to live; `None` if it has no end.
        ttl: Option<Duration>,
    },
    /// Not replaced: another version is there.
    Changed(Box<Stored>),
    /// Not created: there is one.
    Exists(Box<Stored>),
    /// Not replaced: there is none. Or not created: the id has existed.
    Gone,
    /// Not created: the user has log-outs that the caller did not know. All that the user has.
    LoggedOut(Marks),
}

/// The delete of one session.
#[derive(Clone, Copy)]
pub struct Delete<'a> {
    /// The id of the change.
    pub id: ChangeId,
    /// The id of the session.
    pub session: &'a str,
    /// The user that the session belongs to, if known: the store need not look it up.
    pub user_id: Option<&'a str>,
    /// The least time for which the id is remembered, because a create of it may be executed until
    /// then.
    pub mark_for: Duration,
    /// The condition.
    pub when: When<'a>,
}

/// Shows neither the session nor the user.
impl fmt::Debug for Delete<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delete")
            .field("id", &self.id)
            .field("when", &self.when)
            .finish_non_exhaustive()
    }
}

/// When a session is deleted.
#[derive(Clone, Copy, Debug)]
pub enum When<'a> {
    /// Whatever version is there. The id of a session that is not there is remembered.
    Always,
    /// If this version is there.
    Unchanged(&'a Version),
    /// Unless its creator knew this log-out. A session that provably belongs to somebody else than
    /// [`Delete::user_id`] stays.
    UnlessKnown(ChangeId),
    /// If its content is that of this create. If the id was never used, it is remembered, and the
    /// create is refused.
    Made(ChangeId),
}

/// The sessions of a user.
#[derive(Clone, Default)]
#[non_exhaustive]
#[must_use]
pub struct Listed {
    /// The ids in the index, each once, in its order. Some may have no session any more.
    pub ids: Vec<String>,
    /// The sessions that were read, in the same order.
    pub sessions: Vec<Stored>,
    /// The number of records that could not be read or belong to another user. Nothing happens to
    /// these.
    pub corrupt: usize,
    /// Why a part of the sessions was not read. There may be more than `sessions`.
    pub partial: Option<SessionError>,
}

/// Shows counts only: ids are credentials.
impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listed")
            .field("ids", &self.ids.len())
            .field("sessions", &self.sessions.len())
            .field("corrupt", &self.corrupt)
            .field("partial", &self.partial)
            .finish()
    }
}

impl Listed {
    /// These sessions of these ids, with none corrupt and none missing.
    pub fn new(ids: Vec<String>, sessions: Vec<Stored>) -> Self {
        Self { ids, sessions, ..Self::default() }
    }
}

/// The depth of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// The store answers, and says what it can about itself.
    Ping,
    /// The store can be written and read. A server that is read-only or full answers a ping all the
    /// same.
    ReadWrite,
}

/// A store's report about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// The bytes that the store uses, if it knows.
    pub memory_used: Option<u64>,
}

impl StoreHealth {
    /// A store that uses this many bytes.
    pub fn new(memory_used: Option<u64>) -> Self {
        Self { memory_used }
    }
}
