//! The sessions that a manager holds in memory, and which reads of the store may still bring one.
//! No I/O.

use crate::clock::{self, Instant};
use crate::observe::HeldLevel;
use crate::session::change::ChangeId;
use crate::session::error::SessionError;
use crate::session::record::Session;
use crate::session::store::Stored;
use crate::session::version::Version;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A session held in memory.
#[derive(Clone)]
pub(super) struct CacheEntry {
    /// The session as readers see it.
    pub(super) session: Arc<Session>,
    /// The version that the store was last seen to have; `None` for a session that it was never
    /// seen to have.
    pub(super) version: Option<Version>,
    /// When the session ends, as far as is known.
    pub(super) ends_at: Option<Instant>,
    /// When the read or write was sent that showed it in the store.
    pub(super) checked: Instant,
    /// When `last_active_at` was last moved here.
    pub(super) touched: Option<Instant>,
    /// Counts towards the limit: created or used here.
    pub(super) counted: bool,
    /// The tick of the last change of this entry.
    pub(super) tick: u64,
}

impl CacheEntry {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    /// True if uses do not slide its end.
    pub(super) fn has_explicit_ttl(&self) -> bool {
        self.version.as_ref().is_some_and(Version::has_explicit_ttl)
    }
}

/// A read or write of the store, by the tick at which it began: no two have the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    pub(super) tick: u64,
    pub(super) at: Instant,
}

#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<String, CacheEntry>,
    level: HeldLevel,
    counted: usize,
    /// Moves with every request, and every change of what is held or known to be gone.
    ticks: u64,
    /// Requests under way, by the tick at which they began.
    under_way: BTreeSet<u64>,
    /// Sessions that were seen or made to be gone while requests were under way.
    absent: HashMap<String, u64>,
    /// Users that were logged out while requests were under way.
    logged_out: HashMap<String, (u64, ChangeId)>,
}

