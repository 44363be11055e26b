//! A store as somebody else would write it, by what is public: each record is a text, with a condition on its writes.

use redis_rest::session::{
    BatchOutcome, Conflict, Decision, PendingPut, Reconciled, Session, SessionError, SessionList,
    SessionStore, StoreFuture, Touched, TtlRule,
};
use redis_rest::testing::conformance::sessions::{self, Harness};
use redis_rest::{BoxFuture, each_session_case};
use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// In milliseconds of the store's own clock.
type Time = u64;

const GONE_FOR: Time = 60_000;

#[derive(Default)]
struct Rows {
    now: Time,
    records: HashMap<String, Row>,
    /// Until when what was deleted cannot be stored again.
    gone: HashMap<String, Time>,
    /// Users by the ids that are listed, in the order of their first store.
    listed: BTreeMap<(u64, String), String>,
    places: u64,
}

struct Row {
    text: String,
    until: Time,
    pinned: bool,
}

struct Foreign {
    rows: Arc<Mutex<Rows>>,
    ttl: AtomicU64,
    closed: AtomicBool,
}

type Answer<T> = Result<T, SessionError>;

fn millis(time: Duration) -> Time {
    u64::try_from(time.as_millis().max(1)).unwrap_or(u64::MAX)
}

fn done<'a, T: Send + 'a>(answer: Answer<T>) -> StoreFuture<'a, T> {
    Box::pin(ready(answer))
}

impl Rows {
    fn find(&self, id: &str) -> Answer<Session> {
        let row = self
            .records
            .get(id)
            .filter(|row| row.until > self.now)
            .ok_or(SessionError::NotFound)?;
        Session::from_json(&row.text)
    }

    fn put(&mut self, session: &Session, ttl: Time, replace: bool) -> Answer<()> {
        let text = session.to_json()?;
        match self.find(&session.id) {
            _ if self.gone.get(&session.id).is_some_and(|until| *until > self.now) => {
                return Err(SessionError::Conflict(Conflict::Deleted));
            }
            Ok(_) if !replace => return Err(SessionError::Conflict(Conflict::Exists)),
            Ok(old) if old.user_id != session.user_id => {
                return Err(SessionError::Conflict(Conflict::UserChanged));
            }
            _ => {}
        }
        if !self.listed.keys().any(|(_, id)| *id == session.id) {
            self.places += 1;
            self.listed.insert((self.places, session.id.clone()), session.user_id.clone());
        }
        let row = Row { text, until: self.now.saturating_add(ttl), pinned: false };
        self.records.insert(session.id.clone(), row);
        Ok(())
    }

    fn update(&mut self, session: &Session, only_over: Option<Option<&str>>) -> Answer<()> {
        let stored = self.find(&session.id)?;
        if only_over.is_some_and(|read| read != stored.original()) {
            return Err(SessionError::Conflict(Conflict::Changed));
        }
        if stored.user_id != session.user_id {
            return Err(SessionError::Conflict(Conflict::UserChanged));
        }
        let text = session.to_json()?;
        self.records.get_mut(&session.id).into_iter().for_each(|row| row.text.clone_from(&text));
        Ok(())
    }

    fn delete(&mut self, id: &str) -> bool {
        let existed = self.find(id).is_ok();
        self.records.remove(id);
        self.listed.retain(|(_, listed), _| listed != id);
        self.gone.insert(id.to_owned(), self.now + GONE_FOR);
        existed
    }

    /// `None`: to the letter, and from then on pinned.
    fn expire(&mut self, id: &str, ttl: Time, automatic: Option<bool>) -> Answer<Touched> {
        self.find(id)?;
        let until = self.now.saturating_add(ttl);
        let row = self.records.get_mut(id).ok_or(SessionError::NotFound)?;
        match automatic {
            Some(true) if row.pinned => return Ok(Touched::Pinned),
            Some(_) if row.until >= until => return Ok(Touched::AlreadyLonger),
            Some(_) => {}
            None => row.pinned = true,
        }
        row.until = until;
        Ok(Touched::Extended)
    }

    fn reconcile(&mut self, put: &PendingPut, ttl: Time) -> Answer<Reconciled> {
        let id = &put.session.id;
        let stored = match self.find(id) {
            Ok(stored) => Some(stored),
            Err(SessionError::NotFound) => None,
            Err(error) => return Err(error),
        };
        let decision = put.decide(stored.as_ref())?;
        let text = decision.text()?;
        match &decision {
            Decision::Create(version) => match self.put(version, ttl, false) {
                Err(SessionError::Conflict(Conflict::Deleted)) => return Ok(Reconciled::Gone),
                result => result?,
            },
            Decision::Replace { version, .. } => self.update(version, Some(version.original()))?,
            _ => return Ok(decision.written(&text)),
        }
        let left = |at: chrono::DateTime<chrono::Utc>| {
            millis((at - chrono::Utc::now()).to_std().unwrap_or_default())
        };
        match put.ttl {
            TtlRule::Slide(at) => self.expire(id, left(at), Some(true)).map(drop)?,
            TtlRule::Set(at) => self.expire(id, left(at), None).map(drop)?,
            _ => {}
        }
        Ok(decision.written(&text))
    }

    fn ids(&self, user_id: &str) -> Vec<String> {
        self.listed
            .iter()
            .filter(|(_, user)| *user == user_id)
            .map(|((_, id), _)| id.clone())
            .collect()
    }
}

