//! Ranges by rank, score and name.

use super::SortedSet;
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, clamp_range, int, is, len, score};
use crate::engine::db::{Data, Db};
use crate::engine::number::bound;
use bytes::Bytes;
use redis_rest::Value;
use std::ops::Range;

const BAD_SCORE: Fault = Fault::new("ERR min or max is not a float");
const BAD_LEX: Fault = Fault::new("ERR min or max not valid string range item");

#[derive(Clone, Copy, PartialEq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// An end of a range, which belongs to it or not.
struct ScoreBound {
    at: f64,
    exclusive: bool,
}

impl ScoreBound {
    fn parse(text: &[u8]) -> Result<Self, Fault> {
        let (exclusive, number) = match text.strip_prefix(b"(") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        Ok(Self { at: bound(number).ok_or(BAD_SCORE)?, exclusive })
    }

    fn below(&self, score: f64) -> bool {
        if self.exclusive { self.at < score } else { self.at <= score }
    }

    fn above(&self, score: f64) -> bool {
        if self.exclusive { self.at > score } else { self.at >= score }
    }
}

enum LexBound<'a> {
    Lowest,
    Highest,
    At { name: &'a [u8], exclusive: bool },
}

impl<'a> LexBound<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        match text {
            b"-" => Ok(Self::Lowest),
            b"+" => Ok(Self::Highest),
            [b'[', name @ ..] => Ok(Self::At { name, exclusive: false }),
            [b'(', name @ ..] => Ok(Self::At { name, exclusive: true }),
            _ => Err(BAD_LEX),
        }
    }

    fn below(&self, other: &[u8]) -> bool {
        match self {
            Self::Lowest => true,
            Self::Highest => false,
            Self::At { name, exclusive } => *name < other || (!exclusive && *name == other),
        }
    }

    fn above(&self, other: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::At { name, exclusive } => *name > other || (!exclusive && *name == other),
        }
    }
}

/// A range as the arguments give it.
struct Query<'a> {
    by: By,
    reverse: bool,
    first: &'a [u8],
    last: &'a [u8],
    offset: i64,
    count: i64,
}

impl<'a> Query<'a> {
    fn new(by: By, reverse: bool, first: &'a [u8], last: &'a [u8]) -> Self {
        Self { by, reverse, first, last, offset: 0, count: -1 }
    }

    /// The members in the order asked for. The arguments are checked even where there is no set.
    fn select(&self, set: Option<&SortedSet>) -> Result<Vec<(f64, Bytes)>, Fault> {
        let (low, high) = if self.reverse && self.by != By::Rank {
            (self.last, self.first)
        } else {
            (self.first, self.last)
        };
        let empty = SortedSet::default();
        let set = set.unwrap_or(&empty);
        let order = &set.order;
        let ranks = match self.by {
            By::Rank => {
                let range = clamp_range(int(low)?, int(high)?, set.len());
                match self.reverse {
                    true => set.len() - range.end..set.len() - range.start,
                    false => range,
                }
            }
            By::Score => {
                let (low, high) = (ScoreBound::parse(low)?, ScoreBound::parse(high)?);
                order.partition_point(|score, _| !low.below(score))
                    ..order.partition_point(|score, _| high.above(score))
            }
            By::Lex => {
                let (low, high) = (LexBound::parse(low)?, LexBound::parse(high)?);
                order.partition_point(|_, member| !low.below(member))
                    ..order.partition_point(|_, member| high.above(member))
            }
        };
        let found = set.slice(self.limited(ranks)).into_iter();
        let found = found.map(|(score, member)| (score, member.clone()));
        Ok(if self.reverse { found.rev().collect() } else { found.collect() })
    }

    /// The ranks that `LIMIT` leaves.
    fn limited(&self, ranks: Range<usize>) -> Range<usize> {
        let Ok(skip) = usize::try_from(self.offset) else { return 0..0 };
        let take = usize::try_from(self.count).unwrap_or(usize::MAX);
        let length = ranks.len();
        let (first, last) = (skip.min(length), skip.saturating_add(take).min(length));
        match self.reverse {
            true => ranks.start + length - last..ranks.start + length - first,
            false => ranks.start + first..ranks.start + last,
        }
    }
}

pub(super) fn reply(members: Vec<(f64, Bytes)>, with_scores: bool) -> Outcome {
    let mut values = Vec::with_capacity(members.len());
    for (number, member) in members {
        values.push(Value::Bytes(member));
        if with_scores {
            values.push(score(number));
        }
    }
    Ok(Value::Array(values))
}

