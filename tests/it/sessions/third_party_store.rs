//! A third-party store that uses only the public interface: rows in a table, each with its version
//! and the remembered state of its id.

use redis_rest::conformance::sessions::{self, Harness};
use redis_rest::session::{
    ChangeId, Check, Delete, Listed, Marks, Mode, REQUEST_LIFETIME, Session, SessionError,
    SessionStore, StoreFuture, StoreHealth, Stored, TtlRule, Version, When, Write, Written,
};
use redis_rest::{BoxFuture, each_long_session_case, each_session_case};
use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Milliseconds of the store's own clock.
type Time = u64;

#[derive(Default)]
struct Rows {
    now: Time,
    rows: HashMap<String, Row>,
    /// Ids and users, in the order of their creation.
    index: Vec<(String, String)>,
    log_outs: HashMap<String, (Marks, Time)>,
}

/// A session while `live`, and the remembered state of its id.
#[derive(Clone)]
struct Row {
    live: Option<Live>,
    remembered_until: Time,
    deleted: Option<(ChangeId, Time, bool)>,
}

#[derive(Clone)]
struct Live {
    text: String,
    version: Version,
    until: Time,
}

struct ThirdPartyStore {
    rows: Arc<Mutex<Rows>>,
    ttl: Duration,
}

fn millis(time: Duration) -> Time {
    u64::try_from(time.as_nanos().div_ceil(1_000_000).max(1)).unwrap_or(u64::MAX / 2)
}

fn done<'a, T: Send + 'a>(answer: Result<T, SessionError>) -> StoreFuture<'a, T> {
    Box::pin(ready(answer))
}

fn check(id: &str) -> Result<(), SessionError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let valid = (1..=128).contains(&id.len()) && id.bytes().all(plain) && id != "." && id != "..";
    if valid { Ok(()) } else { Err(SessionError::InvalidId) }
}

impl Rows {
    /// Returns the row of an id, unless it has expired.
    fn row(&self, id: &str) -> Option<Row> {
        let mut row = self.rows.get(id)?.clone();
        row.live = row.live.filter(|live| live.until > self.now);
        (row.live.is_some() || row.remembered_until > self.now).then_some(row)
    }

    fn stored(&self, live: Live) -> Result<Stored, SessionError> {
        let ttl = Some(Duration::from_millis(live.until - self.now));
        Ok(Stored { session: Session::from_json(&live.text)?, version: live.version, ttl })
    }

    fn get(&self, id: &str) -> Result<Stored, SessionError> {
        check(id)?;
        self.stored(self.row(id).and_then(|row| row.live).ok_or(SessionError::NotFound)?)
    }

    fn marks(&self, user: &str) -> Marks {
        let kept = self.log_outs.get(user).filter(|(_, until)| *until > self.now);
        kept.map(|(marks, _)| marks.clone()).unwrap_or_default()
    }

    fn write(&mut self, write: &Write<'_>, default: Duration) -> Result<Written, SessionError> {
        let session = write.session;
        check(&session.id)?;
        let text = session.to_json()?;
        let row = self.row(&session.id);
        let live = row.as_ref().and_then(|row| row.live.clone());
        let (version, before) = match (write.mode, live) {
            (_, Some(live)) if live.version.is_of(write.id) => {
                return Ok(Written::Written {
                    version: live.version,
                    ttl: Some(Duration::from_millis(live.until - self.now)),
                });
            }
            (Mode::Create { .. }, Some(live)) => {
                return Ok(Written::Exists(Box::new(self.stored(live)?)));
            }
            (Mode::Create { marks, reuse }, None) => {
                let minute = millis(REQUEST_LIFETIME);
                let deleted = row.as_ref().and_then(|row| row.deleted);
                let just_deleted = deleted.is_some_and(|(_, at, _)| at + minute > self.now);
                if row.is_some() && (!reuse || just_deleted) {
                    return Ok(Written::Gone);
                }
                let log_outs = self.marks(&session.user_id);
                if !log_outs.is_subset(marks) {
                    return Ok(Written::LoggedOut(log_outs));
                }
                self.index.retain(|(id, _)| *id != session.id);
                self.index.push((session.id.clone(), session.user_id.clone()));
                (Version::created(write), None)
            }
            (Mode::Replace(_), None) => return Ok(Written::Gone),
            (Mode::Replace(expected), Some(live)) if live.version != *expected => {
                return Ok(Written::Changed(Box::new(self.stored(live)?)));
            }
            (Mode::Replace(_), Some(live)) => {
                let explicit = live.version.has_explicit_ttl();
                (live.version.replaced(write), Some((live.until, explicit)))
            }
        };
        let ends = |ttl: Duration| self.now.saturating_add(millis(ttl));
        let until = match (write.ttl, before) {
            (TtlRule::Keep, None) => ends(default),
            (TtlRule::Keep, Some((until, _))) | (TtlRule::Slide(_), Some((until, true))) => until,
            (TtlRule::Slide(ttl), Some((until, false))) => until.max(ends(ttl)),
            (TtlRule::Slide(ttl) | TtlRule::Set(ttl) | TtlRule::Restart(ttl), _) => ends(ttl),
        };
        let remembered = until.saturating_add(millis(REQUEST_LIFETIME));
        let remembered_until = row.as_ref().map_or(0, |row| row.remembered_until).max(remembered);
        let deleted = row.and_then(|row| row.deleted);
        let live = Some(Live { text, version: version.clone(), until });
        self.rows.insert(session.id.clone(), Row { live, remembered_until, deleted });
        Ok(Written::Written { version, ttl: Some(Duration::from_millis(until - self.now)) })
    }

