//! Sets.
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! # let client = Client::from_backend(MemoryBackend::new());
//! client.sadd("tags", ["rust", "http"]).await?;
//! assert!(client.sismember("tags", "rust").await?);
//! let tags: std::collections::BTreeSet<String> = client.smembers("tags").await?;
//! assert_eq!(tags.len(), 2);
//! # Ok(()) }
//! ```

use crate::client::scan::scanning;
use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ToArg, ToArgs};
use bytes::Bytes;

calls! {
    /// The option of `SPOP` and `SRANDMEMBER`: [`count`](Random::count).
    Random;
    /// The option of `SINTERCARD`: [`limit`](SInterCard::limit).
    SInterCard = u64;
    /// The options of `SSCAN`: [`match_pattern`](SScan::match_pattern), [`count`](SScan::count).
    SScan = (u64, Vec<Bytes>);
}

commands! { "set", "Sets";
    /// Adds members; returns how many are new.
    fn sadd(key: impl ToArg, members: impl ToArgs) -> u64 = "SADD" [key, ..members], EffectIdempotent, "1.0.0";
    /// Removes members; returns how many there were.
    fn srem(key: impl ToArg, members: impl ToArgs) -> u64 = "SREM" [key, ..members], EffectIdempotent, "1.0.0";
    /// Moves a member to another set; returns true if it existed.
    fn smove(source: impl ToArg, destination: impl ToArg, member: impl ToArg) -> bool
        = "SMOVE" [source, destination, member], EffectIdempotent, "1.0.0";
    /// Returns all members.
    fn smembers<R>(key: impl ToArg) -> R = "SMEMBERS" [key], ReadOnly, "1.0.0";
    /// Returns true if it is a member.
    fn sismember(key: impl ToArg, member: impl ToArg) -> bool = "SISMEMBER" [key, member], ReadOnly, "1.0.0";
    /// Returns, for each, whether it is a member.
    fn smismember(key: impl ToArg, members: impl ToArgs) -> Vec<bool> = "SMISMEMBER" [key, ..members], ReadOnly, "6.2.0";
    /// Counts the members.
    fn scard(key: impl ToArg) -> u64 = "SCARD" [key], ReadOnly, "1.0.0";
    /// Removes and returns a random member; nil if the set is empty.
    fn spop<R>(key: impl ToArg) -> R as Random = "SPOP" [key], NonIdempotent, "1.0.0", COUNT;
    /// Returns a random member; nil if the set is empty.
    fn srandmember<R>(key: impl ToArg) -> R as Random = "SRANDMEMBER" [key], ReadOnly, "1.0.0", COUNT;
    /// Returns the members that are in all of the sets.
    fn sinter<R>(keys: impl ToArgs) -> R = "SINTER" [..keys], ReadOnly, "1.0.0";
    /// Counts the members that are in all of the sets.
    fn sintercard(keys: impl ToArgs) -> u64 as SInterCard = "SINTERCARD" [(count keys)], ReadOnly, "7.0.0";
    /// Makes a set of the members that are in all of the others; returns how many.
    fn sinterstore(destination: impl ToArg, keys: impl ToArgs) -> u64 = "SINTERSTORE" [destination, ..keys], ByArguments, "1.0.0", COPIES;
    /// Returns the members that are in any of the sets.
    fn sunion<R>(keys: impl ToArgs) -> R = "SUNION" [..keys], ReadOnly, "1.0.0";
    /// Makes a set of the members that are in any of the others; returns how many.
    fn sunionstore(destination: impl ToArg, keys: impl ToArgs) -> u64 = "SUNIONSTORE" [destination, ..keys], ByArguments, "1.0.0", COPIES;
    /// Returns the members of the first set that are in none of the others.
    fn sdiff<R>(keys: impl ToArgs) -> R = "SDIFF" [..keys], ReadOnly, "1.0.0";
    /// Makes a set of the members of the first that are in none of the others; returns how many.
    fn sdiffstore(destination: impl ToArg, keys: impl ToArgs) -> u64 = "SDIFFSTORE" [destination, ..keys], ByArguments, "1.0.0", COPIES;
    /// Returns a page of the members: the cursor for the next page (0 after the last) and members.
    fn sscan(key: impl ToArg) -> (u64, Vec<Bytes>) as SScan = "SSCAN" [key, 0], ReadOnly, "2.8.0";
}

options! { Random<R> on R;
    /// Returns up to this many different members; for `SRANDMEMBER`, if negative, members may
    /// repeat.
    fn count(count: i64) -> Vec<R> = [count];
}

options! { SInterCard on u64;
    /// Stops counting at this number.
    fn limit(limit: u64) = "LIMIT" [limit];
}

options! { SScan on (u64, Vec<Bytes>);
    /// Only members that match this glob pattern.
    fn match_pattern(pattern: impl ToArg) = "MATCH" [pattern];
    /// Sets the approximate number of members on a page; Redis's default is 10.
    fn count(count: u64) = "COUNT" [count];
}

scanning!(SScan, 1);

finish! { Random SInterCard SScan }
