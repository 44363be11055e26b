//! [`SessionManager`]: sessions in memory, persisted to a store where there is one.

mod debts;
mod end;
mod flights;
mod health;
mod held;
mod options;
mod read;
mod recover;
mod state;
mod turns;
mod upkeep;
mod write;

pub use health::{Durability, Health, Pending, Saved};
pub use options::{ManagerOptions, NewSession, ReadPolicy, Recovery, SyncMode, WritePolicy};
pub use recover::Flushed;

use super::error::SessionError;
use super::events::{Events, Sender};
use super::reconcile::TtlRule;
use super::record::Session;
use super::store::{SessionList, SessionStore};
use super::workspace::Workspaces;
use crate::breaker::{Breaker, BreakerState, Signal};
use crate::clock;
use crate::error::ErrorKind;
use crate::observe::{self, Guarded};
use chrono::{DateTime, Utc};
use flights::Flights;
use state::Sessions;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use turns::Turns;

/// Manages sessions: creates them, keeps them in memory, and persists them to a [`SessionStore`] where one is set. Cheap to
/// clone: clones are the same manager.
///
/// Without a store everything works in memory. With one, a failure of the store never takes a session away that the manager
/// holds: it goes on in memory, [`is_using_redis`](Self::is_using_redis) becomes false, and no call waits for the store. After a
/// while ([`Recovery`]) one call probes it; when it works again, what it missed is written first, on conditions: deletions win, and
/// what others wrote meanwhile stands.
///
/// ```
/// # async fn run(client: redis_rest::Client) -> Result<(), redis_rest::session::SessionError> {
/// use redis_rest::session::{RedisSessionStore, SessionManager};
/// use std::{sync::Arc, time::Duration};
/// let manager = SessionManager::new("", 100);
/// let store = RedisSessionStore::new(client, Duration::from_secs(24 * 3600));
/// if let Err(error) = manager.set_session_store(Arc::new(store), true).await {
///     eprintln!("Redis is unavailable, going on in memory: {error}");
/// }
/// let session = manager.create_session("user-123", "org-456").await?;
/// assert_eq!(manager.get_session(&session.id).await?.user_id, "user-123");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SessionManager(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    turns: Turns,
    /// Something is pending though the store works.
    leftover: AtomicBool,
    workspaces: Workspaces,
    max_sessions: usize,
    options: ManagerOptions,
    attached: RwLock<Option<Attached>>,
    events: Sender,
    flights: Flights,
}

/// A store that was set.
#[derive(Clone)]
struct Attached {
    store: Arc<dyn SessionStore>,
    mode: SyncMode,
    /// Closed while the store works.
    breaker: Arc<Breaker>,
    seen: Arc<Mutex<Seen>>,
}

/// What was last seen of a store.
#[derive(Clone, Copy, Default)]
struct Seen {
    failed: Option<(ErrorKind, DateTime<Utc>)>,
    memory: Option<u64>,
}

impl SessionManager {
    /// A manager with directories below `workspace_root` (none if that is empty) and at most `max_sessions` sessions created or
    /// used here (0: no limit). Sessions that were only synced from Redis do not count until they are used.
    ///
    /// A session's directory is `root/{user}/{session}`, made when it is created here, and its
    /// [`workspace_path`](Session::workspace_path). For `{user}` stands the user id where it is 1 to 64 of `a-z 0-9 _ -`; any other (one
    /// with a capital, a dot or an `@`, for example) becomes `~` and its SHA-1 in hexadecimal, so that no two users share a directory on
    /// any file system and none leaves the root. The end of a session removes this directory and no other, whatever the record's
    /// `workspace_path` says: directories that another service made elsewhere are left alone.
    pub fn new(workspace_root: impl Into<PathBuf>, max_sessions: usize) -> Self {
        Self::with_options(workspace_root, max_sessions, ManagerOptions::default())
    }

    /// As [`SessionManager::new`], with other options than the default.
    pub fn with_options(
        workspace_root: impl Into<PathBuf>,
        max_sessions: usize,
        options: ManagerOptions,
    ) -> Self {
        Self(Arc::new(Inner {
            sessions: Sessions::default(),
            turns: Turns::default(),
            leftover: AtomicBool::new(false),
            workspaces: Workspaces::new(workspace_root.into()),
            max_sessions,
            options,
            attached: RwLock::default(),
            events: Sender::new(),
            flights: Flights::default(),
        }))
    }

    /// As [`SessionManager::with_options`], with a journal file: what is pending is written to it too, before a change is
    /// answered as pending, so that it survives the end of the process. What an earlier process left in it is pending here from
    /// the start, and written when a store is set. It holds records as they are, and only its owner can read it.
    ///
    /// In an outage a change then costs a write to the disk; while the store works the file is not touched. A line that a crash
    /// cut off, or that was damaged, is passed over.
    ///
    /// # Errors
    /// [`SessionError::Journal`]: the file cannot be opened, or another process has it (`WouldBlock`).
    pub fn with_journal(
        workspace_root: impl Into<PathBuf>,
        max_sessions: usize,
        options: ManagerOptions,
        file: impl AsRef<Path>,
    ) -> Result<Self, SessionError> {
        let manager = Self::with_options(workspace_root, max_sessions, options);
        manager.0.open_journal(file.as_ref())?;
        Ok(manager)
    }

