//! Sorted sets: members with a score each.
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! # let client = Client::from_backend(MemoryBackend::new());
//! client.zadd("board", 120.0, "ada").and(90.5, "grace").await?;
//! let best: Vec<(String, f64)> = client.zrange("board").by_score(100.0..).rev().with_scores().await?;
//! assert_eq!(best, [("ada".to_owned(), 120.0)]);
//! # Ok(()) }
//! ```

use super::range::{members, ranks, scores};
use crate::client::scan::scanning;
use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ArgWriter, Command, Idempotency, One, ToArg, ToArgs};
use crate::value::FromValue;
use bytes::Bytes;
use std::ops::RangeBounds;

calls! {
    /// The options of `ZADD`: more members with [`and`](ZAdd::and), and [`nx`](ZAdd::nx),
    /// [`xx`](ZAdd::xx), [`gt`](ZAdd::gt), [`lt`](ZAdd::lt), [`changed`](ZAdd::changed),
    /// [`incr`](ZAdd::incr).
    ZAdd = u64;
    /// The options of `ZRANGE`: which members, by [`by_rank`](ZRange::by_rank),
    /// [`by_score`](ZRange::by_score) or [`by_lex`](ZRange::by_lex) (else all), and
    /// [`rev`](ZRange::rev), [`limit`](ZRange::limit), [`with_scores`](ZRange::with_scores).
    ZRange;
    /// The options of `ZRANGESTORE`: as those of `ZRANGE`.
    ZRangeStore = u64;
    /// The option of `ZRANK` and `ZREVRANK`: [`with_score`](ZRank::with_score).
    ZRank = Option<u64>;
    /// The option of `ZPOPMIN` and `ZPOPMAX`: [`count`](ZPop::count).
    ZPop;
    /// The option of `ZMPOP`: [`count`](ZMPop::count).
    ZMPop;
    /// The options of `ZRANDMEMBER`: [`count`](ZRandMember::count),
    /// [`with_scores`](ZRandMember::with_scores).
    ZRandMember;
    /// The option of `ZDIFF`: [`with_scores`](ZDiff::with_scores).
    ZDiff;
    /// The options of `ZUNION` and `ZINTER`: [`weights`](ZCombine::weights),
    /// [`aggregate`](ZCombine::aggregate), [`with_scores`](ZCombine::with_scores); of those that
    /// store all but the last.
    ZCombine;
    /// The option of `ZINTERCARD`: [`limit`](ZInterCard::limit).
    ZInterCard = u64;
    /// The options of `ZSCAN`: [`match_pattern`](ZScan::match_pattern), [`count`](ZScan::count).
    ZScan = (u64, Vec<(Bytes, f64)>);
}

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extreme {
    /// The lowest scores.
    Min,
    /// The highest scores.
    Max,
}

impl ToArgs for Extreme {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(if *self == Self::Min { b"MIN" } else { b"MAX" });
    }
}

/// The way to combine the scores of a member in several sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// Their sum, the default.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl ToArgs for Aggregate {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(match self {
            Self::Sum => b"SUM",
            Self::Min => b"MIN",
            Self::Max => b"MAX",
        });
    }
}

