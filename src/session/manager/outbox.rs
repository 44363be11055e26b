//! [`Outbox`]: the changes that the store has not confirmed, and which of them are due. No I/O, and
//! no knowledge of the cache.

use super::decide::PendingChange;
use super::journal::{Key, Line};
use crate::clock::{self, Instant};
use crate::observe::PendingLevel;
use crate::session::change::ChangeId;
use crate::session::lru::Lru;
use crate::session::marks::Marks;
use crate::session::store::REQUEST_LIFETIME;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// The number of users whose log-outs are remembered beyond those that are pending.
const USERS: usize = 10_000;

/// When a change that was refused is tried again.
#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Instant,
    pause: Duration,
}

impl Retry {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(600);

    fn after(earlier: Option<Self>, now: Instant) -> Self {
        let pause = earlier.map_or(Self::FIRST, |retry| (2 * retry.pause).min(Self::LONGEST));
        Self { at: clock::later(now, pause), pause }
    }
}

/// A pending change, and when it is tried again after a refusal.
struct Item<T> {
    value: T,
    place: u64,
    retry: Option<Retry>,
}

impl<T> Item<T> {
    fn is_due(&self, now: Instant) -> bool {
        self.retry.is_none_or(|retry| retry.at <= now)
    }
}

/// The end of a session that the store has to execute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tombstone {
    pub(super) id: ChangeId,
    pub(super) user_id: Option<String>,
    /// Until when a create of the session may be executed.
    pub(super) mark_until: Option<DateTime<Utc>>,
    /// The end of what this create made, and of nothing else.
    pub(super) made: Option<ChangeId>,
}

/// The log-out of a user that the store has to execute.
struct LogOut {
    id: ChangeId,
    /// The log-outs that it took the place of: the store may have executed them.
    earlier: Marks,
    /// The sessions that it ended here.
    ended: HashSet<String>,
}

/// A kind of pending changes, in the order in which they became pending.
struct Queue<T> {
    items: HashMap<String, Item<T>>,
    order: BTreeMap<u64, String>,
    next: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<T> Queue<T> {
    fn get(&self, name: &str) -> Option<&T> {
        // Mostly nothing is pending, and every read asks.
        if self.items.is_empty() { None } else { self.items.get(name).map(|item| &item.value) }
    }

    fn insert(&mut self, name: &str, value: T) {
        if let Some(item) = self.items.get_mut(name) {
            (item.value, item.retry) = (value, None);
            return;
        }
        self.next += 1;
        self.order.insert(self.next, name.to_owned());
        self.items.insert(name.to_owned(), Item { value, place: self.next, retry: None });
    }

    fn remove(&mut self, name: &str) -> Option<T> {
        let item = self.items.remove(name)?;
        self.order.remove(&item.place);
        Some(item.value)
    }

    fn keys(&self) -> impl Iterator<Item = &String> {
        self.order.values()
    }

    fn iter(&self) -> impl Iterator<Item = (&String, &Item<T>)> {
        self.order.values().filter_map(|name| Some((name, self.items.get(name)?)))
    }

    /// The first that are due.
    fn due(&self, most: usize, now: Instant) -> Vec<String> {
        let due = self.iter().filter(|(_, item)| item.is_due(now));
        due.map(|(name, _)| name.clone()).take(most).collect()
    }

    fn delay(&mut self, name: &str, now: Instant) -> Option<Instant> {
        let item = self.items.get_mut(name)?;
        let retry = Retry::after(item.retry, now);
        item.retry = Some(retry);
        Some(retry.at)
    }

    fn delayed(&self, now: Instant) -> usize {
        self.items.values().filter(|item| !item.is_due(now)).count()
    }
}

/// The pending changes of a manager.
#[derive(Default)]
pub(super) struct Outbox {
    changes: Queue<PendingChange>,
    ends: Queue<Tombstone>,
    log_outs: Queue<LogOut>,
    /// Log-outs that creates need not learn again.
    known: Lru<(Marks, Instant)>,
    level: PendingLevel,
    /// Nothing is due before; `None` if something may be.
    quiet_until: Option<Instant>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.items.is_empty()
            && self.ends.items.is_empty()
            && self.log_outs.items.is_empty()
    }

