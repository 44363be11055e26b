//! Lists.
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! # let client = Client::from_backend(MemoryBackend::new());
//! client.rpush("queue", ["a", "b", "c"]).await?;
//! let first: Option<String> = client.lpop("queue").await?;
//! assert_eq!(first.as_deref(), Some("a"));
//! let rest: Vec<String> = client.lrange("queue", 0, -1).await?;
//! assert_eq!(rest, ["b", "c"]);
//! # Ok(()) }
//! ```

use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ArgWriter, One, ToArg, ToArgs};

calls! {
    /// The option of `LPOP` and `RPOP`: [`count`](Pop::count).
    Pop;
    /// The options of `LPOS`: [`rank`](LPos::rank), [`max_len`](LPos::max_len),
    /// [`count`](LPos::count).
    LPos = Option<u64>;
    /// The option of `LMPOP`: [`count`](LMPop::count).
    LMPop;
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The head.
    Left,
    /// The tail.
    Right,
}

impl ToArgs for Side {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(if *self == Self::Left { b"LEFT" } else { b"RIGHT" });
    }
}

/// Side of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Beside {
    /// Nearer to the head.
    Before,
    /// Nearer to the tail.
    After,
}

impl ToArgs for Beside {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(if *self == Self::Before { b"BEFORE" } else { b"AFTER" });
    }
}

commands! { "list", "Lists";
    /// Adds values at the head, one by one; returns the new length.
    fn lpush(key: impl ToArg, values: impl ToArgs) -> u64 = "LPUSH" [key, ..values], NonIdempotent, "1.0.0";
    /// Adds values at the tail; returns the new length.
    fn rpush(key: impl ToArg, values: impl ToArgs) -> u64 = "RPUSH" [key, ..values], NonIdempotent, "1.0.0";
    /// Adds values at the head if there is a list; returns the new length, or 0.
    fn lpushx(key: impl ToArg, values: impl ToArgs) -> u64 = "LPUSHX" [key, ..values], NonIdempotent, "2.2.0";
    /// Adds values at the tail if there is a list; returns the new length, or 0.
    fn rpushx(key: impl ToArg, values: impl ToArgs) -> u64 = "RPUSHX" [key, ..values], NonIdempotent, "2.2.0";
    /// Removes and returns the first value; nil if the list is empty.
    fn lpop<R>(key: impl ToArg) -> R as Pop = "LPOP" [key], NonIdempotent, "1.0.0", COUNT;
    /// Removes and returns the last value; nil if the list is empty.
    fn rpop<R>(key: impl ToArg) -> R as Pop = "RPOP" [key], NonIdempotent, "1.0.0", COUNT;
    /// Takes a value off the first of several lists that has one; returns that list's key and the values, nil when all are empty.
    fn lmpop<R>(keys: impl ToArgs, side: Side) -> Option<(String, Vec<R>)> as LMPop = "LMPOP" [(count keys), side], NonIdempotent, "7.0.0";
    /// Takes a value off one end of a list and puts it at one end of another; nil if there is none.
    fn lmove<R>(source: impl ToArg, destination: impl ToArg, from: Side, to: Side) -> R
        = "LMOVE" [source, destination, from, to], NonIdempotent, "6.2.0";
    /// Returns the values from `start` to `stop`, both included; negative counts from the end.
    fn lrange<R>(key: impl ToArg, start: i64, stop: i64) -> Vec<R> = "LRANGE" [key, start, stop], ReadOnly, "1.0.0";
    /// Counts the values.
    fn llen(key: impl ToArg) -> u64 = "LLEN" [key], ReadOnly, "1.0.0";
    /// Returns the value at `index`; nil beyond the ends.
    fn lindex<R>(key: impl ToArg, index: i64) -> R = "LINDEX" [key, index], ReadOnly, "1.0.0";
    /// The index of the first value that is equal; nil if there is none.
    fn lpos(key: impl ToArg, value: impl ToArg) -> Option<u64> as LPos = "LPOS" [key, value], ReadOnly, "6.0.6";
    /// Adds a value beside the first that is equal to `pivot`; returns the new length, -1 when there is no such value.
    fn linsert(key: impl ToArg, side: Beside, pivot: impl ToArg, value: impl ToArg) -> i64
        = "LINSERT" [key, side, pivot, value], NonIdempotent, "2.2.0";
    /// Replaces the value at `index`.
    fn lset(key: impl ToArg, index: i64, value: impl ToArg) -> () = "LSET" [key, index, value], Idempotent, "1.0.0";
    /// Removes `count` equal values from the head (from the tail if negative, all if 0); returns how many there were.
    fn lrem(key: impl ToArg, count: i64, value: impl ToArg) -> u64 = "LREM" [key, count, value], NonIdempotent, "1.0.0";
    /// Keeps only the values from `start` to `stop`.
    fn ltrim(key: impl ToArg, start: i64, stop: i64) -> () = "LTRIM" [key, start, stop], NonIdempotent, "1.0.0";
}

options! { Pop<R> on R;
    /// Takes up to `count` values off (Redis 6.2); nil if there is no list.
    fn count(count: u64) -> Option<Vec<R>> = [count];
}

options! { LMPop<R> on Option<(String, Vec<R>)>;
    /// Sets the most values to remove.
    fn count(count: u64) = "COUNT" [count];
}

options! { LPos<R>;
    /// Begins with the match of this rank; from the end if negative.
    fn rank(rank: i64) = "RANK" [rank];
    /// Compares at most this many values.
    fn max_len(count: u64) = "MAXLEN" [count];
    /// Returns the indexes of up to this many (0: of all).
    fn count(count: u64) -> Vec<u64> = "COUNT" [count];
}

finish! { Pop LPos LMPop }
