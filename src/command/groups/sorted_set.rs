//! Sorted sets: members with a score each.

use crate::command::declare::commands;
use crate::command::{ToArg, ToArgs, Typed};

/// The options of `ZADD` stand before its members, so they are chosen here: [`nx`](Typed::nx), [`xx`](Typed::xx).
#[derive(Clone, Copy, Debug)]
pub struct ZAdd;

/// The options of `ZRANGE`: [`rev`](Typed::rev), [`by_score`](Typed::by_score), [`limit`](Typed::limit),
/// [`with_scores`](Typed::with_scores).
#[derive(Clone, Copy, Debug)]
pub struct ZRange;

commands! { "sorted-set";
    /// Adds a member with its score, or moves it; answers how many are new.
    fn zadd(key: impl ToArg, score: f64, member: impl ToArg) -> u64 as ZAdd = "ZADD" [key, score, member], EffectIdempotent, "1.2.0";
    /// Adds to a member's score; answers the new score.
    fn zincrby(key: impl ToArg, by: f64, member: impl ToArg) -> f64 = "ZINCRBY" [key, by, member], Unsafe, "1.2.0";
    /// Removes members; answers how many there were.
    fn zrem(key: impl ToArg, members: impl ToArgs) -> u64 = "ZREM" [key, ..members], EffectIdempotent, "1.2.0";
    /// The score of a member; nil when it is none.
    fn zscore(key: impl ToArg, member: impl ToArg) -> Option<f64> = "ZSCORE" [key, member], ReadOnly, "1.2.0";
    /// How many members there are.
    fn zcard(key: impl ToArg) -> u64 = "ZCARD" [key], ReadOnly, "1.2.0";
    /// How many members have a score from `min` to `max` (`-inf`, `(5`, `7.5` …).
    fn zcount(key: impl ToArg, min: impl ToArg, max: impl ToArg) -> u64 = "ZCOUNT" [key, min, max], ReadOnly, "2.0.0";
    /// The rank of a member, 0 for the lowest score; nil when it is none.
    fn zrank(key: impl ToArg, member: impl ToArg) -> Option<u64> = "ZRANK" [key, member], ReadOnly, "2.0.0";
    /// The members from `start` to `stop`, by rank unless an option says otherwise.
    fn zrange<R>(key: impl ToArg, start: impl ToArg, stop: impl ToArg) -> Vec<R> as ZRange = "ZRANGE" [key, start, stop], ReadOnly, "1.2.0";
    /// Removes the members with a score from `min` to `max`; answers how many there were.
    fn zremrangebyscore(key: impl ToArg, min: impl ToArg, max: impl ToArg) -> u64 = "ZREMRANGEBYSCORE" [key, min, max], EffectIdempotent, "1.2.0";
    /// Removes the members with a rank from `start` to `stop`; answers how many there were.
    fn zremrangebyrank(key: impl ToArg, start: i64, stop: i64) -> u64 = "ZREMRANGEBYRANK" [key, start, stop], Unsafe, "2.0.0";
    /// Takes the member with the lowest score out; empty when there is none.
    fn zpopmin<R>(key: impl ToArg) -> Vec<(R, f64)> = "ZPOPMIN" [key], Unsafe, "5.0.0";
}

impl<X> Typed<u64, ZAdd, X> {
    /// Adds one more member with its score.
    pub fn and(self, score: f64, member: impl ToArg) -> Self {
        self.with(|command| command.arg(score).arg(member))
    }

    /// Only adds, never moves.
    pub fn nx(self) -> Self {
        self.with(|command| command.insert_arg(1, "NX"))
    }

    /// Only moves, never adds.
    pub fn xx(self) -> Self {
        self.with(|command| command.insert_arg(1, "XX"))
    }
}

impl<R, X> Typed<Vec<R>, ZRange, X> {
    /// From the highest to the lowest (Redis 6.2).
    pub fn rev(self) -> Self {
        self.with(|command| command.arg("REV"))
    }

    /// `start` and `stop` are scores (Redis 6.2).
    pub fn by_score(self) -> Self {
        self.with(|command| command.arg("BYSCORE"))
    }

    /// Skips `offset` members and answers at most `count` (Redis 6.2, with [`by_score`](Self::by_score)).
    pub fn limit(self, offset: u64, count: i64) -> Self {
        self.with(|command| command.arg("LIMIT").arg(offset).arg(count))
    }

    /// Each member with its score.
    pub fn with_scores(self) -> Typed<Vec<(R, f64)>, ZRange, X> {
        self.with(|command| command.arg("WITHSCORES"))
    }
}
