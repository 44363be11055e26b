//! The data of a hash: fields with their values, and the times at which some of them end.

use super::ordered::Ordered;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};

#[derive(Clone, Default)]
pub(super) struct Hash {
    fields: Ordered<Bytes>,
    /// Few hashes have any.
    deadlines: Option<Box<Deadlines>>,
}

#[derive(Clone, Default)]
struct Deadlines {
    by_field: HashMap<Bytes, i64>,
    /// Soonest first.
    order: BTreeSet<(i64, Bytes)>,
}

impl Hash {
    pub(super) const fn fields(&self) -> &Ordered<Bytes> {
        &self.fields
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub(super) fn contains(&self, field: &[u8]) -> bool {
        self.fields.contains(field)
    }

    pub(super) fn get(&self, field: &[u8]) -> Option<&Bytes> {
        self.fields.get(field)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.fields.iter()
    }

    /// Sets a value, which then does not expire.
    pub(super) fn insert(&mut self, field: &[u8], value: Bytes) -> Option<Bytes> {
        self.clear_deadline(field);
        self.fields.insert(field, value)
    }

    /// Sets a value, which ends when the one before would have.
    pub(super) fn replace(&mut self, field: &[u8], value: Bytes) {
        self.fields.insert(field, value);
    }

    pub(super) fn remove(&mut self, field: &[u8]) -> Option<Bytes> {
        self.clear_deadline(field);
        self.fields.remove(field)
    }

    pub(super) fn deadline(&self, field: &[u8]) -> Option<i64> {
        self.deadlines.as_ref()?.by_field.get(field).copied()
    }

    pub(super) fn set_deadline(&mut self, field: &[u8], due: i64) {
        self.clear_deadline(field);
        let deadlines = self.deadlines.get_or_insert_default();
        let field = Bytes::copy_from_slice(field);
        deadlines.by_field.insert(field.clone(), due);
        deadlines.order.insert((due, field));
    }

    /// False if there was none.
    pub(super) fn clear_deadline(&mut self, field: &[u8]) -> bool {
        let Some(deadlines) = &mut self.deadlines else { return false };
        let Some((field, due)) = deadlines.by_field.remove_entry(field) else { return false };
        deadlines.order.remove(&(due, field));
        if deadlines.order.is_empty() {
            self.deadlines = None;
        }
        true
    }

    pub(super) fn first_deadline(&self) -> Option<i64> {
        self.deadlines.as_ref()?.order.first().map(|(due, _)| *due)
    }

    /// Removes the fields whose time has come.
    pub(super) fn expire(&mut self, now: i64) {
        while let Some((_, field)) = self
            .deadlines
            .as_ref()
            .and_then(|deadlines| deadlines.order.first())
            .filter(|(due, _)| *due <= now)
        {
            let field = field.clone();
            self.remove(&field);
        }
    }
}