    /// Persists sessions to `store` from now on. `sync` says whether reads ask it too: [`SyncMode::OnAccess`] (`true`) for
    /// several instances on one Redis, [`SyncMode::Off`] (`false`) where Redis is a backup only. Sessions that exist already stay,
    /// and are written on access or by [`flush`](Self::flush).
    ///
    /// # Errors
    /// When the store is not healthy. The manager goes on in memory then; with [`Recovery::Automatic`], a store that is only
    /// unavailable is taken up when it works.
    pub async fn set_session_store(
        &self,
        store: Arc<dyn SessionStore>,
        sync: impl Into<SyncMode>,
    ) -> Result<(), SessionError> {
        let healthy = store.health().await;
        let breaker =
            Arc::new(Breaker::new(self.0.options.recovery.policy(), Guarded::SessionStore));
        let attached = Attached { store, mode: sync.into(), breaker, seen: Arc::default() };
        let kept = match &healthy {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "session store is not healthy: sessions stay in memory");
                attached.remember(error);
                attached.breaker.open_now();
                error.is_unavailable() && matches!(self.0.options.recovery, Recovery::Automatic(_))
            }
        };
        *self.0.attached.write().unwrap_or_else(PoisonError::into_inner) =
            kept.then(|| attached.clone());
        healthy?;
        attached.measure().await;
        if self.0.leftover.swap(false, Ordering::Relaxed) {
            self.0.take_up(&attached).await;
        }
        Ok(())
    }

    /// The store that was set.
    pub fn session_store(&self) -> Option<Arc<dyn SessionStore>> {
        self.0.attached().map(|attached| attached.store)
    }

    /// True when a store is set and works: what is created is persisted.
    pub fn is_using_redis(&self) -> bool {
        self.0.active().is_some()
    }

    /// Whether the store works, and for how long it has or has not; `None` without one.
    pub fn store_state(&self) -> Option<(BreakerState, Duration)> {
        self.0.attached().map(|attached| attached.breaker.state())
    }

    /// What happens to sessions, from now on.
    pub fn events(&self) -> Events {
        self.0.events.subscribe()
    }

    /// How many sessions are held in memory.
    pub fn cached(&self) -> usize {
        self.0.sessions.len()
    }

    /// Creates a session of a user.
    ///
    /// # Errors
    /// As [`create_session_with`](Self::create_session_with).
    pub async fn create_session(
        &self,
        user_id: &str,
        org_id: &str,
    ) -> Result<Saved<Session>, SessionError> {
        self.create_session_with(NewSession::new(user_id, org_id)).await
    }

    /// Creates a session with a prompt, clients or metadata. When the store is unavailable the session is created in memory, and
    /// [`Saved::durability`] says so. A caller that gives up before the answer leaves no session behind, and no directory either,
    /// unless somebody has put something into it.
    ///
    /// # Errors
    /// [`SessionError::LimitReached`]; [`SessionError::JournalFull`]; [`SessionError::Workspace`] when its directory cannot be
    /// made; [`SessionError::Conflict`] when an id of yours is taken; [`SessionError::Unwritable`] for metadata that cannot be written; what the store refuses. With [`WritePolicy::FailClosed`] also that the store is unavailable.
    pub async fn create_session_with(
        &self,
        new: NewSession,
    ) -> Result<Saved<Session>, SessionError> {
        self.0.create(new).await
    }

    /// A session by its id: from memory, or with [`SyncMode::OnAccess`] from the store. A copy older than
    /// [`max_staleness`](ManagerOptions::max_staleness) is checked again, so that a session deleted elsewhere stops working here.
    /// Being asked for moves `last_active_at` and slides the time to live, at most once per
    /// [`touch_interval`](ManagerOptions::touch_interval).
    ///
    /// # Errors
    /// [`SessionError::NotFound`]; [`SessionError::Unavailable`] when only the store could know, and it cannot be asked.
    pub async fn get_session(&self, id: &str) -> Result<Session, SessionError> {
        self.0.get(id, None).await
    }

    /// As [`get_session`](Self::get_session), for a session that must belong to `user_id`: another's is not found, and not
    /// touched.
    ///
    /// # Errors
    /// As [`get_session`](Self::get_session).
    pub async fn get_session_for(&self, user_id: &str, id: &str) -> Result<Session, SessionError> {
        self.0.get(id, Some(user_id)).await
    }

    /// All sessions of a user, in memory and (with [`SyncMode::OnAccess`]) in the store, each once.
    /// [`SessionList::partial`] says when the store could not be asked.
    ///
    /// # Errors
    /// What the store answers, except that it is unavailable.
    pub async fn list_sessions(&self, user_id: &str) -> Result<SessionList, SessionError> {
        self.0.list(user_id).await
    }

    /// Replaces a session's record, here and in the store.
    ///
    /// # Errors
    /// [`SessionError::NotFound`]; [`SessionError::Conflict`] for another user than the stored one;
    /// [`SessionError::JournalFull`]. With [`WritePolicy::FailClosed`] also that the store is unavailable.
    pub async fn update_session(&self, session: &Session) -> Result<Durability, SessionError> {
        self.0.update(session, TtlRule::Keep).await
    }

    /// As [`update_session`](Self::update_session), and sets when the session ends, both in one step: an explicit time to live, as
    /// by [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    /// As [`update_session`](Self::update_session).
    pub async fn update_session_until(
        &self,
        session: &Session,
        expires_at: DateTime<Utc>,
    ) -> Result<Durability, SessionError> {
        self.0.update(session, TtlRule::Set(expires_at)).await
    }

    /// Sets a session's time to live, longer or shorter. Being used does not move it any more.
    ///
    /// # Errors
    /// As [`update_session`](Self::update_session).
    pub async fn set_ttl(&self, id: &str, ttl: Duration) -> Result<Durability, SessionError> {
        self.0.set_ttl(id, ttl).await
    }

    /// Ends a session: here, in the store, and its directory. True when there was one. Works for a session that only the store
    /// knows. While the store is unavailable it is remembered, and the session does not come back.
    ///
    /// The session has ended before its directory is removed, which takes as long as its files take: this waits for it, on one of
    /// the threads that the runtime keeps for what blocks. It goes on when the caller gives up, but not when the runtime ends.
    ///
    /// # Errors
    /// [`SessionError::Workspace`] when the directory cannot be removed (the session is ended all the same); what the store
    /// refuses. With [`WritePolicy::FailClosed`] also that the store is unavailable.
    pub async fn cleanup_session(&self, id: &str) -> Result<Saved<bool>, SessionError> {
        self.0.cleanup(id).await
    }

    /// Ends all sessions that a user has now, here and in the store ("log out everywhere"); answers how many are known to have been
    /// ended. While the store is unavailable it is remembered: sessions from before this call do not come back, and those created
    /// after it stay. Their directories are removed as by [`cleanup_session`](Self::cleanup_session); one that cannot be is told in the
    /// log.
    ///
    /// # Errors
    /// What the store refuses. With [`WritePolicy::FailClosed`] also that the store is unavailable.
    pub async fn delete_user_sessions(&self, user_id: &str) -> Result<Saved<usize>, SessionError> {
        self.0.delete_user(user_id).await
    }
}

