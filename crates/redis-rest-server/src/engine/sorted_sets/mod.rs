//! Sorted sets.

mod range;
mod store;
mod write;

pub(super) use range::*;
pub(super) use store::*;
pub(super) use write::*;

use super::table::{KEY, READ, Spec, WRITE, row};
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

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
    row("zrank", 3, READ, KEY, zrank),
    row("zrevrank", 3, READ, KEY, zrevrank),
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
    row("zunionstore", -4, WRITE, KEY, zunionstore),
    row("zinterstore", -4, WRITE, KEY, zinterstore),
];

/// A score; never NaN, and minus zero equals zero.
#[derive(Clone, Copy, PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

/// Members by name and by score. A rank is found by counting: linear, which is enough for tests and offline work.
#[derive(Clone, Default)]
pub(super) struct SortedSet {
    scores: HashMap<Bytes, f64>,
    order: BTreeSet<(Score, Bytes)>,
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

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (f64, &Bytes)> {
        self.order.iter().map(|(score, member)| (score.0, member))
    }

    /// Sets a score; true when the member is new.
    fn insert(&mut self, member: &[u8], score: f64) -> bool {
        let known = self.remove(member);
        let member = Bytes::copy_from_slice(member);
        self.order.insert((Score(score), member.clone()));
        self.scores.insert(member, score);
        !known
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        let Some((member, score)) = self.scores.remove_entry(member) else { return false };
        self.order.remove(&(Score(score), member))
    }

    fn rank(&self, member: &[u8]) -> Option<usize> {
        let (name, score) = self.scores.get_key_value(member)?;
        Some(self.order.range(..(Score(*score), name.clone())).count())
    }
}
