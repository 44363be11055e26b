//! [`SessionManager`]: sessions in memory, persisted to a store where there is one.

mod cache;
mod options;
mod sync;
mod upkeep;

pub use options::{ManagerOptions, NewSession, SyncMode};
pub use upkeep::Flushed;

use super::error::{Conflict, SessionError};
use super::events::{EventKind, Events, Sender};
use super::id;
use super::record::Session;
use super::store::{SessionList, SessionStore};
use super::workspace::Workspaces;
use crate::clock;
use cache::{Cache, Cached, Sync};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::OnceCell;

/// Manages sessions: creates them, keeps them in memory, and persists them to a [`SessionStore`] where one is set. Cheap to
/// clone: clones are the same manager.
///
/// Without a store everything works in memory. With one, a failure of the store never takes a session away that the manager
/// holds: it goes on in memory, [`is_using_redis`](Self::is_using_redis) becomes false, and [`flush`](Self::flush) (or
/// [`set_session_store`](Self::set_session_store), or the [`maintenance`](Self::maintenance) task) takes up the store again and
/// writes what it missed.
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
    available: Arc<AtomicBool>,
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
        let attached = Attached { store, mode: sync.into(), available: Arc::new(AtomicBool::new(true)) };
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
}

impl Inner {
    fn attached(&self) -> Option<Attached> {
        self.attached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The store, while it works.
    fn active(&self) -> Option<Attached> {
        self.attached().filter(|attached| attached.available.load(Ordering::Acquire))
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
        let on_access = self.attached().filter(|attached| attached.mode == SyncMode::OnAccess);
        list.partial = on_access.is_some();
        if let Some(attached) = on_access.filter(|attached| attached.available.load(Ordering::Acquire)) {
            match attached.store.list_sessions(user_id).await {
                Ok(found) => {
                    (list.corrupt, list.partial, asked) = (found.corrupt, false, true);
                    for session in found {
                        // Ours where it was not written yet; none where it was deleted here.
                        let seen = self.cache.get(&session.id).map(|cached| cached.version);
                        let known = self.cache.put_synced(session, seen);
                        list.sessions.extend(known.map(|session| session.as_ref().clone()));
                    }
                }
                Err(error) => self.tolerate(&attached, error)?,
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
        let attached = self.active().ok_or_else(|| self.unknown())?;
        match attached.store.update_session(session).await {
            Err(error) if error.is_unavailable() => {
                self.disable(&attached, &error);
                Err(error)
            }
            result => result,
        }
    }

    async fn cleanup(&self, id: &str) -> Result<bool, SessionError> {
        id::check(id)?;
        // From here on it is not found, whatever a slow reply brings.
        self.cache.bury(id);
        let cached = self.cache.remove(id);
        let mut user_id = cached.as_ref().map(|cached| cached.session.user_id.clone());
        let mut existed = cached.is_some();
        if let Some(attached) = self.attached() {
            let deleted = match attached.available.load(Ordering::Acquire) {
                true => self.delete_stored(&attached, id, cached.as_ref(), &mut user_id).await,
                false => Err(unavailable()),
            };
            match deleted {
                Ok(deleted) => {
                    existed |= deleted;
                    self.cache.unbury(id);
                }
                Err(error) => self.tolerate(&attached, error)?,
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
