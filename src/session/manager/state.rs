//! What a manager holds: sessions in memory, and what the store is owed. No I/O; every method is short, under one lock.

use super::debts::{Debt, Debts, Kind, revoked};
use super::held::Held;
use crate::clock;
use crate::observe::HeldLevel;
use crate::session::error::{Conflict, SessionError};
use crate::session::journal::{Entry, Written};
use crate::session::reconcile::TtlRule;
use crate::session::record::Session;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct State {
    sessions: HashMap<String, Held>,
    debts: Debts,
    level: HeldLevel,
    counted: usize,
    next_version: u64,
    /// Reads of the store under way, by the version at which they began: what was deleted since must not come back by them.
    readings: BTreeMap<u64, usize>,
    /// What was deleted, and told to the store, while reads were under way.
    graves: HashMap<String, u64>,
    /// The same for all sessions of a user up to a time.
    user_graves: HashMap<String, (u64, DateTime<Utc>)>,
}

/// A place kept for a session that is being created; given back when dropped.
pub(super) struct Reservation<'a>(Option<&'a Sessions>);

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(sessions) = self.0 {
            sessions.lock().counted -= 1;
        }
    }
}

/// A read of the store that is under way.
pub(super) struct Reading<'a> {
    sessions: &'a Sessions,
    /// The version at which it began.
    pub(super) began: u64,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let state = &mut *self.sessions.lock();
        if let Some(count) = state.readings.get_mut(&self.began) {
            *count -= 1;
            if *count == 0 {
                state.readings.remove(&self.began);
            }
        }
        let oldest = state.readings.keys().next().copied().unwrap_or(u64::MAX);
        state.graves.retain(|_, version| *version > oldest);
        state.user_graves.retain(|_, (version, _)| *version > oldest);
    }
}

/// How a session was before a change, to go back to.
pub(super) struct Before {
    held: Option<Held>,
    /// The version that the change made.
    pub(super) version: u64,
}

