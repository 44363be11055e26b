//! What a manager holds in memory. No I/O; every method is short, under one lock.

use crate::clock::{self, Instant};
use crate::session::error::SessionError;
use crate::session::record::Session;
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a copy relates to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// The store has never seen it.
    New,
    /// The store has an older one.
    Changed,
    /// As the store has it, when last looked.
    Clean,
}

/// A session held in memory.
#[derive(Clone)]
pub(super) struct Cached {
    pub(super) session: Arc<Session>,
    pub(super) sync: Sync,
    /// When the store was last seen to have it.
    pub(super) checked: Instant,
    /// When `last_active_at` was last moved.
    pub(super) touched: Option<Instant>,
    /// Counts towards the limit: created or used here.
    counted: bool,
    /// What an outage left to be made up for.
    pub(super) offline: Option<Offline>,
    /// Changes with every write, so that a slow reply does not overwrite what came after its request.
    pub(super) version: u64,
}

/// What is owed to the store since it could not be reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Offline {
    /// Until when the session was to live, by what happened here.
    pub(super) until: Option<DateTime<Utc>>,
    /// SHA-1 of versions that were sent and may have arrived.
    pub(super) sent: Vec<String>,
}

#[derive(Default)]
struct State {
    sessions: HashMap<String, Cached>,
    /// Deleted here, and the store does not know yet.
    deleted: HashSet<String>,
    /// Users all of whose sessions up to this time are ended, which the store does not know yet.
    revoked: HashMap<String, DateTime<Utc>>,
    counted: usize,
    next_version: u64,
}

/// A place kept for a session that is being created; given back when dropped.
pub(super) struct Reservation<'a>(Option<&'a Cache>);

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(cache) = self.0 {
            cache.lock().counted -= 1;
        }
    }
}

/// The cache. One lock: everything in it is a few map operations, and the limit has to be exact.
#[derive(Default)]
pub(super) struct Cache(Mutex<State>);