commands! { "sorted-set", "Sorted sets";
    /// Adds a member with its score, or moves it; returns how many are new.
    fn zadd(key: impl ToArg, score: f64, member: impl ToArg) -> u64 as ZAdd = "ZADD" [key, score, member], ByArguments, "1.2.0";
    /// Adds to a member's score; returns the new score.
    fn zincrby(key: impl ToArg, by: f64, member: impl ToArg) -> f64 = "ZINCRBY" [key, by, member], NonIdempotent, "1.2.0";
    /// Removes members; returns how many there were.
    fn zrem(key: impl ToArg, members: impl ToArgs) -> u64 = "ZREM" [key, ..members], EffectIdempotent, "1.2.0";
    /// Returns the score of a member; nil if it does not exist.
    fn zscore(key: impl ToArg, member: impl ToArg) -> Option<f64> = "ZSCORE" [key, member], ReadOnly, "1.2.0";
    /// Returns the scores of members, nil for missing ones.
    fn zmscore(key: impl ToArg, members: impl ToArgs) -> Vec<Option<f64>> = "ZMSCORE" [key, ..members], ReadOnly, "6.2.0";
    /// Counts the members.
    fn zcard(key: impl ToArg) -> u64 = "ZCARD" [key], ReadOnly, "1.2.0";
    /// Counts the members with a score in the range.
    fn zcount(key: impl ToArg, range: impl RangeBounds<f64>) -> u64 = "ZCOUNT" [key, ..scores(&range)], ReadOnly, "2.0.0" @ 4;
    /// Counts the members in the range, in the order of their bytes, if all scores are the same.
    fn zlexcount<'a>(key: impl ToArg, range: impl RangeBounds<&'a str>) -> u64 = "ZLEXCOUNT" [key, ..members(&range)], ReadOnly, "2.8.9" @ 4;
    /// Returns the rank of a member, 0 for the lowest score; nil if it does not exist.
    fn zrank(key: impl ToArg, member: impl ToArg) -> Option<u64> as ZRank = "ZRANK" [key, member], ReadOnly, "2.0.0";
    /// Returns the rank of a member, 0 for the highest score; nil if it does not exist.
    fn zrevrank(key: impl ToArg, member: impl ToArg) -> Option<u64> as ZRank = "ZREVRANK" [key, member], ReadOnly, "2.0.0";
    /// Returns the members, all of them unless an option restricts them.
    ///
    /// ```
    /// use redis_rest::cmd::zrange;
    /// let best = zrange::<String>("board").by_score(1.0..).rev().limit(0, 10).with_scores();
    /// # let _ = best;
    /// ```
    fn zrange<R>(key: impl ToArg) -> Vec<R> as ZRange = "ZRANGE" [key, 0, -1], ReadOnly, "1.2.0";
    /// Makes a sorted set of the members of another, all of them unless an option says which; returns how many.
    fn zrangestore(destination: impl ToArg, source: impl ToArg) -> u64 as ZRangeStore
        = "ZRANGESTORE" [destination, source, 0, -1], ByArguments, "6.2.0", COPIES;
    /// Removes the members with a score in the range; returns how many there were.
    fn zremrangebyscore(key: impl ToArg, range: impl RangeBounds<f64>) -> u64
        = "ZREMRANGEBYSCORE" [key, ..scores(&range)], EffectIdempotent, "1.2.0" @ 4;
    /// Removes the members in the range, in the order of their bytes; returns how many there were.
    fn zremrangebylex<'a>(key: impl ToArg, range: impl RangeBounds<&'a str>) -> u64
        = "ZREMRANGEBYLEX" [key, ..members(&range)], EffectIdempotent, "2.8.9" @ 4;
    /// Removes the members with these ranks; returns how many there were.
    fn zremrangebyrank(key: impl ToArg, range: impl RangeBounds<i64>) -> u64
        = "ZREMRANGEBYRANK" [key, ..ranks(&range)], NonIdempotent, "2.0.0" @ 4;
    /// Takes the member with the lowest score out; empty if there is none.
    fn zpopmin<R>(key: impl ToArg) -> Vec<(R, f64)> as ZPop = "ZPOPMIN" [key], NonIdempotent, "5.0.0";
    /// Takes the member with the highest score out; empty if there is none.
    fn zpopmax<R>(key: impl ToArg) -> Vec<(R, f64)> as ZPop = "ZPOPMAX" [key], NonIdempotent, "5.0.0";
    /// Takes a member out of the first of several sets that has one; returns that set's key and the members, nil when all are empty.
    fn zmpop<R>(keys: impl ToArgs, end: Extreme) -> Option<(String, Vec<(R, f64)>)> as ZMPop
        = "ZMPOP" [(count keys), end], NonIdempotent, "7.0.0";
    /// Some member; nil if there is none.
    fn zrandmember<R>(key: impl ToArg) -> Option<R> as ZRandMember = "ZRANDMEMBER" [key], ReadOnly, "6.2.0", COUNT;
    /// Returns the members of the first set that are in none of the others.
    fn zdiff<R>(keys: impl ToArgs) -> Vec<R> as ZDiff = "ZDIFF" [(count keys)], ReadOnly, "6.2.0";
    /// Makes a sorted set of the members of the first that are in none of the others; returns how many.
    fn zdiffstore(destination: impl ToArg, keys: impl ToArgs) -> u64 = "ZDIFFSTORE" [destination, (count keys)], ByArguments, "6.2.0", COPIES;
    /// Returns the members that are in all of the sets.
    fn zinter<R>(keys: impl ToArgs) -> Vec<R> as ZCombine = "ZINTER" [(count keys)], ReadOnly, "6.2.0";
    /// Counts the members that are in all of the sets.
    fn zintercard(keys: impl ToArgs) -> u64 as ZInterCard = "ZINTERCARD" [(count keys)], ReadOnly, "7.0.0";
    /// Makes a sorted set of the members that are in all of the others; returns how many.
    fn zinterstore(destination: impl ToArg, keys: impl ToArgs) -> u64 as ZCombine
        = "ZINTERSTORE" [destination, (count keys)], ByArguments, "2.0.0", COPIES;
    /// Returns the members that are in any of the sets.
    fn zunion<R>(keys: impl ToArgs) -> Vec<R> as ZCombine = "ZUNION" [(count keys)], ReadOnly, "6.2.0";
    /// Makes a sorted set of the members that are in any of the others; returns how many.
    fn zunionstore(destination: impl ToArg, keys: impl ToArgs) -> u64 as ZCombine
        = "ZUNIONSTORE" [destination, (count keys)], ByArguments, "2.0.0", COPIES;
    /// Returns a page of the members: the cursor for the next page (0 after the last), members and scores.
    fn zscan(key: impl ToArg) -> (u64, Vec<(Bytes, f64)>) as ZScan = "ZSCAN" [key, 0], ReadOnly, "2.8.0";
}

