//! What the store is owed: sessions to be written, ends to be told. Every change is noted here before it is sent.

use super::health::Pending;
use crate::observe::PendingLevel;
use crate::session::journal::{Entry, Journal, Written};
use crate::session::reconcile::TtlRule;
use crate::session::record::Session;
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};

/// What a debt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The store has never seen the session.
    New,
    /// The store has an older one.
    Changed,
    /// It was only used, or its time to live was set.
    Touched,
}

/// What is owed for one session.
#[derive(Clone, Debug)]
pub(super) struct Debt {
    pub(super) kind: Kind,
    pub(super) ttl: TtlRule,
    /// The change was made while the store worked, so the last writer wins.
    pub(super) overwrites: bool,
    /// It is being created at this moment: what the store has under its id is somebody else's.
    pub(super) unborn: bool,
    /// SHA-1 of versions that were sent and may have arrived.
    pub(super) sent: Vec<String>,
}

impl Debt {
    pub(super) fn new(kind: Kind, ttl: TtlRule) -> Self {
        Self { kind, ttl, overwrites: false, unborn: false, sent: Vec::new() }
    }

    /// One more change of the same session.
    pub(super) fn add(&mut self, kind: Kind, ttl: TtlRule, overwrites: bool) {
        self.kind = match (self.kind, kind) {
            (Kind::New, _) | (_, Kind::New) => Kind::New,
            (Kind::Changed, _) | (_, Kind::Changed) => Kind::Changed,
            (Kind::Touched, Kind::Touched) => Kind::Touched,
        };
        self.ttl = self.ttl.and(ttl);
        self.overwrites |= overwrites;
    }

    /// A version is about to be sent. Only the latest are remembered: one that is older than that many attempts does not arrive.
    pub(super) fn sent(&mut self, sha1: String) {
        const MOST: usize = 16;
        if !self.sent.contains(&sha1) {
            self.sent.push(sha1);
            let surplus = self.sent.len().saturating_sub(MOST);
            self.sent.drain(..surplus);
        }
    }

    /// The store has a version of it now, since which it was at most used, or changed too.
    pub(super) fn seen(&mut self, uses_only: bool) {
        if uses_only {
            (self.kind, self.overwrites) = (Kind::Touched, false);
        } else if self.kind == Kind::New {
            self.kind = Kind::Changed;
        }
    }
}

/// All that is owed.
#[derive(Default)]
pub(super) struct Debts {
    /// Sessions that have a [`Debt`].
    sessions: HashSet<String>,
    /// Ended here, and the store does not know yet; with their users, where known.
    buried: HashMap<String, Option<String>>,
    /// Users all of whose sessions up to a time are ended, which the store does not know yet.
    revoked: HashMap<String, DateTime<Utc>>,
    file: Option<Journal>,
    level: PendingLevel,
}

impl Debts {
    /// From now on what is left pending is written to `file` too.
    pub(super) fn keep_in(&mut self, file: Journal) {
        self.file = Some(file);
    }

    pub(super) fn owe(&mut self, id: &str) {
        if !self.sessions.contains(id) {
            self.sessions.insert(id.to_owned());
            self.counted();
        }
    }

    /// After a change of how much is owed.
    fn counted(&mut self) {
        self.level.set(self.sessions.len(), self.buried.len(), self.revoked.len());
    }

    pub(super) fn owing(&self) -> impl Iterator<Item = &String> {
        self.sessions.iter()
    }

    /// How many sessions are to be written.
    pub(super) fn puts(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.buried.is_empty() && self.revoked.is_empty()
    }

    /// Nothing is owed for the session any more.
    pub(super) fn settled(&mut self, id: &str) {
        if self.sessions.remove(id) {
            self.counted();
            self.note(|file| file.settled(id));
        }
    }

