//! Keys of any type, and their times to live.
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! # let client = Client::from_backend(MemoryBackend::new());
//! use redis_rest::cmd::Ttl;
//! use std::time::Duration;
//! client.set("draft", "text").await?;
//! assert_eq!(client.ttl("draft").await?, Ttl::Persistent);
//! assert!(client.expire("draft", Duration::from_secs(60)).await?);
//! assert!(matches!(client.ttl("draft").await?, Ttl::Expires(_)));
//! assert_eq!(client.del(["draft", "none"]).await?, 1);
//! # Ok(()) }
//! ```

use super::expiry::{TimeToLive, whole_millis};
use crate::client::scan::scanning;
use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ArgWriter, One, ToArg, ToArgs, UnixTime};
use crate::value::{ConvertError, FromValue, Value};
use std::time::Duration;

calls! {
    /// The conditions of `EXPIRE` and its sisters: [`nx`](Expire::nx), [`xx`](Expire::xx),
    /// [`gt`](Expire::gt), [`lt`](Expire::lt).
    Expire = bool;
    /// The options of `SCAN`: [`match_pattern`](Scan::match_pattern), [`count`](Scan::count),
    /// [`of_type`](Scan::of_type).
    Scan = (u64, Vec<bytes::Bytes>);
    /// The option of `COPY`: [`replace`](Copying::replace).
    Copying = bool;
    /// The options of `RESTORE`: [`replace`](Restore::replace), [`idle`](Restore::idle),
    /// [`frequency`](Restore::frequency).
    Restore = ();
    /// The options of `SORT`: [`by`](Sort::by), [`limit`](Sort::limit), [`get`](Sort::get),
    /// [`descending`](Sort::descending), [`alphabetic`](Sort::alphabetic), [`store`](Sort::store).
    Sort;
    /// The option of `MEMORY USAGE`: [`samples`](MemoryUsage::samples).
    MemoryUsage = Option<u64>;
}

/// The time that a key has left to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ttl {
    /// There is no such key or field.
    Missing,
    /// The key does not expire.
    Persistent,
    /// The key expires after this time.
    Expires(Duration),
}

impl Ttl {
    /// Returns the remaining time; `None` if there is no such key or field, or if it does not
    /// expire.
    pub fn as_duration(self) -> Option<Duration> {
        match self {
            Self::Expires(left) => Some(left),
            Self::Missing | Self::Persistent => None,
        }
    }
}

impl FromValue for Ttl {
    /// Milliseconds, as `PTTL` returns them.
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

/// The expiry time of a key or field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpireTime {
    /// There is no such key or field.
    Missing,
    /// The key does not expire.
    Persistent,
    /// Expires at this instant.
    At(UnixTime),
}

impl FromValue for ExpireTime {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        Ok(match i64::from_value(value)? {
            -2 => Self::Missing,
            -1 => Self::Persistent,
            millis => Self::At(UnixTime::from_millis(millis)),
        })
    }
}

/// The time to live of a restored value: unlimited, or a time other than zero, which Redis would
/// treat as unlimited.
struct Lifetime(Option<Duration>);

impl ToArgs for Lifetime {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        match self.0 {
            Some(ttl) => out.arg(TimeToLive(ttl)),
            None => out.arg(0),
        }
    }
}

