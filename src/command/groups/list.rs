//! Lists.

use crate::command::declare::commands;
use crate::command::{ToArg, ToArgs};

commands! { "list";
    /// Adds values at the head, one by one; answers the new length.
    fn lpush(key: impl ToArg, values: impl ToArgs) -> u64 = "LPUSH" [key, ..values], Unsafe, "1.0.0";
    /// Adds values at the tail; answers the new length.
    fn rpush(key: impl ToArg, values: impl ToArgs) -> u64 = "RPUSH" [key, ..values], Unsafe, "1.0.0";
    /// Takes the first value off; nil when the list is empty.
    fn lpop<R>(key: impl ToArg) -> R = "LPOP" [key], Unsafe, "1.0.0";
    /// Takes the last value off; nil when the list is empty.
    fn rpop<R>(key: impl ToArg) -> R = "RPOP" [key], Unsafe, "1.0.0";
    /// The values from `start` to `stop`, both included; negative counts from the end.
    fn lrange<R>(key: impl ToArg, start: i64, stop: i64) -> Vec<R> = "LRANGE" [key, start, stop], ReadOnly, "1.0.0";
    /// How many values there are.
    fn llen(key: impl ToArg) -> u64 = "LLEN" [key], ReadOnly, "1.0.0";
    /// The value at `index`; nil beyond the ends.
    fn lindex<R>(key: impl ToArg, index: i64) -> R = "LINDEX" [key, index], ReadOnly, "1.0.0";
    /// Replaces the value at `index`.
    fn lset(key: impl ToArg, index: i64, value: impl ToArg) -> () = "LSET" [key, index, value], Idempotent, "1.0.0";
    /// Removes `count` equal values from the head (from the tail if negative, all if 0); answers how many there were.
    fn lrem(key: impl ToArg, count: i64, value: impl ToArg) -> u64 = "LREM" [key, count, value], Unsafe, "1.0.0";
    /// Keeps only the values from `start` to `stop`.
    fn ltrim(key: impl ToArg, start: i64, stop: i64) -> () = "LTRIM" [key, start, stop], Unsafe, "1.0.0";
}