    fn counted(&mut self) {
        let Self { changes, ends, log_outs, level, .. } = self;
        level.set(changes.items.len(), ends.items.len(), log_outs.items.len());
    }

    pub(super) fn change(&self, id: &str) -> Option<&PendingChange> {
        self.changes.get(id)
    }

    pub(super) fn change_mut(&mut self, id: &str) -> Option<&mut PendingChange> {
        self.changes.items.get_mut(id).map(|item| &mut item.value)
    }

    pub(super) fn changes(&self) -> impl Iterator<Item = &PendingChange> {
        self.changes.iter().map(|(_, item)| &item.value)
    }

    /// The number of sessions to be written.
    pub(super) fn pending_changes(&self) -> usize {
        self.changes.items.len()
    }

    pub(super) fn pending_ends(&self) -> usize {
        self.ends.items.len()
    }

    pub(super) fn pending_log_outs(&self) -> usize {
        self.log_outs.items.len()
    }

    pub(super) fn mark_pending(&mut self, id: &str, change: PendingChange) {
        self.changes.insert(id, change);
        self.quiet_until = None;
        self.counted();
    }

    /// The session's pending change is confirmed, or over.
    pub(super) fn acknowledge(&mut self, id: &str) -> Option<PendingChange> {
        let change = self.changes.remove(id)?;
        self.counted();
        Some(change)
    }

    pub(super) fn tombstone(&self, id: &str) -> Option<&Tombstone> {
        self.ends.get(id)
    }

    pub(super) fn add_tombstone(&mut self, id: &str, tombstone: Tombstone) {
        self.ends.insert(id, tombstone);
        self.quiet_until = None;
        self.counted();
    }

    /// The end was executed, unless another one is pending by now.
    pub(super) fn remove_tombstone(&mut self, id: &str, end: ChangeId) -> bool {
        let same = self.ends.get(id).is_some_and(|tombstone| tombstone.id == end);
        let removed = same && self.ends.remove(id).is_some();
        self.counted();
        removed
    }

    pub(super) fn log_out(&self, user_id: &str) -> Option<ChangeId> {
        self.log_outs.get(user_id).map(|log_out| log_out.id)
    }

    /// The user whose pending log-out is to be executed before this session is created. One that was
    /// refused, and waits for its next attempt, holds nobody up.
    pub(super) fn log_out_before(&self, id: &str) -> Option<&str> {
        let change = self.change(id).filter(|change| change.create.is_some())?;
        let user_id = change.session.user_id.as_str();
        let item = self.log_outs.items.get(user_id)?;
        item.retry.is_none().then_some(user_id)
    }

    /// A log-out takes the place of one that is pending: what the earlier one ends, it ends too.
    pub(super) fn add_log_out(
        &mut self,
        user_id: &str,
        id: ChangeId,
        ended: impl IntoIterator<Item = String>,
    ) {
        let mut log_out =
            LogOut { id, earlier: Marks::default(), ended: ended.into_iter().collect() };
        if let Some(Item { value, .. }) = self.log_outs.items.get_mut(user_id) {
            log_out.ended.extend(std::mem::take(&mut value.ended));
            log_out.earlier = std::mem::take(&mut value.earlier);
            log_out.earlier.insert(value.id);
        }
        self.log_outs.insert(user_id, log_out);
        self.quiet_until = None;
        self.counted();
    }

    /// The sessions that a pending log-out ended here, in the order of their ids.
    pub(super) fn logged_out(&self, user_id: &str) -> BTreeSet<String> {
        let log_out = self.log_outs.get(user_id);
        log_out.map(|log_out| log_out.ended.iter().cloned().collect()).unwrap_or_default()
    }