    fn delete(&mut self, delete: &Delete<'_>) -> Result<bool, SessionError> {
        check(delete.session)?;
        let row = self.row(delete.session);
        let live = row.as_ref().and_then(|row| row.live.as_ref());
        if let Some((id, _, existed)) = row.as_ref().and_then(|row| row.deleted)
            && id == delete.id
        {
            return Ok(existed);
        }
        let applies = match (delete.when, live) {
            (When::Always, _) | (When::UnlessKnown(_), None) => true,
            (When::Unchanged(expected), live) => live.is_some_and(|live| live.version == *expected),
            (When::UnlessKnown(log_out), Some(live)) => {
                let user = Session::from_json(&live.text)?.user_id;
                let theirs = delete.user_id.is_none_or(|user_id| user_id == user);
                theirs && !live.version.marks().contains(log_out)
            }
            (When::Made(create), Some(live)) => live.version.has_content(create),
            (When::Made(_), None) => row.is_none(),
        };
        if !applies {
            return Ok(false);
        }
        let existed = live.is_some();
        let until = [
            row.as_ref().map_or(0, |row| row.remembered_until),
            live.map_or(0, |live| live.until),
            self.now + millis(delete.mark_for),
            self.now + millis(REQUEST_LIFETIME),
        ];
        let deleted = Some((delete.id, self.now, existed));
        let remembered_until = until.into_iter().max().unwrap_or_default();
        let row = Row { live: None, remembered_until, deleted };
        self.rows.insert(delete.session.to_owned(), row);
        self.index.retain(|(id, _)| id != delete.session);
        Ok(existed)
    }

    fn ids(&self, user: &str) -> Vec<String> {
        let of_user = self.index.iter().filter(|(_, owner)| owner == user);
        of_user.map(|(id, _)| id.clone()).collect()
    }
}

impl ThirdPartyStore {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }
}

impl SessionStore for ThirdPartyStore {
    fn get<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Vec<Result<Stored, SessionError>>> {
        let rows = self.rows();
        Box::pin(ready(ids.iter().map(|id| rows.get(id)).collect()))
    }

    fn list<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Listed> {
        let rows = self.rows();
        let ids = rows.ids(user_id);
        let sessions = ids.iter().filter_map(|id| rows.get(id).ok()).collect();
        done(Ok(Listed::new(ids, sessions)))
    }

    fn write<'a>(
        &'a self,
        writes: &'a [Write<'a>],
    ) -> BoxFuture<'a, Vec<Result<Written, SessionError>>> {
        let mut rows = self.rows();
        Box::pin(ready(writes.iter().map(|write| rows.write(write, self.ttl)).collect()))
    }

    fn delete<'a>(
        &'a self,
        deletes: &'a [Delete<'a>],
    ) -> BoxFuture<'a, Vec<Result<bool, SessionError>>> {
        let mut rows = self.rows();
        Box::pin(ready(deletes.iter().map(|delete| rows.delete(delete)).collect()))
    }

    fn revoke<'a>(&'a self, user_id: &'a str, log_out: ChangeId) -> StoreFuture<'a, Vec<String>> {
        let mut rows = self.rows();
        let mut marks = rows.marks(user_id);
        if !marks.contains(log_out) {
            marks.insert(log_out);
            let until = rows.now + millis(self.ttl + REQUEST_LIFETIME);
            rows.log_outs.insert(user_id.to_owned(), (marks, until));
        }
        done(Ok(rows.ids(user_id)))
    }

    fn prune<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        let mut rows = self.rows();
        let ids = rows.ids(user_id);
        let over: Vec<String> = ids.into_iter().filter(|id| rows.get(id).is_err()).collect();
        rows.index.retain(|(id, _)| !over.contains(id));
        done(Ok(over.len()))
    }

    fn health(&self, _: Check) -> StoreFuture<'_, StoreHealth> {
        done(Ok(StoreHealth::default()))
    }

    fn default_ttl(&self) -> Duration {
        self.ttl
    }
}

struct Table(Arc<Mutex<Rows>>);

impl Harness for Table {
    fn store(&self, ttl: Duration) -> Arc<dyn SessionStore> {
        Arc::new(ThirdPartyStore { rows: Arc::clone(&self.0), ttl })
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
            sessions::$case(&Table(Arc::default())).await;
        })*
    };
}
each_session_case!(each_case);
each_long_session_case!(each_case);
