//! Keys, whatever they hold, and their times to live.

use super::millis;
use crate::command::declare::commands;
use crate::command::{ToArg, ToArgs, Typed};
use crate::value::{ConvertError, FromValue, Value};
use std::time::Duration;

/// The options of `EXPIRE` and its sisters: [`nx`](Typed::nx), [`xx`](Typed::xx), [`gt`](Typed::gt), [`lt`](Typed::lt).
#[derive(Clone, Copy, Debug)]
pub struct Expire;

/// The options of `SCAN`: [`pattern`](Typed::pattern), [`count`](Typed::count), [`of_type`](Typed::of_type).
#[derive(Clone, Copy, Debug)]
pub struct Scan;

/// How long a key has left to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ttl {
    /// There is no such key.
    Missing,
    /// The key does not expire.
    Persistent,
    /// The key expires after this time.
    Expires(Duration),
}

impl FromValue for Ttl {
    /// Milliseconds, as `PTTL` answers.
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match i64::from_value(value)? {
            -2 => Ok(Self::Missing),
            -1 => Ok(Self::Persistent),
            millis => u64::try_from(millis)
                .map(|millis| Self::Expires(Duration::from_millis(millis)))
                .map_err(|_| ConvertError::new("a time to live", "another negative number")),
        }
    }
}

commands! { "generic";
    /// Deletes keys; answers how many there were.
    fn del(keys: impl ToArgs) -> u64 = "DEL" [..keys], EffectIdempotent, "1.0.0";
    /// Deletes keys, freeing their memory in the background; answers how many there were.
    fn unlink(keys: impl ToArgs) -> u64 = "UNLINK" [..keys], EffectIdempotent, "4.0.0";
    /// How many of `keys` exist; one named twice counts twice.
    fn exists(keys: impl ToArgs) -> u64 = "EXISTS" [..keys], ReadOnly, "1.0.0";
    /// Sets the time to live, exact to the millisecond, rounded up; true when the key exists and the condition holds.
    fn expire(key: impl ToArg, after: Duration) -> bool as Expire = "PEXPIRE" [key, millis(after)], EffectIdempotent, "2.6.0";
    /// Sets the Unix time in milliseconds at which the key expires; true when the key exists and the condition holds.
    fn expire_at(key: impl ToArg, unix_millis: i64) -> bool as Expire = "PEXPIREAT" [key, unix_millis], EffectIdempotent, "2.6.0";
    /// How long the key has left to live, in milliseconds.
    fn ttl(key: impl ToArg) -> Ttl = "PTTL" [key], ReadOnly, "2.6.0";
    /// Takes the time to live away; true when there was one.
    fn persist(key: impl ToArg) -> bool = "PERSIST" [key], EffectIdempotent, "2.2.0";
    /// The names of all keys that match `pattern`. Walks the whole database: prefer [`scan`].
    fn keys<R>(pattern: impl ToArg) -> R = "KEYS" [pattern], ReadOnly, "1.0.0";
    /// One page of the keys: the cursor for the next page (0 after the last) and names.
    fn scan(cursor: u64) -> (u64, Vec<bytes::Bytes>) as Scan = "SCAN" [cursor], ReadOnly, "2.8.0";
    /// The type of the value: `string`, `list`, `set`, `zset`, `hash`, `stream` or `none`.
    fn key_type(key: impl ToArg) -> String = "TYPE" [key], ReadOnly, "1.0.0";
    /// Gives the key another name, replacing what was there.
    fn rename(key: impl ToArg, new_key: impl ToArg) -> () = "RENAME" [key, new_key], Unsafe, "1.0.0";
    /// Gives the key another name if that is free; true when it was.
    fn renamenx(key: impl ToArg, new_key: impl ToArg) -> bool = "RENAMENX" [key, new_key], Unsafe, "1.0.0";
}

impl<X> Typed<bool, Expire, X> {
    /// Only if the key does not expire yet (Redis 7.0).
    pub fn nx(self) -> Self {
        self.with(|command| command.arg("NX"))
    }

    /// Only if the key expires already (Redis 7.0).
    pub fn xx(self) -> Self {
        self.with(|command| command.arg("XX"))
    }

    /// Only to a later time (Redis 7.0). A key that does not expire counts as expiring never.
    pub fn gt(self) -> Self {
        self.with(|command| command.arg("GT"))
    }

    /// Only to an earlier time (Redis 7.0).
    pub fn lt(self) -> Self {
        self.with(|command| command.arg("LT"))
    }
}

impl<R, X> Typed<R, Scan, X> {
    /// Only names that match this glob pattern (`MATCH`).
    pub fn pattern(self, pattern: impl ToArg) -> Self {
        self.with(|command| command.arg("MATCH").arg(pattern))
    }

    /// About how many names a page holds; Redis's default is 10.
    pub fn count(self, count: u64) -> Self {
        self.with(|command| command.arg("COUNT").arg(count))
    }

    /// Only keys of this type.
    pub fn of_type(self, name: &str) -> Self {
        self.with(|command| command.arg("TYPE").arg(name))
    }
}