impl Cache {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole values only are changed under it, so what a panicking holder left is true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a place for a session to be created, unless there are `limit` of them (0: no limit).
    pub(super) fn reserve(&self, limit: usize) -> Result<Reservation<'_>, SessionError> {
        let mut state = self.lock();
        if limit > 0 && state.counted >= limit {
            return Err(SessionError::LimitReached { limit });
        }
        state.counted += 1;
        Ok(Reservation(Some(self)))
    }

    /// Puts a session in the place kept for it.
    pub(super) fn add_created(&self, session: Session, mut place: Reservation<'_>) -> Cached {
        place.0 = None;
        let mut state = self.lock();
        let version = state.version();
        let now = clock::now();
        let cached =
            Cached { session: Arc::new(session), sync: Sync::New, checked: now, touched: Some(now), counted: true, offline: None, version };
        state.sessions.insert(cached.session.id.clone(), cached.clone());
        cached
    }

    pub(super) fn get(&self, id: &str) -> Option<Cached> {
        self.lock().sessions.get(id).cloned()
    }

    /// The session, which from now on counts towards the limit.
    pub(super) fn count(&self, id: &str) {
        let state = &mut *self.lock();
        if let Some(cached) = state.sessions.get_mut(id) {
            state.counted += usize::from(!cached.counted);
            cached.counted = true;
        }
    }

    /// A session that was read from the store. What was not written yet stays, as does what was deleted, and what changed since
    /// the request began (`seen` is the version at that time).
    pub(super) fn put_synced(&self, session: Session, seen: Option<u64>) -> Option<Arc<Session>> {
        let mut state = self.lock();
        if state.deleted.contains(&session.id) || state.is_revoked(&session) {
            return None;
        }
        let version = state.version();
        let now = clock::now();
        match state.sessions.get_mut(&session.id) {
            Some(cached) if cached.sync != Sync::Clean || cached.offline.is_some() || seen != Some(cached.version) => {
                if cached.sync == Sync::Clean {
                    cached.checked = now;
                }
                Some(Arc::clone(&cached.session))
            }
            Some(cached) => {
                cached.session = Arc::new(session);
                (cached.checked, cached.version) = (now, version);
                Some(Arc::clone(&cached.session))
            }
            None if seen.is_some() => None,
            None => {
                let session = Arc::new(session);
                let cached = Cached {
                    session: Arc::clone(&session),
                    sync: Sync::Clean,
                    checked: now,
                    touched: None,
                    counted: false,
                    offline: None,
                    version,
                };
                state.sessions.insert(session.id.clone(), cached);
                Some(session)
            }
        }
    }

    /// Replaces the copy; `None` when there is none.
    pub(super) fn replace(&self, session: Session, sync: impl FnOnce(Sync) -> Sync) -> Option<Cached> {
        let mut state = self.lock();
        let version = state.version();
        let cached = state.sessions.get_mut(&session.id)?;
        cached.sync = sync(cached.sync);
        cached.session = Arc::new(session);
        cached.version = version;
        Some(cached.clone())
    }

    /// The store has this version of the session now; what changed later stays unwritten.
    pub(super) fn written(&self, version: u64, session: Session) {
        let mut state = self.lock();
        let Some(cached) = state.sessions.get_mut(&session.id) else { return };
        cached.checked = clock::now();
        cached.offline = None;
        if cached.version == version {
            cached.sync = Sync::Clean;
            cached.session = Arc::new(session);
        } else if cached.sync == Sync::New {
            cached.sync = Sync::Changed;
        }
    }

    /// The store could not be told of this session: `until` is its deadline if that moved, `sent` a version that may have arrived.
    pub(super) fn owe(&self, id: &str, until: Option<DateTime<Utc>>, sent: Option<String>) {
        if let Some(cached) = self.lock().sessions.get_mut(id) {
            let offline = cached.offline.get_or_insert_default();
            offline.until = offline.until.max(until);
            offline.sent.extend(sent);
        }
    }

    pub(super) fn touched(&self, id: &str) {
        if let Some(cached) = self.lock().sessions.get_mut(id) {
            cached.touched = Some(clock::now());
        }
    }

    pub(super) fn remove(&self, id: &str) -> Option<Cached> {
        self.lock().remove(id)
    }

    /// Drops the copy that was seen, unless it changed since.
    pub(super) fn remove_if(&self, id: &str, version: u64) -> bool {
        let mut state = self.lock();
        let same = state.sessions.get(id).is_some_and(|cached| cached.version == version);
        same && state.remove(id).is_some()
    }

    /// Remembers that a session is deleted until the store knows.
    pub(super) fn bury(&self, id: &str) {
        self.lock().deleted.insert(id.to_owned());
    }

    pub(super) fn is_buried(&self, id: &str) -> bool {
        self.lock().deleted.contains(id)
    }

    pub(super) fn unbury(&self, id: &str) {
        self.lock().deleted.remove(id);
    }

    pub(super) fn buried(&self) -> Vec<String> {
        self.lock().deleted.iter().cloned().collect()
    }

    /// Remembers that all sessions of a user up to now are ended, until the store knows.
    pub(super) fn revoke(&self, user_id: &str) -> DateTime<Utc> {
        let now = clock::utc_now();
        self.lock().revoked.insert(user_id.to_owned(), now);
        now
    }

    /// The store knows; unless the user was revoked once more since.
    pub(super) fn forget_revoked(&self, user_id: &str, at: DateTime<Utc>) {
        let mut state = self.lock();
        if state.revoked.get(user_id) == Some(&at) {
            state.revoked.remove(user_id);
        }
    }

    pub(super) fn revoked(&self) -> Vec<(String, DateTime<Utc>)> {
        self.lock().revoked.iter().map(|(user_id, at)| (user_id.clone(), *at)).collect()
    }

    /// The copies that `wanted` picks.
    pub(super) fn filter(&self, wanted: impl Fn(&Cached) -> bool) -> Vec<Cached> {
        self.lock().sessions.values().filter(|cached| wanted(cached)).cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().sessions.len()
    }
}

impl State {
    fn version(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }

    fn is_revoked(&self, session: &Session) -> bool {
        self.revoked.get(&session.user_id).is_some_and(|at| session.created_at <= *at)
    }

    fn remove(&mut self, id: &str) -> Option<Cached> {
        let cached = self.sessions.remove(id)?;
        self.counted -= usize::from(cached.counted);
        Some(cached)
    }
}

impl Cached {
    /// How long ago the session was last used, by its record.
    pub(super) fn idle(&self) -> Duration {
        (clock::utc_now() - self.session.last_active_at).to_std().unwrap_or_default()
    }
}
