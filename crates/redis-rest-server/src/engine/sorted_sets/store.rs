//! `ZUNIONSTORE` and `ZINTERSTORE`.

use super::SortedSet;
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, WRONG_TYPE, int, is, len, strict_float};
use crate::engine::db::{Data, Db};

#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            // Plus and minus infinity make zero, as in Redis.
            Self::Sum if (left + right).is_nan() => 0.0,
            Self::Sum => left + right,
            Self::Min => left.min(right),
            Self::Max => left.max(right),
        }
    }
}

fn options(args: Argv, weights: &mut [f64]) -> Result<Aggregate, Fault> {
    let mut aggregate = Aggregate::Sum;
    let mut rest = args;
    while let [word, tail @ ..] = rest {
        if is(word, "WEIGHTS") && tail.len() >= weights.len() {
            let (given, after) = tail.split_at(weights.len());
            for (weight, text) in weights.iter_mut().zip(given) {
                *weight =
                    strict_float(text).ok_or(Fault::new("ERR weight value is not a float"))?;
            }
            rest = after;
        } else if let (true, [name, after @ ..]) = (is(word, "AGGREGATE"), tail) {
            aggregate = match () {
                () if is(name, "SUM") => Aggregate::Sum,
                () if is(name, "MIN") => Aggregate::Min,
                () if is(name, "MAX") => Aggregate::Max,
                () => return Err(SYNTAX),
            };
            rest = after;
        } else {
            return Err(SYNTAX);
        }
    }
    Ok(aggregate)
}

/// The members of a sorted set, or of a plain set with score 1 each.
fn source(db: &Db, key: &[u8], weight: f64) -> Result<SortedSet, Fault> {
    let mut result = SortedSet::default();
    let mut add = |member: &[u8], score: f64| {
        let weighted = score * weight;
        result.insert(member, if weighted.is_nan() { 0.0 } else { weighted });
    };
    match db.data(key) {
        None => {}
        Some(Data::SortedSet(set)) => set.iter().for_each(|(score, member)| add(member, score)),
        Some(Data::Set(set)) => set.keys().for_each(|member| add(member, 1.0)),
        Some(_) => return Err(WRONG_TYPE),
    }
    Ok(result)
}

fn store(db: &mut Db, argv: Argv, intersect: bool, name: &str) -> Outcome {
    let count = int(argv[2])?;
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        return Err(Fault::owned(format!(
            "ERR at least 1 input key is needed for '{name}' command"
        )));
    };
    if count > argv.len() - 3 {
        return Err(SYNTAX);
    }
    let (keys, rest) = argv[3..].split_at(count);
    let mut weights = vec![1.0; keys.len()];
    let aggregate = options(rest, &mut weights)?;
    let mut sources = Vec::with_capacity(keys.len());
    for (key, weight) in keys.iter().zip(weights) {
        sources.push(source(db, key, weight)?);
    }
    let mut result = SortedSet::default();
    for (index, set) in sources.iter().enumerate() {
        for (score, member) in set.iter() {
            let score = result.score(member).map_or(score, |old| aggregate.of(old, score));
            if index == 0 || !intersect || result.score(member).is_some() {
                result.insert(member, score);
            }
        }
        if intersect {
            let gone: Vec<_> = result
                .iter()
                .filter(|(_, member)| set.score(member).is_none())
                .map(|(_, member)| member.clone())
                .collect();
            for member in gone {
                result.remove(&member);
            }
        }
    }
    let length = result.len();
    db.store(argv[1], Data::SortedSet(result));
    Ok(len(length))
}

pub(in crate::engine) fn zunionstore(db: &mut Db, argv: Argv) -> Outcome {
    store(db, argv, false, "zunionstore")
}

pub(in crate::engine) fn zinterstore(db: &mut Db, argv: Argv) -> Outcome {
    store(db, argv, true, "zinterstore")
}
