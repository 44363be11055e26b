//! [`SessionStore`]: what a place for sessions can do.

use super::error::{Conflict, SessionError};
use super::reconcile::{Decision, PendingPut, Reconciled, TtlRule, decide};
use super::record::Session;
use crate::platform::{BoxFuture, MaybeSend};
use std::fmt;
use std::time::Duration;

/// The future of a store's method.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, SessionError>>;

/// A place where sessions are kept.
///
/// The contract, held by every store of this crate and checked by the conformance cases of feature `testing`:
/// * Record and index change together: a session that is stored is listed, one that is deleted is not. (In two steps on
///   [Redis Cluster](crate::session#on-redis-cluster).)
/// * No read writes, not even a time to live.
/// * An update never brings a session back and never changes its time to live.
/// * A delete is idempotent and wins: for a minute its id cannot be stored again.
/// * A touch never shortens a time to live.
///
/// A store of your own finds out what a session was read from by [`Session::original`], on which
/// [`compare_and_update`](Self::compare_and_update) and [`compare_and_delete`](Self::compare_and_delete) rest, and by them
/// [`reconcile`](Self::reconcile), which a manager writes by. So it keeps the text of [`Session::to_json`] as it is, and every session
/// that it returns comes out of [`Session::from_json`] of the stored text.
///
/// Methods that end in `_loaded` do the same with a session in hand, which saves the request that would look up its user.
pub trait SessionStore: MaybeSend + 'static {
    /// Writes a session and its index entry. It lives for the default time to live, also if it was there before.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] when it was deleted within the last minute, or belongs to another user.
    fn store_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()>;

    /// As [`store_session`](Self::store_session), but never over a session that is there.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] when it is.
    fn create_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()>;

    /// Reads a session.
    ///
    /// # Errors
    /// [`SessionError::NotFound`]; [`SessionError::Corrupt`] for a record that cannot be read.
    fn retrieve_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Session>;

    /// Replaces the record of a session that exists. Its time to live stays.
    ///
    /// # Errors
    /// [`SessionError::NotFound`] when it is gone; [`SessionError::Conflict`] when the stored one belongs to another user.
    fn update_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()>;

    /// As [`update_session`](Self::update_session), but only if the stored record is still what `session` was read from, which is
    /// its [`original`](Session::original).
    ///
    /// # Errors
    /// [`SessionError::NotFound`] when it is gone; [`SessionError::Conflict`] when somebody else wrote meanwhile, or when `session` was
    /// never read.
    fn compare_and_update<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()>;

    /// Deletes a session and its index entry; true when it was there. Deleting twice is no error.
    fn delete_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool>;

    /// Deletes a session in hand.
    fn delete_loaded<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, bool> {
        self.delete_session(&session.id)
    }

    /// Deletes a session only if the stored record is still what `session` was read from, which is its
    /// [`original`](Session::original).
    ///
    /// # Errors
    /// [`SessionError::NotFound`] when it is gone; [`SessionError::Conflict`] when somebody else wrote meanwhile, or when `session` was
    /// never read.
    fn compare_and_delete<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()>;

    /// All sessions of a user, in the order of the index. What is gone is left out; what cannot be read is counted.
    fn list_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, SessionList>;

    /// True when there is such a session.
    fn exists<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool>;

    /// Sets the time to live, longer or shorter. Automatic touches leave the session alone from then on.
    ///
    /// # Errors
    /// [`SessionError::NotFound`].
    fn set_ttl<'a>(&'a self, id: &'a str, ttl: Duration) -> StoreFuture<'a, ()>;

    /// Sets the time to live of a session in hand.
    fn set_ttl_loaded<'a>(&'a self, session: &'a Session, ttl: Duration) -> StoreFuture<'a, ()> {
        self.set_ttl(&session.id, ttl)
    }

    /// Slides the time to live to the default one, if that is longer than what is left.
    ///
    /// # Errors
    /// [`SessionError::NotFound`].
    fn touch<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Touched>;

    /// Slides the time to live of a session in hand. An automatic touch leaves an explicit time to live alone.
    fn touch_loaded<'a>(
        &'a self,
        session: &'a Session,
        automatic: bool,
    ) -> StoreFuture<'a, Touched>;

    /// Stores many sessions in few requests. Each has its own result.
    fn batch_store_sessions<'a>(&'a self, sessions: &'a [Session]) -> BoxFuture<'a, BatchOutcome>;

    /// Deletes many sessions in few requests. Each has its own result.
    fn batch_delete_sessions<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, BatchOutcome>;

    /// Writes sessions where what is stored now allows it; see [`Reconciled`]. Deletions win, what others wrote meanwhile stands,
    /// and deadlines stay as they were. The manager writes by this alone, in an outage and out of it.
    ///
    /// This default does it one by one and looks before it writes; a store with conditional writes does better, and
    /// [`PendingPut::decide`] says what to write.
    fn reconcile<'a>(
        &'a self,
        puts: &'a [PendingPut],
    ) -> BoxFuture<'a, Vec<Result<Reconciled, SessionError>>> {
        Box::pin(async move {
            let mut results = Vec::with_capacity(puts.len());
            for put in puts {
                results.push(reconcile_one(self, put).await);
            }
            results
        })
    }

    /// Moves the deadline of a session in hand as `rule` says. This default slides to the default time to live, not to the
    /// rule's deadline; [`reconcile`](Self::reconcile) uses it where it is not implemented.
    fn follow<'a>(&'a self, session: &'a Session, rule: TtlRule) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            match rule {
                TtlRule::Keep => Ok(()),
                TtlRule::Slide(_) => self.touch_loaded(session, true).await.map(drop),
                TtlRule::Set(at) => {
                    self.set_ttl_loaded(
                        session,
                        (at - crate::clock::utc_now()).to_std().unwrap_or_default(),
                    )
                    .await
                }
            }
        })
    }

    /// How many bytes the store takes, where it can say so.
    fn memory_used(&self) -> StoreFuture<'_, Option<u64>> {
        Box::pin(async { Ok(None) })
    }

    /// Checks that the store can be written and read. The default is [`health`](Self::health).
    fn probe(&self) -> StoreFuture<'_, ()> {
        self.health()
    }

    /// Takes ids out of a user's index whose sessions are gone; answers how many.
    fn cleanup_expired_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize>;

    /// Deletes all sessions of a user ("log out everywhere"); answers how many there were.
    fn delete_user_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize>;

    /// Checks that the store works.
    fn health(&self) -> StoreFuture<'_, ()>;

    /// Makes every later call on this store and its clones fail with [`SessionError::Closed`].
    fn close(&self) -> StoreFuture<'_, ()>;

    /// How long a session lives that is stored or touched.
    fn default_ttl(&self) -> Duration;

    /// Changes the default time to live for this store and its clones, from the next call on.
    fn set_default_ttl(&self, ttl: Duration);
}

