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

use super::table::{READ, Spec, WRITE, row};
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("zadd", WRITE, zadd),
    row("zincrby", WRITE, zincrby),
    row("zrem", WRITE, zrem),
    row("zscore", READ, zscore),
    row("zmscore", READ, zmscore),
    row("zcard", READ, zcard),
    row("zcount", READ, zcount),
    row("zlexcount", READ, zlexcount),
    row("zrank", READ, zrank),
    row("zrevrank", READ, zrevrank),
    row("zrange", READ, zrange),
    row("zrevrange", READ, zrevrange),
    row("zrangebyscore", READ, zrangebyscore),
    row("zrevrangebyscore", READ, zrevrangebyscore),
    row("zrangebylex", READ, zrangebylex),
    row("zrevrangebylex", READ, zrevrangebylex),
    row("zremrangebyrank", WRITE, zremrangebyrank),
    row("zremrangebyscore", WRITE, zremrangebyscore),
    row("zremrangebylex", WRITE, zremrangebylex),
    row("zpopmin", WRITE, zpopmin),
    row("zpopmax", WRITE, zpopmax),
    row("zmpop", WRITE, zmpop),
    row("zrandmember", READ, zrandmember),
    row("zrangestore", WRITE, zrangestore),
    row("zunion", READ, zunion),
    row("zinter", READ, zinter),
    row("zdiff", READ, zdiff),
    row("zunionstore", WRITE, zunionstore),
    row("zinterstore", WRITE, zinterstore),
    row("zdiffstore", WRITE, zdiffstore),
    row("zintercard", READ, zintercard),
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
