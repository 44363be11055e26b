//! The `SessionStore` of tower-sessions over the session stores and the manager of `redis-rest`.
//!
//! [`TowerStore::new`] takes a store; [`TowerStore::over_manager`] takes a manager, with which
//! logins survive an outage of Redis.
//!
//! ```
//! # async fn run(client: redis_rest::Client) -> Result<(), redis_rest::session::SessionError> {
//! use redis_rest_tower::TowerStore;
//! use redis_rest::session::{RedisSessionStore, SessionManager};
//! use std::{sync::Arc, time::Duration};
//! use tower_sessions::{Expiry, SessionManagerLayer};
//!
//! let manager = SessionManager::new("", 0);
//! let redis = RedisSessionStore::new(client, Duration::from_secs(14 * 24 * 3600));
//! if let Err(error) = manager.set_session_store(Arc::new(redis), true).await {
//!     eprintln!("Redis is unavailable, going on in memory: {error}");
//! }
//! let layer = SessionManagerLayer::new(TowerStore::over_manager(manager.clone()))
//!     .with_expiry(Expiry::OnInactivity(tower_sessions::cookie::time::Duration::days(14)));
//! # let _ = layer;
//!
//! // Elsewhere, with the user that is logged in:
//! for device in manager.list_sessions("user-123").await? {
//!     println!("{:?} {}", device.metadata.get::<String>("user_agent"), device.last_active_at);
//! }
//! manager.delete_user_sessions("user-123").await?; // log out everywhere
//! # Ok(()) }
//! ```
//!
//! # What is stored
//!
//! A tower record is stored as a [`Session`](redis_rest::session::Session). Its id is the text of
//! the cookie, and each entry of its data is an entry of the metadata, so that other services find
//! them. The metadata entry [`EXPIRES_AT`] holds the expiry time; data cannot use that name.
//!
//! # Users
//!
//! The data entry [`USER_KEY`], a string or an integer, names the user; [`TowerStore::user_of`]
//! finds the user elsewhere. Sessions of a user are listed and ended by the methods of the store or
//! manager. A session without a user is alone in the index of the user `anonymous:{id}`.
//!
//! The user of a stored session cannot change, so log-in and log-out must give the session a new
//! id, which also protects against session fixation: `session.cycle_id()` after the user was
//! inserted, `session.flush()` or `cycle_id()` after it was removed. Saving another user under the
//! old id is an error, and changes nothing.
//!
//! # Expiry
//!
//! `expiry_date` is set as an explicit time to live with each save, earlier or later. The store's
//! own time to live does not count (a
//! [`max_lifetime`](redis_rest::session::RedisSessionStore::max_lifetime) does), and reads do not
//! move it. With `Expiry::OnInactivity` tower-sessions moves it when a session was changed, or with
//! each request by `with_always_save(true)`. A session past its date is not found, even if Redis
//! could not be updated. `last_active_at` moves with each save, and over a manager with loads too.
//!
//! # Ends
//!
//! Saving a session that was deleted or has expired writes nothing and is no error: a log-out
//! overtook the request, and the log-out stands. The id of a deleted session cannot be created
//! again for the session's remaining lifetime and at least a minute.
//!
//! This store therefore cannot be the cache of a `CachingSessionStore`, which fills its cache by
//! saving. The manager is such a cache.
//!
//! # Log out everywhere
//!
//! `delete_user_sessions` of the store or manager ends all sessions of a user, including those that
//! concurrent requests are about to write. A request that loaded a session before, and then calls
//! `cycle_id()`, creates nothing: a loaded or created record has the entry [`LOG_OUTS`], which
//! lists the log-outs that its creator knew, and a record of the same user is created with exactly
//! these. The save is no error; the next request is not logged in. The entry is not stored, and
//! data cannot use its name. Records of anonymous sessions have no such entry.
//!
//! A record without the entry, or of a user other than the entry's, is a log-in. To log a user out
//! on all other devices, end the sessions, call `session.clear()`, insert the user and call
//! `cycle_id()`.
//!
//! # Errors
//!
//! `Decode` if a record cannot be read, `Encode` if it cannot be written, `Backend` for everything
//! else. The texts are those of [`SessionError`], without session data.
//!
//! # Requests
//!
//! | | over a store | over a manager |
//! |---|---|---|
//! | create | 1 | 1 |
//! | load | 1 | 0; 1 when the copy is older than `max_staleness`; 1 for the use, once per `touch_interval` |
//! | save | 2 | 1, and what a load takes |
//! | delete | 2 | 1, or 2 for a session that is not held |
//!
//! The manager needs room for anonymous sessions too: set no limit, or a generous one.

mod record;
mod target;

