//! Reading sessions: record, meta key and time to live in one request, by plain commands, so that a
//! token that only reads is enough.

use super::RedisSessionStore;
use super::batch::Chunks;
use super::layout::{Found, ttl_of};
use crate::command::groups::get;
use crate::observe::{Place, Retrieval};
use crate::session::error::SessionError;
use crate::session::record::Session;
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

    pub(super) async fn read_user(&self, user_id: &str) -> Result<Listed, SessionError> {
        let (ids, _) = self.listed_ids(user_id).await?;
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        let results = self.read(&names).await;
        let mut listed = Listed::new(ids, Vec::new());
        let mut failed = 0;
        for result in results {
            match result {
                Ok(stored) if stored.session.user_id == user_id => listed.sessions.push(stored),
                Ok(_) | Err(SessionError::Corrupt { .. }) => listed.corrupt += 1,
                Err(SessionError::NotFound) => {}
                Err(error) => {
                    failed += 1;
                    listed.partial = listed.partial.or(Some(error));
                }
            }
        }
        match listed.partial.take() {
            Some(error) if failed == listed.ids.len() => Err(error),
            partial => Ok(Listed { partial, ..listed }),
        }
    }

    async fn read(&self, ids: &[&str]) -> Vec<Result<Stored, SessionError>> {
        Chunks::default().run(ids, |_| 0, |chunk| Box::pin(self.read_chunk(chunk))).await
    }

    /// Reads the sessions of one request.
    async fn read_chunk(&self, ids: &[&str]) -> Vec<Result<Stored, SessionError>> {
        let mut results = Vec::with_capacity(ids.len());
        for (id, found) in ids.iter().zip(self.layout.read(self, ids).await) {
            results.push(match found {
                Ok(Found { left: NO_KEY, .. }) => Err(SessionError::NotFound),
                Ok(Found { record: Some(record), meta, left }) => {
                    stored(id, &record, meta.as_deref(), left)
                }
                Ok(Found { record: None, .. }) => Err(self.no_text(id).await),
                Err(error) => Err(error),
            });
        }
        results
    }

    /// Why a key that is there has no text: it is of another type, or came just now.
    async fn no_text(&self, id: &str) -> SessionError {
        match get::<Option<Bytes>>(self.keys.record(id)).on(&self.client).await {
            Err(error) if error.redis_code() == Some("WRONGTYPE") => {
                SessionError::Corrupt { field: "record" }
            }
            Err(error) => error.into(),
            Ok(_) => SessionError::NotFound,
        }
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

/// A session as it was read. The record must be the one that was asked for.
pub(super) fn stored(
    id: &str,
    record: &[u8],
    meta: Option<&[u8]>,
    left: i64,
) -> Result<Stored, SessionError> {
    let session = Session::from_json(record)?;
    let original = session.original().filter(|_| session.id == id);
    let original = original.ok_or(SessionError::Corrupt { field: "id" })?;
    let meta = meta.and_then(|meta| std::str::from_utf8(meta).ok());
    let version = Version::read(Arc::clone(original), meta);
    Ok(Stored { session, version, ttl: ttl_of(left) })
}
