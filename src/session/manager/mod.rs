//! [`SessionManager`]: sessions in memory, persisted to a store where there is one.

mod cache;
mod options;
mod sync;
mod upkeep;

pub use options::{ManagerOptions, NewSession, Recovery, SyncMode};
pub use upkeep::{Flushed, Pending};

use super::error::{Conflict, SessionError};
use super::events::{EventKind, Events, Sender};
use super::id;
use super::record::Session;
use super::store::{SessionList, SessionStore};
use super::workspace::Workspaces;
use crate::breaker::{Admission, Breaker, BreakerState, Probe, Signal};
use crate::clock;
use cache::{Cache, Cached, Sync};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::OnceCell;

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
    cache: Cache,
    workspaces: Workspaces,
    max_sessions: usize,
    options: ManagerOptions,
    attached: RwLock<Option<Attached>>,
    events: Sender,
    /// Reads under way: many callers of one session share one request.
    flights: Mutex<HashMap<String, Arc<Flight>>>,
}

type Flight = OnceCell<Result<Session, SessionError>>;

/// A store that was set.
#[derive(Clone)]
struct Attached {
    store: Arc<dyn SessionStore>,
    mode: SyncMode,
    /// Closed while the store works.
    breaker: Arc<Breaker>,
}

impl SessionManager {
    /// A manager with directories below `workspace_root` (none if that is empty) and at most `max_sessions` sessions created or
    /// used here (0: no limit). Sessions that were only synced from Redis do not count until they are used.
    pub fn new(workspace_root: impl Into<PathBuf>, max_sessions: usize) -> Self {
        Self::with_options(workspace_root, max_sessions, ManagerOptions::default())
    }

    /// As [`SessionManager::new`], with other options than the default.
    pub fn with_options(workspace_root: impl Into<PathBuf>, max_sessions: usize, options: ManagerOptions) -> Self {
        Self(Arc::new(Inner {
            cache: Cache::default(),
            workspaces: Workspaces::new(workspace_root.into()),
            max_sessions,
            options,
            attached: RwLock::default(),
            events: Sender::new(),
            flights: Mutex::default(),
        }))
    }

    /// Persists sessions to `store` from now on. `sync` says whether reads ask it too: [`SyncMode::OnAccess`] (`true`) for
    /// several instances on one Redis, [`SyncMode::Off`] (`false`) where Redis is a backup only. Sessions that exist already stay,
    /// and are written on access or by [`flush`](Self::flush).
    ///
    /// # Errors
    /// When the store is not healthy. No store is set then, and the manager goes on in memory.
    pub async fn set_session_store(&self, store: Arc<dyn SessionStore>, sync: impl Into<SyncMode>) -> Result<(), SessionError> {
        let healthy = store.health().await;
        let breaker = Arc::new(Breaker::new(self.0.options.recovery.policy()));
        let attached = Attached { store, mode: sync.into(), breaker };
        *self.0.attached.write().unwrap_or_else(PoisonError::into_inner) = healthy.is_ok().then_some(attached);
        if let Err(error) = &healthy {
            tracing::warn!(%error, "session store is not healthy: sessions stay in memory");
        }
        healthy
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
        self.0.cache.len()
    }

    /// Creates a session of a user.
    ///
    /// # Errors
    /// As [`create_session_with`](Self::create_session_with).
    pub async fn create_session(&self, user_id: &str, org_id: &str) -> Result<Session, SessionError> {
        self.create_session_with(NewSession::new(user_id, org_id)).await
    }