impl Cache {
    pub(super) fn get(&self, id: &str) -> Option<&CacheEntry> {
        self.entries.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries that are wanted, in the order of their ids.
    pub(super) fn filter(&self, wanted: impl Fn(&CacheEntry) -> bool) -> Vec<CacheEntry> {
        let mut found: Vec<_> = self.entries.values().filter(|e| wanted(e)).cloned().collect();
        found.sort_unstable_by(|one, other| one.session.id.cmp(&other.session.id));
        found
    }

    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// Holds an entry, which replaces the one that was held.
    pub(super) fn insert(&mut self, mut entry: CacheEntry) {
        entry.tick = self.tick();
        self.counted += usize::from(entry.counted);
        if let Some(old) = self.entries.insert(entry.session.id.clone(), entry) {
            self.counted -= usize::from(old.counted);
        }
        self.level.set(self.entries.len());
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<CacheEntry> {
        let entry = self.entries.remove(id)?;
        self.counted -= usize::from(entry.counted);
        self.level.set(self.entries.len());
        Some(entry)
    }

    /// Drops the copy that was seen, unless it has changed since. Leaves no trace.
    pub(super) fn remove_if(&mut self, id: &str, tick: u64) -> bool {
        let same = self.entries.get(id).is_some_and(|entry| entry.tick == tick);
        same && self.remove(id).is_some()
    }

    /// The session counts towards the limit from now on.
    pub(super) fn count(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            self.counted += usize::from(!entry.counted);
            entry.counted = true;
        }
    }

    pub(super) fn set_checked(&mut self, id: &str, checked: Instant) {
        self.entries.get_mut(id).into_iter().for_each(|entry| entry.checked = checked);
    }

    /// Keeps a place for a session that is being created, unless there are `limit` sessions (0: no
    /// limit).
    pub(super) fn reserve(&mut self, limit: usize, now: Instant) -> Result<(), SessionError> {
        if limit > 0 && self.counted >= limit {
            // Sessions that are over do not count; looked for only here, since it takes a look at
            // each.
            for entry in self.entries.values_mut().filter(|entry| entry.is_over(now)) {
                self.counted -= usize::from(entry.counted);
                entry.counted = false;
            }
            if self.counted >= limit {
                return Err(SessionError::LimitReached { limit });
            }
        }
        self.counted += 1;
        Ok(())
    }

    /// Gives back a place that was kept.
    pub(super) fn release(&mut self) {
        self.counted -= 1;
    }

    /// A request begins, whose reply may show sessions.
    pub(super) fn begin(&mut self) -> Began {
        let tick = self.tick();
        self.under_way.insert(tick);
        Began { tick, at: clock::now() }
    }

    /// A request is over.
    pub(super) fn end(&mut self, began: Began) {
        self.under_way.remove(&began.tick);
        let oldest = self.under_way.first().copied().unwrap_or(u64::MAX);
        self.absent.retain(|_, tick| *tick > oldest);
        self.logged_out.retain(|_, (tick, _)| *tick > oldest);
    }

    /// The session is gone: requests under way do not bring it back.
    pub(super) fn note_absent(&mut self, id: &str) {
        let tick = self.tick();
        self.note_absent_at(id, tick);
    }

    /// A request that began then did not find the session: earlier ones do not bring it back.
    pub(super) fn note_not_found(&mut self, id: &str, began: Began) {
        self.note_absent_at(id, began.tick);
    }

    fn note_absent_at(&mut self, id: &str, tick: u64) {
        if self.under_way.first().is_some_and(|oldest| *oldest < tick) {
            let noted = self.absent.entry(id.to_owned()).or_default();
            *noted = tick.max(*noted);
        }
    }

    /// The user was logged out: requests under way bring back no session whose creator did not know
    /// of it.
    pub(super) fn note_log_out(&mut self, user_id: &str, log_out: ChangeId) {
        let tick = self.tick();
        if !self.under_way.is_empty() {
            self.logged_out.insert(user_id.to_owned(), (tick, log_out));
        }
    }

    /// True if a request that began then must not bring this session.
    pub(super) fn is_gone_since(&self, session: &Session, version: &Version, began: Began) -> bool {
        self.absent.get(&session.id).is_some_and(|tick| *tick > began.tick)
            || self.logged_out.get(&session.user_id).is_some_and(|(tick, log_out)| {
                *tick > began.tick && !version.marks().contains(*log_out)
            })
    }

    /// Takes a session that a read brought, whose request was sent at `sent`. A copy that has
    /// changed since then stays.
    pub(super) fn take(&mut self, stored: Stored, sent: Began) -> Arc<Session> {
        let id = stored.session.id.as_str();
        let old = self.entries.get(id);
        if let Some(entry) = old.filter(|entry| entry.tick > sent.tick) {
            return Arc::clone(&entry.session);
        }
        self.hold(stored, sent)
    }

    /// Holds a version that a request showed, which was sent at `sent`.
    pub(super) fn hold(&mut self, stored: Stored, sent: Began) -> Arc<Session> {
        let old = self.entries.get(&stored.session.id);
        let (touched, counted) = old.map_or((None, false), |old| (old.touched, old.counted));
        let session = Arc::new(stored.session);
        self.insert(CacheEntry {
            session: Arc::clone(&session),
            version: Some(stored.version),
            ends_at: stored.ttl.map(|ttl| clock::later(sent.at, ttl)),
            checked: sent.at,
            touched,
            counted,
            tick: 0,
        });
        session
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::change::ChangeIds;
    use crate::session::marks::Marks;
    use crate::session::store::{Mode, TtlRule, Write};
    use std::time::Duration;

    fn stored(id: &str, marks: &Marks) -> Stored {
        let session = Session::new("user").id(id).org_id("org");
        let mode = Mode::Create { marks, reuse: false };
        let id = ChangeId::new();
        let write = Write { id, session: &session, mode, content: true, ttl: TtlRule::Keep };
        let version = Version::created(&write);
        Stored { session, version, ttl: Some(Duration::from_secs(60)) }
    }

    fn gone(cache: &Cache, stored: &Stored, began: Began) -> bool {
        cache.is_gone_since(&stored.session, &stored.version, began)
    }

    #[tokio::test(start_paused = true)]
    async fn replies_are_refused_only_by_ends_that_were_noted_after_they_began() {
        let mut cache = Cache::default();
        let one = stored("one", &Marks::default());
        let first = cache.begin();
        cache.take(one.clone(), first);
        assert!(cache.remove("one").is_some());
        assert!(!gone(&cache, &one, first), "a copy that was dropped leaves no trace");
        cache.note_absent("one");
        let second = cache.begin();
        assert!(gone(&cache, &one, first) && !gone(&cache, &one, second));
        cache.note_not_found("two", second);
        let two = stored("two", &Marks::default());
        assert!(gone(&cache, &two, first), "a slower read");
        assert!(!gone(&cache, &two, second), "it may have been created since");
        cache.end(first);
        cache.end(second);
        assert!(cache.absent.is_empty() && cache.under_way.is_empty());

        let log_out = ChangeIds::new().next();
        let two = stored("two", &[log_out].into_iter().collect());
        let began = cache.begin();
        cache.note_log_out("user", log_out);
        assert!(gone(&cache, &one, began) && !gone(&cache, &two, began));
        cache.end(began);
        assert!(cache.logged_out.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_replies_do_not_replace_newer_copies_and_ends_pass() {
        let mut cache = Cache::default();
        let old = stored("one", &Marks::default());
        let mut new = old.clone();
        new.session.system_prompt = "new".into();
        let slow = cache.begin();
        let quick = cache.begin();
        cache.take(new, quick);
        assert_eq!(cache.take(old, slow).system_prompt, "new");
        cache.count("one");
        assert!(cache.reserve(1, clock::now()).is_err());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(cache.get("one").is_some_and(|entry| entry.is_over(clock::now())));
        assert!(cache.reserve(1, clock::now()).is_ok(), "sessions that are over do not count");
        assert!(cache.reserve(1, clock::now()).is_err());
        cache.release();
        assert!(cache.reserve(1, clock::now()).is_ok());
    }
}