impl Inner {
    fn attached(&self) -> Option<Attached> {
        self.attached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The store, while it works.
    fn active(&self) -> Option<Attached> {
        self.attached().filter(Attached::works)
    }
}

impl Attached {
    fn works(&self) -> bool {
        self.breaker.state().0 == BreakerState::Closed
    }

    /// Runs a call of the store and takes notice of how it ended.
    async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        let result = call.await;
        self.note(result.as_ref().err());
        result
    }

    fn note(&self, error: Option<&SessionError>) {
        let signal = error.map_or(Signal::Works, SessionError::signal);
        let opened = self.breaker.record(signal);
        if let (Signal::Down | Signal::Quota, Some(error)) = (signal, error) {
            self.remember(error);
        }
        if let (true, Some(error)) = (opened, error) {
            tracing::warn!(%error, "session store is unavailable: sessions stay in memory and unwritten until it is taken up again");
        }
    }

    /// Reads ask the store.
    fn is_asked(&self) -> bool {
        self.mode == SyncMode::OnAccess
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Seen {
        *self.lock()
    }

    /// Remembers why the store was found not to work.
    fn remember(&self, error: &SessionError) {
        if let SessionError::Unavailable(error)
        | SessionError::MaybeApplied(error)
        | SessionError::Config(error)
        | SessionError::Refused(error) = error
        {
            self.lock().failed = Some((error.kind(), clock::utc_now()));
        }
    }

    /// Asks how much memory the store takes. That it does not say is no failure.
    async fn measure(&self) {
        if let Ok(memory) = self.store.memory_used().await {
            observe::redis_memory(memory);
            self.lock().memory = memory;
        }
    }
}

/// That the store is unavailable is no error where memory will do.
fn tolerate(error: SessionError) -> Result<(), SessionError> {
    if error.is_unavailable() { Ok(()) } else { Err(error) }
}

/// The store is set but does not work.
fn unavailable() -> SessionError {
    SessionError::Unavailable(crate::Error::new(
        crate::ErrorKind::Connect,
        "the session store failed before and was not taken up again",
    ))
}

/// Shows counts only.
impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionManager({} sessions in memory)", self.cached())
    }
}