commands! { "generic", "Keys";
    /// Deletes keys; returns how many there were.
    fn del(keys: impl ToArgs) -> u64 = "DEL" [..keys], EffectIdempotent, "1.0.0";
    /// Deletes keys, freeing their memory in the background; returns how many there were.
    fn unlink(keys: impl ToArgs) -> u64 = "UNLINK" [..keys], EffectIdempotent, "4.0.0";
    /// Counts those of `keys` that exist; a key named twice counts twice.
    fn exists(keys: impl ToArgs) -> u64 = "EXISTS" [..keys], ReadOnly, "1.0.0";
    /// Counts as a use of `keys`; returns how many exist.
    fn touch(keys: impl ToArgs) -> u64 = "TOUCH" [..keys], ReadOnly, "3.2.1";
    /// Sets the time to live, exact to the millisecond, rounded up, at most 1000 years; true if the
    /// key exists and the condition holds. A time of zero deletes the key.
    fn expire(key: impl ToArg, after: Duration) -> bool as Expire = "PEXPIRE" [key, whole_millis(after)], EffectIdempotent, "2.6.0";
    /// Sets the instant at which the key expires: a `SystemTime`, a `DateTime` or a [`UnixTime`];
    /// true if the key exists and the condition holds. An instant that has passed deletes the key.
    fn expire_at(key: impl ToArg, at: impl Into<UnixTime>) -> bool as Expire = "PEXPIREAT" [key, at.into()], ByArguments, "2.6.0";
    /// Returns when the key expires.
    fn expire_time(key: impl ToArg) -> ExpireTime = "PEXPIRETIME" [key], ReadOnly, "7.0.0";
    /// Returns the time that the key has left to live, to the millisecond.
    fn ttl(key: impl ToArg) -> Ttl = "PTTL" [key], ReadOnly, "2.6.0";
    /// Takes the time to live away; true if there was one.
    fn persist(key: impl ToArg) -> bool = "PERSIST" [key], EffectIdempotent, "2.2.0";
    /// Returns the names of all keys that match `pattern`. Walks the whole database: prefer
    /// [`scan`].
    fn keys<R>(pattern: impl ToArg) -> R = "KEYS" [pattern], ReadOnly, "1.0.0", WHOLE_KEYSPACE;
    /// Returns a page of the keys: the cursor for the next page (0 after the last) and names.
    fn scan() -> (u64, Vec<bytes::Bytes>) as Scan = "SCAN" [0], ReadOnly, "2.8.0", WHOLE_KEYSPACE;
    /// The name of some key; nil if there is none.
    fn randomkey<R>() -> Option<R> = "RANDOMKEY" [], ReadOnly, "1.0.0", WHOLE_KEYSPACE;
    /// Returns the type of the value: `string`, `list`, `set`, `zset`, `hash`, `stream` or `none`.
    fn key_type(key: impl ToArg) -> String = "TYPE" [key], ReadOnly, "1.0.0";
    /// Renames the key, replacing a value at the new name.
    fn rename(key: impl ToArg, new_key: impl ToArg) -> () = "RENAME" [key, new_key], NonIdempotent, "1.0.0";
    /// Renames the key if the new name is free; returns true if it was.
    fn renamenx(key: impl ToArg, new_key: impl ToArg) -> bool = "RENAMENX" [key, new_key], NonIdempotent, "1.0.0";
    /// Copies a value to another key if that is free; returns true if it was.
    fn copy(source: impl ToArg, destination: impl ToArg) -> bool as Copying = "COPY" [source, destination], EffectIdempotent, "6.2.0", COPIES;
    /// The value in a form that [`restore`] reads; nil if there is none.
    fn dump(key: impl ToArg) -> Option<bytes::Bytes> = "DUMP" [key], ReadOnly, "2.6.0";
    /// Creates a value from the output of [`dump`], with a time to live (`None`: it does not
    /// expire; zero is refused before sending).
    ///
    /// The value is binary: over REST it is sent alone, not in a pipeline.
    fn restore(key: impl ToArg, ttl: Option<Duration>, dumped: impl ToArg) -> () as Restore
        = "RESTORE" [key, Lifetime(ttl), dumped], EffectIdempotent, "2.6.0";
    /// Returns the elements of a list, set or sorted set, in numeric order. [`store`](Sort::store)
    /// writes them to a key.
    fn sort<R>(key: impl ToArg) -> Vec<Option<R>> as Sort = "SORT" [key], ByArguments, "1.0.0", STORE_OPTION;
    /// Does what [`sort`] does, and never writes.
    fn sort_ro<R>(key: impl ToArg) -> Vec<Option<R>> as Sort = "SORT_RO" [key], ReadOnly, "7.0.0";
    /// Returns the internal encoding of the value: `embstr`, `listpack`, `skiplist` …; nil if there is none.
    fn object_encoding(key: impl ToArg) -> Option<String> = "OBJECT ENCODING" [key], ReadOnly, "2.2.3";
    /// Returns how often the key was used lately, on a logarithmic scale, if the server evicts by that.
    fn object_freq(key: impl ToArg) -> Option<u64> = "OBJECT FREQ" [key], ReadOnly, "4.0.0";
    /// Returns for how many seconds the key was not used.
    fn object_idletime(key: impl ToArg) -> Option<u64> = "OBJECT IDLETIME" [key], ReadOnly, "2.2.3";
    /// Returns the number of references to the value.
    fn object_refcount(key: impl ToArg) -> Option<u64> = "OBJECT REFCOUNT" [key], ReadOnly, "2.2.3";
    /// Returns the bytes of memory that the key takes; nil if there is none.
    fn memory_usage(key: impl ToArg) -> Option<u64> as MemoryUsage = "MEMORY USAGE" [key], ReadOnly, "4.0.0";
}

options! { Expire on bool;
    /// Only if it does not expire yet (Redis 7.0).
    fn nx() = "NX" [];
    /// Only if it expires already (Redis 7.0).
    fn xx() = "XX" [];
    /// Only to a later time (Redis 7.0). A key without expiry counts as never expiring.
    fn gt() = "GT" [];
    /// Only to an earlier time (Redis 7.0).
    fn lt() = "LT" [];
}

options! { Scan<R>;
    /// Only names that match this glob pattern.
    fn match_pattern(pattern: impl ToArg) = "MATCH" [pattern];
    /// Sets the approximate number of names on a page; Redis's default is 10.
    fn count(count: u64) = "COUNT" [count];
    /// Only keys of this type.
    fn of_type(name: &str) = "TYPE" [name];
}

options! { Copying on bool;
    /// Replaces an existing value.
    fn replace() = "REPLACE" [];
}

options! { Restore on ();
    /// Replaces an existing value.
    fn replace() = "REPLACE" [];
    /// Counts as unused for this many seconds.
    fn idle(seconds: u64) = "IDLETIME" [seconds];
    /// Sets the access frequency, from 0 to 255.
    fn frequency(frequency: u8) = "FREQ" [frequency];
}

options! { Sort<R> on Vec<Option<R>>;
    /// Sorts by the values of these keys, `*` standing for the element.
    fn by(pattern: impl ToArg) = "BY" [pattern];
    /// Skips `offset` elements and returns at most `count`.
    fn limit(offset: u64, count: i64) = "LIMIT" [offset, count];
    /// Returns the values of these keys, `*` standing for the element and `#` for the element
    /// itself.
    fn get(pattern: impl ToArg) = "GET" [pattern];
    /// Sorts from the last to the first.
    fn descending() = "DESC" [];
    /// Sorts by bytes instead of numbers.
    fn alphabetic() = "ALPHA" [];
    /// Writes the result to a list; returns its length. Not with [`sort_ro`].
    fn store(key: impl ToArg) -> u64 = "STORE" [key];
}

options! { MemoryUsage on Option<u64>;
    /// Samples this many elements (0: all) instead of 5.
    fn samples(count: u64) = "SAMPLES" [count];
}

scanning!(Scan, 0);

finish! { Expire Scan Copying Restore Sort MemoryUsage }
