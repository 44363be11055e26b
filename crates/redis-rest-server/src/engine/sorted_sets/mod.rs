//! Sorted sets.

mod algebra;
mod pop;
mod range;
mod ranked;
mod write;

use algebra::*;
use pop::*;
pub(super) use pop::{count_option, from_first};
use range::*;
use ranked::Ranked;
pub(super) use write::zadd;
use write::*;

use super::table::{KEY, NO_KEYS, READ, Spec, TWO_KEYS, WRITE, row};
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("zadd", -4, WRITE, KEY, zadd),
    row("zincrby", 4, WRITE, KEY, zincrby),
    row("zrem", -3, WRITE, KEY, zrem),
    row("zscore", 3, READ, KEY, zscore),
    row("zmscore", -3, READ, KEY, zmscore),
    row("zcard", 2, READ, KEY, zcard),
    row("zcount", 4, READ, KEY, zcount),
    row("zlexcount", 4, READ, KEY, zlexcount),
    row("zrank", -3, READ, KEY, zrank),
    row("zrevrank", -3, READ, KEY, zrevrank),
    row("zrange", -4, READ, KEY, zrange),
    row("zrevrange", -4, READ, KEY, zrevrange),
    row("zrangebyscore", -4, READ, KEY, zrangebyscore),
    row("zrevrangebyscore", -4, READ, KEY, zrevrangebyscore),
    row("zrangebylex", -4, READ, KEY, zrangebylex),
    row("zrevrangebylex", -4, READ, KEY, zrevrangebylex),
    row("zremrangebyrank", 4, WRITE, KEY, zremrangebyrank),
    row("zremrangebyscore", 4, WRITE, KEY, zremrangebyscore),
    row("zremrangebylex", 4, WRITE, KEY, zremrangebylex),
    row("zpopmin", -2, WRITE, KEY, zpopmin),
    row("zpopmax", -2, WRITE, KEY, zpopmax),
    row("zmpop", -4, WRITE, NO_KEYS, zmpop),
    row("zrandmember", -2, READ, KEY, zrandmember),
    row("zrangestore", -5, WRITE, TWO_KEYS, zrangestore),
    row("zunion", -3, READ, NO_KEYS, zunion),
    row("zinter", -3, READ, NO_KEYS, zinter),
    row("zdiff", -3, READ, NO_KEYS, zdiff),
    row("zunionstore", -4, WRITE, KEY, zunionstore),
    row("zinterstore", -4, WRITE, KEY, zinterstore),
    row("zdiffstore", -4, WRITE, KEY, zdiffstore),
    row("zintercard", -3, READ, NO_KEYS, zintercard),
];

/// Members by name, and by score.
#[derive(Clone, Default)]
pub(super) struct SortedSet {
    scores: HashMap<Bytes, f64>,
    order: Ranked,
}

impl SortedSet {
    pub(super) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// All members, lowest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (f64, &Bytes)> {
        self.slice(0..self.len()).into_iter()
    }

    /// The members of these ranks, lowest first.
    pub(super) fn slice(&self, ranks: Range<usize>) -> Vec<(f64, &Bytes)> {
        self.order.slice(ranks)
    }

    /// Sets a score; true when the member is new.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> bool {
        let known = self.remove(member);
        // Minus zero becomes zero, as in Redis's compact encoding.
        let score = score + 0.0;
        let member = Bytes::copy_from_slice(member);
        self.order.insert(score, member.clone());
        self.scores.insert(member, score);
        !known
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(score) = self.scores.remove(member) else { return false };
        self.order.remove(score, member);
        true
    }

    fn rank(&self, member: &[u8]) -> Option<usize> {
        Some(self.order.rank(self.score(member)?, member))
    }

    /// Takes members from an end.
    fn pop(&mut self, count: usize, highest: bool) -> Vec<(f64, Bytes)> {
        let count = count.min(self.len());
        let ranks = if highest { self.len() - count..self.len() } else { 0..count };
        let taken = self.slice(ranks).into_iter().map(|(score, member)| (score, member.clone()));
        let mut taken: Vec<_> = taken.collect();
        if highest {
            taken.reverse();
        }
        for (_, member) in &taken {
            self.remove(member);
        }
        taken
    }
}