options! { ZAdd on u64;
    /// Only adds, never moves.
    fn nx() = "NX" @ 1;
    /// Only moves, never adds.
    fn xx() = "XX" @ 1;
    /// Moves only to a higher score (Redis 6.2).
    fn gt() = "GT" @ 1;
    /// Moves only to a lower score (Redis 6.2).
    fn lt() = "LT" @ 1;
    /// Returns how many are new or were moved.
    fn changed() = "CH" @ 1;
    /// Adds another member.
    fn and(score: f64, member: impl ToArg) -> u64 = [score, member];
}

impl<X> ZAdd<u64, X> {
    /// Adds to the score of the only member; returns the new score, nil when a condition does not hold.
    ///
    /// `INCR`.
    #[doc(alias = "INCR")]
    pub fn incr(self) -> ZAdd<Option<f64>, X> {
        ZAdd(self.0.map_reply(Option::<f64>::from_value, |command| {
            command.insert_args(1, [b"INCR"]).with_idempotency(Idempotency::NonIdempotent)
        }))
    }
}

/// Inserts a range at arguments `first` and after, in reverse if [`reverse`] came before.
fn choose(mut command: Command, first: usize, mut range: [String; 2], kind: &str) -> Command {
    if command.has("REV", first + 2) {
        range.reverse();
    }
    command.replace_arg(first, range[0].as_bytes());
    command.replace_arg(first + 1, range[1].as_bytes());
    command.arg(kind)
}

/// Reverses the order: in a range of scores or members, the highest comes first.
fn reverse(mut command: Command, first: usize) -> Command {
    if command.has("BYSCORE", first + 2) || command.has("BYLEX", first + 2) {
        let ends = [first, first + 1].map(|index| command.get(index).unwrap_or_default().to_vec());
        command.replace_arg(first, &ends[1]);
        command.replace_arg(first + 1, &ends[0]);
    }
    command.arg("REV")
}

