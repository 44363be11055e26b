//! The trait [`SessionStore`], by one script or by two steps.

use super::two_steps::Deletion;
use super::{RedisSessionStore, read, sha1};
use crate::command::cmd;
use crate::command::groups::millis;
use crate::error::{Error, ErrorKind, Outcome};
use crate::observe::{self, Place, Retrieval};
use crate::platform::BoxFuture;
use crate::session::error::SessionError;
use crate::session::reconcile::{PendingPut, Reconciled};
use crate::session::record::Session;
use crate::session::scripts::{self, SCRIPTS};
use crate::session::store::{BatchOutcome, SessionList, SessionStore, StoreFuture, Touched};
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a probe waits for each of its two requests: a caller may be waiting for it.
const PROBE_DEADLINE: Duration = Duration::from_secs(1);

impl RedisSessionStore {
    async fn put(&self, session: &Session, create: bool) -> Result<(), SessionError> {
        self.check(&session.id)?;
        let record = session.to_json()?;
        let (script, mode) =
            if create { (&SCRIPTS.create, "create") } else { (&SCRIPTS.store, "store") };
        match self.cluster {
            true => self.change_one(self.store_change(session, &record, create)).await.map(drop),
            false => {
                self.run_one(self.store_call(script, mode, &[(session, &record)])).await.map(drop)
            }
        }
    }

    async fn expire(
        &self,
        session: &Session,
        ttl: Duration,
        mode: &str,
    ) -> Result<i64, SessionError> {
        self.check(&session.id)?;
        let ttl = self.ttl_millis(ttl, session.created_at);
        match self.cluster {
            true => self.change_one(self.expire_change(session, ttl, mode)).await,
            false => self.run_one(self.expire_call(session, ttl, mode)).await,
        }
    }
}

