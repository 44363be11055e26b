//! The keyspace: values by key, their types and their expiry.

use super::args::{Fault, WRONG_TYPE};
pub(super) use super::hash::Hash;
use super::json::Json;
use super::ordered::Ordered;
use super::pubsub::Hub;
use super::sorted_sets::SortedSet;
use super::streams::Stream;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, VecDeque};

pub(super) type List = VecDeque<Bytes>;
pub(super) type Set = Ordered<()>;

/// A value of one of Redis's types.
#[derive(Clone)]
pub(super) enum Data {
    String(Bytes),
    Hash(Hash),
    List(List),
    Set(Set),
    SortedSet(SortedSet),
    Stream(Stream),
    Json(Json),
}

impl Data {
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::SortedSet(_) => "zset",
            Self::Stream(_) => "stream",
            Self::Json(_) => "ReJSON-RL",
        }
    }

    fn is_empty_collection(&self) -> bool {
        match self {
            Self::String(_) | Self::Stream(_) | Self::Json(_) => false,
            Self::Hash(hash) => hash.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::SortedSet(set) => set.is_empty(),
        }
    }

    /// Bytes of content, without any overhead.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::String(bytes) => bytes.len(),
            Self::Hash(hash) => hash.iter().map(|(field, value)| field.len() + value.len()).sum(),
            Self::List(list) => list.iter().map(Bytes::len).sum(),
            Self::Set(set) => set.keys().map(Bytes::len).sum(),
            Self::SortedSet(set) => set.iter().map(|(_, member)| member.len() + 8).sum(),
            Self::Stream(stream) => stream.weight(),
            Self::Json(document) => document.weight(),
        }
    }
}

/// One of the types in [`Data`].
pub(super) trait Kind: Sized {
    fn of(data: &Data) -> Option<&Self>;
    fn of_mut(data: &mut Data) -> Option<&mut Self>;
    fn wrap(self) -> Data;
}

macro_rules! kind {
    ($type:ty, $variant:ident) => {
        impl Kind for $type {
            fn of(data: &Data) -> Option<&Self> {
                if let Data::$variant(value) = data { Some(value) } else { None }
            }
            fn of_mut(data: &mut Data) -> Option<&mut Self> {
                if let Data::$variant(value) = data { Some(value) } else { None }
            }
            fn wrap(self) -> Data {
                Data::$variant(self)
            }
        }
    };
}

kind!(Bytes, String);
kind!(Hash, Hash);
kind!(List, List);
kind!(Set, Set);
kind!(SortedSet, SortedSet);
kind!(Stream, Stream);
kind!(Json, Json);

struct Entry {
    data: Data,
    /// Wall clock, in milliseconds.
    expires: Option<i64>,
}

/// All keys, and the scripts that were loaded.
#[derive(Default)]
pub(super) struct Db {
    keys: Ordered<Entry>,
    /// The keys that expire, soonest first.
    expiring: BTreeSet<(i64, Bytes)>,
    /// The hashes with fields that expire, soonest first. One that has changed meanwhile may still be here.
    expiring_fields: BTreeSet<(i64, Bytes)>,
    /// The time, in milliseconds. It stands still during a command, a script and a transaction, as in Redis.
    pub(super) now: i64,
    /// Sources of scripts by their SHA-1 in lower case.
    pub(super) scripts: HashMap<String, Bytes>,
    /// Who listens to channels.
    pub(super) hub: Hub,
}

