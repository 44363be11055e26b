//! Cache and outbox under one lock, which is never held across an await: the steps of a change that
//! must be seen whole.

use super::cache::{Began, Cache, CacheEntry};
use super::decide::{Create, ExplicitTtl, PendingChange};
use super::journal::Line;
use super::outbox::{Outbox, Tombstone};
use crate::clock::{self, Instant};
use crate::session::change::ChangeId;
use crate::session::chunks;
use crate::session::error::{Conflict, SessionError};
use crate::session::marks::Marks;
use crate::session::record::Session;
use crate::session::store::Stored;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct State {
    pub(super) cache: Cache,
    pub(super) outbox: Outbox,
    /// Most sessions that a call sends for a flush: fewer after a batch that failed as a whole.
    pub(super) batch: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { cache: Cache::default(), outbox: Outbox::default(), batch: chunks::MOST }
    }
}

/// A change of a session that is held.
pub(super) struct Edit {
    pub(super) id: ChangeId,
    pub(super) session: Session,
    /// More than the last use changes.
    pub(super) content: bool,
    pub(super) ends_at: Option<DateTime<Utc>>,
    pub(super) slides_to: Option<DateTime<Utc>>,
}

/// The state of a session before a change, to be restored if the change is refused.
pub(super) struct UndoRecord {
    session_id: String,
    id: ChangeId,
    entry: Option<CacheEntry>,
    pub(super) pending: Option<PendingChange>,
    tombstone: Option<Tombstone>,
}

/// The time until a wall clock time.
pub(super) fn until(at: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (at - now).to_std().unwrap_or_default()
}

impl State {
    /// Holds a session that is being created, unless its id is taken.
    pub(super) fn create(
        &mut self,
        session: &Arc<Session>,
        id: ChangeId,
        ends_at: Option<DateTime<Utc>>,
        slides_to: DateTime<Utc>,
        rules: Create,
        now: DateTime<Utc>,
    ) -> Result<UndoRecord, SessionError> {
        let session_id = session.id.as_str();
        if rules.derived && !self.marks(&session.user_id, clock::now()).is_subset(&rules.marks) {
            return Err(SessionError::Conflict(Conflict::LoggedOut));
        }
        if self.outbox.tombstone(session_id).is_some() {
            return Err(SessionError::Conflict(Conflict::Deleted));
        }
        if self.outbox.change(session_id).is_some() || self.holds(session_id) {
            return Err(SessionError::Conflict(Conflict::Exists));
        }
        let entry = self.cache.remove(session_id);
        self.outbox.mark_pending(
            session_id,
            PendingChange {
                session: Arc::clone(session),
                ids: vec![id],
                content: Some(id),
                ttl: ends_at.map(|ends_at| ExplicitTtl { id, ends_at }),
                slides_to: Some(slides_to),
                ends_at: ends_at.or(Some(slides_to)),
                base: None,
                create: Some(rules),
            },
        );
        self.cache.insert(CacheEntry {
            session: Arc::clone(session),
            version: None,
            ends_at: Some(clock::after(until(ends_at.unwrap_or(slides_to), now))),
            checked: clock::now(),
            touched: Some(clock::now()),
            // The place that was kept for it counts, until the session is acknowledged.
            counted: false,
            tick: 0,
        });
        Ok(UndoRecord {
            session_id: session_id.to_owned(),
            id,
            entry,
            pending: None,
            tombstone: None,
        })
    }

    /// True if a session is held that is not over.
    fn holds(&self, id: &str) -> bool {
        self.cache.get(id).is_some_and(|entry| !entry.is_over(clock::now()))
    }

