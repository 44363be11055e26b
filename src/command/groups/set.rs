//! Sets.

use crate::command::declare::commands;
use crate::command::{ToArg, ToArgs};

commands! { "set";
    /// Adds members; answers how many are new.
    fn sadd(key: impl ToArg, members: impl ToArgs) -> u64 = "SADD" [key, ..members], EffectIdempotent, "1.0.0";
    /// Removes members; answers how many there were.
    fn srem(key: impl ToArg, members: impl ToArgs) -> u64 = "SREM" [key, ..members], EffectIdempotent, "1.0.0";
    /// All members.
    fn smembers<R>(key: impl ToArg) -> R = "SMEMBERS" [key], ReadOnly, "1.0.0";
    /// True when it is a member.
    fn sismember(key: impl ToArg, member: impl ToArg) -> bool = "SISMEMBER" [key, member], ReadOnly, "1.0.0";
    /// For each, whether it is a member.
    fn smismember(key: impl ToArg, members: impl ToArgs) -> Vec<bool> = "SMISMEMBER" [key, ..members], ReadOnly, "6.2.0";
    /// How many members there are.
    fn scard(key: impl ToArg) -> u64 = "SCARD" [key], ReadOnly, "1.0.0";
    /// Takes a random member out; nil when the set is empty.
    fn spop<R>(key: impl ToArg) -> R = "SPOP" [key], Unsafe, "1.0.0";
    /// The members that are in all of the sets.
    fn sinter<R>(keys: impl ToArgs) -> R = "SINTER" [..keys], ReadOnly, "1.0.0";
    /// The members that are in any of the sets.
    fn sunion<R>(keys: impl ToArgs) -> R = "SUNION" [..keys], ReadOnly, "1.0.0";
    /// The members of the first set that are in none of the others.
    fn sdiff<R>(keys: impl ToArgs) -> R = "SDIFF" [..keys], ReadOnly, "1.0.0";
}
