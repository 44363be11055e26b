//! [`RedisSessionStore`]: sessions in Redis, over any backend.

mod batch;
mod cluster;
mod layout;
mod migrate;
mod read;
mod recent;
mod single_node;

use super::change::ChangeId;
use super::error::SessionError;
use super::index::{self, IndexLayout};
use super::keys::Keys;
use super::marks::Marks;
use super::record::Session;
use super::results::SessionList;
use super::scripts::{self, SCRIPTS};
use super::store::{
    Check, DEFAULT_TTL, Delete, Listed, REQUEST_LIFETIME, SessionStore, StoreFuture, StoreHealth,
    Stored, Write, Written,
};
use super::version::Version;
use super::{duration, id};
use crate::backend::rest::config::Config;
use crate::client::Client;
use crate::clock;
use crate::command::cmd;
use crate::command::groups::{self as commands, millis};
use crate::command::{Script, ScriptCall};
use crate::error::{Error, ErrorKind, Outcome};
use crate::observe::{self, Place};
use crate::platform::BoxFuture;
use crate::value::{FromValue, Value};
use chrono::{DateTime, Utc};
use layout::Layout;
use recent::RecentVersions;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The longest time of a check: a caller may be waiting for it.
const CHECK_DEADLINE: Duration = Duration::from_secs(1);

/// Sessions in Redis. Cheap to clone: clones share the default time to live and
/// [`close`](Self::close).
///
/// A read is one HTTP request, and so is a write or a delete of a session whose user is known. A
/// server that does not know a script yet costs one more, once. Times to live are exact to the
/// millisecond, at least 1 ms and at most 1000 years.
///
/// On [Redis Cluster](crate::session#on-redis-cluster) an operation that changes a session and its
/// index is two requests.
///
/// ```
/// # async fn run(client: redis_rest::Client) -> Result<(), redis_rest::session::SessionError> {
/// use redis_rest::session::{RedisSessionStore, Session, SessionStoreExt};
/// use std::time::Duration;
/// let store = RedisSessionStore::new(client, Duration::from_secs(24 * 3600));
/// let session = Session::new("user-123").org_id("org-456");
/// store.store_session(&session).await?;
/// assert_eq!(store.retrieve_session(&session.id).await?, session);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisSessionStore {
    client: Client,
    index: IndexLayout,
    max_lifetime: Option<Duration>,
    layout: Layout,
    keys: Keys,
    shared: Arc<Shared>,
}

/// The state that clones share.
struct Shared {
    /// In milliseconds.
    default_ttl: AtomicU64,
    closed: AtomicBool,
    recent: RecentVersions,
}

impl RedisSessionStore {
    /// A store whose sessions live for `ttl` unless a caller says otherwise.
    pub fn new(client: Client, ttl: Duration) -> Self {
        let shared = Shared {
            default_ttl: AtomicU64::new(millis(ttl)),
            closed: AtomicBool::new(false),
            recent: RecentVersions::default(),
        };
        let layout =
            if client.backend().is_cluster() { Layout::Cluster } else { Layout::SingleNode };
        let keys = Keys::new(client.prefix());
        let (index, shared) = (IndexLayout::default(), Arc::new(shared));
        Self { client, index, max_lifetime: None, layout, keys, shared }
    }

    /// A store from the environment: the address and token of
    /// [`Config::from_env`](crate::Config::from_env), and `SESSION_TTL`, a duration such as `24h`
    /// or `1h30m` (default 24 h).
    ///
    /// # Errors
    /// [`SessionError::Config`], naming what was looked for.
    pub fn from_env() -> Result<Self, SessionError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Does the same as [`from_env`](Self::from_env) from any source of names: the bindings of a
    /// worker, for example.
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
    pub fn index_layout(mut self, index: IndexLayout) -> Self {
        self.index = index;
        self
    }

    /// No session lives longer than this after its `created_at`, whatever its times to live say.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// Keeps to one hash slot in each script, as [Redis Cluster](crate::session#on-redis-cluster)
    /// requires. The default if the backend says that it is one
    /// ([`Backend::is_cluster`](crate::backend::Backend::is_cluster)); to be set for a REST server
    /// in front of a cluster, which does not say. Works on a single Redis too. Every store of the
    /// same sessions must do the same.
    #[must_use]
    pub fn cluster(mut self) -> Self {
        self.layout = Layout::Cluster;
        self
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The time to live of a session that is stored.
    pub fn default_ttl(&self) -> Duration {
        Duration::from_millis(self.shared.default_ttl.load(Ordering::Relaxed))
    }

    /// Changes the default time to live for this store and its clones, from the next call on.
    pub fn set_default_ttl(&self, ttl: Duration) {
        self.shared.default_ttl.store(millis(ttl), Ordering::Relaxed);
    }

    /// Makes every later call on this store and its clones fail with [`SessionError::Closed`].
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }

