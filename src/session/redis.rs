//! [`RedisSessionStore`]: sessions in Redis, over any backend.

use super::batch::CHUNK;
use super::error::SessionError;
use super::index::{self, IndexLayout};
use super::reconcile::{PendingPut, Reconciled};
use super::record::Session;
use super::scripts::{self, SCRIPTS};
use super::store::{BatchOutcome, SessionList, SessionStore, StoreFuture, Touched};
use super::{duration, id};
use crate::client::Client;
use crate::clock;
use crate::command::cmd;
use crate::command::groups::millis;
use crate::error::{Error, ErrorKind, Outcome};
use crate::observe::{self, Place, Retrieval};
use crate::platform::{self, BoxFuture};
use crate::script::Call;
use crate::value::{FromValue, Value};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The default time to live of a session: 24 hours.
pub const DEFAULT_TTL: Duration = Duration::from_secs(24 * 3600);

/// How long a delete is remembered, so that a late copy of an earlier store cannot bring the session back.
const GONE_FOR: Duration = Duration::from_secs(60);

/// How long a probe waits for each of its two requests: a caller may be waiting for it.
const PROBE_DEADLINE: Duration = Duration::from_secs(1);

/// Sessions in Redis. Cheap to clone: clones share the default time to live and [`close`](SessionStore::close).
///
/// One operation is one HTTP request, or two where only an id is given and the user has to be looked up first
/// (`delete_session`, `touch`, `set_ttl`); `list_sessions` takes two. A server that does not know a script yet costs one more,
/// once. Times to live are exact to the millisecond, at least 1 ms and at most 1000 years.
///
/// ```
/// # async fn run(client: redis_rest::Client) -> Result<(), redis_rest::session::SessionError> {
/// use redis_rest::session::{RedisSessionStore, Session, SessionStore};
/// use std::time::Duration;
/// let store = RedisSessionStore::new(client, Duration::from_secs(24 * 3600));
/// let session = Session::new("user-123", "org-456");
/// store.store_session(&session).await?;
/// assert_eq!(store.retrieve_session(&session.id).await?, session);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisSessionStore {
    client: Client,
    layout: IndexLayout,
    max_lifetime: Option<Duration>,
    shared: Arc<Shared>,
}

/// What clones have in common.
struct Shared {
    /// In milliseconds.
    default_ttl: AtomicU64,
    closed: AtomicBool,
    /// Who sets times to live, and how often so far.
    origin: uuid::Uuid,
    stamps: AtomicU64,
}

impl RedisSessionStore {
    /// A store whose sessions live for `ttl` after they were stored or touched.
    pub fn new(client: Client, ttl: Duration) -> Self {
        let shared = Shared {
            default_ttl: AtomicU64::new(millis(ttl)),
            closed: AtomicBool::new(false),
            origin: uuid::Uuid::new_v4(),
            stamps: AtomicU64::new(0),
        };
        Self { client, layout: IndexLayout::default(), max_lifetime: None, shared: Arc::new(shared) }
    }

    /// A store from the environment: the address and token of [`Config::from_env`](crate::Config::from_env), and
    /// `SESSION_TTL`, a duration such as `24h` or `1h30m` (default 24 h).
    ///
    /// # Errors
    /// [`SessionError::Refused`] with [`ErrorKind::Config`], naming what was looked for.
    pub fn from_env() -> Result<Self, SessionError> {
        let ttl = match std::env::var("SESSION_TTL") {
            Ok(text) if !text.trim().is_empty() => duration::parse(text.trim())
                .filter(|ttl| !ttl.is_zero())
                .ok_or_else(|| Error::new(ErrorKind::Config, "SESSION_TTL must be a positive duration such as 24h, 1h30m or 90s"))?,
            _ => DEFAULT_TTL,
        };
        Ok(Self::new(Client::from_env()?, ttl))
    }

    /// Keeps the index in another layout. Every store of the same users must use the same.
    #[must_use]
    pub fn index_layout(mut self, layout: IndexLayout) -> Self {
        self.layout = layout;
        self
    }

