//! The oracle: compares acknowledged changes with later observations. It knows the guarantees, and
//! nothing of their implementation.

use super::facts::{Facts, Seen};
use super::log::{Actor, Answer, Entry, Log, What};
use super::plan::{Call, Plan};

/// Largest error of a duration, in milliseconds: clocks jump, and requests take time.
pub const SLACK: i64 = 60_000;

/// Time for which the end of an unknown session is remembered, in milliseconds.
pub const MINUTE: i64 = 60_000;

/// Default time to live of a manager without a store, in milliseconds.
pub const DAY: i64 = 24 * 3_600_000;

/// Checks a finished history.
pub fn check(plan: &Plan, log: &mut Log) {
    let complaints = Facts { plan, log }.complaints();
    log.complaints.extend(complaints);
}

impl<'a> Facts<'a> {
    fn complaints(&self) -> Vec<String> {
        let mut seen: Vec<Seen<'a>> = self.log.sights.iter().map(Seen::of_store).collect();
        for (_, entry) in self.entries() {
            seen.extend(Seen::by_call(entry));
        }
        let mut complaints = Vec::new();
        for seen in &seen {
            complaints.extend(self.old_content(seen));
            complaints.extend(self.refused_content(seen));
            complaints.extend(self.ended(seen));
            complaints.extend(self.past_its_end(seen));
            complaints.extend(self.missing(seen));
            complaints.extend(self.odd_end(seen));
        }
        complaints.extend(self.pending_changes_lost());
        complaints.extend(self.odd_answers());
        complaints.extend(self.machines_disagree());
        complaints
    }

    /// Nothing older undoes a durable change.
    fn old_content(&self, seen: &Seen<'_>) -> Option<String> {
        let content = seen.content?;
        let (number, shown) = self.by_token(&content.token)?;
        let undone = self.entries().find(|(_, entry)| {
            entry.id == seen.id
                && !entry.token.is_empty()
                && entry.answer == Answer::Durable
                && entry.end < seen.from
                && seen.is_bound_by(entry)
                && shown.is_before(entry)
        });
        let (durable, _) = undone?;
        if self.may_return(seen) {
            return None;
        }
        Some(format!("{} has the content of #{number}, and #{durable} is durable", seen.id))
    }

    /// A refused change is not seen.
    fn refused_content(&self, seen: &Seen<'_>) -> Option<String> {
        let (number, entry) = self.by_token(&seen.content?.token)?;
        // A copy of a refused create may arrive after the memory of the id has ended.
        let repeated = self.plan.faults > 0 && matches!(entry.answer, Answer::Conflict(_));
        let refused = entry.is_refused() && entry.end < seen.tick && !repeated;
        refused.then(|| format!("{} has the content of #{number}, which was refused", seen.id))
    }

    /// An ended session does not come back.
    fn ended(&self, seen: &Seen<'_>) -> Option<String> {
        let content = seen.content?;
        let (number, shown) = self.by_token(&content.token)?;
        if shown.is_refused() {
            return None;
        }
        let over = seen.tick > self.last_looks();
        let end = self.entries().find(|(_, entry)| {
            if entry.end >= seen.from || !seen.is_bound_by(entry) {
                return false;
            }
            if !(entry.is_durable() || over && entry.is_kept() && self.survives(entry)) {
                return false;
            }
            let own = shown.node().is_some() && shown.node() == entry.node();
            if entry.deletes() {
                // Without a store, a manager ends only its own sessions.
                let found = matches!(entry.answer, Answer::Ended(_, true));
                let here = entry.attached || found && own;
                let remembered = found || own || seen.at < entry.began + MINUTE;
                // A machine that is cut off ends its own session of an id that others use too.
                let mistaken = shown.actor != entry.actor
                    && self
                        .of_creates(seen.id)
                        .any(|create| create.node() == entry.node() && !create.is_durable());
                return entry.id == seen.id
                    && shown.is_before(entry)
                    && !mistaken
                    && here
                    && remembered
                    && (own || !self.may_return(seen));
            }
            // The session's creator could not know of it.
            let older = self
                .of_creates(seen.id)
                .filter(|create| !create.is_refused())
                .all(|create| self.log.entries[create.root].is_before(entry));
            let foreign = self.of(seen.id).any(|(_, other)| {
                other.what != What::Remove
                    && matches!(other.actor, Actor::Foreign | Actor::Direct)
                    && !other.is_before(entry)
            });
            // Without the index, only machines that hold a session find it.
            let unlisted = self.log.entries.iter().any(|other| {
                other.what == What::LoseIndex
                    && other.user_id == entry.user_id
                    && (other.start < entry.end || !entry.is_durable())
            });
            let held = shown.actor == entry.actor
                && shown.creates()
                && entry.attached
                && entry.is_durable();
            // Log-outs are remembered for as long as a create may be retried.
            let remembered = seen.at < entry.began + i64::try_from(self.plan.ttl).unwrap()
                || self
                    .of_creates(seen.id)
                    .all(|create| create.is_durable() || create.answer == Answer::Maybe);
            entry.logs_out()
                && content.user_id == entry.user_id
                && older
                && !foreign
                && remembered
                && (!unlisted || held && !self.evicts(shown.node().unwrap_or_default()))
                && (entry.attached || shown.actor == entry.actor && self.is_local(shown))
        });
        let (end, _) = end?;
        Some(format!("{} has the content of #{number}, and #{end} ended it", seen.id))
    }

