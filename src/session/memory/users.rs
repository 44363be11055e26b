//! A part of the users, under one lock: whose sessions there are, and who was logged out.

use super::LONGEST;
use crate::clock::Instant;
use crate::session::change::ChangeId;
use crate::session::lru::Lru;
use crate::session::marks::Marks;
use crate::session::store::REQUEST_LIFETIME;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Users {
    /// Ids by user, in the order of creation. Each has a number: an id that was removed and created
    /// again has another.
    ids: HashMap<String, BTreeMap<u64, String>>,
    /// The log-outs of each user, and until when they are kept.
    marks: Lru<(Marks, Instant)>,
}

impl Users {
    pub(super) fn ids(&self, user_id: &str) -> Vec<String> {
        self.ids.get(user_id).map(|ids| ids.values().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn list(&mut self, user_id: &str, number: u64, id: &str) {
        self.ids.entry(user_id.to_owned()).or_default().insert(number, id.to_owned());
    }

    pub(super) fn unlist(&mut self, user_id: &str, number: u64) {
        if let Some(ids) = self.ids.get_mut(user_id) {
            ids.remove(&number);
            if ids.is_empty() {
                self.ids.remove(user_id);
            }
        }
    }

    pub(super) fn marks(&self, user_id: &str, now: Instant) -> Marks {
        let kept = self.marks.peek(user_id).filter(|(_, until)| *until > now);
        kept.map(|(marks, _)| marks.clone()).unwrap_or_default()
    }

    pub(super) fn mark(&mut self, user_id: &str, log_out: ChangeId, now: Instant, keep: Duration) {
        self.marks.sweep(4, |(_, until)| *until <= now);
        let mut marks = self.marks(user_id, now);
        if !marks.contains(log_out) {
            marks.insert(log_out);
            let until = now.checked_add(keep.min(LONGEST) + REQUEST_LIFETIME).unwrap_or(now);
            self.marks.insert(user_id, (marks, until));
        }
    }
}
