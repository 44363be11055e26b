//! The facts of a history, for the oracle's rules.

use super::log::{Actor, Answer, Entry, Log, Observation, What};
use super::plan::{Call, Plan};
use super::stores::Content;

pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub log: &'a Log,
}

/// An observation: in the store, or by a call on a machine.
pub struct Seen<'a> {
    pub id: &'a str,
    pub content: Option<&'a Content>,
    /// The session was looked up from tick `from`, and seen at tick `tick`, `at` milliseconds.
    pub from: usize,
    pub tick: usize,
    pub at: i64,
    pub began: i64,
    /// The observer; `None` for the store.
    pub by: Option<Actor>,
}

impl Entry {
    pub fn is_durable(&self) -> bool {
        matches!(&self.answer, Answer::Durable)
            || matches!(&self.answer, Answer::Ended(how, _) if **how == Answer::Durable)
    }

    /// The result promises that the change is executed, or overtaken.
    pub fn is_kept(&self) -> bool {
        let kept = |answer: &Answer| matches!(answer, Answer::Pending | Answer::Maybe);
        match &self.answer {
            Answer::Ended(how, _) => kept(how),
            answer => kept(answer),
        }
    }

    /// The result says that nothing happened.
    pub fn is_refused(&self) -> bool {
        matches!(
            self.answer,
            Answer::Absent
                | Answer::Unavailable
                | Answer::Conflict(_)
                | Answer::Refused(_)
                | Answer::Skipped
        )
    }

    /// Returns true if it was over before the other began.
    pub fn is_before(&self, other: &Entry) -> bool {
        self.end < other.start
    }

    pub fn creates(&self) -> bool {
        let creates =
            |call| matches!(call, Call::Create { .. } | Call::LogIn { .. } | Call::Cycle { .. });
        matches!(self.what, What::Call(call) if creates(call))
    }

    /// Returns the time to live that it sets.
    pub fn ttl(&self) -> Option<i64> {
        let What::Call(call) = self.what else { return None };
        let ttl = match call {
            Call::Create { ttl, .. } | Call::Update { ttl, .. } => ttl?,
            Call::SetTtl { ttl, .. } => ttl,
            _ => return None,
        };
        Some(i64::try_from(ttl).unwrap())
    }

    pub fn is(&self, call: impl Fn(Call) -> bool) -> bool {
        matches!(self.what, What::Call(what) if call(what))
    }

    pub fn deletes(&self) -> bool {
        self.is(|call| matches!(call, Call::Delete { .. }))
    }

    pub fn logs_out(&self) -> bool {
        self.is(|call| matches!(call, Call::LogOut { .. }))
    }

    pub fn node(&self) -> Option<usize> {
        match self.actor {
            Actor::Node(node, _) => Some(node),
            _ => None,
        }
    }
}

impl<'a> Facts<'a> {
    pub fn entries(&self) -> impl Iterator<Item = (usize, &'a Entry)> + use<'a> {
        self.log.entries.iter().enumerate()
    }

    pub fn of(&self, id: &'a str) -> impl Iterator<Item = (usize, &'a Entry)> + use<'a> {
        self.entries().filter(move |(_, entry)| entry.id == id)
    }

    pub fn by_token(&self, token: &str) -> Option<(usize, &'a Entry)> {
        self.entries().find(|(_, entry)| !token.is_empty() && entry.token == token)
    }

    /// Returns the tick after which nothing happens any more.
    pub fn last_looks(&self) -> usize {
        let is_last = |entry: &&Entry| entry.is(|call| call == Call::Get { id: usize::MAX });
        self.log.entries.iter().find(is_last).map_or(usize::MAX, |entry| entry.start)
    }

    pub fn of_creates(&self, id: &str) -> impl Iterator<Item = &'a Entry> {
        self.log.entries.iter().filter(move |entry| entry.id == id && entry.creates())
    }

    /// A session whose create was pending while another session had the id may be created after
    /// that one has ended, with all its changes.
    pub fn may_return(&self, seen: &Seen<'_>) -> bool {
        let Some(content) = seen.content else { return false };
        let made = self.of_creates(seen.id).find(|create| create.token == content.born);
        made.is_some_and(|made| {
            !made.is_durable() && self.of_creates(seen.id).any(|other| other.actor != made.actor)
        }) && self.log.entries.iter().any(|entry| {
            entry.start < seen.tick
                && (entry.logs_out()
                    || entry.id == seen.id
                        && (entry.deletes() || entry.what == What::Remove || entry.ttl().is_some()))
        })
    }

    /// The machine still knows the change that it reported as pending: by its journal, or because
    /// its process has not ended since.
    pub fn survives(&self, entry: &Entry) -> bool {
        let Some(node) = entry.node() else { return false };
        let crashed =
            self.log.crashes.iter().any(|(tick, place)| *place == node && *tick > entry.end);
        self.plan.nodes[node].journal || !crashed
    }

    pub fn has_jumps(&self) -> bool {
        self.plan.steps.iter().any(|step| matches!(step.act, super::plan::Act::Jump { .. }))
    }

    /// Copies were dropped on a machine: explicitly, or because a list from the store did not
    /// contain them.
    pub fn evicts(&self, node: usize) -> bool {
        self.log.entries.iter().any(|entry| {
            entry.node() == Some(node)
                && entry.is(|call| matches!(call, Call::Evict | Call::List { .. }))
        })
    }
}

impl<'a> Seen<'a> {
    pub fn of_store(sight: &'a Observation) -> Self {
        let Observation { tick, at, id, content } = sight;
        let content = content.as_ref();
        Self { id, content, from: *tick, tick: *tick, at: *at, began: *at, by: None }
    }

    pub fn by_call(entry: &'a Entry) -> Vec<Self> {
        let seen = |id: &'a str, content: Option<&'a Content>| Self {
            id,
            content,
            from: entry.start,
            tick: entry.end,
            at: entry.ended,
            began: entry.began,
            by: Some(entry.actor),
        };
        match &entry.answer {
            Answer::Found(content) => vec![seen(&entry.id, Some(content))],
            Answer::Listed(list) => {
                list.iter().map(|(id, content)| seen(id, Some(content))).collect()
            }
            Answer::Absent if !entry.creates() => vec![seen(&entry.id, None)],
            _ => Vec::new(),
        }
    }

    /// The store is bound by every durable change; a machine, which may be cut off, by its own
    /// results.
    pub fn is_bound_by(&self, entry: &Entry) -> bool {
        self.by.is_none_or(|by| by == entry.actor)
    }

    pub fn attached(&self, facts: &Facts<'_>) -> bool {
        facts
            .log
            .entries
            .iter()
            .any(|entry| entry.start == self.from && entry.attached && Some(entry.actor) == self.by)
    }
}
