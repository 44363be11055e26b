//! Ranges by rank, score and name.

use super::SortedSet;
use crate::engine::args::{
    Argv, Fault, Outcome, SYNTAX, clamp_range, int, is, len, score, strict_float,
};
use crate::engine::db::Db;
use bytes::Bytes;
use redis_rest::Value;

const BAD_SCORE: Fault = Fault::new("ERR min or max is not a float");
const BAD_LEX: Fault = Fault::new("ERR min or max not valid string range item");

#[derive(Clone, Copy, PartialEq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// One end of a range: where it lies, and whether that belongs to it.
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
        Ok(Self { at: strict_float(number).ok_or(BAD_SCORE)?, exclusive })
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
        let found: Vec<_> = match self.by {
            By::Rank => {
                let range = clamp_range(int(low)?, int(high)?, set.len());
                let (skip, take) = (range.start, range.len());
                if self.reverse {
                    set.iter().rev().skip(skip).take(take).collect()
                } else {
                    set.iter().skip(skip).take(take).collect()
                }
            }
            By::Score => {
                let (low, high) = (ScoreBound::parse(low)?, ScoreBound::parse(high)?);
                self.limited(
                    set.iter().filter(|(score, _)| low.below(*score) && high.above(*score)),
                )
            }
            By::Lex => {
                let (low, high) = (LexBound::parse(low)?, LexBound::parse(high)?);
                self.limited(
                    set.iter().filter(|(_, member)| low.below(member) && high.above(member)),
                )
            }
        };
        Ok(found.into_iter().map(|(score, member)| (score, member.clone())).collect())
    }

    fn limited<'s>(
        &self,
        all: impl DoubleEndedIterator<Item = (f64, &'s Bytes)>,
    ) -> Vec<(f64, &'s Bytes)> {
        let Ok(skip) = usize::try_from(self.offset) else { return Vec::new() };
        let take = usize::try_from(self.count).unwrap_or(usize::MAX);
        if self.reverse {
            all.rev().skip(skip).take(take).collect()
        } else {
            all.skip(skip).take(take).collect()
        }
    }
}

fn reply(members: Vec<(f64, Bytes)>, with_scores: bool) -> Outcome {
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
            () if unified && is(word, "BYSCORE") => query.by = By::Score,
            () if unified && is(word, "BYLEX") => query.by = By::Lex,
            () if unified && is(word, "REV") => query.reverse = true,
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
