//! [`SessionStoreExt`]: the calls of a session store under their usual names, on top of its seven requests.

use super::change::ChangeId;
use super::error::{Conflict, SessionError};
use super::marks::Marks;
use super::record::Session;
use super::results::{BatchOutcome, SessionList, Touched};
use super::store::{
    Delete, Mode, SessionStore, StoreFuture, Stored, TtlRule, When, Write, Written, one,
};
use super::version::Version;
use crate::error::Outcome;
use crate::platform::{self, BoxFuture, MaybeSend};
use std::time::Duration;

/// The number of times that a write is tried while others write the same session. One of them
/// succeeds each time, so this many may write it at once.
const ROUNDS: usize = 100;

/// The calls of every [`SessionStore`]. Each makes the [`ChangeId`] of its change.
///
/// ```
/// # async fn run() -> Result<(), redis_rest::session::SessionError> {
/// use redis_rest::session::{InMemorySessionStore, Session, SessionStoreExt};
/// use std::time::Duration;
/// let store = InMemorySessionStore::new(Duration::from_secs(3600));
/// let session = Session::new("user-123").org_id("org-456");
/// store.store_session(&session).await?;
/// assert_eq!(store.retrieve_session(&session.id).await?, session);
/// # Ok(()) }
/// ```
pub trait SessionStoreExt: SessionStore {
    /// Writes a session, also over one that is there. It lives for the default time to live, which
    /// later uses slide.
    ///
    /// Takes one request; two if the session is there and the store does not know its version, or
    /// somebody else wrote it since.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] if it was deleted within the last minute, or belongs to another
    /// user.
    fn store_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(async move { one(put_all(self, [session], Put::Store).await) })
    }

    /// Writes a session that is not there. It lives for the default time to live.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] if it is there, or if its id was used before and is still
    /// remembered.
    fn create_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(async move { one(put_all(self, [session], Put::Create).await) })
    }

    /// Reads a session.
    ///
    /// # Errors
    /// [`SessionError::NotFound`]; [`SessionError::Corrupt`] for a record that cannot be read.
    fn retrieve_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Session> {
        self.read_session(id)
    }

    /// Reads a session with its version and time to live, for
    /// [`compare_and_update`](Self::compare_and_update).
    ///
    /// # Errors
    /// The same as of [`retrieve_session`](Self::retrieve_session).
    fn retrieve_stored<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Stored> {
        Box::pin(async move { one(self.get(&[id]).await) })
    }

    /// Replaces the record of a session that exists, whoever wrote it meanwhile: the last writer
    /// wins. Its time to live stays. One request; two if the store does not know its version, or
    /// somebody else wrote it since.
    ///
    /// # Errors
    /// [`SessionError::NotFound`] if it is gone; [`SessionError::Conflict`] if the stored one
    /// belongs to another user, or if others kept writing.
    fn update_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(update(self, session))
    }

    /// Replaces the record of a session if `version` is still what is stored. Returns the version
    /// that was written.
    ///
    /// # Errors
    /// [`SessionError::NotFound`] if it is gone; [`SessionError::Conflict`] if somebody else wrote
    /// meanwhile.
    fn compare_and_update<'a>(
        &'a self,
        session: &'a Session,
        version: &'a Version,
    ) -> StoreFuture<'a, Version> {
        Box::pin(async move {
            let (mode, ttl) = (Mode::Replace(version), TtlRule::Keep);
            let write = Write { id: ChangeId::new(), session, mode, content: true, ttl };
            let written = replace_version(self, write).await?;
            written.map_err(|_| SessionError::Conflict(Conflict::Changed))
        })
    }

    /// Deletes a session; true if it was there. Deleting twice is no error.
    fn delete_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool> {
        Box::pin(async move { one(self.delete(&[always(id)]).await) })
    }

    /// The sessions of a user, in the order of the index.
    fn list_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, SessionList> {
        self.read_sessions(user_id)
    }

    /// True if there is such a session.
    fn exists<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            match self.read_session(id).await {
                Ok(_) | Err(SessionError::Corrupt { .. }) => Ok(true),
                Err(SessionError::NotFound) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    /// Sets the time to live, longer or shorter. It is an explicit one, which uses do not slide.
    /// Two requests.
    ///
    /// # Errors
    /// [`SessionError::NotFound`].
    fn set_ttl<'a>(&'a self, id: &'a str, ttl: Duration) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let set =
                |stored: &Stored| Ok(Some((stored.session.clone(), false, TtlRule::Set(ttl))));
            replace(self, id, set).await.map(drop)
        })
    }

    /// Extends the time to live to the default one, an explicit one too. Two requests, one if it is
    /// longer already.
    ///
    /// # Errors
    /// [`SessionError::NotFound`].
    fn touch<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Touched> {
        Box::pin(async move {
            let ttl = self.default_ttl();
            let touch = |stored: &Stored| {
                let rule = match stored.version.has_explicit_ttl() {
                    true => TtlRule::Set(ttl),
                    false => TtlRule::Slide(ttl),
                };
                let shorter = stored.ttl.is_some_and(|left| left < ttl);
                Ok(shorter.then(|| (stored.session.clone(), false, rule)))
            };
            let written = replace(self, id, touch).await?;
            Ok(if written { Touched::Extended } else { Touched::AlreadyLonger })
        })
    }

    /// Stores many sessions in few requests, each as [`store_session`](Self::store_session). Each
    /// has its own result.
    fn batch_store_sessions<'a>(&'a self, sessions: &'a [Session]) -> BoxFuture<'a, BatchOutcome> {
        Box::pin(async move {
            let results = put_all(self, sessions, Put::Store).await;
            BatchOutcome::new(
                sessions.iter().map(|session| session.id.clone()).zip(results).collect(),
            )
        })
    }

    /// Deletes many sessions in few requests. Each has its own result.
    fn batch_delete_sessions<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, BatchOutcome> {
        Box::pin(async move {
            let deletes: Vec<Delete<'_>> = ids.iter().map(|id| always(id)).collect();
            let results = self.delete(&deletes).await.into_iter().map(|result| result.map(drop));
            BatchOutcome::new(ids.iter().cloned().zip(results).collect())
        })
    }

    /// Removes ids from a user's index whose sessions are gone; returns how many.
    fn cleanup_expired_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        self.prune(user_id)
    }

    /// Ends all sessions of a user ("log out everywhere"), also those whose create is still on its
    /// way; returns how many there were. May be repeated.
    ///
    /// # Errors
    /// [`SessionError::MaybeApplied`] if some sessions may not have ended.
    fn delete_user_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        Box::pin(log_out(self, user_id))
    }

    /// Reads a session, lets `change` change it, and writes it if nobody else wrote meanwhile; else
    /// does so again, at most 16 times. Returns what was written. `change` may run several times,
    /// but takes effect at most once.
    ///
    /// # Errors
    /// [`SessionError::NotFound`]; [`SessionError::Conflict`] if others kept writing;
    /// [`SessionError::MaybeApplied`] if a reply was lost and what happened could not be found out.
    fn modify<'a>(
        &'a self,
        id: &'a str,
        change: impl FnMut(&mut Session) + MaybeSend + 'a,
    ) -> StoreFuture<'a, Session> {
        Box::pin(modify(self, id, change))
    }
}