    fn check_open(&self) -> Result<(), SessionError> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(SessionError::Closed);
        }
        match self.layout {
            Layout::SingleNode => Ok(()),
            Layout::Cluster => cluster::check(&self.keys),
        }
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

    /// The longest time until a create is executed, in milliseconds: the life of log-outs, and of a
    /// tombstone whose session had no end.
    fn longest_create(&self) -> u64 {
        millis(self.default_ttl().saturating_add(REQUEST_LIFETIME))
    }

    fn index_call(&self, script: &Script, user_id: &str) -> ScriptCall {
        script.key(self.keys.index(user_id)).arg(scripts::name(self.index))
    }

    /// The ids in a user's index, and whether some stand there twice.
    async fn listed_ids(&self, user_id: &str) -> Result<(Vec<String>, bool), SessionError> {
        self.check_open()?;
        index::listed(index::read(self.index, &self.keys.index(user_id)).on(&self.client).await)
    }

    async fn ping(&self) -> Result<StoreHealth, SessionError> {
        self.check_open()?;
        if self.layout == Layout::Cluster {
            // `INFO` tells of one node only.
            self.client.ping().await?;
            return Ok(StoreHealth::default());
        }
        let mut pipe = self.client.pipeline();
        let (pong, info) = (pipe.add(commands::ping()), pipe.add_raw(cmd("INFO").arg("memory")));
        let mut replies = pipe.send().await?;
        replies.take(pong)?;
        // A server that does not say how much it uses works all the same.
        let info: String = replies.take(info).unwrap_or_default();
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(StoreHealth::new(used.and_then(|bytes| bytes.trim().parse().ok())))
    }

    async fn write_and_read(&self) -> Result<StoreHealth, SessionError> {
        self.check_open()?;
        let key = format!("session_probe:{}", uuid::Uuid::new_v4());
        let mut pipe = self.client.pipeline().no_retry().deadline(CHECK_DEADLINE);
        let set = pipe.add(commands::set(&key, "1").ex(Duration::from_secs(10)));
        let get = pipe.add(commands::get::<Option<String>>(&key));
        let mut replies = pipe.send().await?;
        replies.take(set)?;
        match replies.take(get)?.as_deref() {
            Some("1") => Ok(StoreHealth::default()),
            _ => Err(Error::custom(
                ErrorKind::Io,
                Outcome::NotApplied,
                "the value that was written cannot be read",
            )
            .into()),
        }
    }
}

impl SessionStore for RedisSessionStore {
    fn get<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Vec<Result<Stored, SessionError>>> {
        Box::pin(self.read_all(ids))
    }

    fn list<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Listed> {
        Box::pin(self.read_user(user_id))
    }

    fn write<'a>(
        &'a self,
        writes: &'a [Write<'a>],
    ) -> BoxFuture<'a, Vec<Result<Written, SessionError>>> {
        Box::pin(self.write_all(writes))
    }

    fn delete<'a>(
        &'a self,
        deletes: &'a [Delete<'a>],
    ) -> BoxFuture<'a, Vec<Result<bool, SessionError>>> {
        Box::pin(self.delete_all(deletes))
    }

    fn revoke<'a>(&'a self, user_id: &'a str, log_out: ChangeId) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move {
            self.check_open()?;
            let call = self.index_call(&SCRIPTS.revoke, user_id).key(self.keys.log_outs(user_id));
            let call = call.arg(log_out.to_string()).arg(self.longest_create()).arg(Marks::MOST);
            match call.call::<Value>().on(&self.client).await? {
                Value::Int(code) => Err(scripts::refusal(code)),
                ids => index::ids(Ok(ids)),
            }
        })
    }

    fn prune<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            let (ids, twice) = self.listed_ids(user_id).await?;
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let expired = self.prune_ids(user_id, &ids, twice).await?;
            observe::sessions_expired(Place::Redis, expired);
            Ok(expired)
        })
    }

    /// A [`Check::Ping`] reads `used_memory` of `INFO`, except on a cluster, where one node would
    /// say it for itself. A [`Check::ReadWrite`] waits at most a second.
    fn health(&self, check: Check) -> StoreFuture<'_, StoreHealth> {
        match check {
            Check::Ping => Box::pin(self.ping()),
            Check::ReadWrite => Box::pin(self.write_and_read()),
        }
    }

    fn default_ttl(&self) -> Duration {
        self.default_ttl()
    }

    fn read_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Session> {
        Box::pin(self.read_alone(id))
    }

    fn read_sessions<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, SessionList> {
        Box::pin(self.read_user_alone(user_id))
    }

    fn recent_version(&self, id: &str, user_id: &str) -> Option<Version> {
        self.shared.recent.get(id, user_id)
    }
}

/// The codes of `count` sessions, from the reply of a script.
fn codes(value: Value, count: usize) -> Result<Vec<i64>, SessionError> {
    each(value, count)?
        .into_iter()
        .map(|code| Ok(i64::from_value(code).map_err(Error::from)?))
        .collect()
}

/// The replies of `count` sessions, from the reply of a script.
fn each(value: Value, count: usize) -> Result<Vec<Value>, SessionError> {
    if let Value::Int(code) = value {
        return Err(scripts::refusal(code));
    }
    let replies = Vec::<Value>::from_value(value).map_err(Error::from)?;
    if replies.len() != count {
        return Err(Error::new(
            ErrorKind::Conversion,
            "a script returned results for another number of sessions",
        )
        .into());
    }
    Ok(replies)
}

/// Shows nothing of the address or of sessions.
impl fmt::Debug for RedisSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessionStore")
            .field("default_ttl", &self.default_ttl())
            .field("index", &self.index)
            .field("max_lifetime", &self.max_lifetime)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
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