/// Reads the options that follow; answers whether scores are wanted.
fn options<'a>(query: &mut Query<'a>, args: &[&'a [u8]], unified: bool) -> Result<bool, Fault> {
    let (mut with_scores, mut limited) = (false, false);
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        match () {
            () if is(word, "WITHSCORES") => with_scores = true,
            () if is(word, "LIMIT") => {
                let (Some(offset), Some(count)) = (rest.next(), rest.next()) else {
                    return Err(SYNTAX);
                };
                (query.offset, query.count, limited) = (int(offset)?, int(count)?, true);
            }
            () if unified && query.by == By::Rank && is(word, "BYSCORE") => query.by = By::Score,
            () if unified && query.by == By::Rank && is(word, "BYLEX") => query.by = By::Lex,
            () if unified && !query.reverse && is(word, "REV") => query.reverse = true,
            () => return Err(SYNTAX),
        }
    }
    if limited && query.by == By::Rank {
        return Err(Fault::new(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ));
    }
    if with_scores && query.by == By::Lex {
        return Err(Fault::new(
            "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
        ));
    }
    Ok(with_scores)
}

fn range(db: &Db, argv: Argv, by: By, reverse: bool, unified: bool) -> Outcome {
    let mut query = Query::new(by, reverse, argv[2], argv[3]);
    let with_scores = options(&mut query, &argv[4..], unified)?;
    let set = db.read(argv[1]);
    // Redis reads the arguments before it looks at the key.
    query.select(None)?;
    reply(query.select(set?)?, with_scores)
}

pub(in crate::engine) fn zrange(db: &mut Db, argv: Argv) -> Outcome {
    range(db, argv, By::Rank, false, true)
}

pub(in crate::engine) fn zrevrange(db: &mut Db, argv: Argv) -> Outcome {
    range(db, argv, By::Rank, true, false)
}

pub(in crate::engine) fn zrangebyscore(db: &mut Db, argv: Argv) -> Outcome {
    range(db, argv, By::Score, false, false)
}

pub(in crate::engine) fn zrevrangebyscore(db: &mut Db, argv: Argv) -> Outcome {
    range(db, argv, By::Score, true, false)
}

pub(in crate::engine) fn zrangebylex(db: &mut Db, argv: Argv) -> Outcome {
    range(db, argv, By::Lex, false, false)
}

pub(in crate::engine) fn zrevrangebylex(db: &mut Db, argv: Argv) -> Outcome {
    range(db, argv, By::Lex, true, false)
}

fn count(db: &Db, argv: Argv, by: By) -> Outcome {
    let query = Query::new(by, false, argv[2], argv[3]);
    query.select(None)?;
    Ok(len(query.select(db.read(argv[1])?)?.len()))
}

pub(in crate::engine) fn zcount(db: &mut Db, argv: Argv) -> Outcome {
    count(db, argv, By::Score)
}

pub(in crate::engine) fn zlexcount(db: &mut Db, argv: Argv) -> Outcome {
    count(db, argv, By::Lex)
}

fn remove(db: &mut Db, argv: Argv, by: By) -> Outcome {
    let query = Query::new(by, false, argv[2], argv[3]);
    query.select(None)?;
    let found = query.select(db.read(argv[1])?)?;
    if let Some(set) = db.write::<SortedSet>(argv[1])? {
        for (_, member) in &found {
            set.remove(member);
        }
    }
    db.drop_if_empty(argv[1]);
    Ok(len(found.len()))
}

pub(in crate::engine) fn zremrangebyrank(db: &mut Db, argv: Argv) -> Outcome {
    remove(db, argv, By::Rank)
}

pub(in crate::engine) fn zremrangebyscore(db: &mut Db, argv: Argv) -> Outcome {
    remove(db, argv, By::Score)
}

pub(in crate::engine) fn zremrangebylex(db: &mut Db, argv: Argv) -> Outcome {
    remove(db, argv, By::Lex)
}

/// Runs `ZRANGE` into another key.
pub(in crate::engine) fn zrangestore(db: &mut Db, argv: Argv) -> Outcome {
    let mut query = Query::new(By::Rank, false, argv[3], argv[4]);
    if options(&mut query, &argv[5..], true)? {
        return Err(SYNTAX);
    }
    query.select(None)?;
    let found = query.select(db.read(argv[2])?)?;
    let mut set = SortedSet::default();
    for (score, member) in &found {
        set.insert(member, *score);
    }
    db.store(argv[1], Data::SortedSet(set));
    Ok(len(found.len()))
}
