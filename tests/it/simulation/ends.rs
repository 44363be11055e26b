//! The oracle's rules for the ends of sessions.

use super::facts::{Facts, Seen};
use super::log::{Entry, What};
use super::network::LATEST;
use super::oracle::{DAY, SLACK};
use super::plan::Call;

impl Facts<'_> {
    /// No session is served, or stays in the store, after its explicit end.
    pub fn past_its_end(&self, seen: &Seen<'_>) -> Option<String> {
        let content = seen.content?;
        let (number, setter) = self.of(seen.id).find(|(_, entry)| {
            entry.ttl().is_some()
                && entry.end < seen.from
                && (!entry.creates() || entry.token == content.born)
                && (entry.is_durable()
                    || seen.by.is_some()
                        && seen.by == Some(entry.actor)
                        && entry.is_kept()
                        && self.of_creates(seen.id).count() == 1)
        })?;
        // Others may have set another end, or replaced the record.
        let last = self.of(seen.id).all(|(other, entry)| {
            let sets_end = entry.ttl().is_some()
                || entry.creates()
                || matches!(entry.what, What::Overwrite { keeps_end: false });
            other == number || !sets_end || entry.is_refused() || entry.is_before(setter)
        });
        let earlier = self.of(seen.id).all(|(other, entry)| {
            // An earlier pending one is superseded by this one.
            other == number || !entry.is_before(setter) || !entry.is_kept() || entry.ttl().is_none()
        });
        if !last || !earlier && seen.by.is_some() || !seen.is_bound_by(setter) {
            return None;
        }
        let end = setter.ended + setter.ttl()?;
        let late = if self.plan.faults > 0 { LATEST as i64 } else { 2 };
        let slack = if self.has_jumps() || seen.by != Some(setter.actor) { SLACK } else { late };
        let over = seen.began > end + slack;
        over.then(|| format!("{} is there after its end, which #{number} set", seen.id))
    }

    /// The end of a session in the store was set by a call, and is not older than a durable one.
    pub fn odd_end(&self, seen: &Seen<'_>) -> Option<String> {
        let content = seen.content.filter(|_| seen.by.is_none())?;
        let (_, shown) = self.by_token(&content.token)?;
        if self.may_return(seen)
            || shown.is_refused()
            || shown.is(|call| matches!(call, Call::LogIn { .. } | Call::Cycle { .. }))
        {
            return None;
        }
        let (end, default) = (seen.at + content.left, i64::try_from(self.plan.ttl).unwrap());
        let late = if self.plan.faults > 0 { LATEST as i64 } else { 0 };
        let slack = 2_000 + if self.has_jumps() { SLACK } else { 0 };
        let set = |entry: &&Entry| {
            // Only the create that made this session counts.
            let made = !entry.creates() || entry.token == content.born || entry.is_durable();
            entry.id == seen.id && entry.start < seen.tick && !entry.is_refused() && made
        };
        let entries: Vec<&Entry> = self.log.entries.iter().filter(set).collect();
        // The last durable one counts, whatever was set before it.
        let durable = |entry: &&&Entry| {
            entry.is_durable()
                && entry.end < seen.tick
                && (entry.ttl().is_some() || entry.creates())
        };
        let last = entries.iter().filter(durable).max_by_key(|entry| entry.start);
        let explains = |entry: &&&Entry| {
            if last.is_some_and(|last| entry.is_before(last)) {
                return false;
            }
            let near = |ttl: i64| {
                let ended = entry.ended.min(seen.at);
                end >= entry.began + ttl - slack && end <= ended + ttl + late + slack
            };
            match entry.what {
                What::Overwrite { keeps_end: false } => near(default),
                What::Call(_) if entry.ttl().is_some() => near(entry.ttl().unwrap_or_default()),
                // Uses move it.
                What::Call(_) if entry.creates() => {
                    let within =
                        |ttl| end >= entry.began + ttl - slack && end <= seen.at + ttl + slack;
                    let detached = entries.iter().any(|entry| !entry.attached);
                    within(default) || detached && within(DAY)
                }
                _ => false,
            }
        };
        let odd = !entries.iter().any(|entry| explains(&entry));
        odd.then(|| {
            format!("the end of {} is nobody's: {} ms from {}", seen.id, content.left, seen.at)
        })
    }
}
