//! Strings and counters.

use super::millis;
use crate::command::declare::commands;
use crate::command::{ToArg, ToArgs, Typed};
use std::time::Duration;

/// The options of `SET`: [`ex`](Typed::ex), [`keep_ttl`](Typed::keep_ttl), [`nx`](Typed::nx), [`xx`](Typed::xx),
/// [`get`](Typed::get).
#[derive(Clone, Copy, Debug)]
pub struct Set;

/// The options of `GETEX`: [`ex`](Typed::ex), [`persist`](Typed::persist).
#[derive(Clone, Copy, Debug)]
pub struct GetEx;

commands! { "string";
    /// The value of `key`; nil when there is none.
    fn get<R>(key: impl ToArg) -> R = "GET" [key], ReadOnly, "1.0.0";
    /// Sets `key` to `value`, and takes away its time to live unless an option says otherwise.
    fn set(key: impl ToArg, value: impl ToArg) -> () as Set = "SET" [key, value], ByArguments, "1.0.0";
    /// The value of `key`, which is deleted.
    fn getdel<R>(key: impl ToArg) -> R = "GETDEL" [key], Unsafe, "6.2.0";
    /// The value of `key`, whose time to live can be changed.
    fn getex<R>(key: impl ToArg) -> R as GetEx = "GETEX" [key], EffectIdempotent, "6.2.0";
    /// Sets `key` and answers what was there before.
    fn getset<R>(key: impl ToArg, value: impl ToArg) -> R = "GETSET" [key, value], Unsafe, "1.0.0";
    /// The bytes of the value from `start` to `end`, both included; negative counts from the end.
    fn getrange<R>(key: impl ToArg, start: i64, end: i64) -> R = "GETRANGE" [key, start, end], ReadOnly, "2.4.0";
    /// Overwrites the value from byte `offset` on; answers its length.
    fn setrange(key: impl ToArg, offset: u64, value: impl ToArg) -> u64 = "SETRANGE" [key, offset, value], Idempotent, "2.2.0";
    /// Sets `key` if it does not exist; true when it did.
    fn setnx(key: impl ToArg, value: impl ToArg) -> bool = "SETNX" [key, value], EffectIdempotent, "1.0.0";
    /// The values of `keys`, nil for each that has none.
    fn mget<R>(keys: impl ToArgs) -> Vec<Option<R>> = "MGET" [..keys], ReadOnly, "1.0.0";
    /// Sets several keys at once, given as pairs.
    fn mset(pairs: impl ToArgs) -> () = "MSET" [..pairs], Idempotent, "1.0.1";
    /// Sets several keys if none of them exists; true when it did.
    fn msetnx(pairs: impl ToArgs) -> bool = "MSETNX" [..pairs], EffectIdempotent, "1.0.1";
    /// Appends to the value; answers its length.
    fn append(key: impl ToArg, value: impl ToArg) -> u64 = "APPEND" [key, value], Unsafe, "2.0.0";
    /// The length of the value in bytes; 0 when there is none.
    fn strlen(key: impl ToArg) -> u64 = "STRLEN" [key], ReadOnly, "2.2.0";
    /// Adds 1; answers the new value.
    fn incr(key: impl ToArg) -> i64 = "INCR" [key], Unsafe, "1.0.0";
    /// Adds `by`; answers the new value.
    fn incrby(key: impl ToArg, by: i64) -> i64 = "INCRBY" [key, by], Unsafe, "1.0.0";
    /// Adds a float; answers the new value.
    fn incrbyfloat(key: impl ToArg, by: f64) -> f64 = "INCRBYFLOAT" [key, by], Unsafe, "2.6.0";
    /// Subtracts 1; answers the new value.
    fn decr(key: impl ToArg) -> i64 = "DECR" [key], Unsafe, "1.0.0";
    /// Subtracts `by`; answers the new value.
    fn decrby(key: impl ToArg, by: i64) -> i64 = "DECRBY" [key, by], Unsafe, "1.0.0";
}

/// `EX` where whole seconds say it all, else `PX`.
fn expiry<R, K, X>(call: Typed<R, K, X>, after: Duration) -> Typed<R, K, X> {
    let millis = millis(after);
    call.with(|command| match millis.is_multiple_of(1000) {
        true => command.arg("EX").arg(millis / 1000),
        false => command.arg("PX").arg(millis),
    })
}

impl<R, X> Typed<R, Set, X> {
    /// Expires after this time, exact to the millisecond, rounded up.
    pub fn ex(self, after: Duration) -> Self {
        expiry(self, after)
    }

    /// Expires at this Unix time in milliseconds.
    pub fn px_at(self, unix_millis: u64) -> Self {
        self.with(|command| command.arg("PXAT").arg(unix_millis))
    }

    /// Leaves the time to live as it is.
    pub fn keep_ttl(self) -> Self {
        self.with(|command| command.arg("KEEPTTL"))
    }
}

impl<X> Typed<(), Set, X> {
    /// Only if the key does not exist; true when it was set.
    pub fn nx(self) -> Typed<bool, Set, X> {
        self.with(|command| command.arg("NX"))
    }

    /// Only if the key exists; true when it was set.
    pub fn xx(self) -> Typed<bool, Set, X> {
        self.with(|command| command.arg("XX"))
    }

    /// Answers the value that was there before.
    pub fn get<R>(self) -> Typed<Option<R>, Set, X> {
        self.with(|command| command.arg("GET"))
    }
}

impl<R, X> Typed<R, GetEx, X> {
    /// Expires after this time, exact to the millisecond, rounded up.
    pub fn ex(self, after: Duration) -> Self {
        expiry(self, after)
    }

    /// Takes the time to live away.
    pub fn persist(self) -> Self {
        self.with(|command| command.arg("PERSIST"))
    }
}
