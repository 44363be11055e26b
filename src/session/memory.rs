//! [`InMemorySessionStore`]: sessions in this process.

mod shard;
mod store;

use super::error::{Conflict, SessionError};
use super::id;
use super::record::Session;
use super::store::Touched;
use crate::clock::{self, Instant};
use crate::observe::{self, Place};
use shard::{Entry, Shard, Unlisted, size};
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a delete is remembered, as in Redis.
const GONE_FOR: Duration = Duration::from_secs(60);

/// The longest time to live: 500 years, which a clock that counts nanoseconds in 64 bits can still hold.
const LONGEST: Duration = Duration::from_secs(500 * 366 * 24 * 3600);

/// Sessions in memory, with the same behaviour as in Redis. Cheap to clone: clones share everything.
///
/// Bounded by number and by size; when full, the session that was used least recently makes room. Times to live need no
/// background task: what has expired is not found, and is removed when its place is passed by. Sharded by id, so that threads
/// do not queue; small stores have one shard and evict in exact order, larger ones per shard.
///
/// ```
/// # async fn run() -> Result<(), redis_rest::session::SessionError> {
/// use redis_rest::session::{InMemorySessionStore, Session, SessionStore};
/// use std::time::Duration;
/// let store = InMemorySessionStore::new(Duration::from_secs(3600));
/// let session = Session::new("user-123", "org-456");
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