impl<S: SessionStore + ?Sized> SessionStoreExt for S {}

fn always(id: &str) -> Delete<'_> {
    let (mark_for, when) = (Duration::ZERO, When::Always);
    Delete { id: ChangeId::new(), session: id, user_id: None, mark_for, when }
}

/// Sends a write. One that the store executed before it returned another version is written.
pub async fn send<S: SessionStore + ?Sized>(
    store: &S,
    write: Write<'_>,
) -> Result<Written, SessionError> {
    Ok(match one(store.write(&[write]).await)? {
        Written::Changed(now) | Written::Exists(now) if now.version.has(&write) => {
            Written::Written { version: now.version, ttl: now.ttl }
        }
        written => written,
    })
}

/// A way to put sessions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    /// Fails if a session exists.
    Create,
    /// Creates or replaces.
    Store,
    /// Fails if a session does not exist.
    Update,
}

/// A session that is not stored yet.
struct Open<'a> {
    place: usize,
    id: ChangeId,
    session: &'a Session,
    marks: Marks,
    /// The version to replace.
    version: Option<Version>,
}

impl<'a> Open<'a> {
    fn new<S: SessionStore + ?Sized>(store: &S, session: &'a Session, put: Put) -> Self {
        let version = match put {
            Put::Create => None,
            Put::Store | Put::Update => store.recent_version(&session.id, &session.user_id),
        };
        Self { place: 0, id: ChangeId::new(), session, marks: Marks::default(), version }
    }

