//! Hashes: fields and values under one key.

use crate::command::declare::commands;
use crate::command::{ToArg, ToArgs};

commands! { "hash";
    /// Sets fields, given as pairs; answers how many are new.
    fn hset(key: impl ToArg, pairs: impl ToArgs) -> u64 = "HSET" [key, ..pairs], EffectIdempotent, "2.0.0";
    /// Sets a field if it does not exist; true when it did.
    fn hsetnx(key: impl ToArg, field: impl ToArg, value: impl ToArg) -> bool = "HSETNX" [key, field, value], EffectIdempotent, "2.0.0";
    /// The value of a field; nil when there is none.
    fn hget<R>(key: impl ToArg, field: impl ToArg) -> R = "HGET" [key, field], ReadOnly, "2.0.0";
    /// All fields and values.
    fn hgetall<R>(key: impl ToArg) -> R = "HGETALL" [key], ReadOnly, "2.0.0";
    /// The values of several fields, nil for each that is missing.
    fn hmget<R>(key: impl ToArg, fields: impl ToArgs) -> Vec<Option<R>> = "HMGET" [key, ..fields], ReadOnly, "2.0.0";
    /// Deletes fields; answers how many there were.
    fn hdel(key: impl ToArg, fields: impl ToArgs) -> u64 = "HDEL" [key, ..fields], EffectIdempotent, "2.0.0";
    /// True when the field exists.
    fn hexists(key: impl ToArg, field: impl ToArg) -> bool = "HEXISTS" [key, field], ReadOnly, "2.0.0";
    /// Adds to a field; answers the new value.
    fn hincrby(key: impl ToArg, field: impl ToArg, by: i64) -> i64 = "HINCRBY" [key, field, by], Unsafe, "2.0.0";
    /// Adds a float to a field; answers the new value.
    fn hincrbyfloat(key: impl ToArg, field: impl ToArg, by: f64) -> f64 = "HINCRBYFLOAT" [key, field, by], Unsafe, "2.6.0";
    /// The names of the fields.
    fn hkeys<R>(key: impl ToArg) -> Vec<R> = "HKEYS" [key], ReadOnly, "2.0.0";
    /// The values of the fields.
    fn hvals<R>(key: impl ToArg) -> Vec<R> = "HVALS" [key], ReadOnly, "2.0.0";
    /// How many fields there are.
    fn hlen(key: impl ToArg) -> u64 = "HLEN" [key], ReadOnly, "2.0.0";
    /// The length of a field's value in bytes.
    fn hstrlen(key: impl ToArg, field: impl ToArg) -> u64 = "HSTRLEN" [key, field], ReadOnly, "3.2.0";
}