    /// Changes a session that is held and not over.
    pub(super) fn change(&mut self, edit: Edit, now: DateTime<Utc>) -> Option<UndoRecord> {
        let session_id = edit.session.id.clone();
        let entry = self.cache.get(&session_id).filter(|entry| !entry.is_over(clock::now()))?;
        let before = self.outbox.change(&session_id).cloned();
        let undo = UndoRecord {
            session_id: session_id.clone(),
            id: edit.id,
            entry: Some(entry.clone()),
            pending: before.clone(),
            tombstone: None,
        };
        let mut entry = entry.clone();
        let session = Arc::new(edit.session);
        let mut change = before.unwrap_or_else(|| PendingChange {
            session: Arc::clone(&session),
            ids: Vec::new(),
            content: None,
            ttl: None,
            slides_to: None,
            ends_at: None,
            base: entry.version.clone(),
            create: None,
        });
        change.renew(edit.id);
        change.session = Arc::clone(&session);
        if edit.content {
            change.content = Some(edit.id);
        }
        change.slides_to = change.slides_to.max(edit.slides_to);
        let is_explicit = entry.has_explicit_ttl() || change.ttl.is_some();
        if let Some(ends_at) = edit.ends_at {
            change.ttl = Some(ExplicitTtl { id: edit.id, ends_at });
            entry.ends_at = Some(clock::after(until(ends_at, now)));
        } else if let (Some(to), false) = (edit.slides_to, is_explicit) {
            entry.ends_at = entry.ends_at.map(|end| end.max(clock::after(until(to, now))));
        }
        (entry.session, entry.touched) = (session, Some(clock::now()));
        change.ends_at = entry.ends_at.map(|end| {
            let left = end.saturating_duration_since(clock::now());
            now + chrono::TimeDelta::from_std(left).unwrap_or_default()
        });
        self.cache.insert(entry);
        self.outbox.mark_pending(&session_id, change);
        Some(undo)
    }

    /// Restores a session whose change or end was refused, unless something else has happened to
    /// it. False then.
    pub(super) fn roll_back(&mut self, undo: UndoRecord, keep_copy: bool) -> bool {
        let id = &undo.session_id;
        let ended = self.outbox.remove_tombstone(id, undo.id);
        let changed = self.outbox.change(id).is_some_and(|change| change.id() == Some(undo.id));
        if !ended && !changed {
            return false;
        }
        self.outbox.acknowledge(id);
        self.cache.remove(id);
        if let Some(tombstone) = undo.tombstone {
            self.outbox.add_tombstone(id, tombstone);
        }
        let is_pending = undo.pending.is_some();
        if let Some(pending) = undo.pending {
            self.outbox.mark_pending(id, pending);
        }
        if let Some(entry) = undo.entry.filter(|_| keep_copy || is_pending) {
            self.cache.insert(entry);
        }
        true
    }

    /// Ends a session here.
    pub(super) fn end(&mut self, session_id: &str, mut end: Tombstone) -> UndoRecord {
        let entry = self.cache.remove(session_id);
        let pending = self.outbox.acknowledge(session_id);
        let tombstone = self.outbox.tombstone(session_id).cloned();
        if let Some(earlier) = &tombstone {
            end.mark_until = end.mark_until.max(earlier.mark_until);
            end.user_id = end.user_id.or_else(|| earlier.user_id.clone());
        }
        let id = end.id;
        self.cache.note_absent(session_id);
        self.outbox.add_tombstone(session_id, end);
        UndoRecord { session_id: session_id.to_owned(), id, entry, pending, tombstone }
    }

    /// The store executed an end. What a create made need not have been there: the session then is
    /// somebody else's.
    pub(super) fn ended(&mut self, session_id: &str, end: &Tombstone, existed: bool) {
        self.outbox.remove_tombstone(session_id, end.id);
        if existed || end.made.is_none() {
            self.cache.note_absent(session_id);
        }
    }

    /// The session is gone from the store: an end beats a change. True if it was held here.
    pub(super) fn gone(&mut self, session_id: &str) -> bool {
        self.cache.note_absent(session_id);
        self.give_up(session_id)
    }

    /// A session is held here no longer, and nothing is pending for it. The store may have one of
    /// this id. True if it was held here.
    pub(super) fn give_up(&mut self, session_id: &str) -> bool {
        self.outbox.acknowledge(session_id);
        self.cache.remove(session_id).is_some()
    }

    /// The store has this version, and `change` is no longer pending. False if the session has
    /// ended here meanwhile.
    pub(super) fn acknowledge(
        &mut self,
        change: &PendingChange,
        stored: Stored,
        sent: Began,
    ) -> bool {
        let id = stored.session.id.clone();
        if self.outbox.change(&id).is_none_or(|pending| pending.id() != change.id()) {
            return false;
        }
        self.outbox.acknowledge(&id);
        if self.is_ended(&stored, sent) {
            self.cache.remove(&id);
            return false;
        }
        let seen = self.cache.get(&id).map(|entry| entry.checked);
        self.cache.hold(stored, sent);
        if change.content.is_none() && change.slides_to.is_none() {
            // A change of the end alone is executed whatever the record is by now.
            seen.into_iter().for_each(|seen| self.cache.set_checked(&id, seen));
        }
        true
    }

