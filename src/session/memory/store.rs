//! [`SessionStore`] for sessions in memory: nothing waits, so every future is ready.

use super::{InMemorySessionStore, Mode, nanos};
use crate::clock;
use crate::platform::BoxFuture;
use crate::session::error::SessionError;
use crate::session::reconcile::TtlRule;
use crate::session::record::Session;
use crate::session::store::{BatchOutcome, SessionList, SessionStore, StoreFuture, Touched};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn ready<'a, T: crate::MaybeSend + 'a>(result: Result<T, SessionError>) -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(result))
}

impl SessionStore for InMemorySessionStore {
    fn store_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        ready(self.write(session, true))
    }

    fn create_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        ready(self.write(session, false))
    }

    fn retrieve_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Session> {
        ready(self.inner.read(id).map(Arc::unwrap_or_clone))
    }

    fn update_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        ready(self.inner.update(session, false))
    }

    fn compare_and_update<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        ready(self.inner.update(session, true))
    }

    fn delete_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool> {
        ready(self.inner.delete(id, None))
    }

    fn compare_and_delete<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        let deleted = self.inner.delete(&session.id, Some(session.revision()));
        ready(
            deleted.and_then(|existed| if existed { Ok(()) } else { Err(SessionError::NotFound) }),
        )
    }

    fn list_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, SessionList> {
        ready(self.inner.ids(user_id).map(|ids| {
            let found = ids.iter().filter_map(|id| self.inner.read(id).ok());
            let sessions = found
                .filter(|session| session.user_id == user_id)
                .map(Arc::unwrap_or_clone)
                .collect();
            SessionList { sessions, ..SessionList::default() }
        }))
    }

    fn exists<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool> {
        ready(match self.inner.with(id, |_| Ok(())) {
            Ok(()) => Ok(true),
            Err(SessionError::NotFound) => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn set_ttl<'a>(&'a self, id: &'a str, ttl: Duration) -> StoreFuture<'a, ()> {
        ready(
            self.inner.read(id).and_then(|session| self.expire(&session, ttl, Mode::Set)).map(drop),
        )
    }

    fn set_ttl_loaded<'a>(&'a self, session: &'a Session, ttl: Duration) -> StoreFuture<'a, ()> {
        ready(self.expire(session, ttl, Mode::Set).map(drop))
    }

    fn touch<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Touched> {
        ready(
            self.inner.read(id).and_then(|session| self.expire(&session, self.ttl(), Mode::ByHand)),
        )
    }

    fn touch_loaded<'a>(
        &'a self,
        session: &'a Session,
        automatic: bool,
    ) -> StoreFuture<'a, Touched> {
        let mode = if automatic { Mode::Automatic } else { Mode::ByHand };
        ready(self.expire(session, self.ttl(), mode))
    }

    fn batch_store_sessions<'a>(&'a self, sessions: &'a [Session]) -> BoxFuture<'a, BatchOutcome> {
        let results =
            sessions.iter().map(|session| (session.id.clone(), self.write(session, true)));
        Box::pin(std::future::ready(BatchOutcome::new(results.collect())))
    }

    fn batch_delete_sessions<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, BatchOutcome> {
        let results = ids.iter().map(|id| (id.clone(), self.inner.delete(id, None).map(drop)));
        Box::pin(std::future::ready(BatchOutcome::new(results.collect())))
    }

    fn follow<'a>(&'a self, session: &'a Session, rule: TtlRule) -> StoreFuture<'a, ()> {
        let left = |at: DateTime<Utc>| (at - clock::utc_now()).to_std().unwrap_or_default();
        ready(match rule {
            TtlRule::Keep => Ok(()),
            TtlRule::Slide(at) => self.expire(session, left(at), Mode::Automatic).map(drop),
            TtlRule::Set(at) => self.expire(session, left(at), Mode::Set).map(drop),
        })
    }

    fn memory_used(&self) -> StoreFuture<'_, Option<u64>> {
        ready(Ok(Some(self.bytes() as u64)))
    }

    fn cleanup_expired_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        ready(
            self.inner
                .ids(user_id)
                .map(|ids| ids.iter().filter(|id| self.inner.remove_expired(id)).count()),
        )
    }

    fn delete_user_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        ready(self.inner.ids(user_id).map(|ids| {
            ids.iter().filter(|id| self.inner.delete(id, None).unwrap_or(false)).count()
        }))
    }

    fn health(&self) -> StoreFuture<'_, ()> {
        ready(self.inner.check_open())
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        self.inner.closed.store(true, Ordering::Release);
        ready(Ok(()))
    }

    fn default_ttl(&self) -> Duration {
        self.ttl()
    }

    fn set_default_ttl(&self, ttl: Duration) {
        self.default_ttl.store(nanos(ttl), Ordering::Relaxed);
    }
}
