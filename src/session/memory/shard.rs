//! A part of the sessions, under one lock. Knows no index by user: it says what has to be taken out of there.

use crate::clock::Instant;
use crate::observe::{self, CacheLevel, Place};
use crate::session::lru::Lru;
use crate::session::record::Session;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Shard {
    pub(super) entries: Lru<Entry>,
    pub(super) bytes: usize,
    /// Ids deleted within the last minute, and the order in which they are forgotten.
    pub(super) gone: HashMap<String, Instant>,
    pub(super) forget: VecDeque<(Instant, String)>,
    level: CacheLevel,
}

pub(super) struct Entry {
    pub(super) session: Arc<Session>,
    pub(super) deadline: Instant,
    pub(super) pinned: bool,
    /// The number of its place in the index.
    pub(super) number: u64,
    /// Changes with every write.
    pub(super) revision: u64,
    pub(super) bytes: usize,
}

/// A place in the index that has to be taken out.
pub(super) type Unlisted = (String, u64);

impl Shard {
    /// After a change of what is held.
    pub(super) fn counted(&mut self) {
        self.level.set(self.entries.len(), self.bytes);
    }

    /// The entry, unless it has expired.
    pub(super) fn live(&mut self, id: &str, now: Instant) -> Option<&mut Entry> {
        if self.entries.peek(id)?.deadline <= now { None } else { self.entries.get_mut(id) }
    }

    pub(super) fn put(&mut self, id: &str, entry: Entry) -> Option<Entry> {
        self.bytes += entry.bytes;
        let old = self.entries.insert(id, entry)?;
        self.bytes -= old.bytes;
        Some(old)
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    pub(super) fn take_oldest(&mut self) -> Option<Entry> {
        let (_, entry) = self.entries.pop_oldest()?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Removes some of what has expired: a few places at each write keep up with what writes add.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<Unlisted> {
        while self.forget.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((until, id)) = self.forget.pop_front() {
                // Deleted again meanwhile: then a later place in the queue forgets it.
                if self.gone.get(&id) == Some(&until) {
                    self.gone.remove(&id);
                }
            }
        }
        let dead = self.entries.sweep(4, |entry| entry.deadline <= now);
        self.bytes -= dead.iter().map(|entry| entry.bytes).sum::<usize>();
        observe::sessions_expired(Place::Memory, dead.len());
        self.counted();
        dead.into_iter().map(|entry| (entry.session.user_id.clone(), entry.number)).collect()
    }
}

/// About what a session takes in memory.
pub(super) fn size(session: &Session) -> usize {
    /// The record, its entry, its places in two maps.
    const FIXED: usize = size_of::<Session>() + size_of::<Entry>() + 200;
    let lists =
        session.mcp_client_ids.iter().map(|id| id.len() + size_of::<String>()).sum::<usize>();
    let metadata =
        session.metadata.iter().map(|(name, raw)| name.len() + raw.len() + 64).sum::<usize>();
    let texts = session.id.len() * 3
        + session.user_id.len()
        + session.org_id.len()
        + session.workspace_path.len()
        + session.system_prompt.len();
    FIXED + lists + metadata + texts + session.original().map_or(0, |text| 2 * text.len())
}