use record::Encoded;
use redis_rest::session::{
    Conflict, SessionError, SessionManager, SessionStore as Store, redacted_id,
};
use std::fmt;
use std::sync::Arc;
use target::Target;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error, Result};

pub use record::{EXPIRES_AT, LOG_OUTS, USER_KEY};

/// Most ids tried for a new session. A random id is never taken, so more would not help.
const ID_TRIES: usize = 5;

/// Sessions of tower-sessions, in a store or a manager of `redis-rest`; see the [module](self).
/// Cheap to clone.
#[derive(Clone)]
pub struct TowerStore {
    target: Target,
    user_of: Arc<UserOf>,
}

type UserOf = dyn Fn(&Record) -> Option<String> + Send + Sync;

impl TowerStore {
    /// Creates a store in which each call goes to `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { target: Target::Store(store), user_of: Arc::new(record::user) }
    }

    /// Creates a store over a manager: sessions are held in memory too, and remain available while
    /// the manager's store is unavailable.
    pub fn over_manager(manager: SessionManager) -> Self {
        Self { target: Target::Manager(manager), user_of: Arc::new(record::user) }
    }

    /// Finds the user of a record by `user_of` instead of [`USER_KEY`]. `None` and the empty text
    /// mean an anonymous session.
    ///
    /// ```
    /// # use redis_rest::session::InMemorySessionStore;
    /// # use redis_rest_tower::TowerStore;
    /// # let store = InMemorySessionStore::new(std::time::Duration::from_secs(60));
    /// let store = TowerStore::new(std::sync::Arc::new(store))
    ///     .user_of(|record| Some(record.data.get("login")?.get("email")?.as_str()?.to_owned()));
    /// # let _ = store;
    /// ```
    #[must_use]
    pub fn user_of(
        mut self,
        user_of: impl Fn(&Record) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.user_of = Arc::new(user_of);
        self
    }

    fn encode(&self, record: &Record) -> Result<Encoded> {
        Encoded::new(record, (self.user_of)(record))
    }
}

#[async_trait::async_trait]
impl tower_sessions_core::SessionStore for TowerStore {
    /// Creates a session, under another id if this one is taken, and sets the free id in `record`.
    /// Writes nothing if the session derives from one of a user who was logged out since.
    async fn create(&self, record: &mut Record) -> Result<()> {
        for attempt in 0..ID_TRIES {
            if attempt > 0 {
                record.id = Id::default();
            }
            let encoded = self.encode(record)?;
            if encoded.expired() {
                // An expired session would not be found.
                return Ok(());
            }
            match self.target.create(&encoded).await {
                Ok(known) => return encoded.note_log_outs(record, &known),
                // The session expired meanwhile.
                Err(SessionError::NotFound | SessionError::Conflict(_)) if encoded.expired() => {
                    return Ok(());
                }
                Err(SessionError::Conflict(Conflict::LoggedOut)) => {
                    tracing::debug!(
                        session = %redacted_id(encoded.id()),
                        "session not created: its user was logged out"
                    );
                    return Ok(());
                }
                Err(SessionError::Conflict(_)) => {}
                Err(failed) => return Err(error(failed)),
            }
        }
        Err(Error::Backend(format!("session not created: {ID_TRIES} ids in a row are taken")))
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let encoded = self.encode(record)?;
        let saved = if encoded.expired() {
            self.target.delete(encoded.id()).await
        } else {
            self.target.save(&encoded).await
        };
        match saved {
            Err(SessionError::NotFound) => {
                tracing::debug!(session = %redacted_id(encoded.id()), "session not saved: it has ended");
                Ok(())
            }
            result => result.map_err(error),
        }
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        match self.target.load(&id.to_string()).await {
            Ok((session, known)) => record::decode(*id, &session, &known),
            Err(SessionError::NotFound) => Ok(None),
            Err(failed) => Err(error(failed)),
        }
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.target.delete(&id.to_string()).await.map_err(error)
    }
}

fn error(error: SessionError) -> Error {
    match error {
        SessionError::Corrupt { .. } => Error::Decode(error.to_string()),
        SessionError::Unwritable { .. } => Error::Encode(error.to_string()),
        SessionError::Conflict(Conflict::UserChanged) => {
            Error::Backend("the user of a session cannot change under its id: call cycle_id() at log-in and log-out".into())
        }
        error => Error::Backend(error.to_string()),
    }
}

/// Shows nothing of sessions.
impl fmt::Debug for TowerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerStore").field("target", &self.target).finish_non_exhaustive()
    }
}

/// The examples of this README compile, and those of the library's documents that show axum.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../../../README.md")]
    struct Library;
    #[doc = include_str!("../../../docs/guide/axum.md")]
    struct Axum;
}
