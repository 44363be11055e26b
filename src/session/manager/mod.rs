//! [`SessionManager`]: sessions in memory, persisted to a store if one is set.
//!
//! Three parts, each of which knows nothing of the others: the cache (sessions in memory, no I/O),
//! the outbox with its journal (changes that the store has not confirmed), and the link to the
//! store. [`decide`] says what of a pending change still applies.

mod cache;
mod calls;
mod decide;
mod end;
mod environment;
mod events;
mod flush;
mod health;
mod journal;
mod locks;
mod maintenance;
mod options;
mod outbox;
mod push;
mod read;
mod single_flight;
mod state;
mod store_link;
mod workspace;
mod write;

pub use environment::{Environment, JournalFile, WallClock};
pub use events::{Event, EventKind, Events};
pub use health::{Created, Ended, Flushed, Health, LoggedOut, Pending};
pub use options::{ManagerOptions, NewSession, ReadPolicy, Recovery, SyncMode, WritePolicy};

use super::error::SessionError;
use super::store::{Check, SessionStore};
use crate::platform::{Mutex, RwLock};
use chrono::{DateTime, Utc};
use events::Sender;
use journal::Journal;
use locks::SessionLocks;
use single_flight::SingleFlight;
use state::State;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use store_link::StoreLink;
use tokio::sync::Notify;
use workspace::Workspaces;

/// Manages sessions: creates them, keeps them in memory, and persists them to a [`SessionStore`]
/// where one is set. Cheap to clone: clones are the same manager.
///
/// Without a store everything works in memory. With one, a failure of the store never takes a
/// session away that the manager holds: it goes on in memory,
/// [`is_using_redis`](Self::is_using_redis) becomes false, and no call waits for the store. After a
/// while ([`Recovery`]) one call probes it; when it works again, what it missed is written first,
/// on conditions: deletions win, and what others wrote meanwhile stands.
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
/// let session = manager.create_session("user-123", "org-456").await?.session;
/// assert_eq!(manager.get_session(&session.id).await?.user_id, "user-123");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SessionManager(Arc<Inner>);

struct Inner {
    /// Held for a few map operations at a time, and across no await.
    state: Mutex<State>,
    locks: SessionLocks,
    flights: SingleFlight,
    journal: Option<Journal>,
    link: RwLock<Option<Arc<StoreLink>>>,
    /// Set whenever something is pending, the store works, and no flush is running.
    flush_needed: AtomicBool,
    /// Wakes the maintenance.
    wake: Arc<Notify>,
    workspaces: Workspaces,
    max_sessions: usize,
    options: ManagerOptions,
    events: Sender,
    ids: super::ChangeIds,
    clock: Box<dyn WallClock>,
}

impl SessionManager {
    /// A manager with directories below `workspace_root` (none if that is empty) and at most
    /// `max_sessions` sessions created or used here (0: no limit). Sessions that were only synced
    /// from Redis do not count until they are used.
    ///
    /// A session's directory is `root/{user}/{session}`, made when it is created here, and its
    /// [`workspace_path`](super::Session::workspace_path). For `{user}` stands the user id where it
    /// is 1 to 64 of `a-z 0-9 _ -`; any other (one with a capital, a dot or an `@`, for example)
    /// becomes `~` and its SHA-1 in hexadecimal, so that no two users share a directory on any file
    /// system and none leaves the root. The end of a session removes this directory and no other,
    /// whatever the record's `workspace_path` says: directories that another service made elsewhere
    /// are left alone.
    pub fn new(workspace_root: impl Into<PathBuf>, max_sessions: usize) -> Self {
        Self::with_options(workspace_root, max_sessions, ManagerOptions::default())
    }

    /// Makes a manager as [`SessionManager::new`] does, with other options than the default.
    pub fn with_options(
        workspace_root: impl Into<PathBuf>,
        max_sessions: usize,
        options: ManagerOptions,
    ) -> Self {
        Self::build(workspace_root.into(), max_sessions, options, Environment::default(), None)
    }