impl Db {
    /// Sets the time and removes what has expired by then: so no command ever sees an expired key.
    pub(super) fn set_time(&mut self, now: i64) {
        self.now = now;
        while let Some((due, key)) = self.expiring.first() {
            if *due > now {
                break;
            }
            self.keys.remove(key);
            self.expiring.pop_first();
        }
        while self.expiring_fields.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.expiring_fields.pop_first() else { break };
            if let Ok(Some(hash)) = self.write::<Hash>(&key) {
                hash.expire(now);
            }
            self.note_fields(&key);
            self.drop_if_empty(&key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn exists(&self, key: &[u8]) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn data(&self, key: &[u8]) -> Option<&Data> {
        self.keys.get(key).map(|entry| &entry.data)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Bytes> {
        self.keys.keys()
    }

    pub(super) fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<&Bytes>) {
        self.keys.scan(cursor, count)
    }

    pub(super) fn random(&self) -> Option<&Bytes> {
        self.keys.random()
    }

    pub(super) fn expires(&self, key: &[u8]) -> Option<i64> {
        self.keys.get(key).and_then(|entry| entry.expires)
    }

    pub(super) fn expiring_count(&self) -> usize {
        self.expiring.len()
    }

    pub(super) fn weight(&self) -> usize {
        self.keys.iter().map(|(key, entry)| key.len() + entry.data.weight()).sum()
    }

    /// The value of a type, or none where there is no such key.
    pub(super) fn read<K: Kind>(&self, key: &[u8]) -> Result<Option<&K>, Fault> {
        match self.data(key) {
            Some(data) => K::of(data).map(Some).ok_or(WRONG_TYPE),
            None => Ok(None),
        }
    }

    /// As [`Db::read`], to change it. What may become empty is followed by [`Db::drop_if_empty`].
    pub(super) fn write<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&mut K>, Fault> {
        match self.keys.get_mut(key) {
            Some(entry) => K::of_mut(&mut entry.data).map(Some).ok_or(WRONG_TYPE),
            None => Ok(None),
        }
    }

    /// As [`Db::write`], creating an empty value first where there is none.
    pub(super) fn write_or_create<K: Kind + Default>(
        &mut self,
        key: &[u8],
    ) -> Result<&mut K, Fault> {
        if !self.exists(key) {
            self.keys.insert(key, Entry { data: K::default().wrap(), expires: None });
        }
        self.write(key)?.ok_or(WRONG_TYPE)
    }

    /// Remembers when the next field of a hash expires.
    pub(super) fn note_fields(&mut self, key: &[u8]) {
        if let Ok(Some(hash)) = self.read::<Hash>(key)
            && let Some(due) = hash.first_deadline()
        {
            self.expiring_fields.insert((due, Bytes::copy_from_slice(key)));
        }
    }

    /// Redis has no empty collections: the key goes with the last element.
    pub(super) fn drop_if_empty(&mut self, key: &[u8]) {
        if self.data(key).is_some_and(Data::is_empty_collection) {
            self.remove(key);
        }
    }

    /// Sets a value and removes any expiry.
    pub(super) fn set(&mut self, key: &[u8], data: Data) {
        self.clear_expiry(key);
        self.keys.insert(key, Entry { data, expires: None });
        self.note_fields(key);
    }

    /// Sets a value and leaves the expiry as it is.
    pub(super) fn replace(&mut self, key: &[u8], data: Data) {
        let expires = self.expires(key);
        self.keys.insert(key, Entry { data, expires });
    }

    /// Sets a collection, or removes the key where it is empty.
    pub(super) fn store(&mut self, key: &[u8], data: Data) {
        self.set(key, data);
        self.drop_if_empty(key);
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Data> {
        self.clear_expiry(key);
        let data = self.keys.remove(key)?.data;
        if let Data::Hash(hash) = &data
            && let Some(due) = hash.first_deadline()
        {
            self.expiring_fields.remove(&(due, Bytes::copy_from_slice(key)));
        }
        Some(data)
    }

    /// Removes the expiry; false where there was none.
    pub(super) fn clear_expiry(&mut self, key: &[u8]) -> bool {
        let Some(due) = self.keys.get_mut(key).and_then(|entry| entry.expires.take()) else {
            return false;
        };
        self.expiring.remove(&(due, Bytes::copy_from_slice(key)));
        true
    }

    /// Sets the expiry; a time that has passed removes the key at once.
    pub(super) fn set_expiry(&mut self, key: &[u8], due: i64) {
        self.clear_expiry(key);
        if due <= self.now {
            self.keys.remove(key);
        } else if let Some(entry) = self.keys.get_mut(key) {
            entry.expires = Some(due);
            self.expiring.insert((due, Bytes::copy_from_slice(key)));
        }
    }

    pub(super) fn flush(&mut self) {
        self.keys.clear();
        self.expiring.clear();
        self.expiring_fields.clear();
    }
}
