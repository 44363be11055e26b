//! A map that knows which of its entries was used least recently, in constant time: a slab with a
//! doubly linked list through it. Of its own, since a manager sweeps expired entries a few at a time
//! while it changes the map, which the iterators of the crates for this cannot.

use std::collections::HashMap;

/// No slot.
const NONE: usize = usize::MAX;

struct Slot<V> {
    key: String,
    value: V,
    newer: usize,
    older: usize,
}

/// A map from ids to values, in the order of their use.
pub(super) struct Lru<V> {
    places: HashMap<String, usize>,
    slots: Vec<Option<Slot<V>>>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    /// Where [`Lru::sweep`] goes on.
    cursor: usize,
}

impl<V> Default for Lru<V> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            cursor: 0,
        }
    }
}

impl<V> Lru<V> {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The value, without using it.
    pub(super) fn peek(&self, key: &str) -> Option<&V> {
        self.slot(*self.places.get(key)?).map(|slot| &slot.value)
    }

    /// The value, which becomes the most recently used.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        if place != self.newest {
            self.unlink(place);
            self.link_newest(place);
        }
        self.slot_mut(place).map(|slot| &mut slot.value)
    }

    /// Adds or replaces a value, which becomes the most recently used.
    pub(super) fn insert(&mut self, key: &str, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(key) {
            return Some(std::mem::replace(old, value));
        }
        let slot = Some(Slot { key: key.to_owned(), value, newer: NONE, older: NONE });
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.places.insert(key.to_owned(), place);
        self.link_newest(place);
        None
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        let place = self.places.remove(key)?;
        self.take(place).map(|slot| slot.value)
    }

    /// Removes the entry that was used least recently.
    pub(super) fn pop_oldest(&mut self) -> Option<(String, V)> {
        let slot = self.take(self.oldest)?;
        self.places.remove(&slot.key);
        Some((slot.key, slot.value))
    }

    /// Looks at the next `count` slots, going round, and removes the entries that are `dead`.
    pub(super) fn sweep(&mut self, count: usize, dead: impl Fn(&V) -> bool) -> Vec<V> {
        let mut removed = Vec::new();
        for _ in 0..count.min(self.slots.len()) {
            self.cursor = (self.cursor + 1) % self.slots.len();
            if !self.slot(self.cursor).is_some_and(|slot| dead(&slot.value)) {
                continue;
            }
            if let Some(slot) = self.take(self.cursor) {
                self.places.remove(&slot.key);
                removed.push(slot.value);
            }
        }
        removed
    }

    fn slot(&self, place: usize) -> Option<&Slot<V>> {
        self.slots.get(place)?.as_ref()
    }

    fn slot_mut(&mut self, place: usize) -> Option<&mut Slot<V>> {
        self.slots.get_mut(place)?.as_mut()
    }

    fn take(&mut self, place: usize) -> Option<Slot<V>> {
        self.slot(place)?;
        self.unlink(place);
        self.free.push(place);
        self.slots[place].take()
    }

    fn unlink(&mut self, place: usize) {
        let Some(&Slot { newer, older, .. }) = self.slot(place) else { return };
        match self.slot_mut(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slot_mut(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, place: usize) {
        let older = self.newest;
        if let Some(slot) = self.slot_mut(place) {
            (slot.newer, slot.older) = (NONE, older);
        }
        match self.slot_mut(older) {
            Some(slot) => slot.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use super::Lru;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut lru = Lru::default();
        for key in ["a", "b", "c", "d"] {
            assert!(lru.insert(key, key).is_none());
        }
        assert_eq!(lru.get_mut("a").copied(), Some("a"));
        assert_eq!(lru.insert("b", "B"), Some("b"));
        assert_eq!(lru.peek("c"), Some(&"c"));
        assert_eq!(lru.remove("d"), Some("d"));
        assert_eq!(lru.pop_oldest().map(|(key, _)| key).as_deref(), Some("c"));
        lru.insert("e", "e");
        let order: Vec<_> =
            std::iter::from_fn(|| lru.pop_oldest()).map(|(_, value)| value).collect();
        assert_eq!(order, ["a", "B", "e"]);
        assert_eq!(lru.len(), 0);
        lru.insert("f", "f");
        assert_eq!(lru.pop_oldest().map(|(_, value)| value), Some("f"));
    }

    #[test]
    fn sweeping_reaches_every_slot() {
        let mut lru = Lru::default();
        for n in 0..10 {
            lru.insert(&n.to_string(), n);
        }
        let swept: Vec<_> = (0..5).flat_map(|_| lru.sweep(2, |n| n % 2 == 0)).collect();
        assert_eq!(swept.len(), 5);
        assert_eq!(lru.len(), 5);
        assert!((1..10).step_by(2).all(|n| lru.peek(&n.to_string()) == Some(&n)));
    }
}