    fn write(&self, put: Put, ttl: TtlRule) -> Write<'_> {
        let mode = match &self.version {
            Some(version) => Mode::Replace(version),
            None => Mode::Create { marks: &self.marks, reuse: put == Put::Store },
        };
        Write { id: self.id, session: self.session, mode, content: true, ttl }
    }

    /// The result, or nothing if the session is to be written once more.
    fn take(
        &mut self,
        reply: Result<Written, SessionError>,
        put: Put,
    ) -> Option<Result<(), SessionError>> {
        let refused = |conflict| Some(Err(SessionError::Conflict(conflict)));
        match reply {
            Ok(Written::Written { .. }) => return Some(Ok(())),
            Ok(Written::Exists(now) | Written::Changed(now))
                if now.version.has_content(self.id) =>
            {
                return Some(Ok(()));
            }
            Ok(Written::Exists(_)) if put == Put::Create => return refused(Conflict::Exists),
            Ok(Written::Exists(now) | Written::Changed(now)) => {
                return self.replace(*now).err().map(Err);
            }
            Ok(Written::Gone) if put == Put::Update => return Some(Err(SessionError::NotFound)),
            // A session that was there a moment ago may have expired.
            Ok(Written::Gone) if self.version.take().is_none() => {
                return refused(Conflict::Deleted);
            }
            Ok(Written::Gone) => {}
            Ok(Written::LoggedOut(known)) => self.marks.learn(&known),
            Err(error) => return Some(Err(error)),
        }
        None
    }

    /// Replaces what is stored, unless that is another user's.
    fn replace(&mut self, now: Stored) -> Result<(), SessionError> {
        if now.session.user_id != self.session.user_id {
            return Err(SessionError::Conflict(Conflict::UserChanged));
        }
        self.version = Some(now.version);
        Ok(())
    }
}

/// Puts sessions into a store, each with its own result.
async fn put_all<S: SessionStore + ?Sized>(
    store: &S,
    sessions: impl IntoIterator<Item = &Session>,
    put: Put,
) -> Vec<Result<(), SessionError>> {
    let open = sessions.into_iter().map(|session| Open::new(store, session, put));
    write_all(store, open.collect(), put).await
}

/// Replaces a session that is there.
async fn update<S: SessionStore + ?Sized>(
    store: &S,
    session: &Session,
) -> Result<(), SessionError> {
    let mut open = Open::new(store, session, Put::Update);
    if open.version.is_none() {
        open.replace(store.retrieve_stored(&session.id).await?)?;
    }
    one(write_all(store, vec![open], Put::Update).await)
}

async fn write_all<S: SessionStore + ?Sized>(
    store: &S,
    mut open: Vec<Open<'_>>,
    put: Put,
) -> Vec<Result<(), SessionError>> {
    let ttl = match put {
        Put::Create | Put::Store => TtlRule::Restart(store.default_ttl()),
        Put::Update => TtlRule::Keep,
    };
    let mut results = vec![Err(SessionError::Conflict(Conflict::Changed)); open.len()];
    open.iter_mut().enumerate().for_each(|(place, one)| one.place = place);
    for _ in 0..ROUNDS {
        if open.is_empty() {
            break;
        }
        let writes: Vec<Write<'_>> = open.iter().map(|one| one.write(put, ttl)).collect();
        let mut replies = store.write(&writes).await.into_iter();
        open.retain_mut(|one| match replies.next().and_then(|reply| one.take(reply, put)) {
            Some(result) => {
                results[one.place] = result;
                false
            }
            None => true,
        });
    }
    results
}