    /// No store ever received its create.
    fn is_local(&self, shown: &Entry) -> bool {
        shown.creates() && !shown.attached
    }

    /// A created session exists until something ends it.
    fn missing(&self, seen: &Seen<'_>) -> Option<String> {
        if seen.content.is_some() {
            return None;
        }
        let over = seen.tick > self.last_looks();
        let lost = self.of(seen.id).find(|(_, entry)| {
            let here = match seen.by {
                None => entry.is_durable() || over && entry.is_kept() && self.survives(entry),
                Some(by @ Actor::Node(node, _)) => {
                    let asks = self.plan.nodes[node].asks;
                    let own = by == entry.actor && (asks || !self.evicts(node));
                    entry.is_durable() && (own || asks && seen.attached(self))
                        || own && entry.is_kept()
                }
                _ => false,
            };
            entry.creates() && entry.end < seen.from && here && !self.may_have_ended(entry, seen)
        });
        let (number, _) = lost?;
        let by = seen.by.map_or("the store".to_owned(), |by| format!("{by:?}"));
        Some(format!("{by} has no {}, which #{number} created", seen.id))
    }

    /// Returns true if something may have ended the session that `create` made.
    fn may_have_ended(&self, create: &Entry, seen: &Seen<'_>) -> bool {
        let ttl = i64::try_from(self.plan.ttl).unwrap();
        let began = create.began;
        // A pending create is given up after the default time to live.
        let explicit = create.is(|call| matches!(call, Call::LogIn { .. } | Call::Cycle { .. }));
        if !(explicit && create.is_durable()) && seen.at >= began + ttl - SLACK {
            return true;
        }
        self.entries().any(|(_, entry)| {
            if entry.start > seen.tick {
                return false;
            }
            // A pending create may find that another one of its id was ended.
            let twin = entry.creates() && entry.id == create.id && entry.start != create.start;
            if twin && !create.is_durable() {
                return true;
            }
            if entry.is_refused() {
                return false;
            }
            let settled = create.is_durable() && entry.is_durable() && entry.is_before(create);
            if entry.logs_out() {
                let known = entry.actor == create.actor
                    && entry.is_before(create)
                    && (entry.is_durable() || entry.is_kept());
                let derived = self.log.entries[create.root].start != create.start;
                return entry.user_id == create.user_id && (derived || !(settled || known));
            }
            if entry.id != create.id {
                return false;
            }
            let expires = entry.ttl().is_some_and(|ttl| seen.at >= entry.began + ttl - SLACK);
            let ends = entry.deletes() || entry.what == What::Remove;
            let foreign = matches!(entry.what, What::Overwrite { keeps_end: false })
                && seen.at >= entry.began + ttl - SLACK;
            ends && !settled || expires || foreign
        })
    }
}