    /// Creates a session with a prompt, clients or metadata. When the store is unavailable the session is created in memory, and
    /// that is logged.
    ///
    /// # Errors
    /// [`SessionError::LimitReached`]; [`SessionError::Workspace`] when its directory cannot be made; what the store refuses.
    pub async fn create_session_with(&self, new: NewSession) -> Result<Session, SessionError> {
        let inner = &*self.0;
        let place = inner.cache.reserve(inner.max_sessions)?;
        let mut session = new.into_session();
        if let Some(path) = inner.workspaces.path(&session.user_id, &session.id) {
            session.workspace_path = path.to_string_lossy().into_owned();
        }
        inner.workspaces.create(&session.user_id, &session.id)?;
        inner.ready().await;
        let cached = inner.cache.add_created(session, place);
        if let Err(error) = inner.persist(&cached).await {
            inner.cache.remove(&cached.session.id);
            inner.remove_workspace(&cached.session.user_id, &cached.session.id);
            return Err(error);
        }
        inner.events.send(EventKind::Created, &cached.session.id);
        Ok(cached.session.as_ref().clone())
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
    /// [`SessionError::NotFound`]; [`SessionError::Conflict`] for another user than the stored one.
    pub async fn update_session(&self, session: &Session) -> Result<(), SessionError> {
        self.0.update(session).await
    }

    /// Ends a session: here, in the store, and its directory. True when there was one. Works for a session that only the store
    /// knows. While the store is unavailable it is remembered, and the session does not come back.
    ///
    /// # Errors
    /// [`SessionError::Workspace`] when the directory cannot be removed (the session is ended all the same); what the store
    /// answers, except that it is unavailable.
    pub async fn cleanup_session(&self, id: &str) -> Result<bool, SessionError> {
        self.0.cleanup(id).await
    }

    /// Ends all sessions that a user has now, here and in the store ("log out everywhere"); answers how many are known to have been
    /// ended. While the store is unavailable it is remembered: sessions from before this call do not come back, and those created
    /// after it stay.
    ///
    /// # Errors
    /// What the store answers, except that it is unavailable.
    pub async fn delete_user_sessions(&self, user_id: &str) -> Result<usize, SessionError> {
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

    /// The store, while it works; if it is time to look whether it does again, this call does, and makes up for what it missed.
    async fn ready(&self) -> Option<Attached> {
        let attached = self.attached()?;
        match attached.breaker.admit() {
            Admission::Pass => Some(attached),
            Admission::Reject => None,
            Admission::Probe => {
                let probe = Probe::new(&attached.breaker);
                match attached.store.probe().await {
                    Ok(()) => {
                        probe.ended(Signal::Works);
                        self.take_up(&attached).await;
                        self.active()
                    }
                    Err(error) => {
                        probe.ended(if error.signal() == Signal::Quota { Signal::Quota } else { Signal::Down });
                        None
                    }
                }
            }
        }
    }

    async fn get(&self, id: &str, user_id: Option<&str>) -> Result<Session, SessionError> {
        id::check(id)?;
        let session = self.find(id).await?;
        if user_id.is_some_and(|user_id| user_id != session.user_id) {
            return Err(SessionError::NotFound);
        }
        self.cache.count(id);
        let session = self.touch(session).await?;
        self.events.send(EventKind::Retrieved, id);
        Ok(session)
    }

    async fn list(&self, user_id: &str) -> Result<SessionList, SessionError> {
        let began = clock::now();
        let mut list = SessionList::default();
        let mut asked = false;
        let on_access = |attached: &Attached| attached.mode == SyncMode::OnAccess;
        let ready = self.ready().await.filter(on_access);
        list.partial = self.attached().is_some_and(|attached| on_access(&attached));
        if let Some(attached) = ready {
            match attached.ask(attached.store.list_sessions(user_id)).await {
                Ok(found) => {
                    (list.corrupt, list.partial, asked) = (found.corrupt, false, true);
                    for session in found {
                        // Ours where it was not written yet; none where it was deleted here.
                        let seen = self.cache.get(&session.id).map(|cached| cached.version);
                        let known = self.cache.put_synced(session, seen);
                        list.sessions.extend(known.map(|session| session.as_ref().clone()));
                    }
                }
                Err(error) => tolerate(error)?,
            }
        }
        for cached in self.cache.filter(|cached| cached.session.user_id == user_id) {
            if list.iter().any(|session| session.id == cached.session.id) {
                continue;
            }
            // The store was asked and does not have it, nor was it written while the answer was on its way.
            let gone = asked && cached.sync == Sync::Clean && cached.checked < began;
            if !gone {
                list.sessions.push(cached.session.as_ref().clone());
            } else if self.cache.remove_if(&cached.session.id, cached.version) {
                self.events.send(EventKind::Expired, &cached.session.id);
            }
        }
        Ok(list)
    }

    async fn update(&self, session: &Session) -> Result<(), SessionError> {
        id::check(&session.id)?;
        if self.cache.is_buried(&session.id) {
            return Err(SessionError::NotFound);
        }
        if let Some(cached) = self.cache.get(&session.id) {
            self.ready().await;
            if cached.session.user_id != session.user_id {
                return Err(SessionError::Conflict(Conflict::UserChanged));
            }
            let changed = |sync| if sync == Sync::New { Sync::New } else { Sync::Changed };
            let Some(new) = self.cache.replace(session.clone(), changed) else { return Err(SessionError::NotFound) };
            return self.persist(&new).await.inspect_err(|_| {
                // The copy is not what the store has, and must not be served as if it were.
                self.cache.remove_if(&session.id, new.version);
            });
        }
        let attached = self.ready().await.ok_or_else(|| self.unknown())?;
        attached.ask(attached.store.update_session(session)).await
    }

    async fn cleanup(&self, id: &str) -> Result<bool, SessionError> {
        id::check(id)?;
        // From here on it is not found, whatever a slow reply brings.
        self.cache.bury(id);
        let cached = self.cache.remove(id);
        let mut user_id = cached.as_ref().map(|cached| cached.session.user_id.clone());
        let mut existed = cached.is_some();
        let ready = self.ready().await;
        if self.attached().is_some() {
            let deleted = match ready {
                Some(attached) => attached.ask(self.delete_stored(&attached, id, cached.as_ref(), &mut user_id)).await,
                None => Err(unavailable()),
            };
            match deleted {
                Ok(deleted) => {
                    existed |= deleted;
                    self.cache.unbury(id);
                }
                Err(error) => tolerate(error)?,
            }
        } else {
            self.cache.unbury(id);
        }
        if existed {
            self.events.send(EventKind::Deleted, id);
        }
        match user_id {
            Some(user_id) => self.workspaces.remove(&user_id, id).map(|()| existed),
            None => Ok(existed),
        }
    }

    async fn delete_user(&self, user_id: &str) -> Result<usize, SessionError> {
        let at = self.cache.revoke(user_id);
        let mut ended = 0;
        for cached in self.cache.filter(|cached| cached.session.user_id == user_id && cached.session.created_at <= at) {
            ended += usize::from(self.cleanup(&cached.session.id).await?);
        }
        match (self.ready().await, self.attached()) {
            (Some(attached), _) => match attached.ask(self.delete_revoked(&attached, user_id, at)).await {
                Ok(deleted) => ended += deleted,
                Err(error) => tolerate(error)?,
            },
            (None, Some(_)) => {}
            (None, None) => self.cache.forget_revoked(user_id, at),
        }
        Ok(ended)
    }

    /// Deletes in the store what a user had at that time.
    async fn delete_revoked(&self, attached: &Attached, user_id: &str, at: DateTime<Utc>) -> Result<usize, SessionError> {
        let mut deleted = 0;
        for session in attached.store.list_sessions(user_id).await?.iter().filter(|session| session.created_at <= at) {
            if attached.store.delete_loaded(session).await? {
                self.remove_workspace(user_id, &session.id);
                self.events.send(EventKind::Deleted, &session.id);
                deleted += 1;
            }
        }
        self.cache.forget_revoked(user_id, at);
        Ok(deleted)
    }

    /// Deletes in the store; finds out whose session it was.
    async fn delete_stored(
        &self,
        attached: &Attached,
        id: &str,
        cached: Option<&Cached>,
        user_id: &mut Option<String>,
    ) -> Result<bool, SessionError> {
        if let Some(cached) = cached {
            return attached.store.delete_loaded(&cached.session).await;
        }
        match attached.store.retrieve_session(id).await {
            Ok(session) => {
                *user_id = Some(session.user_id.clone());
                attached.store.delete_loaded(&session).await
            }
            Err(SessionError::NotFound | SessionError::Corrupt { .. }) => attached.store.delete_session(id).await,
            Err(error) => Err(error),
        }
    }

    fn remove_workspace(&self, user_id: &str, id: &str) {
        if let Err(error) = self.workspaces.remove(user_id, id) {
            tracing::warn!(%error, "a session's directory could not be removed");
        }
    }
}

impl Attached {
    fn works(&self) -> bool {
        self.breaker.state().0 == BreakerState::Closed
    }

    /// Runs a call of the store and takes notice of how it ended.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, SessionError>>) -> Result<T, SessionError> {
        let result = call.await;
        self.note(result.as_ref().err());
        result
    }

    fn note(&self, error: Option<&SessionError>) {
        let opened = self.breaker.record(error.map_or(Signal::Works, SessionError::signal));
        if let (true, Some(error)) = (opened, error) {
            tracing::warn!(%error, "session store is unavailable: sessions stay in memory and unwritten until it is taken up again");
        }
    }
}

/// That the store is unavailable is no error where memory will do.
fn tolerate(error: SessionError) -> Result<(), SessionError> {
    if error.is_unavailable() { Ok(()) } else { Err(error) }
}

/// The store is set but does not work.
fn unavailable() -> SessionError {
    SessionError::Unavailable(crate::Error::new(crate::ErrorKind::Connect, "the session store failed before and was not taken up again"))
}

/// Shows counts only.
impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionManager({} sessions in memory)", self.cached())
    }
}