    /// Makes a manager as [`SessionManager::with_options`] does, with a journal file: what is
    /// pending is on the disk too before a change returns as pending, so that it survives the end
    /// of the process. What an earlier process left in it is pending here from the start, and sent
    /// when a store is set. The file holds records as they are, and only its owner can read it.
    ///
    /// In an outage a change then costs a write to the disk; while the store works the file is not
    /// touched. A line that a crash cut off, or that was damaged, is passed over.
    ///
    /// # Errors
    /// [`SessionError::Journal`]: the file cannot be opened, another process has it (`WouldBlock`),
    /// or it is of another version (`InvalidData`).
    pub fn with_journal(
        workspace_root: impl Into<PathBuf>,
        max_sessions: usize,
        options: ManagerOptions,
        file: impl AsRef<Path>,
    ) -> Result<Self, SessionError> {
        let (file, content) = journal::file::DiskFile::open(file.as_ref()).map_err(not_opened)?;
        let content = Box::new(std::io::BufReader::new(content));
        let environment =
            Environment { journal: Some((Box::new(file), content)), ..Environment::default() };
        Self::with_environment(workspace_root, max_sessions, options, environment)
    }

    /// Makes a manager as [`SessionManager::with_options`] does, in another environment than the
    /// system's. For simulations.
    ///
    /// # Errors
    /// The errors of [`SessionManager::with_journal`].
    #[doc(hidden)]
    pub fn with_environment(
        workspace_root: impl Into<PathBuf>,
        max_sessions: usize,
        options: ManagerOptions,
        mut environment: Environment,
    ) -> Result<Self, SessionError> {
        let (journal, slack) = (environment.journal.take(), environment.journal_slack);
        let opened = journal.map(|(file, content)| Journal::open(file, content, slack)).transpose();
        let (journal, recovered) = opened.map_err(not_opened)?.unzip();
        let manager =
            Self::build(workspace_root.into(), max_sessions, options, environment, journal);
        let now = manager.0.utc_now();
        for change in recovered.unwrap_or_default() {
            manager.0.flush_needed.store(true, Ordering::Relaxed);
            manager.0.state().recover(change, now);
        }
        Ok(manager)
    }

    fn build(
        workspace_root: PathBuf,
        max_sessions: usize,
        options: ManagerOptions,
        environment: Environment,
        journal: Option<Journal>,
    ) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            locks: SessionLocks::default(),
            flights: SingleFlight::default(),
            journal,
            link: RwLock::default(),
            flush_needed: AtomicBool::new(false),
            wake: Arc::default(),
            workspaces: Workspaces::new(workspace_root),
            max_sessions,
            options,
            events: Sender::new(),
            ids: environment.ids,
            clock: environment.clock,
        }))
    }

    /// Persists sessions to `store` from now on. `sync` says whether reads ask it too:
    /// [`SyncMode::OnAccess`] (`true`) for several instances on one Redis, [`SyncMode::Off`]
    /// (`false`) if Redis is a backup only. Sessions that exist already stay, and are written by
    /// the calls that follow, or by [`flush`](Self::flush).
    ///
    /// # Errors
    /// If the store is not healthy. The manager goes on in memory then; with
    /// [`Recovery::Automatic`], a store that is only unavailable is used when it works.
    pub async fn set_session_store(
        &self,
        store: Arc<dyn SessionStore>,
        sync: impl Into<SyncMode>,
    ) -> Result<(), SessionError> {
        let healthy = store.health(Check::Ping).await;
        let link = Arc::new(StoreLink::new(store, sync.into(), &self.0.options.recovery));
        let kept = match &healthy {
            Ok(health) => {
                link.measured(*health);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "session store is not healthy: sessions stay in memory");
                link.remember(error);
                link.breaker.open_now();
                error.is_unavailable() && matches!(self.0.options.recovery, Recovery::Automatic(_))
            }
        };
        self.0.set_link(kept.then(|| Arc::clone(&link)));
        healthy?;
        if self.0.flush_needed.load(Ordering::Relaxed) {
            self.0.catch_up(&link).await;
        }
        let pending = !self.0.state().outbox.is_empty();
        self.0.flush_needed.store(pending, Ordering::Release);
        Ok(())
    }
}

fn not_opened(error: std::io::Error) -> SessionError {
    SessionError::Journal { kind: error.kind(), maybe_applied: false }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every step leaves a state that is true, also one that panics.
        self.state.lock()
    }

    fn link(&self) -> Option<Arc<StoreLink>> {
        self.link.read().clone()
    }

    fn set_link(&self, link: Option<Arc<StoreLink>>) {
        *self.link.write() = link;
    }

    fn utc_now(&self) -> DateTime<Utc> {
        self.clock.utc_now()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The maintenance ends with the manager.
        self.wake.notify_one();
    }
}

/// Shows counts only.
impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionManager({} sessions in memory)", self.cached())
    }
}
