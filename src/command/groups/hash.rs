//! Hashes: fields and values under one key, and times to live of fields.
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! # let client = Client::from_backend(MemoryBackend::new());
//! use redis_rest::Fields;
//! #[derive(serde::Deserialize)]
//! struct User {
//!     name: String,
//!     age: u8,
//! }
//! client.hset("user:1", [("name", "Ada"), ("age", "36")]).await?;
//! let Fields(user): Fields<User> = client.hgetall("user:1").await?;
//! assert_eq!((user.name.as_str(), user.age), ("Ada", 36));
//! let ages: Vec<Option<u8>> = client.hmget("user:1", ["age", "height"]).await?;
//! assert_eq!(ages, [Some(36), None]);
//! # Ok(()) }
//! ```

use super::expiry::{expiring, whole_millis};
use super::generic::{ExpireTime, Ttl};
use crate::client::scan::scanning;
use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ToArg, ToArgs, UnixTime};
use crate::value::{ConvertError, FromValue, Value};
use bytes::Bytes;
use std::time::Duration;

calls! {
    /// The options of `HRANDFIELD`: [`count`](HRandField::count),
    /// [`with_values`](HRandField::with_values).
    HRandField;
    /// The options of `HSCAN`: [`match_pattern`](HScan::match_pattern), [`count`](HScan::count),
    /// [`no_values`](HScan::no_values).
    HScan = (u64, Vec<(Bytes, Bytes)>);
    /// The conditions of `HEXPIRE` and its sisters: [`nx`](HExpire::nx), [`xx`](HExpire::xx),
    /// [`gt`](HExpire::gt), [`lt`](HExpire::lt).
    HExpire = Vec<FieldExpiry>;
    /// The options of `HGETEX`: [`ex`](HGetEx::ex), [`ex_at`](HGetEx::ex_at),
    /// [`persist`](HGetEx::persist).
    HGetEx;
    /// The options of `HSETEX`: [`ex`](HSetEx::ex), [`ex_at`](HSetEx::ex_at),
    /// [`keep_ttl`](HSetEx::keep_ttl), [`fnx`](HSetEx::fnx), [`fxx`](HSetEx::fxx).
    HSetEx = bool;
}

/// The result of setting the time to live of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldExpiry {
    /// There is no such field.
    Missing,
    /// The condition does not hold.
    Unchanged,
    /// The time to live was set.
    Set,
    /// The time had passed, so the field was deleted.
    Deleted,
}

impl FromValue for FieldExpiry {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match i64::from_value(value)? {
            -2 => Ok(Self::Missing),
            0 => Ok(Self::Unchanged),
            1 => Ok(Self::Set),
            2 => Ok(Self::Deleted),
            _ => Err(ConvertError::new("-2, 0, 1 or 2", "another integer")),
        }
    }
}

/// The result of removing the time to live of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldPersist {
    /// There is no such field.
    Missing,
    /// The field had no time to live.
    Persistent,
    /// The time to live was removed.
    Removed,
}

impl FromValue for FieldPersist {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match i64::from_value(value)? {
            -2 => Ok(Self::Missing),
            -1 => Ok(Self::Persistent),
            1 => Ok(Self::Removed),
            _ => Err(ConvertError::new("-2, -1 or 1", "another integer")),
        }
    }
}