/// The sessions. One lock: everything under it is a few map operations, and the limit has to be exact.
#[derive(Default)]
pub(super) struct Sessions(Mutex<State>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole values only are changed under it, so what a panicking holder left is true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `act` on what the store is owed.
    pub(super) fn debts<T>(&self, act: impl FnOnce(&mut Debts) -> T) -> T {
        act(&mut self.lock().debts)
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

    /// Puts a session in the place kept for it, unless its id is taken.
    pub(super) fn add_created(
        &self,
        session: Session,
        ttl: TtlRule,
        mut place: Reservation<'_>,
    ) -> Result<Before, SessionError> {
        let mut state = self.lock();
        let taken = match session.id.as_str() {
            id if state.sessions.contains_key(id) => Some(Conflict::Exists),
            id if state.debts.is_buried(id) => Some(Conflict::Deleted),
            _ => None,
        };
        if let Some(conflict) = taken {
            // Giving the place back takes the lock.
            drop(state);
            return Err(SessionError::Conflict(conflict));
        }
        place.0 = None;
        state.counted -= 1;
        let debt = Debt { unborn: true, ..Debt::new(Kind::New, ttl) };
        Ok(state.add(session, None, Some(debt), true))
    }

    /// Takes up what a journal file held.
    pub(super) fn add_pending(&self, session: Session, stored: Option<Session>, debt: Debt) {
        self.lock().add(session, stored.map(Arc::new), Some(debt), true);
    }

    pub(super) fn get(&self, id: &str) -> Option<Held> {
        self.lock().sessions.get(id).cloned()
    }

    /// True for one that was ended here.
    pub(super) fn is_ended(&self, id: &str) -> bool {
        self.lock().debts.is_buried(id)
    }

    /// The session, which from now on counts towards the limit.
    pub(super) fn count(&self, id: &str) {
        let state = &mut *self.lock();
        if let Some(held) = state.sessions.get_mut(id) {
            state.counted += usize::from(!held.counted);
            held.counted = true;
        }
    }

    /// A read of the store begins.
    pub(super) fn reading(&self) -> Reading<'_> {
        let state = &mut *self.lock();
        let began = state.next_version;
        *state.readings.entry(began).or_default() += 1;
        Reading { sessions: self, began }
    }

    /// A session that was read from the store by a request that was sent at the version `sent`. What the store does not have yet
    /// stays, as does what changed since then; what was ended here while the caller waited (`reading`) stays ended. `held` says
    /// that the caller had a copy: when that is gone it does not come back.
    pub(super) fn put_read(
        &self,
        session: Session,
        sent: u64,
        held: bool,
        reading: &Reading<'_>,
    ) -> Option<Arc<Session>> {
        let state = &mut *self.lock();
        if state.debts.is_buried(&session.id) || state.is_revoked(&session, reading.began) {
            return None;
        }
        if state.graves.get(&session.id).is_some_and(|version| *version > reading.began) {
            return None;
        }
        let version = state.version();
        let now = clock::now();
        match state.sessions.get_mut(&session.id) {
            Some(held) if held.debt.is_some() || held.version > sent => {
                if held.debt.is_none() {
                    held.checked = now;
                }
                Some(Arc::clone(&held.session))
            }
            Some(held) => {
                held.session = Arc::new(session);
                held.stored = Some(Arc::clone(&held.session));
                (held.checked, held.version, held.content) = (now, version, version);
                Some(Arc::clone(&held.session))
            }
            None if held => None,
            None => {
                let stored = Arc::new(session.clone());
                let id = session.id.clone();
                state.add(session, Some(stored), None, false);
                state.sessions.get(&id).map(|held| Arc::clone(&held.session))
            }
        }
    }

    /// Changes a session by `change`, and notes the debt: nothing is sent before that. `None` when it is not held.
    pub(super) fn change(
        &self,
        id: &str,
        kind: Kind,
        ttl: TtlRule,
        overwrites: bool,
        change: impl FnOnce(&Session) -> Session,
    ) -> Option<Before> {
        let state = &mut *self.lock();
        let version = state.version();
        let held = state.sessions.get_mut(id)?;
        let before = Before { held: Some(held.clone()), version };
        held.session = Arc::new(change(&held.session));
        held.changed(version, kind, ttl);
        let debt = held.debt.get_or_insert_with(|| Debt::new(kind, TtlRule::Keep));
        debt.add(kind, ttl, overwrites);
        state.debts.owe(id);
        Some(before)
    }

    /// Takes a change back that was not made. What came after it stays, without it.
    pub(super) fn take_back(&self, id: &str, before: Before) {
        let state = &mut *self.lock();
        let Some(held) = state.sessions.get_mut(id) else { return };
        match (before.held, held.version == before.version) {
            (None, true) => drop(state.remove(id)),
            (None, false) => {}
            (Some(was), true) => {
                let was = held.settled(was);
                state.remove(id);
                state.put_back(id, was);
            }
            (Some(was), false) => held.without(before.version, was),
        }
    }

    /// What is about to be sent for a session, and as which version; `None` when nothing is owed any more. `sha1` is of the record:
    /// from here on it may have arrived.
    pub(super) fn sending(&self, id: &str, sha1: impl FnOnce(&Session) -> String) -> Option<Held> {
        let state = &mut *self.lock();
        let held = state.sessions.get_mut(id)?;
        let mut as_it_was = held.clone();
        let debt = held.debt.as_mut()?;
        debt.sent(sha1(&held.session));
        as_it_was.debt = Some(debt.clone());
        Some(as_it_was)
    }

    /// The store has `stored` now. If nothing was changed since `version` was sent, nothing is owed any more.
    pub(super) fn stored(&self, version: u64, stored: Session) -> bool {
        let state = &mut *self.lock();
        let id = stored.id.clone();
        let new_version = state.version();
        let Some(held) = state.sessions.get_mut(&id) else { return false };
        let stored = Arc::new(stored);
        held.checked = clock::now();
        held.stored = Some(Arc::clone(&stored));
        if held.version == version {
            // A read that was sent before may not have seen it.
            held.version = new_version;
            held.debt = None;
            held.session = stored;
            held.earlier.clear();
            state.debts.settled(&id);
            return true;
        }
        held.stored_meanwhile(version, stored, new_version);
        false
    }

    /// Later changes than those sent while the store worked are no longer the last word, and a session that was created may have
    /// arrived.
    pub(super) fn left_pending(&self, id: &str) {
        if let Some(debt) = self.lock().sessions.get_mut(id).and_then(|held| held.debt.as_mut()) {
            (debt.overwrites, debt.unborn) = (false, false);
        }
    }

    pub(super) fn remove(&self, id: &str) -> Option<Held> {
        self.lock().remove(id)
    }

    /// Drops the copy that was seen, unless it changed since.
    pub(super) fn remove_if(&self, id: &str, version: u64) -> bool {
        let mut state = self.lock();
        let same = state.sessions.get(id).is_some_and(|held| held.version == version);
        same && state.remove(id).is_some()
    }

    /// Ends a session here, and remembers it until the store knows.
    pub(super) fn bury(&self, id: &str) -> Option<Held> {
        let state = &mut *self.lock();
        let held = state.remove(id);
        state.debts.bury(id, held.as_ref().map(|held| held.session.user_id.clone()));
        held
    }

    /// The store knows that it ended.
    pub(super) fn buried(&self, id: &str) {
        let state = &mut *self.lock();
        state.debts.unbury(id);
        if !state.readings.is_empty() {
            let version = state.version();
            state.graves.insert(id.to_owned(), version);
        }
    }

    /// The store refused to end it: it is held again.
    pub(super) fn dig_up(&self, id: &str, held: Option<Held>) {
        let state = &mut *self.lock();
        state.debts.unbury(id);
        if let (Some(held), false) = (held, state.sessions.contains_key(id)) {
            state.put_back(id, held);
        }
    }

    /// Ends all sessions that a user has up to now, and remembers it until the store knows; answers those that were held.
    pub(super) fn revoke(&self, user_id: &str) -> (DateTime<Utc>, Vec<Held>) {
        let now = clock::utc_now();
        let state = &mut *self.lock();
        let of_user = state
            .sessions
            .values()
            .filter(|held| held.session.user_id == user_id && held.session.created_at <= now);
        let ids: Vec<_> = of_user.map(|held| held.session.id.clone()).collect();
        let ended: Vec<_> = ids.iter().filter_map(|id| state.remove(id)).collect();
        for held in &ended {
            state.debts.bury(&held.session.id, Some(user_id.to_owned()));
        }
        state.debts.revoke(user_id, now);
        (now, ended)
    }

    /// The store knows; unless the user was revoked once more since.
    pub(super) fn revoked(&self, user_id: &str, at: DateTime<Utc>) {
        let state = &mut *self.lock();
        state.debts.forget_revoked(user_id, at);
        if !state.readings.is_empty() {
            let version = state.version();
            state.user_graves.insert(user_id.to_owned(), (version, at));
        }
    }

    /// The copies that `wanted` picks.
    pub(super) fn filter(&self, wanted: impl Fn(&Held) -> bool) -> Vec<Held> {
        self.lock().sessions.values().filter(|held| wanted(held)).cloned().collect()
    }

    /// The sessions for which the store is owed something.
    pub(super) fn owing(&self) -> Vec<Held> {
        let state = self.lock();
        state.debts.owing().filter_map(|id| state.sessions.get(id).cloned()).collect()
    }

    /// Writes what is owed for a session to the journal file, if there is one.
    pub(super) fn keep(&self, id: &str) -> Option<Written> {
        let state = &mut *self.lock();
        let entry = state.sessions.get(id).and_then(Held::entry)?;
        state.keep(&entry)
    }

    /// The same for its end.
    pub(super) fn keep_end(&self, id: &str) -> Option<Written> {
        let state = &mut *self.lock();
        let user_id = state.debts.user_of_buried(id);
        state.keep(&Entry::Delete { id: id.to_owned(), user_id })
    }

    /// The same for the end of all sessions of a user.
    pub(super) fn keep_revoked(&self, user_id: &str, at: DateTime<Utc>) -> Option<Written> {
        self.lock().keep(&revoked(user_id, at))
    }

    pub(super) fn len(&self) -> usize {
        self.lock().sessions.len()
    }
}

