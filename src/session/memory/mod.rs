//! [`InMemorySessionStore`]: sessions in this process.

mod shard;
mod users;

use super::change::ChangeId;
use super::error::SessionError;
use super::id;
use super::record::Session;
use super::store::{
    Check, DEFAULT_TTL, Delete, Listed, Mode, SessionStore, StoreFuture, StoreHealth, Stored,
    Write, Written,
};
use crate::clock::{self, Instant};
use crate::platform::{BoxFuture, Mutex};
use shard::{Shard, Unlisted};
use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::ready;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;
use users::Users;

/// The longest time to live: 500 years, which a clock that counts nanoseconds in 64 bits can still
/// hold.
const LONGEST: Duration = Duration::from_secs(500 * 366 * 24 * 3600);

/// Sessions in memory, with the same behaviour as in Redis. Cheap to clone: clones share
/// everything.
///
/// Bounded by number and by size; when full, the session that was used least recently makes room.
/// Times to live need no background task: what has expired is not found, and is removed when its
/// place is passed by. Sharded by id, so that threads do not queue; small stores have one shard and
/// evict in exact order, larger ones per shard.
///
/// ```
/// # async fn run() -> Result<(), redis_rest::session::SessionError> {
/// use redis_rest::session::{InMemorySessionStore, Session, SessionStoreExt};
/// use std::time::Duration;
/// let store = InMemorySessionStore::new(Duration::from_secs(3600));
/// let session = Session::new("user-123").org_id("org-456");
/// store.store_session(&session).await?;
/// assert!(store.exists(&session.id).await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct InMemorySessionStore {
    inner: Arc<Inner>,
    /// In nanoseconds; shared by clones.
    default_ttl: Arc<AtomicU64>,
    max_lifetime: Option<Duration>,
}

/// Locks are taken in one order: a user's, then a session's. Reads and most writes take one of
/// them.
struct Inner {
    shards: Vec<Mutex<Shard>>,
    users: Vec<Mutex<Users>>,
    hasher: RandomState,
    next: AtomicU64,
    max_entries: usize,
    max_bytes: usize,
    evicted: AtomicU64,
    closed: AtomicBool,
    /// Nanoseconds by which tests moved the clock.
    moved: AtomicU64,
}

impl InMemorySessionStore {
    /// A store for at most 100 000 sessions and 256 MiB, which live for `ttl` unless a caller says
    /// otherwise.
    pub fn new(ttl: Duration) -> Self {
        Self::with_limits(ttl, 100_000, 256 << 20)
    }

    /// A store with limits of its own, each at least 1.
    pub fn with_limits(ttl: Duration, max_entries: usize, max_bytes: usize) -> Self {
        let shards = (max_entries / 64).clamp(1, 32);
        let inner = Inner {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            users: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            next: AtomicU64::new(0),
            max_entries: max_entries.div_ceil(shards).max(1),
            max_bytes: max_bytes.div_ceil(shards).max(1),
            evicted: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            moved: AtomicU64::new(0),
        };
        let default_ttl = Arc::new(AtomicU64::new(nanos(ttl)));
        Self { inner: Arc::new(inner), default_ttl, max_lifetime: None }
    }

    /// Another handle on the same sessions, with a default time to live of its own.
    #[must_use]
    pub fn with_default_ttl(&self, ttl: Duration) -> Self {
        Self { default_ttl: Arc::new(AtomicU64::new(nanos(ttl))), ..self.clone() }
    }

    /// No session lives longer than this after its `created_at`, whatever its times to live say
    /// (default: no limit). Holds for writes by this handle and its clones.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// The time to live of a session that is stored.
    pub fn default_ttl(&self) -> Duration {
        Duration::from_nanos(self.default_ttl.load(Ordering::Relaxed))
    }

    /// Changes the default time to live for this handle and its clones, from the next call on.
    pub fn set_default_ttl(&self, ttl: Duration) {
        self.default_ttl.store(nanos(ttl), Ordering::Relaxed);
    }

