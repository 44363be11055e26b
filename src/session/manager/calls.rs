//! The calls of a manager.

use super::health::{Created, Ended, LoggedOut};
use super::{Events, NewSession, SessionManager};
use crate::retry::breaker::BreakerState;
use crate::session::SessionList;
use crate::session::durability::Durability;
use crate::session::error::SessionError;
use crate::session::marks::Marks;
use crate::session::record::Session;
use crate::session::store::SessionStore;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

#[expect(unused_imports, reason = "links of the documentation")]
use super::{ManagerOptions, SyncMode, WritePolicy};

impl SessionManager {
    /// The store that was set.
    pub fn session_store(&self) -> Option<Arc<dyn SessionStore>> {
        self.0.link().map(|link| Arc::clone(&link.store))
    }

    /// True when a store is set and works: what is created is persisted.
    pub fn is_using_redis(&self) -> bool {
        self.0.link().is_some_and(|link| link.works())
    }

    /// Whether the store works, and for how long it has or has not; `None` without one.
    pub fn store_state(&self) -> Option<(BreakerState, Duration)> {
        self.0.link().map(|link| link.breaker.state())
    }

    /// The events of sessions, from now on.
    pub fn events(&self) -> Events {
        self.0.events.subscribe()
    }

    /// The number of sessions held in memory.
    pub fn cached(&self) -> usize {
        self.0.state().cache.len()
    }

    /// Creates a session of a user.
    ///
    /// # Errors
    /// The errors of [`create_session_with`](Self::create_session_with).
    pub async fn create_session(
        &self,
        user_id: &str,
        org_id: &str,
    ) -> Result<Created, SessionError> {
        self.create_session_with(NewSession::new(user_id, org_id)).await
    }

    /// Creates a session with a prompt, clients or metadata. When the store is unavailable the
    /// session is created in memory, and [`Created::durability`] says so. A caller that gives up
    /// before the answer leaves no session behind, and no directory either, unless somebody has put
    /// something into it.
    ///
    /// # Errors
    /// [`SessionError::LimitReached`]; [`SessionError::JournalFull`]; [`SessionError::Workspace`]
    /// when its directory cannot be made; [`SessionError::Conflict`] when an id of yours is taken;
    /// [`SessionError::Unwritable`] for metadata that cannot be written; what the store refuses.
    /// With [`WritePolicy::FailClosed`] also that the store is unavailable.
    pub async fn create_session_with(&self, new: NewSession) -> Result<Created, SessionError> {
        self.0.create(new, None).await
    }

    /// Creates a session as [`create_session_with`](Self::create_session_with) does, for a session
    /// that comes from another one of the same user, with the log-outs that the creator of that one
    /// knew: after a later one it is not created.
    ///
    /// # Errors
    /// [`Conflict::LoggedOut`](crate::session::Conflict::LoggedOut) if the user was logged out
    /// since.
    pub(crate) async fn create_derived(
        &self,
        new: NewSession,
        marks: Marks,
    ) -> Result<Created, SessionError> {
        self.0.create(new, Some(marks)).await
    }

    /// The log-outs that the creator of a session knew that was just read here.
    pub(crate) fn marks_of(&self, id: &str) -> Marks {
        self.0.marks_of(id)
    }

    /// A session by its id: from memory, or with [`SyncMode::OnAccess`] from the store. A copy
    /// older than [`max_staleness`](ManagerOptions::max_staleness) is checked again, so that a
    /// session deleted elsewhere stops working here. Being asked for moves `last_active_at` and
    /// slides the time to live, at most once per
    /// [`touch_interval`](ManagerOptions::touch_interval).
    ///
    /// # Errors
    /// [`SessionError::NotFound`]; [`SessionError::Unavailable`] when only the store could know,
    /// and it cannot be asked.
    pub async fn get_session(&self, id: &str) -> Result<Session, SessionError> {
        self.0.get(id, None).await.map(Arc::unwrap_or_clone)
    }

    /// Returns a session as [`get_session`](Self::get_session) does, for a session that must belong
    /// to `user_id`: another's is not found, and not touched.
    ///
    /// # Errors
    /// The errors of [`get_session`](Self::get_session).
    pub async fn get_session_for(&self, user_id: &str, id: &str) -> Result<Session, SessionError> {
        self.0.get(id, Some(user_id)).await.map(Arc::unwrap_or_clone)
    }

    /// All sessions of a user, in memory and (with [`SyncMode::OnAccess`]) in the store, each once.
    /// [`SessionList::partial`] says when the store could not be asked.
    ///
    /// # Errors
    /// The store's errors, except that it is unavailable.
    pub async fn list_sessions(&self, user_id: &str) -> Result<SessionList, SessionError> {
        self.0.list(user_id).await
    }

    /// Replaces a session's record, here and in the store.
    ///
    /// # Errors
    /// [`SessionError::NotFound`]; [`SessionError::Conflict`] for another user than the stored one;
    /// [`SessionError::JournalFull`]. With [`WritePolicy::FailClosed`] also that the store is
    /// unavailable.
    pub async fn update_session(&self, session: &Session) -> Result<Durability, SessionError> {
        self.0.update(session, None).await
    }

    /// Replaces the record as [`update_session`](Self::update_session) does, and sets when the
    /// session ends, both in one step: an explicit time to live, as by [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    /// The errors of [`update_session`](Self::update_session).
    pub async fn update_session_until(
        &self,
        session: &Session,
        expires_at: DateTime<Utc>,
    ) -> Result<Durability, SessionError> {
        self.0.update(session, Some(expires_at)).await
    }

    /// Sets a session's time to live, longer or shorter. Being used does not move it any more.
    ///
    /// # Errors
    /// The errors of [`update_session`](Self::update_session).
    pub async fn set_ttl(&self, id: &str, ttl: Duration) -> Result<Durability, SessionError> {
        self.0.set_ttl(id, ttl).await
    }

    /// Ends a session: here, in the store, and its directory. True when there was one. Works for a
    /// session that only the store knows. While the store is unavailable it is remembered, and the
    /// session does not come back.
    ///
    /// The session has ended before its directory is removed, which takes as long as its files
    /// take: this waits for it, on one of the threads that the runtime keeps for what blocks. It
    /// goes on when the caller gives up, but not when the runtime ends.
    ///
    /// # Errors
    /// [`SessionError::Workspace`] when the directory cannot be removed (the session is ended all
    /// the same); what the store refuses. With [`WritePolicy::FailClosed`] also that the store is
    /// unavailable.
    pub async fn cleanup_session(&self, id: &str) -> Result<Ended, SessionError> {
        self.0.cleanup(id).await
    }

    /// Ends all sessions that a user has now, here and in the store ("log out everywhere"); answers
    /// how many are known to have been ended. While the store is unavailable it is remembered:
    /// sessions from before this call do not come back, and those created after it stay. Their
    /// directories are removed as by [`cleanup_session`](Self::cleanup_session); one that cannot be
    /// is told in the log.
    ///
    /// # Errors
    /// The store's refusal. With [`WritePolicy::FailClosed`] also that the store is unavailable.
    pub async fn delete_user_sessions(&self, user_id: &str) -> Result<LoggedOut, SessionError> {
        self.0.delete_user(user_id).await
    }
}