    /// No session lives longer than this after its `created_at`, whatever touches or explicit times to live say.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads a session, lets `change` change it, and writes it if nobody else wrote meanwhile; else does so again, at most 16
    /// times. Answers what was written.
    ///
    /// # Errors
    /// [`SessionError::NotFound`]; [`SessionError::Conflict`] when others kept writing; [`SessionError::MaybeApplied`] when a
    /// reply was lost and what happened could not be found out. `change` may run several times, but takes effect at most once.
    pub async fn modify(&self, id: &str, mut change: impl FnMut(&mut Session)) -> Result<Session, SessionError> {
        const TRIES: usize = 16;
        let mut uncertain: Option<(String, SessionError)> = None;
        let mut last = SessionError::NotFound;
        for attempt in 0..TRIES {
            if attempt > 1 {
                // Writers that collided twice come back at different times.
                platform::sleep(Duration::from_millis(4 << attempt.min(6)).mul_f64(platform::random())).await;
            }
            let mut session = self.retrieve_session(id).await?;
            if let Some((written, error)) = uncertain.take() {
                match session.original_text() {
                    Some(text) if text == written => return Ok(session),
                    // Ours may have been written and replaced since: changing again could change twice.
                    _ => return Err(error),
                }
            }
            change(&mut session);
            let text = session.to_json()?;
            match self.compare_and_update(&session).await {
                Ok(()) => {
                    session.written_as(&text);
                    return Ok(session);
                }
                Err(error @ SessionError::MaybeApplied(_)) => {
                    uncertain = Some((text, error.clone()));
                    last = error;
                }
                Err(error @ SessionError::Conflict(super::Conflict::Changed)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Moves a user's index to the layout of this store; true when it was in the other. Ids of sessions that are gone are left
    /// behind.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] when the index kept changing.
    pub async fn migrate_index(&self, user_id: &str) -> Result<bool, SessionError> {
        const TRIES: usize = 5;
        self.check_open()?;
        let key = id::index_key(user_id);
        for _ in 0..TRIES {
            let call = match self.layout {
                IndexLayout::JsonArray => SCRIPTS.to_json.key(&key).arg(scripts::name(self.layout)),
                IndexLayout::SortedSet => {
                    let reply: Result<Option<Bytes>, Error> = self.client.get(&key).await;
                    let text = match reply {
                        Ok(Some(text)) => text,
                        Ok(None) => return Ok(false),
                        Err(error) if error.redis_code() == Some("WRONGTYPE") => return Ok(false),
                        Err(error) => return Err(error.into()),
                    };
                    let sha1 = sha1_smol::Sha1::from(&text).digest().to_string();
                    let ids = index::ids(Ok(Value::Bytes(text)))?;
                    let call = SCRIPTS.to_sorted_set.key(&key).arg(scripts::name(self.layout)).arg(sha1).args(&ids);
                    ids.iter().fold(call, |call, id| call.key(id::record_key(id)))
                }
            };
            match call.call::<Value>().on(&self.client).await? {
                Value::Int(scripts::MOVED) if self.layout == IndexLayout::JsonArray => return Ok(false),
                Value::Int(scripts::MOVED) => {}
                _ => return Ok(true),
            }
        }
        Err(scripts::refusal(scripts::MOVED))
    }

    fn check_open(&self) -> Result<(), SessionError> {
        if self.shared.closed.load(Ordering::Acquire) { Err(SessionError::Closed) } else { Ok(()) }
    }

    pub(super) fn check(&self, id: &str) -> Result<(), SessionError> {
        self.check_open()?;
        id::check(id)
    }

    /// `ttl` in milliseconds, cut to what the absolute lifetime leaves.
    pub(super) fn ttl_millis(&self, ttl: Duration, created_at: DateTime<Utc>) -> u64 {
        let Some(most) = self.max_lifetime else { return millis(ttl) };
        let age = (clock::utc_now() - created_at).to_std().unwrap_or_default();
        millis(ttl.min(most.saturating_sub(age)))
    }

    /// Marks a time to live that is set now as later than those set before by this store and its clones.
    pub(super) fn stamp(&self) -> String {
        format!("{}:{}", self.shared.origin.simple(), self.shared.stamps.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn index(&self, script: &crate::Script, user_id: &str) -> Call {
        script.key(id::index_key(user_id)).arg(scripts::name(self.layout))
    }

    /// The call that stores sessions of one user, given with their records.
    pub(super) fn store_call(&self, script: &crate::Script, mode: &str, sessions: &[(&Session, &str)]) -> Call {
        let user_id = sessions.first().map_or("", |(session, _)| &session.user_id);
        sessions.iter().fold(self.index(script, user_id).arg(mode), |call, (session, record)| {
            call.key(id::record_key(&session.id))
                .key(id::gone_key(&session.id))
                .key(id::pinned_key(&session.id))
                .arg(&session.id)
                .arg(user_id)
                .arg(*record)
                .arg(self.ttl_millis(self.default_ttl(), session.created_at))
        })
    }

    pub(super) fn delete_call<'a>(&self, user_id: &str, ids: impl IntoIterator<Item = &'a str>) -> Call {
        let call = self.index(&SCRIPTS.delete, user_id).arg(millis(GONE_FOR));
        ids.into_iter().fold(call, |call, id| call.key(id::record_key(id)).key(id::gone_key(id)).key(id::pinned_key(id)).arg(id))
    }

    /// The call that marks a session as gone, or answers its record.
    pub(super) fn mark_call(&self, id: &str) -> Call {
        SCRIPTS.mark_gone.key(id::record_key(id)).key(id::gone_key(id)).key(id::pinned_key(id)).arg(millis(GONE_FOR))
    }

    /// Runs a script that answers one code.
    async fn run_one(&self, call: Call) -> Result<i64, SessionError> {
        let value = call.call::<Value>().on(&self.client).await?;
        codes(value, 1)?.pop().unwrap_or(Err(SessionError::Corrupt { field: "record" }))
    }

    async fn expire(&self, session: &Session, ttl: Duration, mode: &str) -> Result<i64, SessionError> {
        self.check(&session.id)?;
        let ttl = self.ttl_millis(ttl, session.created_at);
        let call = self.index(&SCRIPTS.expire, &session.user_id).key(id::record_key(&session.id)).key(id::pinned_key(&session.id));
        self.run_one(call.arg(&session.id).arg(ttl).arg(mode).arg(self.stamp())).await
    }

    async fn update(&self, session: &Session, replaces: Option<&str>) -> Result<(), SessionError> {
        self.check(&session.id)?;
        let record = session.to_json()?;
        let (script, sha1) = match replaces {
            Some(text) => (&SCRIPTS.compare_and_update, sha1_smol::Sha1::from(text).digest().to_string()),
            None => (&SCRIPTS.update, String::new()),
        };
        let call = script.key(id::record_key(&session.id)).arg(&session.user_id).arg(record).arg(sha1);
        self.run_one(call).await.map(drop)
    }

    /// The ids in a user's index.
    async fn index_ids(&self, user_id: &str) -> Result<Vec<String>, SessionError> {
        self.check_open()?;
        index::ids(index::read(self.layout, &id::index_key(user_id)).on(&self.client).await)
    }

    /// The raw records of sessions, in few pipelined commands of one request (more only where the request limit asks for it).
    pub(super) async fn records(&self, ids: &[String]) -> Result<Vec<Option<Bytes>>, SessionError> {
        let mut pipe = self.client.pipeline();
        for chunk in ids.chunks(CHUNK) {
            let keys: Vec<_> = chunk.iter().map(|id| id::record_key(id)).collect();
            let _ = pipe.add_raw::<Value>(cmd("MGET").args(keys));
        }
        let chunks: Vec<Vec<Option<Bytes>>> = pipe.send().await?.all()?;
        Ok(chunks.into_iter().flatten().collect())
    }

    /// Runs `call` over chunks of `ids` and counts the sessions that took the change.
    async fn count_over(&self, ids: &[String], call: impl Fn(&[String]) -> Call) -> Result<usize, SessionError> {
        let mut count = 0;
        for chunk in ids.chunks(10 * CHUNK) {
            let value = call(chunk).call::<Value>().on(&self.client).await?;
            count += codes(value, chunk.len())?.iter().filter(|code| matches!(code, Ok(scripts::DONE))).count();
        }
        Ok(count)
    }
}

/// The codes of `count` sessions, from the reply of a script.
pub(super) fn codes(value: Value, count: usize) -> Result<Vec<Result<i64, SessionError>>, SessionError> {
    if let Value::Int(code) = value {
        return Err(scripts::refusal(code));
    }
    let codes = Vec::<i64>::from_value(value).map_err(Error::from)?;
    if codes.len() != count {
        return Err(Error::new(ErrorKind::Conversion, "a script answered for another number of sessions").into());
    }
    Ok(codes.into_iter().map(|code| if code < 0 { Err(scripts::refusal(code)) } else { Ok(code) }).collect())
}

/// Shows nothing of the address or of sessions.
impl fmt::Debug for RedisSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessionStore").field("default_ttl", &self.default_ttl()).field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// Reads a record, which must be the one that was asked for.
pub(super) fn read(id: &str, record: &[u8]) -> Result<Session, SessionError> {
    let session = Session::from_json(record)?;
    if session.id == id { Ok(session) } else { Err(SessionError::Corrupt { field: "id" }) }
}

/// The user of a record, for its index. A record that cannot be read has none: deleting it leaves its id to a clean-up.
pub(super) fn owner(record: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Owner {
        user_id: String,
    }
    serde_json::from_slice(record).map_or_else(|_| String::new(), |owner: Owner| owner.user_id)
}

impl SessionStore for RedisSessionStore {
    fn store_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.check(&session.id)?;
            let record = session.to_json()?;
            self.run_one(self.store_call(&SCRIPTS.store, "store", &[(session, &record)])).await.map(drop)
        })
    }

    fn create_session<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.check(&session.id)?;
            let record = session.to_json()?;
            self.run_one(self.store_call(&SCRIPTS.create, "create", &[(session, &record)])).await.map(drop)
        })
    }

    fn retrieve_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Session> {
        Box::pin(async move {
            self.check(id)?;
            let retrieval = Retrieval::begin(Place::Redis);
            let reply: Result<Option<Bytes>, Error> = self.client.get(id::record_key(id)).await;
            let result = reply.map_err(SessionError::from).and_then(|record| read(id, &record.ok_or(SessionError::NotFound)?));
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
            self.update(session, Some(session.original_text().unwrap_or_default())).await
        })
    }

    fn delete_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.check(id)?;
            let key = id::record_key(id);
            let mut record: Option<Bytes> = self.client.get(&key).await?;
            loop {
                if let Some(found) = &record {
                    return Ok(self.run_one(self.delete_call(&owner(found), [id])).await? == scripts::DONE);
                }
                // Not there: leave the mark, unless it came meanwhile.
                record = self.mark_call(id).call().on(&self.client).await?;
                if record.is_none() {
                    return Ok(false);
                }
            }
        })
    }

    fn delete_loaded<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.check(&session.id)?;
            Ok(self.run_one(self.delete_call(&session.user_id, [session.id.as_str()])).await? == scripts::DONE)
        })
    }

    fn compare_and_delete<'a>(&'a self, session: &'a Session) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.check(&session.id)?;
            let read = sha1_smol::Sha1::from(session.original_text().unwrap_or_default()).digest().to_string();
            let call = self.index(&SCRIPTS.compare_and_delete, &session.user_id).arg(millis(GONE_FOR)).arg(&session.id).arg(read);
            let call = call.key(id::record_key(&session.id)).key(id::gone_key(&session.id)).key(id::pinned_key(&session.id));
            self.run_one(call).await.map(drop)
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
            Ok(self.client.exists([id::record_key(id)]).await? > 0)
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

    fn touch_loaded<'a>(&'a self, session: &'a Session, automatic: bool) -> StoreFuture<'a, Touched> {
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

    fn reconcile<'a>(&'a self, puts: &'a [PendingPut]) -> BoxFuture<'a, Vec<Result<Reconciled, SessionError>>> {
        Box::pin(self.reconcile_batch(puts))
    }

    /// `used_memory` of `INFO`; `None` where the server does not say.
    fn memory_used(&self) -> StoreFuture<'_, Option<u64>> {
        Box::pin(async move {
            self.check_open()?;
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
            self.client.set(&key, "1").ex(Duration::from_secs(10)).no_retry().deadline(PROBE_DEADLINE).await?;
            let read: Option<String> = self.client.get(&key).no_retry().deadline(PROBE_DEADLINE).await?;
            match read.as_deref() {
                Some("1") => Ok(()),
                _ => Err(Error::custom(ErrorKind::Io, Outcome::NotApplied, "what was written cannot be read").into()),
            }
        })
    }

    fn cleanup_expired_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            let ids = self.index_ids(user_id).await?;
            let call = |chunk: &[String]| {
                let call = self.index(&SCRIPTS.prune, user_id);
                chunk.iter().fold(call, |call, id| call.key(id::record_key(id)).arg(id))
            };
            let expired = self.count_over(&ids, call).await?;
            observe::sessions_expired(Place::Redis, expired);
            Ok(expired)
        })
    }

    fn delete_user_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            let ids = self.index_ids(user_id).await?;
            self.count_over(&ids, |chunk| self.delete_call(user_id, chunk.iter().map(String::as_str))).await
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
