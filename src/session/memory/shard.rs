//! A part of the sessions, under one lock. Knows no index by user: it returns what has to be
//! removed from there.

use super::LONGEST;
use crate::clock::Instant;
use crate::observe::{self, CacheLevel, Place};
use crate::session::change::ChangeId;
use crate::session::lru::Lru;
use crate::session::marks::Marks;
use crate::session::record::Session;
use crate::session::store::{
    Delete, Mode, REQUEST_LIFETIME, Stored, TtlRule, When, Write, Written,
};
use crate::session::version::Version;
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Shard {
    pub(super) entries: Lru<Entry>,
    /// Ids that have existed.
    tombstones: Lru<Tombstone>,
    pub(super) bytes: usize,
    level: CacheLevel,
}

pub(super) struct Entry {
    session: Arc<Session>,
    version: Version,
    ends_at: Instant,
    /// The number of its place in the index.
    number: u64,
    bytes: usize,
    tombstone: Tombstone,
}

/// The memory of an id beyond the end of its session.
#[derive(Clone, Copy)]
struct Tombstone {
    until: Instant,
    deleted: Option<Deleted>,
}

/// The last delete, when it was executed, and whether it found a session.
#[derive(Clone, Copy)]
struct Deleted {
    id: ChangeId,
    at: Instant,
    existed: bool,
}

/// A place in the index that has to be removed.
pub(super) type Unlisted = (String, u64);

/// A session as it is found, cloned when the lock is released.
pub(super) struct Found(Arc<Session>, Version, Duration);

impl Found {
    pub(super) fn into_stored(self) -> Stored {
        Stored { session: Arc::unwrap_or_clone(self.0), version: self.1, ttl: Some(self.2) }
    }

    /// The result of a write that finds this session and not what it expects.
    fn refuse(self, write: &Write<'_>) -> Written {
        let stored = self.into_stored();
        match write.mode {
            _ if stored.version.is_of(write.id) => {
                Written::Written { version: stored.version, ttl: stored.ttl }
            }
            Mode::Create { .. } => Written::Exists(Box::new(stored)),
            Mode::Replace(_) => Written::Changed(Box::new(stored)),
        }
    }
}

fn later(now: Instant, time: Duration) -> Instant {
    now.checked_add(time.min(LONGEST)).unwrap_or(now)
}

impl Entry {
    fn found(&self, now: Instant) -> Found {
        Found(Arc::clone(&self.session), self.version.clone(), self.ends_at - now)
    }

    fn end_at(&mut self, ends_at: Instant) {
        self.ends_at = ends_at;
        self.tombstone.until = self.tombstone.until.max(later(ends_at, REQUEST_LIFETIME));
    }
}

impl Shard {
    /// The session, unless it has expired. Reading changes nothing but the order of use.
    pub(super) fn find(&mut self, id: &str, now: Instant) -> Option<Found> {
        self.live(id, now).map(|entry| entry.found(now))
    }

    /// The session alone.
    pub(super) fn session(&mut self, id: &str, now: Instant) -> Option<Arc<Session>> {
        self.live(id, now).map(|entry| Arc::clone(&entry.session))
    }

    fn live(&mut self, id: &str, now: Instant) -> Option<&mut Entry> {
        if self.entries.peek(id)?.ends_at <= now { None } else { self.entries.get_mut(id) }
    }

    /// True if the session there is the one at this place of the index.
    pub(super) fn has(&self, id: &str, number: u64) -> bool {
        self.entries.peek(id).is_some_and(|entry| entry.number == number)
    }

    /// Creates a session of a user with these log-outs, at place `number` of the index.
    pub(super) fn create(
        &mut self,
        write: &Write<'_>,
        log_outs: Marks,
        ttl: Duration,
        number: u64,
        now: Instant,
    ) -> Written {
        let Mode::Create { marks, reuse } = write.mode else { return Written::Gone };
        let id = write.session.id.as_str();
        if let Some(found) = self.find(id, now) {
            return found.refuse(write);
        }
        let before = self.tombstones.peek(id).filter(|tombstone| tombstone.until > now).copied();
        let just_deleted = before
            .and_then(|tombstone| tombstone.deleted)
            .is_some_and(|deleted| later(deleted.at, REQUEST_LIFETIME) > now);
        if before.is_some() && (!reuse || just_deleted) {
            return Written::Gone;
        }
        if !log_outs.is_subset(marks) {
            return Written::LoggedOut(log_outs);
        }
        let tombstone = before.unwrap_or(Tombstone { until: now, deleted: None });
        let (session, version) = (Arc::new(write.session.clone()), Version::created(write));
        let bytes = size(&session);
        let mut entry =
            Entry { session, version: version.clone(), ends_at: now, number, bytes, tombstone };
        entry.end_at(later(now, ttl));
        let ttl = Some(entry.ends_at - now);
        self.tombstones.remove(id);
        self.bytes += bytes;
        self.entries.insert(id, entry);
        Written::Written { version, ttl }
    }