    /// Makes every later call on this store fail with [`SessionError::Closed`], through all of its
    /// handles.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
    }

    /// The number of sessions held, including those that have expired and were not passed by yet.
    pub fn len(&self) -> usize {
        self.inner.shards.iter().map(|shard| shard.lock().entries.len()).sum()
    }

    /// True if no session is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes the sessions take.
    pub fn bytes(&self) -> usize {
        self.inner.shards.iter().map(|shard| shard.lock().bytes).sum()
    }

    /// The number of sessions that had to make room so far.
    pub fn evicted(&self) -> u64 {
        self.inner.evicted.load(Ordering::Relaxed)
    }

    /// Moves the store's clock ahead, for tests of expiry that do not wait.
    pub fn advance(&self, time: Duration) {
        self.inner.moved.fetch_add(nanos(time), Ordering::Relaxed);
    }

    /// The time to live of a write, cut to what the absolute lifetime leaves; `None` to keep the
    /// end.
    fn ttl(&self, write: &Write<'_>) -> Option<Duration> {
        let ttl = write.ttl.duration()?.max(Duration::from_nanos(1));
        let Some(most) = self.max_lifetime else { return Some(ttl) };
        let moved = Duration::from_nanos(self.inner.moved.load(Ordering::Relaxed));
        let age = (clock::utc_now() - write.session.created_at).to_std().unwrap_or_default();
        Some(ttl.min(most.saturating_sub(age.saturating_add(moved))))
    }

    fn write_one(&self, write: &Write<'_>) -> Result<Written, SessionError> {
        self.inner.check(&write.session.id)?;
        write.session.check_writable()?;
        let ttl = self.ttl(write);
        let Mode::Replace(version) = write.mode else {
            let default = Write { ttl: super::TtlRule::Restart(self.default_ttl()), ..*write };
            let ttl = ttl.or_else(|| self.ttl(&default)).unwrap_or(DEFAULT_TTL);
            return Ok(self.inner.create(write, ttl));
        };
        let now = self.inner.now();
        Ok(self.inner.shard(&write.session.id).replace(write, version, ttl, now))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Inner {
    fn now(&self) -> Instant {
        clock::now() + Duration::from_nanos(self.moved.load(Ordering::Relaxed))
    }

    fn check(&self, id: &str) -> Result<(), SessionError> {
        self.check_open()?;
        id::check(id)
    }

    fn check_open(&self) -> Result<(), SessionError> {
        if self.closed.load(Ordering::Acquire) { Err(SessionError::Closed) } else { Ok(()) }
    }

    fn place(&self, name: &str) -> usize {
        // The remainder is below the number of shards, which fits.
        (self.hasher.hash_one(name) % self.shards.len() as u64) as usize
    }

    fn shard(&self, id: &str) -> MutexGuard<'_, Shard> {
        self.shards[self.place(id)].lock()
    }

    fn users(&self, user_id: &str) -> MutexGuard<'_, Users> {
        self.users[self.place(user_id)].lock()
    }

    fn find(&self, id: &str) -> Result<Stored, SessionError> {
        self.check(id)?;
        let now = self.now();
        let found = self.shard(id).find(id, now);
        found.map(shard::Found::into_stored).ok_or(SessionError::NotFound)
    }

    fn session(&self, id: &str) -> Result<Session, SessionError> {
        self.check(id)?;
        let now = self.now();
        let found = self.shard(id).session(id, now);
        // Cloned when the lock is released.
        found.map(Arc::unwrap_or_clone).ok_or(SessionError::NotFound)
    }

    /// Creates a session: marks, record and index entry under the user's lock.
    fn create(&self, write: &Write<'_>, ttl: Duration) -> Written {
        let Session { id, user_id, .. } = write.session;
        let (now, number) = (self.now(), self.next.fetch_add(1, Ordering::Relaxed));
        let mut users = self.users(user_id);
        let mut shard = self.shard(id);
        let mut unlisted = shard.sweep(now);
        unlisted.extend(shard.expire(id, now));
        let written = shard.create(write, users.marks(user_id, now), ttl, number, now);
        if shard.has(id, number) {
            users.list(user_id, number, id);
            let evicted = shard.make_room(self.max_entries, self.max_bytes);
            self.evicted.fetch_add(evicted.len() as u64, Ordering::Relaxed);
            unlisted.extend(evicted);
        }
        drop((shard, users));
        self.unlist(unlisted);
        written
    }

    fn delete(&self, delete: &Delete<'_>) -> Result<bool, SessionError> {
        self.check(delete.session)?;
        let now = self.now();
        let mut shard = self.shard(delete.session);
        let mut unlisted = shard.sweep(now);
        let (existed, ended) = shard.delete(delete, now, self.max_entries);
        drop(shard);
        unlisted.extend(ended);
        self.unlist(unlisted);
        Ok(existed)
    }

    fn unlist(&self, unlisted: impl IntoIterator<Item = Unlisted>) {
        for (user_id, number) in unlisted {
            self.users(&user_id).unlist(&user_id, number);
        }
    }

    fn list(&self, user_id: &str) -> Result<Listed, SessionError> {
        self.check_open()?;
        let ids = self.users(user_id).ids(user_id);
        // Between the two looks an id may have come to another user.
        let found = ids.iter().filter_map(|id| self.find(id).ok());
        let sessions = found.filter(|stored| stored.session.user_id == user_id).collect();
        Ok(Listed::new(ids, sessions))
    }

    fn prune(&self, user_id: &str) -> Result<usize, SessionError> {
        self.check_open()?;
        let ids = self.users(user_id).ids(user_id);
        let now = self.now();
        let expired: Vec<Unlisted> =
            ids.iter().filter_map(|id| self.shard(id).expire(id, now)).collect();
        let count = expired.len();
        self.unlist(expired);
        Ok(count)
    }

    fn revoke(
        &self,
        user_id: &str,
        log_out: ChangeId,
        keep: Duration,
    ) -> Result<Vec<String>, SessionError> {
        self.check_open()?;
        let mut users = self.users(user_id);
        users.mark(user_id, log_out, self.now(), keep);
        Ok(users.ids(user_id))
    }
}