    /// True for a session that has ended here, which a reply must not bring back.
    fn is_ended(&self, stored: &Stored, began: Began) -> bool {
        let Stored { session, version, .. } = stored;
        let log_out = self.outbox.log_out(&session.user_id);
        let end = self.outbox.tombstone(&session.id);
        end.is_some_and(|end| end.made.is_none_or(|made| version.has_content(made)))
            || log_out.is_some_and(|log_out| !version.marks().contains(log_out))
            || self.cache.is_gone_since(session, version, began)
    }

    /// Takes a session that a read brought, whose request was sent at `sent`, for a caller that
    /// began to wait at `began`. Returns the session to be served: with what is pending, and none
    /// if it has ended here.
    pub(super) fn take_read(
        &mut self,
        stored: Stored,
        sent: Began,
        began: Began,
    ) -> Option<Arc<Session>> {
        if self.is_ended(&stored, began) {
            return None;
        }
        if let Some(change) = self.outbox.change(&stored.session.id) {
            if change.is_live() {
                return Some(Arc::new(stored.session));
            }
            let session = Arc::clone(&change.session);
            // A session whose end has passed here is over, whatever the store has.
            let held = self.cache.get(&stored.session.id);
            return held.is_none_or(|entry| !entry.is_over(clock::now())).then_some(session);
        }
        Some(self.cache.take(stored, sent))
    }

    /// Logs a user out here. Returns the sessions that this ends, and how they were. What a call is
    /// creating at this moment is left to the store, which knows whether it came before, unless it
    /// comes from an earlier session.
    pub(super) fn log_out(&mut self, user_id: &str, log_out: ChangeId) -> Vec<UndoRecord> {
        let mut held = self.cache.filter(|entry| entry.session.user_id == user_id);
        held.retain(|entry| {
            let change = self.outbox.change(&entry.session.id);
            !change
                .and_then(|change| change.create.as_ref())
                .is_some_and(|create| create.live && !create.derived)
        });
        let end = |entry: CacheEntry| {
            let session_id = entry.session.id.clone();
            let mut pending = self.outbox.acknowledge(&session_id);
            let create = pending.as_mut().and_then(|change| change.create.as_mut());
            create.into_iter().for_each(|create| create.live = false);
            self.cache.remove(&session_id);
            UndoRecord { session_id, id: log_out, entry: Some(entry), pending, tombstone: None }
        };
        let ended: Vec<_> = held.into_iter().map(end).collect();
        let ids: Vec<_> = ended.iter().map(|undo| undo.session_id.clone()).collect();
        self.cache.note_log_out(user_id, log_out);
        self.outbox.add_log_out(user_id, log_out, ids);
        ended
    }

    /// Restores the sessions of a user whose log-out was refused.
    pub(super) fn roll_back_log_out(&mut self, undo: Vec<UndoRecord>, keep_copies: bool) {
        for UndoRecord { session_id, entry, pending, .. } in undo {
            if self.outbox.tombstone(&session_id).is_some() || self.cache.get(&session_id).is_some()
            {
                continue;
            }
            let is_pending = pending.is_some();
            if let Some(pending) = pending {
                self.outbox.mark_pending(&session_id, pending);
            }
            if let Some(entry) = entry.filter(|_| keep_copies || is_pending) {
                self.cache.insert(entry);
            }
        }
    }

    /// Takes up what a journal held.
    pub(super) fn recover(&mut self, line: Line, now: DateTime<Utc>) {
        match line {
            Line::Settled { .. } | Line::SettledUser { .. } => {}
            Line::Delete { id, end } => self.outbox.add_tombstone(&id, end),
            Line::Revoke { user, log_out } => self.outbox.add_log_out(&user, log_out, []),
            Line::Put(change) => {
                self.cache.insert(CacheEntry {
                    session: Arc::clone(&change.session),
                    version: change.base.clone(),
                    ends_at: change.ends_at.map(|end| clock::after(until(end, now))),
                    checked: clock::now(),
                    touched: None,
                    counted: true,
                    tick: 0,
                });
                self.outbox.mark_pending(&change.session.id.clone(), change);
            }
        }
    }

    /// The log-outs that a session knows that is created now.
    pub(super) fn marks(&self, user_id: &str, now: Instant) -> Marks {
        self.outbox.marks(user_id, now)
    }
}

impl UndoRecord {
    pub(super) fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The session that was held, if it was not over.
    pub(super) fn held(&self) -> Option<&Session> {
        let held = self.entry.as_ref().filter(|entry| !entry.is_over(clock::now()));
        held.map(|entry| entry.session.as_ref())
    }
}