struct Inner {
    shards: Vec<Mutex<Shard>>,
    /// Ids by user. Locked after a shard is released, never together with one, so that no order of locks has to be kept: an
    /// entry has a number of its own, and whoever removes the session removes that number.
    users: Vec<Mutex<HashMap<String, BTreeMap<u64, String>>>>,
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
    /// A store for up to 100 000 sessions and 256 MiB, which live for `ttl` after they were stored or touched.
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
        Self {
            inner: Arc::new(inner),
            default_ttl: Arc::new(AtomicU64::new(nanos(ttl))),
            max_lifetime: None,
        }
    }

    /// Another handle on the same sessions, with a default time to live of its own.
    #[must_use]
    pub fn with_default_ttl(&self, ttl: Duration) -> Self {
        Self { default_ttl: Arc::new(AtomicU64::new(nanos(ttl))), ..self.clone() }
    }

    /// No session lives longer than this after its `created_at`, whatever touches or explicit times to live say (default: no limit).
    /// Holds for what is written by this handle and its clones.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    fn ttl(&self) -> Duration {
        Duration::from_nanos(self.default_ttl.load(Ordering::Relaxed))
    }

    /// `ttl`, cut to what the absolute lifetime leaves.
    fn cut(&self, ttl: Duration, session: &Session) -> Duration {
        let Some(most) = self.max_lifetime else { return ttl };
        let moved = Duration::from_nanos(self.inner.moved.load(Ordering::Relaxed));
        let age = (clock::utc_now() - session.created_at)
            .to_std()
            .unwrap_or_default()
            .saturating_add(moved);
        ttl.min(most.saturating_sub(age))
    }

    fn write(&self, session: &Session, replace: bool) -> Result<(), SessionError> {
        self.inner.write(session, replace, self.cut(self.ttl(), session))
    }

    fn expire(
        &self,
        session: &Session,
        ttl: Duration,
        mode: Mode,
    ) -> Result<Touched, SessionError> {
        self.inner.expire(&session.id, self.cut(ttl, session), mode)
    }

    /// How many sessions are held, those included that have expired and were not passed by yet.
    pub fn len(&self) -> usize {
        self.inner.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }

    /// True when no session is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes the sessions take.
    pub fn bytes(&self) -> usize {
        self.inner.shards.iter().map(|shard| lock(shard).bytes).sum()
    }

    /// How many sessions had to make room so far.
    pub fn evicted(&self) -> u64 {
        self.inner.evicted.load(Ordering::Relaxed)
    }

    /// Moves the store's clock ahead, for tests of expiry that do not wait.
    pub fn advance(&self, time: Duration) {
        self.inner.moved.fetch_add(nanos(time), Ordering::Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A poisoned lock guards whole values only, so what it holds is still true.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        lock(&self.shards[self.place(id)])
    }

    fn user(&self, user_id: &str) -> MutexGuard<'_, HashMap<String, BTreeMap<u64, String>>> {
        lock(&self.users[self.place(user_id)])
    }

    fn deadline(&self, ttl: Duration) -> Instant {
        let now = self.now();
        now.checked_add(ttl.min(LONGEST)).unwrap_or(now)
    }

    fn unlist(&self, unlisted: Vec<Unlisted>) {
        for (user_id, number) in unlisted {
            let mut users = self.user(&user_id);
            if let Some(ids) = users.get_mut(&user_id) {
                ids.remove(&number);
                if ids.is_empty() {
                    users.remove(&user_id);
                }
            }
        }
    }

    fn write(&self, session: &Session, replace: bool, ttl: Duration) -> Result<(), SessionError> {
        self.check(&session.id)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Listed first: who finds the id before the record is there leaves it out.
        self.user(&session.user_id)
            .entry(session.user_id.clone())
            .or_default()
            .insert(number, session.id.clone());
        let (result, unlisted) = self.insert(session, replace, ttl, number);
        self.unlist(unlisted);
        result
    }

    fn insert(
        &self,
        session: &Session,
        replace: bool,
        ttl: Duration,
        number: u64,
    ) -> (Result<(), SessionError>, Vec<Unlisted>) {
        let now = self.now();
        let mut shard = self.shard(&session.id);
        let mut unlisted = shard.sweep(now);
        let own = (session.user_id.clone(), number);
        let gone = shard.gone.contains_key(&session.id);
        let conflict = match shard.live(&session.id, now) {
            _ if gone => Some(Conflict::Deleted),
            Some(_) if !replace => Some(Conflict::Exists),
            Some(old) if old.session.user_id != session.user_id => Some(Conflict::UserChanged),
            _ => None,
        };
        if let Some(conflict) = conflict {
            unlisted.push(own);
            return (Err(SessionError::Conflict(conflict)), unlisted);
        }
        let deadline = self.deadline(ttl);
        let revision = self.next.fetch_add(1, Ordering::Relaxed);
        let stored = Arc::new(session.with_revision(revision));
        let entry = Entry {
            bytes: size(&stored),
            session: stored,
            deadline,
            pinned: false,
            number,
            revision,
        };
        if let Some(old) = shard.put(&session.id, entry) {
            observe::sessions_expired(Place::Memory, usize::from(old.deadline <= now));
            unlisted.push((old.session.user_id.clone(), old.number));
        }
        while shard.entries.len() > 1
            && (shard.entries.len() > self.max_entries || shard.bytes > self.max_bytes)
        {
            let Some(entry) = shard.take_oldest() else { break };
            unlisted.push((entry.session.user_id.clone(), entry.number));
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        shard.counted();
        (Ok(()), unlisted)
    }

    /// Runs `act` on a session that is there. One that has expired is left to the writers: reading changes nothing.
    fn with<T>(
        &self,
        id: &str,
        act: impl FnOnce(&mut Entry) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        self.check(id)?;
        let now = self.now();
        let mut shard = self.shard(id);
        let entry = shard.live(id, now).ok_or(SessionError::NotFound)?;
        let before = entry.bytes;
        let result = act(entry);
        let after = entry.bytes;
        shard.bytes = (shard.bytes + after).saturating_sub(before);
        shard.counted();
        result
    }

    fn read(&self, id: &str) -> Result<Arc<Session>, SessionError> {
        self.with(id, |entry| Ok(Arc::clone(&entry.session)))
    }

    fn update(&self, session: &Session, compare: bool) -> Result<(), SessionError> {
        let revision = self.next.fetch_add(1, Ordering::Relaxed);
        let new = Arc::new(session.with_revision(revision));
        self.with(&session.id, |entry| {
            if compare && session.revision() != Some(entry.revision) {
                return Err(SessionError::Conflict(Conflict::Changed));
            }
            if entry.session.user_id != session.user_id {
                return Err(SessionError::Conflict(Conflict::UserChanged));
            }
            entry.bytes = size(&new);
            (entry.session, entry.revision) = (new, revision);
            Ok(())
        })
    }

    /// Deletes a session; with `revision` only if that is the stored one. True when there was one.
    fn delete(&self, id: &str, revision: Option<Option<u64>>) -> Result<bool, SessionError> {
        self.check(id)?;
        let now = self.now();
        let mut shard = self.shard(id);
        let mut unlisted = shard.sweep(now);
        let stored = shard.live(id, now).map(|entry| entry.revision);
        let existed = stored.is_some();
        if existed && revision.is_some_and(|revision| revision != stored) {
            drop(shard);
            self.unlist(unlisted);
            return Err(SessionError::Conflict(Conflict::Changed));
        }
        if let Some(entry) = shard.take(id) {
            observe::sessions_expired(Place::Memory, usize::from(!existed));
            unlisted.push((entry.session.user_id.clone(), entry.number));
        }
        let until = now + GONE_FOR;
        shard.gone.insert(id.to_owned(), until);
        shard.forget.push_back((until, id.to_owned()));
        shard.counted();
        drop(shard);
        self.unlist(unlisted);
        Ok(existed)
    }

    /// Takes a session out that has expired; true when it had.
    fn remove_expired(&self, id: &str) -> bool {
        let now = self.now();
        let mut shard = self.shard(id);
        let expired = shard.entries.peek(id).is_some_and(|entry| entry.deadline <= now);
        let unlisted = if expired {
            shard.take(id).map(|entry| (entry.session.user_id.clone(), entry.number))
        } else {
            None
        };
        observe::sessions_expired(Place::Memory, usize::from(expired));
        shard.counted();
        drop(shard);
        self.unlist(unlisted.into_iter().collect());
        expired
    }

    fn expire(&self, id: &str, ttl: Duration, mode: Mode) -> Result<Touched, SessionError> {
        let deadline = self.deadline(ttl);
        self.with(id, |entry| {
            if mode == Mode::Automatic && entry.pinned {
                return Ok(Touched::Pinned);
            }
            if mode != Mode::Set && entry.deadline >= deadline {
                return Ok(Touched::AlreadyLonger);
            }
            entry.deadline = deadline;
            entry.pinned |= mode == Mode::Set;
            Ok(Touched::Extended)
        })
    }

    /// The ids of a user, in the order in which they were stored.
    fn ids(&self, user_id: &str) -> Result<Vec<String>, SessionError> {
        self.check_open()?;
        Ok(self
            .user(user_id)
            .get(user_id)
            .map(|ids| ids.values().cloned().collect())
            .unwrap_or_default())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Set,
    ByHand,
    Automatic,
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
    use crate::session::SessionStore;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn nothing_passes_the_absolute_lifetime_in_memory() {
        let store = InMemorySessionStore::new(HOUR).max_lifetime(2 * HOUR);
        let of_age = |age: Duration| {
            let mut session = Session::new("user", "org");
            session.created_at -= age;
            session
        };
        let (young, old) = (of_age(HOUR), of_age(3 * HOUR));
        store.store_session(&old).await.unwrap();
        assert!(!store.exists(&old.id).await.unwrap());
        store.store_session(&young).await.unwrap();
        store.advance(HOUR / 2);
        store.touch(&young.id).await.unwrap();
        store.set_ttl_loaded(&young, 5 * HOUR).await.unwrap();
        store.store_session(&young).await.unwrap();
        assert!(store.exists(&young.id).await.unwrap());
        store.advance(HOUR / 2);
        assert!(!store.exists(&young.id).await.unwrap());
    }
}