/// Nothing waits: every future is ready.
impl SessionStore for InMemorySessionStore {
    fn get<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Vec<Result<Stored, SessionError>>> {
        Box::pin(ready(ids.iter().map(|id| self.inner.find(id)).collect()))
    }

    fn list<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Listed> {
        Box::pin(ready(self.inner.list(user_id)))
    }

    fn write<'a>(
        &'a self,
        writes: &'a [Write<'a>],
    ) -> BoxFuture<'a, Vec<Result<Written, SessionError>>> {
        Box::pin(ready(writes.iter().map(|write| self.write_one(write)).collect()))
    }

    fn delete<'a>(
        &'a self,
        deletes: &'a [Delete<'a>],
    ) -> BoxFuture<'a, Vec<Result<bool, SessionError>>> {
        Box::pin(ready(deletes.iter().map(|delete| self.inner.delete(delete)).collect()))
    }

    fn revoke<'a>(&'a self, user_id: &'a str, log_out: ChangeId) -> StoreFuture<'a, Vec<String>> {
        Box::pin(ready(self.inner.revoke(user_id, log_out, self.default_ttl())))
    }

    fn prune<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        Box::pin(ready(self.inner.prune(user_id)))
    }

    fn health(&self, _: Check) -> StoreFuture<'_, StoreHealth> {
        let health = self.inner.check_open().map(|()| StoreHealth::new(Some(self.bytes() as u64)));
        Box::pin(ready(health))
    }

    fn default_ttl(&self) -> Duration {
        self.default_ttl()
    }

    fn read_session<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Session> {
        Box::pin(ready(self.inner.session(id)))
    }
}

/// Shows counts only.
impl fmt::Debug for InMemorySessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InMemorySessionStore({} sessions)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::SessionStoreExt as _;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn sessions_in_memory_end_by_the_absolute_lifetime() {
        let store = InMemorySessionStore::new(HOUR).max_lifetime(2 * HOUR);
        let of_age = |age: Duration| {
            let mut session = Session::new("user").org_id("org");
            session.created_at -= age;
            session
        };
        let (young, old) = (of_age(HOUR), of_age(3 * HOUR));
        store.store_session(&old).await.unwrap();
        assert!(!store.exists(&old.id).await.unwrap());
        store.store_session(&young).await.unwrap();
        store.advance(HOUR / 2);
        store.touch(&young.id).await.unwrap();
        store.set_ttl(&young.id, 5 * HOUR).await.unwrap();
        store.store_session(&young).await.unwrap();
        assert!(store.exists(&young.id).await.unwrap());
        store.advance(HOUR / 2);
        assert!(!store.exists(&young.id).await.unwrap());
    }

    #[tokio::test]
    async fn sessions_that_make_room_leave_the_index_and_closing_is_for_all_handles() {
        let store = InMemorySessionStore::with_limits(HOUR, 2, usize::MAX);
        let sessions = [(); 3].map(|()| Session::new("user").org_id("org"));
        for session in &sessions {
            store.store_session(session).await.unwrap();
        }
        assert_eq!((store.len(), store.evicted()), (2, 1));
        let listed = store.list("user").await.unwrap();
        assert_eq!(listed.ids, [sessions[1].id.clone(), sessions[2].id.clone()]);
        assert_eq!(store.default_ttl(), HOUR);
        store.clone().set_default_ttl(2 * HOUR);
        assert_eq!(store.default_ttl(), 2 * HOUR);
        store.with_default_ttl(HOUR).close();
        assert!(matches!(store.list("user").await, Err(SessionError::Closed)));
        assert!(matches!(store.store_session(&sessions[0]).await, Err(SessionError::Closed)));
    }

    #[tokio::test]
    async fn writes_free_what_has_ended() {
        let store = InMemorySessionStore::with_limits(HOUR, 10, usize::MAX);
        for n in 0..1000 {
            assert!(!store.delete_session(&format!("made-up-{n}")).await.unwrap());
        }
        let short = store.with_default_ttl(Duration::from_secs(1));
        for _ in 0..5 {
            short.store_session(&Session::new("user").org_id("org")).await.unwrap();
        }
        store.advance(Duration::from_secs(120));
        for _ in 0..5 {
            store.store_session(&Session::new("other").org_id("org")).await.unwrap();
        }
        assert_eq!(store.len(), 5);
        assert!(store.list("user").await.unwrap().ids.is_empty());
        let tombstones: usize =
            store.inner.shards.iter().map(|shard| shard.lock().tombstones()).sum();
        assert!(tombstones <= 5, "{tombstones}");
    }
}