    /// Replaces a session whose version is `expected`.
    pub(super) fn replace(
        &mut self,
        write: &Write<'_>,
        expected: &Version,
        ttl: Option<Duration>,
        now: Instant,
    ) -> Written {
        let Some(entry) = self.live(&write.session.id, now) else { return Written::Gone };
        if entry.version != *expected {
            return entry.found(now).refuse(write);
        }
        let session = Arc::new(write.session.clone());
        let (before, after) = (entry.bytes, size(&session));
        entry.session = session;
        entry.bytes = after;
        match (write.ttl, ttl.map(|ttl| later(now, ttl))) {
            (_, None) => {}
            (TtlRule::Slide(_), Some(end))
                if entry.version.has_explicit_ttl() || end <= entry.ends_at => {}
            (_, Some(end)) => entry.end_at(end),
        }
        entry.version = entry.version.replaced(write);
        let (version, ttl) = (entry.version.clone(), Some(entry.ends_at - now));
        self.bytes = self.bytes + after - before;
        Written::Written { version, ttl }
    }

    /// Deletes a session, if the condition holds; true if it was there. And its place in the index.
    pub(super) fn delete(
        &mut self,
        delete: &Delete<'_>,
        now: Instant,
        most: usize,
    ) -> (bool, Option<Unlisted>) {
        let id = delete.session;
        let unlisted = self.expire(id, now);
        let entry = self.entries.peek(id);
        let before = entry.map(|entry| entry.tombstone).or(self.tombstones.peek(id).copied());
        if let Some(done) =
            before.and_then(|before| before.deleted).filter(|done| done.id == delete.id)
        {
            return (done.existed, unlisted);
        }
        let applies = match (delete.when, entry) {
            (When::Always, _) | (When::UnlessKnown(_), None) => true,
            (When::Unchanged(expected), entry) => entry.is_some_and(|one| one.version == *expected),
            (When::UnlessKnown(log_out), Some(entry)) => {
                let user_id = &entry.session.user_id;
                let theirs = delete.user_id.is_none_or(|named| named == user_id);
                theirs && !entry.version.marks().contains(log_out)
            }
            (When::Made(create), Some(entry)) => entry.version.has_content(create),
            (When::Made(_), None) => before.is_none(),
        };
        if !applies {
            return (false, unlisted);
        }
        let ended = self.take(id);
        let existed = ended.is_some();
        let until = [
            before.map_or(now, |before| before.until),
            ended.as_ref().map_or(now, |entry| entry.ends_at),
            later(now, delete.mark_for.max(REQUEST_LIFETIME)),
        ];
        let deleted = Some(Deleted { id: delete.id, at: now, existed });
        let until = until.into_iter().max().unwrap_or(now);
        self.tombstones.insert(id, Tombstone { until, deleted });
        if self.tombstones.len() > most {
            self.tombstones.pop_oldest();
        }
        let listed = ended.map(|entry| (entry.session.user_id.clone(), entry.number));
        self.counted();
        (existed, listed.or(unlisted))
    }

    /// Makes a tombstone of a session that has expired; its place in the index.
    pub(super) fn expire(&mut self, id: &str, now: Instant) -> Option<Unlisted> {
        if self.entries.peek(id)?.ends_at > now {
            return None;
        }
        let entry = self.take(id)?;
        observe::sessions_expired(Place::Memory, 1);
        self.counted();
        Some(self.bury(entry, now))
    }

    fn bury(&mut self, entry: Entry, now: Instant) -> Unlisted {
        if entry.tombstone.until > now {
            self.tombstones.insert(&entry.session.id, entry.tombstone);
        }
        (entry.session.user_id.clone(), entry.number)
    }

    /// Removes some of what is over: a few places at each write keep up with what writes add.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<Unlisted> {
        self.tombstones.sweep(4, |tombstone| tombstone.until <= now);
        let dead = self.entries.sweep(4, |entry| entry.ends_at <= now);
        self.bytes -= dead.iter().map(|entry| entry.bytes).sum::<usize>();
        observe::sessions_expired(Place::Memory, dead.len());
        dead.into_iter().map(|entry| self.bury(entry, now)).collect()
    }

    fn take(&mut self, id: &str) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Removes the sessions that were used least recently, until the rest is within the limits.
    pub(super) fn make_room(&mut self, entries: usize, bytes: usize) -> Vec<Unlisted> {
        let mut evicted = Vec::new();
        while self.entries.len() > 1 && (self.entries.len() > entries || self.bytes > bytes) {
            let Some((_, entry)) = self.entries.pop_oldest() else { break };
            self.bytes -= entry.bytes;
            evicted.push((entry.session.user_id.clone(), entry.number));
        }
        self.counted();
        evicted
    }

    #[cfg(test)]
    pub(super) fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    /// After a change of what is held.
    fn counted(&mut self) {
        self.level.set(self.entries.len(), self.bytes);
    }
}

/// About what a session takes in memory: the record, its entry, its places in two maps.
fn size(session: &Session) -> usize {
    session.size() + size_of::<Entry>() + 200 + 2 * session.id.len()
}
