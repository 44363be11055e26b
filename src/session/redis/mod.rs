//! [`RedisSessionStore`]: sessions in Redis, over any backend.

mod batch;
mod migrate;
mod modify;
mod one_script;
mod store;
mod two_steps;

use super::error::SessionError;
use super::index::{self, IndexLayout};
use super::keys::Keys;
use super::record::Session;
use super::scripts::{self, SCRIPTS};
use super::store::SessionStore as _;
use super::{duration, id};
use crate::client::Client;
use crate::clock;
use crate::command::cmd;
use crate::command::groups::millis;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::script::{Call, Script};
use crate::value::{FromValue, Value};
use batch::CHUNK;
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

/// Sessions in Redis. Cheap to clone: clones share the default time to live and [`close`](crate::session::SessionStore::close).
///
/// One operation is one HTTP request, or two where only an id is given and the user has to be looked up first
/// (`delete_session`, `touch`, `set_ttl`); `list_sessions` takes two. A server that does not know a script yet costs one more,
/// once. Times to live are exact to the millisecond, at least 1 ms and at most 1000 years.
///
/// On [Redis Cluster](crate::session#on-redis-cluster) an operation that changes a session and its index is two requests.
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
    cluster: bool,
    keys: Keys,
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
        let (cluster, keys) = (client.backend().is_cluster(), Keys::new(client.prefix()));
        Self {
            client,
            layout: IndexLayout::default(),
            max_lifetime: None,
            cluster,
            keys,
            shared: Arc::new(shared),
        }
    }

    /// A store from the environment: the address and token of [`Config::from_env`](crate::Config::from_env), and
    /// `SESSION_TTL`, a duration such as `24h` or `1h30m` (default 24 h).
    ///
    /// # Errors
    /// [`SessionError::Config`], naming what was looked for.
    pub fn from_env() -> Result<Self, SessionError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), from any source of names: the bindings of a worker, for example.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SessionError> {
        let ttl = match lookup("SESSION_TTL") {
            Some(text) if !text.trim().is_empty() => {
                duration::parse(text.trim()).filter(|ttl| !ttl.is_zero()).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Config,
                        "SESSION_TTL must be a positive duration such as 24h, 1h30m or 90s",
                    )
                })?
            }
            _ => DEFAULT_TTL,
        };
        Ok(Self::new(Config::from_lookup(lookup)?.build()?, ttl))
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

    /// Keeps to one hash slot in each script, as [Redis Cluster](crate::session#on-redis-cluster) requires. The default where the
    /// backend says that it is one ([`Backend::is_cluster`](crate::backend::Backend::is_cluster)); to be set for a REST server in
    /// front of a cluster, which does not say. Works on a single Redis too. Every store of the same sessions must do the same.
    #[must_use]
    pub fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn check_open(&self) -> Result<(), SessionError> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(SessionError::Closed);
        }
        if self.cluster && !self.keys.can_share_slots() {
            return Err(Error::new(
                ErrorKind::Config,
                "on a cluster, braces in a client's prefix must be a hash tag: `{name}`",
            )
            .into());
        }
        Ok(())
    }

    fn check(&self, id: &str) -> Result<(), SessionError> {
        self.check_open()?;
        id::check(id)
    }

    /// `ttl` in milliseconds, cut to what the absolute lifetime leaves.
    fn ttl_millis(&self, ttl: Duration, created_at: DateTime<Utc>) -> u64 {
        let Some(most) = self.max_lifetime else { return millis(ttl) };
        let age = (clock::utc_now() - created_at).to_std().unwrap_or_default();
        millis(ttl.min(most.saturating_sub(age)))
    }

    /// Marks a time to live that is set now as later than those set before by this store and its clones.
    fn stamp(&self) -> String {
        format!(
            "{}:{}",
            self.shared.origin.simple(),
            self.shared.stamps.fetch_add(1, Ordering::Relaxed)
        )
    }

    fn index(&self, script: &Script, user_id: &str) -> Call {
        script.key(self.keys.index(user_id)).arg(scripts::name(self.layout))
    }

    /// A call on the keys of one session: record, gone mark, pin.
    fn with_marks(&self, script: &Script, id: &str) -> Call {
        self.add_keys(script.prepare(), id)
    }

    fn add_keys(&self, call: Call, id: &str) -> Call {
        call.key(self.keys.record(id)).key(self.keys.gone(id)).key(self.keys.pinned(id))
    }

    /// Runs a script that answers one code.
    async fn run_one(&self, call: Call) -> Result<i64, SessionError> {
        one_code(call.call::<Value>().on(&self.client).await?)
    }

    async fn update(&self, session: &Session, replaces: Option<&str>) -> Result<(), SessionError> {
        self.check(&session.id)?;
        let record = session.to_json()?;
        let (script, sha1) = match replaces {
            Some(text) => (&SCRIPTS.compare_and_update, sha1(text)),
            None => (&SCRIPTS.update, String::new()),
        };
        let call =
            script.key(self.keys.record(&session.id)).arg(&session.user_id).arg(record).arg(sha1);
        self.run_one(call).await.map(drop)
    }

    /// The ids in a user's index.
    async fn index_ids(&self, user_id: &str) -> Result<Vec<String>, SessionError> {
        Ok(self.listed_ids(user_id).await?.0)
    }

    /// The same, and whether some stand there twice.
    async fn listed_ids(&self, user_id: &str) -> Result<(Vec<String>, bool), SessionError> {
        self.check_open()?;
        index::listed(index::read(self.layout, &self.keys.index(user_id)).on(&self.client).await)
    }

    /// The raw records of sessions, in few pipelined commands of one request (more only where the request limit asks for it).
    async fn records(&self, ids: &[String]) -> Result<Vec<Option<Bytes>>, SessionError> {
        let mut pipe = self.client.pipeline();
        if self.cluster {
            ids.iter()
                .for_each(|id| drop(pipe.add_raw::<Value>(cmd("GET").arg(self.keys.record(id)))));
            return Ok(pipe.send().await?.all()?);
        }
        for chunk in ids.chunks(CHUNK) {
            let keys: Vec<_> = chunk.iter().map(|id| self.keys.record(id)).collect();
            let _ = pipe.add_raw::<Value>(cmd("MGET").args(keys));
        }
        let chunks: Vec<Vec<Option<Bytes>>> = pipe.send().await?.all()?;
        Ok(chunks.into_iter().flatten().collect())
    }
}

