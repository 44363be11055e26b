//! Where the sessions are: the four operations, over a store and over a manager.

use super::record::Encoded;
use crate::session::error::{Conflict, SessionError};
use crate::session::manager::{NewSession, SessionManager};
use crate::session::reconcile::{PendingPut, Reconciled, TtlRule};
use crate::session::record::Session;
use crate::session::store::SessionStore;
use std::fmt;
use std::sync::Arc;

#[derive(Clone)]
pub(super) enum Place {
    Store(Arc<dyn SessionStore>),
    Manager(SessionManager),
}

impl Place {
    /// Creates a session; a [`SessionError::Conflict`] when its id is taken.
    pub(super) async fn create(&self, encoded: Encoded) -> Result<(), SessionError> {
        match self {
            Self::Store(store) => {
                let put = PendingPut::new(encoded.session(), TtlRule::Set(encoded.expires_at()))
                    .exclusive(true);
                match write(store, put).await? {
                    Reconciled::Gone => Err(SessionError::Conflict(Conflict::Deleted)),
                    // Its time passed on the way: it is not found, as it should be.
                    _ => Ok(()),
                }
            }
            Self::Manager(manager) => {
                let expires_at = encoded.expires_at();
                let new =
                    NewSession::new(encoded.user_id(), "").id(encoded.id()).expires_at(expires_at);
                match manager.create_session_with(new.metadata(encoded.into_metadata())).await {
                    Ok(_) => Ok(()),
                    Err(SessionError::NotFound) if expires_at <= crate::clock::utc_now() => Ok(()),
                    // As above, or deleted a moment ago.
                    Err(SessionError::NotFound) => Err(SessionError::Conflict(Conflict::Deleted)),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Replaces what is stored, if the session is still there. The last writer wins.
    pub(super) async fn save(&self, encoded: &Encoded) -> Result<(), SessionError> {
        match self {
            Self::Store(store) => {
                let put = PendingPut::new(
                    encoded.over(based(store.retrieve_session(encoded.id()).await?)?)?,
                    TtlRule::Set(encoded.expires_at()),
                );
                match write(store, put.overwriting(true)).await? {
                    Reconciled::Gone | Reconciled::Expired => Err(SessionError::NotFound),
                    _ => Ok(()),
                }
            }
            Self::Manager(manager) => {
                let session = encoded.over(manager.get_session(encoded.id()).await?)?;
                manager.update_session_until(&session, encoded.expires_at()).await.map(drop)
            }
        }
    }

    pub(super) async fn load(&self, id: &str) -> Result<Session, SessionError> {
        match self {
            Self::Store(store) => store.retrieve_session(id).await,
            Self::Manager(manager) => manager.get_session(id).await,
        }
    }

    /// Deletes a session; one that is not there is no error.
    pub(super) async fn delete(&self, id: &str) -> Result<(), SessionError> {
        match self {
            Self::Store(store) => store.delete_session(id).await.map(drop),
            Self::Manager(manager) => manager.cleanup_session(id).await.map(drop),
        }
    }
}

/// A session that was read, as one to be replaced. A store that hands out sessions without what they were read from would have it
/// taken for a new one, which is written also where nothing is.
fn based(mut session: Session) -> Result<Session, SessionError> {
    if !session.was_read() {
        let text = session.to_json()?;
        session.written_as(&text);
    }
    Ok(session)
}

async fn write(store: &Arc<dyn SessionStore>, put: PendingPut) -> Result<Reconciled, SessionError> {
    // A store that answers for no session at all has not written it.
    store.reconcile(&[put]).await.pop().unwrap_or(Err(SessionError::NotFound))
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("Store"),
            Self::Manager(manager) => manager.fmt(f),
        }
    }
}