impl Foreign {
    fn rows(&self, ids: &[&str]) -> Answer<MutexGuard<'_, Rows>> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        match ids.iter().all(|id| {
            (1..=128).contains(&id.len()) && *id != "." && *id != ".." && id.bytes().all(plain)
        }) {
            _ if self.closed.load(Ordering::SeqCst) => Err(SessionError::Closed),
            false => Err(SessionError::InvalidId),
            true => Ok(self.rows.lock().unwrap()),
        }
    }

    fn ttl(&self) -> Time {
        self.ttl.load(Ordering::SeqCst)
    }
}

impl SessionStore for Foreign {
    fn store_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        done(self.rows(&[&session.id]).and_then(|mut rows| rows.put(session, self.ttl(), true)))
    }

    fn create_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        done(self.rows(&[&session.id]).and_then(|mut rows| rows.put(session, self.ttl(), false)))
    }

    fn retrieve_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Session> {
        done(self.rows(&[id]).and_then(|rows| rows.find(id)))
    }

    fn update_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        done(self.rows(&[&session.id]).and_then(|mut rows| rows.update(session, None)))
    }

    fn compare_and_update<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        done(
            self.rows(&[&session.id])
                .and_then(|mut rows| rows.update(session, Some(session.original()))),
        )
    }

    fn delete_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool> {
        done(self.rows(&[id]).map(|mut rows| rows.delete(id)))
    }

    fn compare_and_delete<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        done(self.rows(&[&session.id]).and_then(|mut rows| {
            if rows.find(&session.id)?.original() != session.original() {
                return Err(SessionError::Conflict(Conflict::Changed));
            }
            rows.delete(&session.id);
            Ok(())
        }))
    }

    fn list_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, SessionList> {
        done(self.rows(&[]).map(|rows| {
            SessionList::new(rows.ids(user_id).iter().filter_map(|id| rows.find(id).ok()).collect())
        }))
    }

    fn exists<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool> {
        done(self.rows(&[id]).map(|rows| rows.find(id).is_ok()))
    }

    fn set_ttl<'a>(&'a self, id: &'a str, ttl: Duration) -> StoreFuture<'a, ()> {
        done(self.rows(&[id]).and_then(|mut rows| rows.expire(id, millis(ttl), None)).map(drop))
    }

    fn touch<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Touched> {
        done(self.rows(&[id]).and_then(|mut rows| rows.expire(id, self.ttl(), Some(false))))
    }

    fn touch_loaded<'a>(
        &'a self,
        session: &'a Session,
        automatic: bool,
    ) -> StoreFuture<'a, Touched> {
        done(
            self.rows(&[&session.id])
                .and_then(|mut rows| rows.expire(&session.id, self.ttl(), Some(automatic))),
        )
    }

    fn batch_store_sessions<'a>(&'a self, sessions: &'a [Session]) -> BoxFuture<'a, BatchOutcome> {
        let store = |session: &Session| {
            self.rows(&[&session.id]).and_then(|mut rows| rows.put(session, self.ttl(), true))
        };
        let results = sessions.iter().map(|session| (session.id.clone(), store(session))).collect();
        Box::pin(ready(BatchOutcome::new(results)))
    }

    fn batch_delete_sessions<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, BatchOutcome> {
        let results = ids
            .iter()
            .map(|id| (id.clone(), self.rows(&[id]).map(|mut rows| rows.delete(id)).map(drop)))
            .collect();
        Box::pin(ready(BatchOutcome::new(results)))
    }

    fn reconcile<'a>(&'a self, puts: &'a [PendingPut]) -> BoxFuture<'a, Vec<Answer<Reconciled>>> {
        let one = |put: &PendingPut| self.rows(&[&put.session.id])?.reconcile(put, self.ttl());
        Box::pin(ready(puts.iter().map(one).collect()))
    }

    fn cleanup_expired_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        done(self.rows(&[]).map(|mut rows| {
            let over: Vec<String> =
                rows.ids(user_id).into_iter().filter(|id| rows.find(id).is_err()).collect();
            rows.listed.retain(|(_, id), _| !over.contains(id));
            over.len()
        }))
    }

    fn delete_user_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        done(
            self.rows(&[])
                .map(|mut rows| rows.ids(user_id).iter().filter(|id| rows.delete(id)).count()),
        )
    }

    fn health(&self) -> StoreFuture<'_, ()> {
        done(self.rows(&[]).map(drop))
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        self.closed.store(true, Ordering::SeqCst);
        done(Ok(()))
    }

    fn default_ttl(&self) -> Duration {
        Duration::from_millis(self.ttl())
    }

    fn set_default_ttl(&self, ttl: Duration) {
        self.ttl.store(millis(ttl), Ordering::SeqCst);
    }
}

struct Shared(Arc<Mutex<Rows>>);

impl Harness for Shared {
    fn store(&self, ttl: Duration) -> Arc<dyn SessionStore> {
        Arc::new(Foreign {
            rows: Arc::clone(&self.0),
            ttl: AtomicU64::new(millis(ttl)),
            closed: AtomicBool::new(false),
        })
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        self.0.lock().unwrap().now += millis(time);
        Box::pin(ready(()))
    }
}

macro_rules! each_case {
    ($($case:ident)*) => {
        $(#[tokio::test]
        async fn $case() {
            sessions::$case(&Shared(Arc::default())).await;
        })*
    };
}
each_session_case!(each_case);