    /// True if a pending log-out ended this session here.
    pub(super) fn is_logged_out(&self, id: &str) -> bool {
        self.log_outs.iter().any(|(_, item)| item.value.ended.contains(id))
    }

    /// The log-out was executed, unless another one is pending by now.
    pub(super) fn remove_log_out(&mut self, user_id: &str, log_out: ChangeId) -> bool {
        let removed =
            self.log_out(user_id) == Some(log_out) && self.log_outs.remove(user_id).is_some();
        self.counted();
        removed
    }

    /// The log-outs of a user that are known here, for a session that is created now.
    pub(super) fn marks(&self, user_id: &str, now: Instant) -> Marks {
        let known = self.known.peek(user_id).filter(|(_, until)| *until > now);
        let mut marks = known.map(|(marks, _)| marks.clone()).unwrap_or_default();
        if let Some(log_out) = self.log_outs.get(user_id) {
            marks.learn(&log_out.earlier);
            marks.insert(log_out.id);
        }
        marks
    }

    /// Remembers log-outs of a user, as long as a store of this default time to live keeps them.
    pub(super) fn learn(&mut self, user_id: &str, marks: &Marks, ttl: Duration, now: Instant) {
        self.known.sweep(4, |(_, until)| *until <= now);
        let mut known = self.marks(user_id, now);
        known.learn(marks);
        let until = clock::later(now, ttl.saturating_add(REQUEST_LIFETIME));
        self.known.insert(user_id, (known, until));
        if self.known.len() > USERS {
            self.known.pop_oldest();
        }
    }

    /// True if something may be due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_empty() && self.quiet_until.is_none_or(|until| until <= now)
    }

    /// Returns the first of each kind that are due: log-outs, ends, changes.
    pub(super) fn due(&self, most: usize, now: Instant) -> [Vec<String>; 3] {
        let log_outs = self.log_outs.due(most, now);
        [log_outs, self.ends.due(most, now), self.changes.due(most, now)]
    }

    /// The store refused it: it is tried again later.
    pub(super) fn delay(&mut self, key: &Key, now: Instant) {
        match key {
            Key::User(user_id) => drop(self.log_outs.delay(user_id, now)),
            Key::Session(id) if self.ends.get(id).is_some() => drop(self.ends.delay(id, now)),
            Key::Session(id) => drop(self.changes.delay(id, now)),
        }
    }

    /// After a flush: returns how many were refused and wait. 0 if more is due: each is looked at
    /// only at the end.
    pub(super) fn rest(&mut self, now: Instant) -> usize {
        if self.due(1, now).iter().any(|due| !due.is_empty()) {
            self.quiet_until = None;
            return 0;
        }
        let retries = self.changes.items.values().map(|item| item.retry);
        let retries = retries.chain(self.ends.items.values().map(|item| item.retry));
        let retries = retries.chain(self.log_outs.items.values().map(|item| item.retry));
        // Something without a retry is in somebody's hands, or was added meanwhile.
        self.quiet_until = retries
            .map(|retry| retry.map(|retry| retry.at))
            .min()
            .flatten()
            .filter(|until| *until > now);
        self.changes.delayed(now) + self.ends.delayed(now) + self.log_outs.delayed(now)
    }

    /// The line of a journal that says what is pending for a session.
    pub(super) fn line(&self, id: &str) -> Option<Line> {
        if let Some(end) = self.tombstone(id) {
            return Some(Line::Delete { id: id.to_owned(), end: end.clone() });
        }
        self.change(id).cloned().map(Line::Put)
    }

    /// The lines of a journal that holds all of this. Log-outs come first: what is pending now
    /// knows of them.
    pub(super) fn lines(&self) -> Vec<Line> {
        let log_outs = self
            .log_outs
            .iter()
            .map(|(user, item)| Line::Revoke { user: user.clone(), log_out: item.value.id });
        let ends = self.ends.keys().filter_map(|id| self.line(id));
        let changes = self.changes.keys().filter_map(|id| self.line(id));
        log_outs.chain(ends).chain(changes).collect()
    }
}
