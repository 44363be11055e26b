//! Streams.

mod claim;
mod delete;
mod group;
mod id;
mod info;
mod read;
mod write;

use super::args::Argv;
use super::table::{READ, Spec, WRITE, container, row};
use bytes::Bytes;
use group::Group;
use id::Id;
use redis_rest::Value;
use std::collections::BTreeMap;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("xadd", WRITE, write::xadd),
    row("xtrim", WRITE, write::xtrim),
    row("xdel", WRITE, delete::xdel),
    row("xdelex", WRITE, delete::xdelex),
    row("xackdel", WRITE, delete::xackdel),
    row("xsetid", WRITE, write::xsetid),
    row("xlen", READ, read::xlen),
    row("xrange", READ, read::xrange),
    row("xrevrange", READ, read::xrevrange),
    row("xread", READ, read::xread),
    row("xreadgroup", WRITE, read::xreadgroup),
    container("xgroup"),
    row("xgroup|create", WRITE, group::create),
    row("xgroup|setid", WRITE, group::setid),
    row("xgroup|destroy", WRITE, group::destroy),
    row("xgroup|createconsumer", WRITE, group::createconsumer),
    row("xgroup|delconsumer", WRITE, group::delconsumer),
    row("xack", WRITE, group::xack),
    row("xpending", READ, group::xpending),
    row("xclaim", WRITE, claim::xclaim),
    row("xautoclaim", WRITE, claim::xautoclaim),
    container("xinfo"),
    row("xinfo|stream", READ, info::stream),
    row("xinfo|groups", READ, info::groups),
    row("xinfo|consumers", READ, info::consumers),
];

/// Fields and values of an entry, each after its length: one allocation for them all.
#[derive(Clone)]
struct Entry(Box<[u8]>);

impl Entry {
    fn new(words: Argv) -> Self {
        let length = words.iter().map(|word| word.len() + 4).sum();
        let mut bytes = Vec::with_capacity(length);
        for word in words {
            let length = u32::try_from(word.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(word);
        }
        Self(bytes.into())
    }

    fn words(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (word, tail) = tail.split_at_checked(length)?;
            rest = tail;
            Some(word)
        })
    }
}

/// Entries by their ids, and the groups that read them.
#[derive(Clone, Default)]
pub(super) struct Stream {
    entries: BTreeMap<Id, Entry>,
    last: Id,
    added: u64,
    max_deleted: Id,
    groups: BTreeMap<Bytes, Group>,
}

impl Stream {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn weight(&self) -> usize {
        self.entries.values().map(|entry| entry.0.len() + 16).sum()
    }

    fn first(&self) -> Id {
        self.entries.keys().next().copied().unwrap_or_default()
    }

    fn append(&mut self, id: Id, entry: Entry) {
        self.entries.insert(id, entry);
        self.last = id;
        self.added += 1;
    }

    fn remove(&mut self, id: Id) -> bool {
        let removed = self.entries.remove(&id).is_some();
        if removed {
            self.max_deleted = self.max_deleted.max(id);
        }
        removed
    }

    /// True if an entry was deleted from `start` on.
    fn has_gap_after(&self, start: Id) -> bool {
        !self.entries.is_empty() && self.max_deleted != Id::default() && start <= self.max_deleted
    }

    /// Returns the number of entries ever added up to this one; `None` if it is unknown.
    fn distance(&self, id: Id) -> Option<u64> {
        let length = self.entries.len() as u64;
        if self.added == 0 {
            return Some(0);
        }
        if length == 0 && id <= self.last {
            return Some(self.added);
        }
        if id != Id::default() && id < self.max_deleted {
            return None;
        }
        if id >= self.last {
            return (id == self.last).then_some(self.added);
        }
        let first = self.first();
        let whole = self.max_deleted == Id::default() || self.max_deleted < first;
        match id.cmp(&first) {
            std::cmp::Ordering::Less if whole => Some(self.added - length),
            std::cmp::Ordering::Equal if whole => Some(self.added - length + 1),
            _ => None,
        }
    }

    /// An entry in a reply.
    fn show(id: Id, entry: &Entry) -> Value {
        let words = entry.words().map(|word| Value::bytes(word.to_vec())).collect();
        Value::Array(vec![id.value(), Value::Array(words)])
    }
}