/// The codes of `count` sessions, from the reply of a script.
fn codes(value: Value, count: usize) -> Result<Vec<Result<i64, SessionError>>, SessionError> {
    if let Value::Int(code) = value {
        return Err(scripts::refusal(code));
    }
    let codes = Vec::<i64>::from_value(value).map_err(Error::from)?;
    if codes.len() != count {
        return Err(Error::new(
            ErrorKind::Conversion,
            "a script answered for another number of sessions",
        )
        .into());
    }
    Ok(codes
        .into_iter()
        .map(|code| if code < 0 { Err(scripts::refusal(code)) } else { Ok(code) })
        .collect())
}

fn one_code(value: Value) -> Result<i64, SessionError> {
    codes(value, 1)?.pop().unwrap_or(Err(SessionError::Corrupt { field: "record" }))
}

fn sha1(text: impl AsRef<[u8]>) -> String {
    sha1_smol::Sha1::from(text).digest().to_string()
}

/// Shows nothing of the address or of sessions.
impl fmt::Debug for RedisSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RedisSessionStore");
        shown
            .field("default_ttl", &self.default_ttl())
            .field("layout", &self.layout)
            .field("max_lifetime", &self.max_lifetime);
        shown.field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// Reads a record, which must be the one that was asked for.
fn read(id: &str, record: &[u8]) -> Result<Session, SessionError> {
    let session = Session::from_json(record)?;
    if session.id == id { Ok(session) } else { Err(SessionError::Corrupt { field: "id" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_live_comes_from_the_environment() {
        let address = [("REDIS_REST_URL", "http://127.0.0.1:8079"), ("REDIS_TOKEN", "token")];
        let store = |ttl: Option<&str>| {
            RedisSessionStore::from_lookup(|name| match (name, ttl) {
                ("SESSION_TTL", ttl) => ttl.map(String::from),
                _ => address
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned()),
            })
        };
        for (ttl, wanted) in [
            (None, DEFAULT_TTL),
            (Some(" "), DEFAULT_TTL),
            (Some(" 1h30m\n"), Duration::from_secs(5400)),
        ] {
            assert_eq!(store(ttl).unwrap().default_ttl(), wanted, "{ttl:?}");
        }
        for bad in ["24", "-1h", "0s"] {
            let error = store(Some(bad)).unwrap_err();
            assert!(
                matches!(error, SessionError::Config(_))
                    && error.to_string().contains("SESSION_TTL"),
                "{bad}: {error}"
            );
        }
        let error = RedisSessionStore::from_lookup(|_| None).unwrap_err();
        assert!(
            matches!(error, SessionError::Config(_))
                && error.to_string().contains("REDIS_REST_URL"),
            "{error}"
        );
    }
}
