//! Strings and counters.
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! # let client = Client::from_backend(MemoryBackend::new());
//! use std::time::Duration;
//! client.set("name", "Ada").ex(Duration::from_secs(60)).await?;
//! let first = client.set("name", "Grace").nx().await?; // only if there is none yet
//! assert!(!first);
//! let name: Option<String> = client.get("name").await?;
//! assert_eq!(name.as_deref(), Some("Ada"));
//! assert_eq!(client.incrby("visits", 2).await?, 2);
//! # Ok(()) }
//! ```

use super::expiry::{TimeToLive, expiring};
use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ToArg, ToArgs};
use crate::value::{ConvertError, FromValue, Value};
use std::time::Duration;

calls! {
    /// The options of `SET`: when it expires ([`ex`](Set::ex), [`ex_at`](Set::ex_at), [`keep_ttl`](Set::keep_ttl)), on which
    /// condition ([`nx`](Set::nx), [`xx`](Set::xx), [`if_eq`](Set::if_eq) …), and whether it returns what was there
    /// ([`get`](Set::get), after the condition).
    Set = ();
    /// The options of `GETEX`: [`ex`](GetEx::ex), [`ex_at`](GetEx::ex_at),
    /// [`persist`](GetEx::persist).
    GetEx;
    /// The conditions of `DELEX`: [`if_eq`](DelEx::if_eq) and similar ones. Without one it is
    /// `DEL`.
    DelEx = bool;
    /// The options of `MSETEX`: [`ex`](MSetEx::ex), [`ex_at`](MSetEx::ex_at),
    /// [`keep_ttl`](MSetEx::keep_ttl), [`nx`](MSetEx::nx), [`xx`](MSetEx::xx).
    MSetEx = bool;
    /// The options of `LCS`: [`length`](Lcs::length), [`matches`](Lcs::matches).
    Lcs;
    /// The options of `LCS … IDX`: [`min_length`](LcsIdx::min_length).
    LcsIdx;
}

commands! { "string", "Strings";
    /// The value of `key`; nil if there is none.
    fn get<R>(key: impl ToArg) -> R = "GET" [key], ReadOnly, "1.0.0";
    /// Sets `key` to `value`, and removes its time to live unless an option keeps it.
    fn set(key: impl ToArg, value: impl ToArg) -> () as Set = "SET" [key, value], ByArguments, "1.0.0";
    /// Sets `key` with a time to live, exact to the millisecond, rounded up, at most 1000 years. A
    /// time of zero is refused before sending.
    fn setex(key: impl ToArg, after: Duration, value: impl ToArg) -> () = "PSETEX" [key, TimeToLive(after), value], Idempotent, "2.6.0";
    /// Returns the value of `key` and deletes the key.
    fn getdel<R>(key: impl ToArg) -> R = "GETDEL" [key], NonIdempotent, "6.2.0";
    /// Returns the value of `key`, and may change its time to live.
    fn getex<R>(key: impl ToArg) -> R as GetEx = "GETEX" [key], ByArguments, "6.2.0";
    /// Sets `key` and returns the value before.
    fn getset<R>(key: impl ToArg, value: impl ToArg) -> R = "GETSET" [key, value], NonIdempotent, "1.0.0";
    /// Returns the bytes of the value from `start` to `end`, both included; negative counts from
    /// the end.
    fn getrange<R>(key: impl ToArg, start: i64, end: i64) -> R = "GETRANGE" [key, start, end], ReadOnly, "2.4.0";
    /// Overwrites the value from byte `offset` on; returns its length.
    fn setrange(key: impl ToArg, offset: u64, value: impl ToArg) -> u64 = "SETRANGE" [key, offset, value], Idempotent, "2.2.0";
    /// Sets `key` if it does not exist; returns true if it was set.
    fn setnx(key: impl ToArg, value: impl ToArg) -> bool = "SETNX" [key, value], EffectIdempotent, "1.0.0";
    /// Returns the values of `keys`, nil for missing ones.
    fn mget<R>(keys: impl ToArgs) -> Vec<Option<R>> = "MGET" [..keys], ReadOnly, "1.0.0";
    /// Sets several keys at once, given as pairs.
    fn mset(pairs: impl ToArgs) -> () = "MSET" [(even pairs)], Idempotent, "1.0.1";
    /// Sets several keys if none of them exists; returns true if they were set.
    fn msetnx(pairs: impl ToArgs) -> bool = "MSETNX" [(even pairs)], EffectIdempotent, "1.0.1";
    /// Sets several keys at once, given as pairs, with a time to live or on a condition; returns
    /// true if they were set.
    fn msetex(pairs: impl ToArgs) -> bool as MSetEx = "MSETEX" [(pairs pairs)], EffectIdempotent, "8.4.0";
    /// Appends to the value; returns its length.
    fn append(key: impl ToArg, value: impl ToArg) -> u64 = "APPEND" [key, value], NonIdempotent, "2.0.0";
    /// The length of the value in bytes; 0 if there is none.
    fn strlen(key: impl ToArg) -> u64 = "STRLEN" [key], ReadOnly, "2.2.0";
    /// Adds 1; returns the new value.
    fn incr(key: impl ToArg) -> i64 = "INCR" [key], NonIdempotent, "1.0.0";
    /// Adds `by`; returns the new value.
    fn incrby(key: impl ToArg, by: i64) -> i64 = "INCRBY" [key, by], NonIdempotent, "1.0.0";
    /// Adds a float; returns the new value.
    fn incrbyfloat(key: impl ToArg, by: f64) -> f64 = "INCRBYFLOAT" [key, by], NonIdempotent, "2.6.0";
    /// Subtracts 1; returns the new value.
    fn decr(key: impl ToArg) -> i64 = "DECR" [key], NonIdempotent, "1.0.0";
    /// Subtracts `by`; returns the new value.
    fn decrby(key: impl ToArg, by: i64) -> i64 = "DECRBY" [key, by], NonIdempotent, "1.0.0";
    /// Deletes `key` if its value meets a condition; returns true if it was deleted.
    fn delex(key: impl ToArg) -> bool as DelEx = "DELEX" [key], EffectIdempotent, "8.4.0";
    /// The hash of the value, for the conditions on digests; nil if there is none.
    fn digest(key: impl ToArg) -> Option<String> = "DIGEST" [key], ReadOnly, "8.4.0";
    /// Returns the longest common subsequence of two values.
    fn lcs<R>(key: impl ToArg, other_key: impl ToArg) -> R as Lcs = "LCS" [key, other_key], ReadOnly, "7.0.0";
}