/// Looks, decides, and writes only over what was seen; what was overtaken is looked at again, at most 5 times. The time to live
/// follows in a step of its own.
async fn reconcile_one<S: SessionStore + ?Sized>(
    store: &S,
    put: &PendingPut,
) -> Result<Reconciled, SessionError> {
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        let stored = match store.retrieve_session(&put.session.id).await {
            Ok(stored) => Some(stored),
            Err(SessionError::NotFound) => None,
            Err(error) => return Err(error),
        };
        let now = crate::clock::utc_now();
        let decision = decide(put, stored.as_ref(), now)?;
        let written = match &decision {
            Decision::Settled(_) => Ok(()),
            Decision::Create(version) => store.create_session(version).await,
            Decision::Replace { version, .. } => store.compare_and_update(version).await,
        };
        match written {
            Ok(()) => {}
            Err(SessionError::NotFound | SessionError::Conflict(Conflict::Deleted)) => {
                return Ok(Reconciled::Gone);
            }
            Err(SessionError::Conflict(Conflict::Changed | Conflict::Exists)) => continue,
            Err(error) => return Err(error),
        }
        if let Decision::Settled(result) = decision {
            return Ok(result);
        }
        store.follow(&put.session, put.ttl).await?;
        let text = decision.text()?;
        return Ok(decision.written(&text));
    }
    Err(SessionError::Conflict(Conflict::Changed))
}

/// What a touch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Touched {
    /// The session lives longer now.
    Extended,
    /// It already lived as long or longer.
    AlreadyLonger,
    /// Its time to live is an explicit one, and the touch was automatic.
    Pinned,
}

/// The sessions of a user.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use]
pub struct SessionList {
    /// The sessions, in the order of the index.
    pub sessions: Vec<Session>,
    /// How many records could not be read, or belong to another user. They are left as they are.
    pub corrupt: usize,
    /// True when a store that should have been asked could not be: there may be more sessions.
    pub partial: bool,
}

impl SessionList {
    /// These sessions, with nothing corrupt and nothing missing.
    pub fn new(sessions: Vec<Session>) -> Self {
        Self { sessions, ..Self::default() }
    }
}

impl std::ops::Deref for SessionList {
    type Target = [Session];
    fn deref(&self) -> &[Session] {
        &self.sessions
    }
}

impl IntoIterator for SessionList {
    type Item = Session;
    type IntoIter = std::vec::IntoIter<Session>;
    fn into_iter(self) -> Self::IntoIter {
        self.sessions.into_iter()
    }
}

/// The results of a batch, one for each session, in its order.
#[derive(Clone)]
#[must_use = "a session of the batch may have failed"]
pub struct BatchOutcome(Vec<(String, Result<(), SessionError>)>);

impl BatchOutcome {
    /// From ids and their results.
    pub fn new(results: Vec<(String, Result<(), SessionError>)>) -> Self {
        Self(results)
    }

    /// Ids and results.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Result<(), SessionError>)> {
        self.0.iter().map(|(id, result)| (id.as_str(), result))
    }

    /// The ids that failed, and why. The others stand.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &SessionError)> {
        self.iter().filter_map(|(id, result)| result.as_ref().err().map(|error| (id, error)))
    }

    /// True when all succeeded.
    pub fn is_ok(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The first failure, where one is enough to know.
    ///
    /// # Errors
    /// The error of the first session that failed.
    pub fn ok(self) -> Result<(), SessionError> {
        self.0.into_iter().try_for_each(|(_, result)| result)
    }
}

/// Shows counts only: ids are credentials.
impl fmt::Debug for BatchOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchOutcome({} sessions, {} failed)", self.0.len(), self.failed().count())
    }
}