/// Reads a session and replaces it as `change` says, over what others write meanwhile; false if
/// `change` wants nothing.
pub async fn replace<S: SessionStore + ?Sized>(
    store: &S,
    id: &str,
    change: impl Fn(&Stored) -> Result<Option<(Session, bool, TtlRule)>, SessionError>,
) -> Result<bool, SessionError> {
    let change_id = ChangeId::new();
    let mut stored = store.retrieve_stored(id).await?;
    for _ in 0..ROUNDS {
        let Some((session, content, ttl)) = change(&stored)? else { return Ok(false) };
        if session.user_id != stored.session.user_id {
            return Err(SessionError::Conflict(Conflict::UserChanged));
        }
        let mode = Mode::Replace(&stored.version);
        let write = Write { id: change_id, session: &session, mode, content, ttl };
        match replace_version(store, write).await? {
            Ok(_) => return Ok(true),
            Err(now) => stored = *now,
        }
    }
    Err(SessionError::Conflict(Conflict::Changed))
}

/// Replaces one version. Returns the version that was written, or what is there instead.
async fn replace_version<S: SessionStore + ?Sized>(
    store: &S,
    write: Write<'_>,
) -> Result<Result<Version, Box<Stored>>, SessionError> {
    match send(store, write).await? {
        Written::Written { version, .. } => Ok(Ok(version)),
        Written::Changed(now) | Written::Exists(now) => Ok(Err(now)),
        Written::Gone | Written::LoggedOut(_) => Err(SessionError::NotFound),
    }
}

async fn modify<S: SessionStore + ?Sized>(
    store: &S,
    id: &str,
    mut change: impl FnMut(&mut Session),
) -> Result<Session, SessionError> {
    const ROUNDS: u32 = 16;
    let mut stored = store.retrieve_stored(id).await?;
    for round in 0..ROUNDS {
        if round > 1 {
            // Writers that collided twice come back at different times.
            let pause = Duration::from_millis(4 << round.min(6)).mul_f64(platform::random());
            platform::sleep(pause).await;
            stored = store.retrieve_stored(id).await?;
        }
        let mut session = stored.session.clone();
        change(&mut session);
        let (mode, ttl) = (Mode::Replace(&stored.version), TtlRule::Keep);
        let write = Write { id: ChangeId::new(), session: &session, mode, content: true, ttl };
        match replace_version(store, write).await? {
            Ok(_) => return Ok(session),
            Err(now) => stored = *now,
        }
    }
    Err(SessionError::Conflict(Conflict::Changed))
}

async fn log_out<S: SessionStore + ?Sized>(
    store: &S,
    user_id: &str,
) -> Result<usize, SessionError> {
    let log_out = ChangeId::new();
    let ids = store.revoke(user_id, log_out).await?;
    let delete = |session| Delete {
        id: ChangeId::new(),
        session,
        user_id: Some(user_id),
        mark_for: Duration::ZERO,
        when: When::UnlessKnown(log_out),
    };
    let deletes: Vec<Delete<'_>> = ids.iter().map(|id| delete(id)).collect();
    let mut count = 0;
    let mut failed = None;
    for result in store.delete(&deletes).await {
        match result {
            Ok(there) => count += usize::from(there),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        None => Ok(count),
        // The user is logged out, and a part of the sessions has ended.
        Some(SessionError::Unavailable(error)) => {
            Err(SessionError::MaybeApplied(error.with_outcome(Outcome::MaybeApplied)))
        }
        Some(error) => Err(error),
    }
}
