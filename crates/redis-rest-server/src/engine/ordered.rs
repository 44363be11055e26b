//! A map that remembers the order of insertion and can be scanned while it changes.

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// Keys by name, and by a number that each gets when it is inserted and keeps while it stays: the scan cursor. So a scan
/// sees every key that is there from its start to its end, whatever else is added or removed.
#[derive(Clone)]
pub(super) struct Ordered<V> {
    entries: HashMap<Bytes, (u64, V)>,
    order: BTreeMap<u64, Bytes>,
    next: u64,
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next: 1 }
    }
}

impl<V> Ordered<V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Sets a value and answers the one that was there.
    pub(super) fn insert(&mut self, key: &[u8], value: V) -> Option<V> {
        if let Some((_, old)) = self.entries.get_mut(key) {
            return Some(std::mem::replace(old, value));
        }
        let key = Bytes::copy_from_slice(key);
        self.order.insert(self.next, key.clone());
        self.entries.insert(key, (self.next, value));
        self.next += 1;
        None
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let (number, value) = self.entries.remove(key)?;
        self.order.remove(&number);
        Some(value)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.order.values()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, &V)> {
        self.order.values().filter_map(|key| self.entries.get(key).map(|(_, value)| (key, value)))
    }

    /// Up to `count` keys from `cursor` on, and the cursor to continue at: 0 at the end.
    pub(super) fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<&Bytes>) {
        let mut rest = self.order.range(cursor..);
        let found: Vec<&Bytes> = rest.by_ref().take(count).map(|(_, key)| key).collect();
        (rest.next().map_or(0, |(number, _)| *number), found)
    }

    /// Some key, at random.
    pub(super) fn random(&self) -> Option<&Bytes> {
        if self.is_empty() {
            return None;
        }
        self.order.values().nth(fastrand::usize(..self.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_survive_removal_and_keep_order() {
        let mut map = Ordered::default();
        for key in ["d", "c", "b", "a"] {
            map.insert(key.as_bytes(), ());
        }
        let (cursor, first) = map.scan(0, 2);
        assert_eq!(first, ["d", "c"]);
        map.remove(b"d");
        map.remove(b"c");
        map.insert(b"b", ());
        let (cursor, rest) = map.scan(cursor, 2);
        assert_eq!((cursor, rest), (0, vec![&Bytes::from("b"), &Bytes::from("a")]));
        assert_eq!(map.len(), 2);
    }
}