    /// Notes in the file that something is settled. When nothing is owed any more it is emptied instead.
    fn note(&mut self, note: impl FnOnce(&mut Journal)) {
        let empty = self.is_empty();
        match &mut self.file {
            Some(file) if empty => file.clear(),
            Some(file) => note(file),
            None => {}
        }
    }

    pub(super) fn bury(&mut self, id: &str, user_id: Option<String>) {
        let known = self.buried.entry(id.to_owned()).or_default();
        *known = user_id.or(known.take());
        self.counted();
    }

    pub(super) fn is_buried(&self, id: &str) -> bool {
        self.buried.contains_key(id)
    }

    pub(super) fn unbury(&mut self, id: &str) {
        if self.buried.remove(id).is_some() {
            self.counted();
            self.note(|file| file.settled(id));
        }
    }

    pub(super) fn buried(&self) -> Vec<String> {
        self.buried.keys().cloned().collect()
    }

    /// Those of a user, where that is known.
    pub(super) fn buried_of(&self, user_id: &str) -> Vec<String> {
        let of_user = self.buried.iter().filter(|(_, user)| user.as_deref() == Some(user_id));
        of_user.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn revoke(&mut self, user_id: &str, at: DateTime<Utc>) {
        self.revoked.insert(user_id.to_owned(), at);
        self.counted();
    }

    pub(super) fn revoked_until(&self, user_id: &str) -> Option<DateTime<Utc>> {
        self.revoked.get(user_id).copied()
    }

    pub(super) fn forget_revoked(&mut self, user_id: &str, at: DateTime<Utc>) {
        if self.revoked.get(user_id) == Some(&at) {
            self.revoked.remove(user_id);
            self.counted();
            self.note(|file| file.forgiven(user_id));
        }
    }

    pub(super) fn revoked(&self) -> Vec<(String, DateTime<Utc>)> {
        self.revoked.iter().map(|(user_id, at)| (user_id.clone(), *at)).collect()
    }

    /// Writes an entry to the journal file; what is answered is ready when it is on the disk.
    pub(super) fn write(&mut self, entry: &Entry) -> Option<Written> {
        self.file.as_mut().map(|file| file.write(entry))
    }

    /// True when most of the file is outdated.
    pub(super) fn file_is_long(&self) -> bool {
        let live = self.sessions.len() + self.buried.len() + self.revoked.len();
        self.file.as_ref().is_some_and(|file| file.is_long(live))
    }

    /// Writes the file anew: the ends, and the sessions given.
    pub(super) fn rewrite(&mut self, sessions: impl Iterator<Item = Entry>) {
        let buried = self
            .buried
            .iter()
            .map(|(id, user_id)| Entry::Delete { id: id.clone(), user_id: user_id.clone() });
        let revoked = self.revoked.iter().map(|(user_id, at)| revoked(user_id, *at));
        let entries: Vec<_> = buried.chain(revoked).chain(sessions).collect();
        if let Some(file) = &mut self.file {
            file.replace(&entries);
        }
    }

    pub(super) fn user_of_buried(&self, id: &str) -> Option<String> {
        self.buried.get(id).cloned().flatten()
    }

    pub(super) fn pending(&self) -> Pending {
        Pending { deleted: self.buried.len(), revoked: self.revoked.len(), ..Pending::default() }
    }
}

/// What a journal file holds for a session.
pub(super) fn entry(session: &Session, stored: Option<&Session>, debt: &Debt) -> Option<Entry> {
    Some(Entry::Put {
        record: session.to_json().ok()?,
        base: stored.map(Session::to_json).transpose().ok()?,
        touched: debt.kind == Kind::Touched,
        ttl: debt.ttl.into(),
        sent: debt.sent.clone(),
    })
}

pub(super) fn revoked(user_id: &str, at: DateTime<Utc>) -> Entry {
    // A part of a millisecond more rather than less: what was created before it is ended.
    Entry::Revoke { user_id: user_id.to_owned(), until: at.timestamp_millis().saturating_add(1) }
}