impl State {
    fn keep(&mut self, entry: &Entry) -> Option<Written> {
        if self.debts.file_is_long() {
            let owing: Vec<Held> =
                self.debts.owing().filter_map(|id| self.sessions.get(id).cloned()).collect();
            self.debts.rewrite(owing.iter().filter_map(Held::entry));
        }
        self.debts.write(entry)
    }

    fn version(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }

    fn add(
        &mut self,
        session: Session,
        stored: Option<Arc<Session>>,
        debt: Option<Debt>,
        counted: bool,
    ) -> Before {
        let version = self.version();
        let id = session.id.clone();
        self.remove(&id);
        let now = clock::now();
        // One that was created was used just now; one that was read may be due.
        let touched = stored.is_none().then_some(now);
        let session = Arc::new(session);
        let (content, used, earlier) = (version, TtlRule::Keep, Vec::new());
        let held = Held {
            session,
            stored,
            debt,
            checked: now,
            touched,
            counted,
            version,
            content,
            used,
            earlier,
        };
        self.restore(&id, held);
        Before { held: None, version }
    }

    fn restore(&mut self, id: &str, held: Held) {
        self.counted += usize::from(held.counted);
        if held.debt.is_some() {
            self.debts.owe(id);
        }
        self.sessions.insert(id.to_owned(), held);
        self.level.set(self.sessions.len());
    }

    /// The same for what was taken out before: the journal file holds it no more.
    fn put_back(&mut self, id: &str, held: Held) {
        let entry = held.entry();
        self.restore(id, held);
        if let Some(entry) = entry {
            drop(self.keep(&entry));
        }
    }

    fn is_revoked(&self, session: &Session, began: u64) -> bool {
        let since = self
            .user_graves
            .get(&session.user_id)
            .filter(|(version, _)| *version > began)
            .map(|(_, at)| *at);
        let until = self.debts.revoked_until(&session.user_id).max(since);
        until.is_some_and(|at| session.created_at <= at)
    }

    fn remove(&mut self, id: &str) -> Option<Held> {
        let held = self.sessions.remove(id)?;
        self.counted -= usize::from(held.counted);
        self.level.set(self.sessions.len());
        self.debts.settled(id);
        Some(held)
    }
}