commands! { "hash", "Hashes";
    /// Sets fields, given as pairs; returns how many are new.
    fn hset(key: impl ToArg, pairs: impl ToArgs) -> u64 = "HSET" [key, (even pairs)], EffectIdempotent, "2.0.0";
    /// Sets a field if it does not exist; returns true if it was set.
    fn hsetnx(key: impl ToArg, field: impl ToArg, value: impl ToArg) -> bool = "HSETNX" [key, field, value], EffectIdempotent, "2.0.0";
    /// Sets fields, given as pairs, with a time to live or on a condition; returns true if they
    /// were set.
    fn hsetex(key: impl ToArg, pairs: impl ToArgs) -> bool as HSetEx = "HSETEX" [key, "FIELDS", (pairs pairs)], EffectIdempotent, "8.0.0";
    /// The value of a field; nil if there is none.
    fn hget<R>(key: impl ToArg, field: impl ToArg) -> R = "HGET" [key, field], ReadOnly, "2.0.0";
    /// Returns all fields and values: as a map, as pairs, or as a struct with
    /// [`Fields`](crate::Fields).
    fn hgetall<R>(key: impl ToArg) -> R = "HGETALL" [key], ReadOnly, "2.0.0";
    /// Returns the values of fields and deletes the fields; nil for missing ones.
    fn hgetdel<R>(key: impl ToArg, fields: impl ToArgs) -> Vec<Option<R>> = "HGETDEL" [key, "FIELDS", (count fields)], NonIdempotent, "8.0.0";
    /// Returns the values of fields, and may change their time to live; nil for missing ones.
    fn hgetex<R>(key: impl ToArg, fields: impl ToArgs) -> Vec<Option<R>> as HGetEx
        = "HGETEX" [key, "FIELDS", (count fields)], ByArguments, "8.0.0";
    /// Returns the values of several fields, nil for missing ones.
    fn hmget<R>(key: impl ToArg, fields: impl ToArgs) -> Vec<Option<R>> = "HMGET" [key, ..fields], ReadOnly, "2.0.0";
    /// Deletes fields; returns how many there were.
    fn hdel(key: impl ToArg, fields: impl ToArgs) -> u64 = "HDEL" [key, ..fields], EffectIdempotent, "2.0.0";
    /// Returns true if the field exists.
    fn hexists(key: impl ToArg, field: impl ToArg) -> bool = "HEXISTS" [key, field], ReadOnly, "2.0.0";
    /// Adds to a field; returns the new value.
    fn hincrby(key: impl ToArg, field: impl ToArg, by: i64) -> i64 = "HINCRBY" [key, field, by], NonIdempotent, "2.0.0";
    /// Adds a float to a field; returns the new value.
    fn hincrbyfloat(key: impl ToArg, field: impl ToArg, by: f64) -> f64 = "HINCRBYFLOAT" [key, field, by], NonIdempotent, "2.6.0";
    /// Returns the names of the fields.
    fn hkeys<R>(key: impl ToArg) -> Vec<R> = "HKEYS" [key], ReadOnly, "2.0.0";
    /// Returns the values of the fields.
    fn hvals<R>(key: impl ToArg) -> Vec<R> = "HVALS" [key], ReadOnly, "2.0.0";
    /// Counts the fields.
    fn hlen(key: impl ToArg) -> u64 = "HLEN" [key], ReadOnly, "2.0.0";
    /// Returns the length of a field's value in bytes.
    fn hstrlen(key: impl ToArg, field: impl ToArg) -> u64 = "HSTRLEN" [key, field], ReadOnly, "3.2.0";
    /// The name of some field; nil if there is none.
    fn hrandfield<R>(key: impl ToArg) -> Option<R> as HRandField = "HRANDFIELD" [key], ReadOnly, "6.2.0", COUNT;
    /// Returns a page of the fields: the cursor for the next page (0 after the last), fields and values.
    fn hscan(key: impl ToArg) -> (u64, Vec<(Bytes, Bytes)>) as HScan = "HSCAN" [key, 0], ReadOnly, "2.8.0";
    /// Sets the time to live of fields, exact to the millisecond, rounded up, at most 1000 years. A
    /// time of zero deletes them.
    fn hexpire(key: impl ToArg, after: Duration, fields: impl ToArgs) -> Vec<FieldExpiry> as HExpire
        = "HPEXPIRE" [key, whole_millis(after), "FIELDS", (count fields)], EffectIdempotent, "7.4.0";
    /// Sets the instant at which fields expire: a `SystemTime`, a `DateTime` or a [`UnixTime`].
    fn hexpire_at(key: impl ToArg, at: impl Into<UnixTime>, fields: impl ToArgs) -> Vec<FieldExpiry> as HExpire
        = "HPEXPIREAT" [key, at.into(), "FIELDS", (count fields)], EffectIdempotent, "7.4.0";
    /// Returns when fields expire.
    fn hexpire_time(key: impl ToArg, fields: impl ToArgs) -> Vec<ExpireTime>
        = "HPEXPIRETIME" [key, "FIELDS", (count fields)], ReadOnly, "7.4.0";
    /// Returns the times that fields have left to live.
    fn httl(key: impl ToArg, fields: impl ToArgs) -> Vec<Ttl> = "HPTTL" [key, "FIELDS", (count fields)], ReadOnly, "7.4.0";
    /// Removes the times to live of fields.
    fn hpersist(key: impl ToArg, fields: impl ToArgs) -> Vec<FieldPersist>
        = "HPERSIST" [key, "FIELDS", (count fields)], EffectIdempotent, "7.4.0";
}

options! { HRandField<R> on Option<R>;
    /// Returns `count` different fields, or if negative, that many that may be the same.
    fn count(count: i64) -> Vec<R> = [count];
}

options! { HRandField<R> on Vec<R>;
    /// Returns each field with its value.
    fn with_values<V>() -> Vec<(R, V)> = "WITHVALUES" [];
}

options! { HScan on (u64, Vec<(Bytes, Bytes)>);
    /// Only names that match this glob pattern.
    fn match_pattern(pattern: impl ToArg) = "MATCH" [pattern];
    /// Sets the approximate number of fields on a page; Redis's default is 10.
    fn count(count: u64) = "COUNT" [count];
    /// Only names (Redis 7.4); the last of the options.
    fn no_values() -> (u64, Vec<Bytes>) = "NOVALUES" [];
}

options! { HExpire on Vec<FieldExpiry>;
    /// Only those that do not expire yet.
    fn nx() = "NX" @ 2;
    /// Only those that expire already.
    fn xx() = "XX" @ 2;
    /// Only to a later time.
    fn gt() = "GT" @ 2;
    /// Only to an earlier time.
    fn lt() = "LT" @ 2;
}

expiring!(HGetEx @ 1);

options! { HGetEx<R> on Vec<Option<R>>;
    /// Removes their times to live.
    fn persist() = "PERSIST" @ 1;
}

expiring!(HSetEx @ 1);

options! { HSetEx on bool;
    /// Keeps their times to live.
    fn keep_ttl() = "KEEPTTL" @ 1;
    /// Only if none of the fields exists.
    fn fnx() = "FNX" @ 1;
    /// Only if all of the fields exist.
    fn fxx() = "FXX" @ 1;
}

scanning!(HScan, 1);

finish! { HRandField HScan HExpire HGetEx HSetEx }
