//! Adding, counting up, removing, popping and looking up.

use super::SortedSet;
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, float, is, len, score, wrong_arity};
use crate::engine::db::Db;
use redis_rest::Value;

const NAN: Fault = Fault::new("ERR resulting score is not a number (NaN)");

#[derive(Default)]
struct AddOptions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    changed: bool,
    incr: bool,
}

impl AddOptions {
    /// Reads the leading options; answers how many there were.
    fn parse(args: Argv) -> Result<(Self, usize), Fault> {
        let mut options = Self::default();
        let mut count = 0;
        for word in args {
            match () {
                () if is(word, "NX") => options.nx = true,
                () if is(word, "XX") => options.xx = true,
                () if is(word, "GT") => options.gt = true,
                () if is(word, "LT") => options.lt = true,
                () if is(word, "CH") => options.changed = true,
                () if is(word, "INCR") => options.incr = true,
                () => break,
            }
            count += 1;
        }
        Ok((options, count))
    }

    fn check(&self, pairs: usize) -> Result<(), Fault> {
        if self.nx && self.xx {
            return Err(Fault::new("ERR XX and NX options at the same time are not compatible"));
        }
        if (self.gt && self.lt) || (self.nx && (self.gt || self.lt)) {
            return Err(Fault::new(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.incr && pairs > 1 {
            return Err(Fault::new("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score to set, or none where the options say no.
    fn decide(&self, old: Option<f64>, given: f64) -> Result<Option<f64>, Fault> {
        let Some(old) = old else { return Ok((!self.xx).then_some(given)) };
        if self.nx {
            return Ok(None);
        }
        let new = if self.incr { old + given } else { given };
        if new.is_nan() {
            return Err(NAN);
        }
        let refused = (self.gt && new <= old) || (self.lt && new >= old);
        Ok((!refused).then_some(new))
    }
}

fn add(db: &mut Db, key: &[u8], pairs: &[(f64, &[u8])], options: &AddOptions) -> Outcome {
    if options.xx && db.read::<SortedSet>(key)?.is_none() {
        return Ok(if options.incr { Value::Nil } else { Value::Int(0) });
    }
    let set = db.write_or_create::<SortedSet>(key)?;
    let (mut added, mut changed, mut last) = (0, 0, None);
    for (given, member) in pairs {
        let old = set.score(member);
        let new = options.decide(old, *given)?;
        if let Some(new) = new {
            added += usize::from(old.is_none());
            changed += usize::from(old != Some(new));
            if old != Some(new) {
                set.insert(member, new);
            }
        }
        last = new;
    }
    db.drop_if_empty(key);
    Ok(match options.incr {
        true => last.map_or(Value::Nil, score),
        false => len(if options.changed { changed } else { added }),
    })
}

pub(in crate::engine) fn zadd(db: &mut Db, argv: Argv) -> Outcome {
    let (options, count) = AddOptions::parse(&argv[2..])?;
    let pairs = &argv[2 + count..];
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(SYNTAX);
    }
    options.check(pairs.len() / 2)?;
    let pairs = pairs
        .chunks_exact(2)
        .map(|pair| Ok((float(pair[0])?, pair[1])))
        .collect::<Result<Vec<_>, Fault>>()?;
    add(db, argv[1], &pairs, &options)
}

pub(in crate::engine) fn zincrby(db: &mut Db, argv: Argv) -> Outcome {
    let options = AddOptions { incr: true, ..AddOptions::default() };
    add(db, argv[1], &[(float(argv[2])?, argv[3])], &options)
}

pub(in crate::engine) fn zrem(db: &mut Db, argv: Argv) -> Outcome {
    let Some(set) = db.write::<SortedSet>(argv[1])? else { return Ok(Value::Int(0)) };
    let removed = argv[2..].iter().filter(|member| set.remove(member)).count();
    db.drop_if_empty(argv[1]);
    Ok(len(removed))
}

fn score_or_nil(set: Option<&SortedSet>, member: &[u8]) -> Value {
    set.and_then(|set| set.score(member)).map_or(Value::Nil, score)
}

pub(in crate::engine) fn zscore(db: &mut Db, argv: Argv) -> Outcome {
    Ok(score_or_nil(db.read(argv[1])?, argv[2]))
}

pub(in crate::engine) fn zmscore(db: &mut Db, argv: Argv) -> Outcome {
    let set = db.read(argv[1])?;
    Ok(Value::Array(argv[2..].iter().map(|member| score_or_nil(set, member)).collect()))
}

pub(in crate::engine) fn zcard(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(db.read::<SortedSet>(argv[1])?.map_or(0, SortedSet::len)))
}

fn rank(db: &Db, argv: Argv, reverse: bool, name: &str) -> Outcome {
    let with_score = match argv[3..] {
        [] => false,
        [word] if is(word, "WITHSCORE") => true,
        [_] => return Err(SYNTAX),
        _ => return Err(wrong_arity(name)),
    };
    let Some(set) = db.read::<SortedSet>(argv[1])? else { return Ok(Value::Nil) };
    let Some(rank) = set.rank(argv[2]) else { return Ok(Value::Nil) };
    let rank = len(if reverse { set.len() - 1 - rank } else { rank });
    Ok(match with_score {
        true => Value::Array(vec![rank, score_or_nil(Some(set), argv[2])]),
        false => rank,
    })
}

pub(in crate::engine) fn zrank(db: &mut Db, argv: Argv) -> Outcome {
    rank(db, argv, false, "zrank")
}

pub(in crate::engine) fn zrevrank(db: &mut Db, argv: Argv) -> Outcome {
    rank(db, argv, true, "zrevrank")
}