/// Reads nil, which means that a condition does not hold, as false.
pub(super) fn held(value: Value) -> Result<bool, ConvertError> {
    match value {
        Value::Nil => Ok(false),
        other => bool::from_value(other),
    }
}

expiring!(Set);

options! { Set<R>;
    /// Keeps the time to live.
    fn keep_ttl() = "KEEPTTL" [];
}

options! { Set on ();
    /// Only if the key does not exist; returns true if it was set.
    fn nx() -> bool = "NX" [] by held;
    /// Only if the key exists; returns true if it was set.
    fn xx() -> bool = "XX" [] by held;
    /// Only if this is the value; returns true if it was set (Redis 8.4).
    fn if_eq(value: impl ToArg) -> bool = "IFEQ" [value] by held;
    /// Only if there is another value or none; returns true if it was set (Redis 8.4).
    fn if_ne(value: impl ToArg) -> bool = "IFNE" [value] by held;
    /// Only if the value has this [`digest`]; returns true if it was set (Redis 8.4).
    fn if_digest_eq(digest: impl ToArg) -> bool = "IFDEQ" [digest] by held;
    /// Only if the value has another [`digest`]; returns true if it was set (Redis 8.4).
    fn if_digest_ne(digest: impl ToArg) -> bool = "IFDNE" [digest] by held;
    /// Returns the old value.
    fn get<R>() -> Option<R> = "GET" [];
}

/// Conditions chosen at run time.
macro_rules! conditional {
    ($kind:ident) => {
        impl<X> $kind<(), X> {
            /// Sets [`nx`](Self::nx) if `condition` is true; else sets always, and returns true.
            pub fn nx_if(self, condition: bool) -> $kind<bool, X> {
                $kind(
                    self.0.map_reply(
                        held,
                        |command| if condition { command.arg("NX") } else { command },
                    ),
                )
            }

            /// Sets [`xx`](Self::xx) if `condition` is true; else sets always, and returns true.
            pub fn xx_if(self, condition: bool) -> $kind<bool, X> {
                $kind(
                    self.0.map_reply(
                        held,
                        |command| if condition { command.arg("XX") } else { command },
                    ),
                )
            }
        }
    };
}
pub(super) use conditional;

conditional!(Set);

options! { Set on bool;
    /// Returns the old value, whether or not a new one was set.
    fn get<R>() -> Option<R> = "GET" [];
}

expiring!(GetEx);

options! { GetEx<R>;
    /// Removes the time to live.
    fn persist() = "PERSIST" [];
}

options! { DelEx on bool;
    /// Only if this is the value.
    fn if_eq(value: impl ToArg) = "IFEQ" [value];
    /// Only if there is another value.
    fn if_ne(value: impl ToArg) = "IFNE" [value];
    /// Only if the value has this [`digest`].
    fn if_digest_eq(digest: impl ToArg) = "IFDEQ" [digest];
    /// Only if the value has another [`digest`].
    fn if_digest_ne(digest: impl ToArg) = "IFDNE" [digest];
}

expiring!(MSetEx);

options! { MSetEx on bool;
    /// Keeps their times to live.
    fn keep_ttl() = "KEEPTTL" [];
    /// Only if none of them exists.
    fn nx() = "NX" [];
    /// Only if all of them exist.
    fn xx() = "XX" [];
}

options! { Lcs<R>;
    /// Returns only its length.
    fn length() -> u64 = "LEN" [];
}

impl<R, X> Lcs<R, X> {
    /// Returns its places in both values.
    ///
    /// `IDX WITHMATCHLEN`.
    #[doc(alias = "IDX")]
    #[doc(alias = "WITHMATCHLEN")]
    pub fn matches(self) -> LcsIdx<LcsMatches, X> {
        LcsIdx(
            self.0.map_reply(LcsMatches::from_value, |command| {
                command.arg("IDX").arg("WITHMATCHLEN")
            }),
        )
    }
}

options! { LcsIdx on LcsMatches;
    /// Restricts to runs of at least this many bytes.
    fn min_length(bytes: u64) = "MINMATCHLEN" [bytes];
}

/// The places of the longest common subsequence of two values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LcsMatches {
    /// Runs of equal bytes, from the end: first and last byte in the one and in the other value.
    pub runs: Vec<((u64, u64), (u64, u64))>,
    /// The length of the subsequence.
    pub length: u64,
}

impl FromValue for LcsMatches {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let mut matches = Self::default();
        for (name, value) in Vec::<(String, Value)>::from_value(value)? {
            match name.as_str() {
                "matches" => {
                    let runs = Vec::<((u64, u64), (u64, u64), u64)>::from_value(value)?;
                    matches.runs = runs.into_iter().map(|(one, other, _)| (one, other)).collect();
                }
                "len" => matches.length = u64::from_value(value)?,
                _ => {}
            }
        }
        Ok(matches)
    }
}

finish! { Set GetEx DelEx MSetEx Lcs LcsIdx }