impl SessionStore for RedisSessionStore {
    fn store_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(self.put(session, false))
    }

    fn create_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(self.put(session, true))
    }

    fn retrieve_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Session> {
        Box::pin(async move {
            self.check(id)?;
            let retrieval = Retrieval::begin(Place::Redis);
            let reply: Result<Option<Bytes>, Error> = self.client.get(self.keys.record(id)).await;
            let result = reply
                .map_err(SessionError::from)
                .and_then(|record| read(id, &record.ok_or(SessionError::NotFound)?));
            retrieval.end(result.as_ref().err());
            result
        })
    }

    fn update_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(self.update(session, None))
    }

    fn compare_and_update<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            // A session that was never read is based on nothing, so whatever is stored is a conflict.
            self.update(session, Some(session.original().unwrap_or_default())).await
        })
    }

    fn delete_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.check(id)?;
            match self.cluster {
                true => {
                    self.delete_one(
                        &SCRIPTS.in_slots.delete,
                        Deletion { id, user_id: None, only_theirs: false },
                        "",
                    )
                    .await
                }
                false => self.look_up_and_delete(id).await,
            }
        })
    }

    fn delete_loaded<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.check(&session.id)?;
            match self.cluster {
                true => self.delete_one(&SCRIPTS.in_slots.delete, Deletion::of(session), "").await,
                false => Ok(self
                    .run_one(self.delete_call(&session.user_id, [session.id.as_str()]))
                    .await?
                    == scripts::DONE),
            }
        })
    }

    fn compare_and_delete<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.check(&session.id)?;
            let read = sha1(session.original().unwrap_or_default());
            match self.cluster {
                true => self
                    .delete_one(&SCRIPTS.in_slots.compare_and_delete, Deletion::of(session), &read)
                    .await
                    .map(drop),
                false => self.run_one(self.compare_and_delete_call(session, &read)).await.map(drop),
            }
        })
    }

    fn list_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, SessionList> {
        Box::pin(async move {
            let ids = self.index_ids(user_id).await?;
            let mut list = SessionList::default();
            for (id, record) in ids.iter().zip(self.records(&ids).await?) {
                let Some(record) = record else { continue };
                match read(id, &record) {
                    Ok(session) if session.user_id == user_id => list.sessions.push(session),
                    _ => list.corrupt += 1,
                }
            }
            Ok(list)
        })
    }

    fn exists<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.check(id)?;
            Ok(self.client.exists([self.keys.record(id)]).await? > 0)
        })
    }

    fn set_ttl<'a>(&'a self, id: &'a str, ttl: Duration) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.set_ttl_loaded(&self.retrieve_session(id).await?, ttl).await })
    }

    fn set_ttl_loaded<'a>(&'a self, session: &'a Session, ttl: Duration) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.expire(session, ttl, "set").await.map(drop) })
    }

    fn touch<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Touched> {
        Box::pin(async move { self.touch_loaded(&self.retrieve_session(id).await?, false).await })
    }

    fn touch_loaded<'a>(
        &'a self,
        session: &'a Session,
        automatic: bool,
    ) -> StoreFuture<'a, Touched> {
        Box::pin(async move {
            let mode = if automatic { "auto" } else { "touch" };
            Ok(match self.expire(session, self.default_ttl(), mode).await? {
                scripts::PINNED => Touched::Pinned,
                scripts::LONGER => Touched::AlreadyLonger,
                _ => Touched::Extended,
            })
        })
    }

    fn batch_store_sessions<'a>(&'a self, sessions: &'a [Session]) -> BoxFuture<'a, BatchOutcome> {
        Box::pin(self.store_batch(sessions))
    }

    fn batch_delete_sessions<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, BatchOutcome> {
        Box::pin(self.delete_batch(ids))
    }

    fn reconcile<'a>(
        &'a self,
        puts: &'a [PendingPut],
    ) -> BoxFuture<'a, Vec<Result<Reconciled, SessionError>>> {
        Box::pin(self.reconcile_batch(puts))
    }

    /// `used_memory` of `INFO`; `None` where the server does not say, and on a cluster, where one node would say it for itself.
    fn memory_used(&self) -> StoreFuture<'_, Option<u64>> {
        Box::pin(async move {
            self.check_open()?;
            if self.cluster {
                return Ok(None);
            }
            let info: String = self.client.run(cmd("INFO").arg("memory")).await?;
            let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
            Ok(used.and_then(|bytes| bytes.trim().parse().ok()))
        })
    }

    /// A write and a read: a server that is read-only or full answers `PING` all the same.
    fn probe(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.check_open()?;
            let key = format!("session_probe:{}", uuid::Uuid::new_v4());
            self.client
                .set(&key, "1")
                .ex(Duration::from_secs(10))
                .no_retry()
                .deadline(PROBE_DEADLINE)
                .await?;
            let read: Option<String> =
                self.client.get(&key).no_retry().deadline(PROBE_DEADLINE).await?;
            match read.as_deref() {
                Some("1") => Ok(()),
                _ => Err(Error::custom(
                    ErrorKind::Io,
                    Outcome::NotApplied,
                    "what was written cannot be read",
                )
                .into()),
            }
        })
    }

    fn cleanup_expired_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            let (ids, twice) = self.listed_ids(user_id).await?;
            let expired = match self.cluster {
                true => {
                    self.prune(user_id, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await?
                }
                false => {
                    self.count_over(&ids, |chunk| self.prune_call(user_id, twice, chunk)).await?
                }
            };
            observe::sessions_expired(Place::Redis, expired);
            Ok(expired)
        })
    }

    fn delete_user_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            let ids = self.index_ids(user_id).await?;
            match self.cluster {
                true => self.delete_all(user_id, &ids).await,
                false => {
                    self.count_over(&ids, |chunk| {
                        self.delete_call(user_id, chunk.iter().map(String::as_str))
                    })
                    .await
                }
            }
        })
    }

    fn health(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.check_open()?;
            self.client.ping().await?;
            Ok(())
        })
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        self.shared.closed.store(true, Ordering::Release);
        Box::pin(async { Ok(()) })
    }

    fn default_ttl(&self) -> Duration {
        Duration::from_millis(self.shared.default_ttl.load(Ordering::Relaxed))
    }

    fn set_default_ttl(&self, ttl: Duration) {
        self.shared.default_ttl.store(millis(ttl), Ordering::Relaxed);
    }
}
