//! Reading sessions: record, meta key and time to live in one request, by plain commands, so that a
//! token that only reads is enough.

use super::RedisSessionStore;
use super::batch::Chunks;
use super::layout::{Found, ttl_of};
use crate::command::groups::get;
use crate::observe::{Place, Retrieval};
use crate::platform::BoxFuture;
use crate::session::error::SessionError;
use crate::session::record::Session;
use crate::session::results::SessionList;
use crate::session::store::{Listed, Stored};
use crate::session::version::Version;
use bytes::Bytes;
use std::sync::Arc;

/// A reply of `PTTL`: there is no such key.
const NO_KEY: i64 = -2;

impl RedisSessionStore {
    pub(super) async fn read_all(&self, ids: &[&str]) -> Vec<Result<Stored, SessionError>> {
        let retrieval = (ids.len() == 1).then(|| Retrieval::begin(Place::Redis));
        let mut results: Vec<Result<Stored, SessionError>> =
            ids.iter().map(|id| self.check(id).and(Err(SessionError::NotFound))).collect();
        let valid: Vec<usize> = (0..ids.len())
            .filter(|&place| matches!(results[place], Err(SessionError::NotFound)))
            .collect();
        let valid_ids: Vec<&str> = valid.iter().map(|&place| ids[place]).collect();
        for (place, result) in valid.into_iter().zip(self.read(&valid_ids).await) {
            results[place] = result;
        }
        if let (Some(retrieval), [result]) = (retrieval, results.as_slice()) {
            retrieval.end(SessionError::retrieved(result.as_ref().err()));
        }
        results
    }

    /// Reads a record by one command.
    pub(super) async fn read_alone(&self, id: &str) -> Result<Session, SessionError> {
        self.check(id)?;
        let retrieval = Retrieval::begin(Place::Redis);
        let result = self.text(id).await.and_then(|text| session(id, &text));
        retrieval.end(SessionError::retrieved(result.as_ref().err()));
        result
    }

    async fn text(&self, id: &str) -> Result<Bytes, SessionError> {
        match get::<Option<Bytes>>(self.keys.record(id)).on(&self.client).await {
            Ok(text) => text.ok_or(SessionError::NotFound),
            Err(error) if error.redis_code() == Some("WRONGTYPE") => {
                Err(SessionError::Corrupt { field: "record" })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the records of a user alone. A key of another type counts as gone.
    pub(super) async fn read_user_alone(&self, user_id: &str) -> Result<SessionList, SessionError> {
        let (ids, _) = self.listed_ids(user_id).await?;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let send = |chunk| Box::pin(self.read_texts(chunk)) as BoxFuture<'_, _>;
        let texts = Chunks::default().run(&ids, |_| 0, send).await.into_iter();
        let read = |(text, id): (Result<Option<Bytes>, _>, &&str)| {
            session(id, &text?.ok_or(SessionError::NotFound)?)
        };
        let sessions = texts.zip(&ids).map(read).collect();
        let (sessions, corrupt, partial) = of_user(user_id, sessions, |session| session)?;
        Ok(SessionList { sessions, corrupt, partial: partial.is_some() })
    }

    pub(super) async fn read_user(&self, user_id: &str) -> Result<Listed, SessionError> {
        let (ids, _) = self.listed_ids(user_id).await?;
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        let read = self.read(&names).await;
        let (sessions, corrupt, partial) = of_user(user_id, read, |stored| &stored.session)?;
        Ok(Listed { ids, sessions, corrupt, partial })
    }

    async fn read(&self, ids: &[&str]) -> Vec<Result<Stored, SessionError>> {
        Chunks::default().run(ids, |_| 0, |chunk| Box::pin(self.read_chunk(chunk))).await
    }

    /// Reads the sessions of one request.
    async fn read_chunk(&self, ids: &[&str]) -> Vec<Result<Stored, SessionError>> {
        let mut results = Vec::with_capacity(ids.len());
        for (id, found) in ids.iter().zip(self.read_keys(ids).await) {
            results.push(match found {
                Ok(Found { left: NO_KEY, .. }) => Err(SessionError::NotFound),
                Ok(Found { record: Some(record), meta, left }) => {
                    stored(id, &record, meta.as_deref(), left)
                }
                // The key is of another type, or was created just now.
                Ok(Found { record: None, .. }) => {
                    self.text(id).await.and(Err(SessionError::NotFound))
                }
                Err(error) => Err(error),
            });
        }
        results
    }
}

/// The sessions of a user, of all that was read for the index; the number of the others that are
/// there; and why a part was not read.
fn of_user<T>(
    user_id: &str,
    results: Vec<Result<T, SessionError>>,
    session: impl Fn(&T) -> &Session,
) -> Result<(Vec<T>, usize, Option<SessionError>), SessionError> {
    let (count, mut failed) = (results.len(), 0);
    let (mut sessions, mut corrupt, mut partial) = (Vec::with_capacity(count), 0, None);
    for result in results {
        match result {
            Ok(read) if session(&read).user_id == user_id => sessions.push(read),
            Ok(_) | Err(SessionError::Corrupt { .. }) => corrupt += 1,
            Err(SessionError::NotFound) => {}
            Err(error) => {
                failed += 1;
                partial = partial.or(Some(error));
            }
        }
    }
    match partial {
        Some(error) if failed == count => Err(error),
        partial => Ok((sessions, corrupt, partial)),
    }
}

/// The user of a record. One that cannot be read has none: deleting it leaves its id to a clean-up.
pub(super) fn owner(record: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Owner {
        user_id: String,
    }
    serde_json::from_slice::<Owner>(record).map(|owner| owner.user_id).ok()
}

/// The session of a record, which must be the one that was asked for.
fn session(id: &str, record: &[u8]) -> Result<Session, SessionError> {
    let session = Session::from_json(record)?;
    Some(session).filter(|session| session.id == id).ok_or(SessionError::Corrupt { field: "id" })
}

/// A session as it was read.
pub(super) fn stored(
    id: &str,
    record: &[u8],
    meta: Option<&[u8]>,
    left: i64,
) -> Result<Stored, SessionError> {
    let session = session(id, record)?;
    let original = session.original().ok_or(SessionError::Corrupt { field: "record" })?;
    let meta = meta.and_then(|meta| std::str::from_utf8(meta).ok());
    let version = Version::read(Arc::clone(original), meta);
    Ok(Stored { session, version, ttl: ttl_of(left) })
}
