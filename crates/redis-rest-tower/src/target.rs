//! The four operations, over a store and over a manager.

use super::record::Encoded;
use redis_rest::internal;
use redis_rest::session::{
    ChangeId, Conflict, Marks, Mode, NewSession, Session, SessionError, SessionManager,
    SessionStore, SessionStoreExt as _, Stored, TtlRule, Write, Written,
};
use std::fmt;
use std::sync::Arc;

/// Most rounds of a create, one after each log-out it learned of.
const ROUNDS: usize = 5;

#[derive(Clone)]
pub(super) enum Target {
    Store(Arc<dyn SessionStore>),
    Manager(SessionManager),
}

impl Target {
    /// Creates a session. Returns the log-outs that it knows.
    ///
    /// Fails with [`Conflict::Exists`] or [`Conflict::Deleted`] if the id is taken, and with
    /// [`Conflict::LoggedOut`] if the session derives from another one and the user was logged out
    /// since.
    pub(super) async fn create(&self, encoded: &Encoded) -> Result<Marks, SessionError> {
        match self {
            Self::Store(store) => create(store.as_ref(), encoded).await,
            Self::Manager(manager) => {
                let new = NewSession::new(encoded.user_id(), "")
                    .id(encoded.id())
                    .expires_at(encoded.expires_at())
                    .metadata(encoded.metadata().clone());
                match encoded.derived() {
                    Some(marks) => {
                        internal::create_derived(manager, new, marks.clone()).await?;
                        Ok(marks.clone())
                    }
                    None => {
                        manager.create_session_with(new).await?;
                        Ok(internal::marks_of(manager, encoded.id()))
                    }
                }
            }
        }
    }

    /// Replaces the stored session if it still exists. The last writer wins.
    pub(super) async fn save(&self, encoded: &Encoded) -> Result<(), SessionError> {
        match self {
            Self::Store(store) => {
                let next = |stored: &Stored| {
                    let session = encoded.over(stored.session.clone());
                    session.map(|next| Some((next, true, TtlRule::Set(encoded.time_left()))))
                };
                internal::replace(store.as_ref(), encoded.id(), next).await.map(drop)
            }
            Self::Manager(manager) => {
                let session = encoded.over(manager.get_session(encoded.id()).await?)?;
                manager.update_session_until(&session, encoded.expires_at()).await.map(drop)
            }
        }
    }

    /// Reads a session and the log-outs that its creator knew.
    pub(super) async fn load(&self, id: &str) -> Result<(Session, Marks), SessionError> {
        match self {
            Self::Store(store) => {
                let stored = store.retrieve_stored(id).await?;
                Ok((stored.session, stored.version.marks().clone()))
            }
            Self::Manager(manager) => {
                let session = manager.get_session(id).await?;
                // A session that has ended since then knows no log-outs, so that no session can be
                // derived from it after a log-out.
                Ok((session, internal::marks_of(manager, id)))
            }
        }
    }

    /// Deletes a session. A missing session is no error.
    pub(super) async fn delete(&self, id: &str) -> Result<(), SessionError> {
        match self {
            Self::Store(store) => store.delete_session(id).await.map(drop),
            Self::Manager(manager) => manager.cleanup_session(id).await.map(drop),
        }
    }
}

/// Creates a session in a store. A log-in learns the log-outs of its user and retries; a derived
/// session does not.
async fn create(store: &dyn SessionStore, encoded: &Encoded) -> Result<Marks, SessionError> {
    let session = encoded.session();
    let mut marks = encoded.derived().cloned().unwrap_or_default();
    for _ in 0..ROUNDS {
        let mode = Mode::Create { marks: &marks, reuse: false };
        let ttl = TtlRule::Set(encoded.time_left());
        let write = Write { id: ChangeId::new(), session: &session, mode, content: true, ttl };
        match internal::send(store, write).await? {
            Written::Written { .. } => return Ok(marks),
            Written::Exists(_) | Written::Changed(_) => {
                return Err(SessionError::Conflict(Conflict::Exists));
            }
            Written::Gone => return Err(SessionError::Conflict(Conflict::Deleted)),
            Written::LoggedOut(_) if encoded.derived().is_some() => break,
            Written::LoggedOut(stored) => marks.learn(&stored),
        }
    }
    Err(SessionError::Conflict(Conflict::LoggedOut))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("Store"),
            Self::Manager(manager) => manager.fmt(f),
        }
    }
}