macro_rules! zrange_options {
    ($reply:ty, $kind:ident, $first:literal $(, $generic:ident)?) => {
        impl<$($generic,)? X> $kind<$reply, X> {
            /// Takes the members with these ranks, 0 for the lowest score (for the highest with [`rev`](Self::rev)); negative counts from the end.
            pub fn by_rank(self, range: impl RangeBounds<i64>) -> Self {
                let [first, last] = ranks(&range).map(|rank| rank.to_string());
                Self(self.0.map(|mut command| {
                    command.replace_arg($first, first.as_bytes());
                    command.replace_arg($first + 1, last.as_bytes());
                    command
                }))
            }

            /// Takes the members with a score in this range (Redis 6.2).
            ///
            /// `BYSCORE`.
            #[doc(alias = "BYSCORE")]
            pub fn by_score(self, range: impl RangeBounds<f64>) -> Self {
                Self(self.0.map(|command| choose(command, $first, scores(&range), "BYSCORE")))
            }

            /// Takes the members in this range, in the order of their bytes, if all scores are the same (Redis 6.2).
            ///
            /// `BYLEX`.
            #[doc(alias = "BYLEX")]
            pub fn by_lex<'a>(self, range: impl RangeBounds<&'a str>) -> Self {
                Self(self.0.map(|command| choose(command, $first, members(&range), "BYLEX")))
            }

            /// Returns the members from the highest to the lowest (Redis 6.2).
            ///
            /// `REV`.
            #[doc(alias = "REV")]
            pub fn rev(self) -> Self {
                Self(self.0.map(|command| reverse(command, $first)))
            }

            /// Skips `offset` members and returns at most `count` (Redis 6.2); not by rank.
            ///
            /// `LIMIT`.
            #[doc(alias = "LIMIT")]
            pub fn limit(self, offset: u64, count: i64) -> Self {
                Self(self.0.map(|command| command.arg("LIMIT").arg(offset).arg(count)))
            }
        }
    };
}
zrange_options!(Vec<R>, ZRange, 1, R);
zrange_options!(u64, ZRangeStore, 2);

options! { ZRange<R> on Vec<R>;
    /// Returns each member with its score; the last of the options.
    fn with_scores() -> Vec<(R, f64)> = "WITHSCORES" [];
}

options! { ZRank on Option<u64>;
    /// Returns the score too (Redis 7.2).
    fn with_score() -> Option<(u64, f64)> = "WITHSCORE" [];
}

options! { ZPop<R> on Vec<(R, f64)>;
    /// Sets the most members to remove.
    fn count(count: u64) -> Vec<(R, f64)> = [count];
}

options! { ZMPop<R> on Option<(String, Vec<(R, f64)>)>;
    /// Sets the most members to remove.
    fn count(count: u64) = "COUNT" [count];
}

options! { ZRandMember<R> on Option<R>;
    /// Returns `count` different members, or if negative, that many that may be the same.
    fn count(count: i64) -> Vec<R> = [count];
}

options! { ZRandMember<R> on Vec<R>;
    /// Returns each member with its score.
    fn with_scores() -> Vec<(R, f64)> = "WITHSCORES" [];
}

options! { ZDiff<R> on Vec<R>;
    /// Returns each member with its score.
    fn with_scores() -> Vec<(R, f64)> = "WITHSCORES" [];
}

options! { ZCombine<R>;
    /// Multiplies the scores of each set by one of these.
    fn weights(weights: impl ToArgs) = "WEIGHTS" [..weights];
    /// Sets the way to combine the scores of a member in several sets.
    fn aggregate(how: Aggregate) = "AGGREGATE" [how];
}

options! { ZCombine<R> on Vec<R>;
    /// Returns each member with its score; the last of the options.
    fn with_scores() -> Vec<(R, f64)> = "WITHSCORES" [];
}

options! { ZInterCard on u64;
    /// Stops counting at this number.
    fn limit(limit: u64) = "LIMIT" [limit];
}

options! { ZScan on (u64, Vec<(Bytes, f64)>);
    /// Only members that match this glob pattern.
    fn match_pattern(pattern: impl ToArg) = "MATCH" [pattern];
    /// Sets the approximate number of members on a page; Redis's default is 10.
    fn count(count: u64) = "COUNT" [count];
}

scanning!(ZScan, 1);

finish! { ZAdd ZRange ZRangeStore ZRank ZPop ZMPop ZRandMember ZDiff ZCombine ZInterCard ZScan }
