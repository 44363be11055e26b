//! Unions, intersections and differences.

use super::SortedSet;
use super::range::reply;
use crate::engine::args::{
    Argv, Fault, Outcome, SYNTAX, WRONG_TYPE, int, is, len, positive, strict_float,
};
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

fn options(
    args: Argv,
    weights: &mut [f64],
    how: Combine,
    stores: bool,
) -> Result<(Aggregate, bool), Fault> {
    let (mut aggregate, mut with_scores) = (Aggregate::Sum, false);
    let mut rest = args;
    while let [word, tail @ ..] = rest {
        let scored = how != Combine::Subtract;
        if scored && is(word, "WEIGHTS") && tail.len() >= weights.len() {
            let (given, after) = tail.split_at(weights.len());
            for (weight, text) in weights.iter_mut().zip(given) {
                *weight =
                    strict_float(text).ok_or(Fault::new("ERR weight value is not a float"))?;
            }
            rest = after;
        } else if let (true, [name, after @ ..]) = (scored && is(word, "AGGREGATE"), tail) {
            aggregate = match () {
                () if is(name, "SUM") => Aggregate::Sum,
                () if is(name, "MIN") => Aggregate::Min,
                () if is(name, "MAX") => Aggregate::Max,
                () => return Err(SYNTAX),
            };
            rest = after;
        } else if !stores && is(word, "WITHSCORES") {
            with_scores = true;
            rest = tail;
        } else {
            return Err(SYNTAX);
        }
    }
    Ok((aggregate, with_scores))
}

/// The set of a key, which is sorted or plain.
fn source<'d>(db: &'d Db, key: &[u8]) -> Result<Option<&'d Data>, Fault> {
    match db.data(key) {
        None => Ok(None),
        Some(data @ (Data::SortedSet(_) | Data::Set(_))) => Ok(Some(data)),
        Some(_) => Err(WRONG_TYPE),
    }
}

/// The members of a sorted set, or of a plain set with score 1 each.
fn weighted(db: &Db, key: &[u8], weight: f64) -> Result<SortedSet, Fault> {
    let mut result = SortedSet::default();
    let mut add = |member: &[u8], score: f64| {
        let weighted = score * weight;
        result.insert(member, if weighted.is_nan() { 0.0 } else { weighted });
    };
    match source(db, key)? {
        Some(Data::SortedSet(set)) => set.iter().for_each(|(score, member)| add(member, score)),
        Some(Data::Set(set)) => set.keys().for_each(|member| add(member, 1.0)),
        _ => {}
    }
    Ok(result)
}

#[derive(Clone, Copy, PartialEq)]
enum Combine {
    Unite,
    Intersect,
    Subtract,
}

/// The keys, and the options after them.
fn keys_of<'a>(args: Argv<'a>, name: &str) -> Result<(Argv<'a>, Argv<'a>), Fault> {
    let count = int(args[0])?;
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        return Err(Fault::owned(format!(
            "ERR at least 1 input key is needed for '{name}' command"
        )));
    };
    args[1..].split_at_checked(count).ok_or(SYNTAX)
}

/// Reads the arguments from the number of keys on, and whether scores are wanted.
fn combined(
    db: &Db,
    args: Argv,
    how: Combine,
    stores: bool,
    name: &str,
) -> Result<(SortedSet, bool), Fault> {
    let (keys, rest) = keys_of(args, name)?;
    for key in keys {
        source(db, key)?;
    }
    let mut weights = vec![1.0; keys.len()];
    let (aggregate, with_scores) = options(rest, &mut weights, how, stores)?;
    let mut sources = keys.iter().zip(weights).collect::<Vec<_>>().into_iter();
    let mut result = match sources.next() {
        Some((key, weight)) => weighted(db, key, weight)?,
        None => SortedSet::default(),
    };
    for (key, weight) in sources {
        let set = weighted(db, key, weight)?;
        match how {
            Combine::Unite => {
                for (score, member) in set.iter() {
                    let score = result.score(member).map_or(score, |old| aggregate.of(old, score));
                    result.insert(member, score);
                }
            }
            Combine::Intersect => {
                let mut both = SortedSet::default();
                for (old, member) in result.iter() {
                    if let Some(score) = set.score(member) {
                        both.insert(member, aggregate.of(old, score));
                    }
                }
                result = both;
            }
            Combine::Subtract => set.iter().for_each(|(_, member)| {
                result.remove(member);
            }),
        }
    }
    Ok((result, with_scores))
}

fn get(db: &Db, argv: Argv, how: Combine, name: &str) -> Outcome {
    let (set, with_scores) = combined(db, &argv[1..], how, false, name)?;
    reply(set.iter().map(|(score, member)| (score, member.clone())).collect(), with_scores)
}

fn store(db: &mut Db, argv: Argv, how: Combine, name: &str) -> Outcome {
    let (set, _) = combined(db, &argv[2..], how, true, name)?;
    let length = set.len();
    db.store(argv[1], Data::SortedSet(set));
    Ok(len(length))
}

pub(in crate::engine) fn zunion(db: &mut Db, argv: Argv) -> Outcome {
    get(db, argv, Combine::Unite, "zunion")
}

pub(in crate::engine) fn zinter(db: &mut Db, argv: Argv) -> Outcome {
    get(db, argv, Combine::Intersect, "zinter")
}

pub(in crate::engine) fn zdiff(db: &mut Db, argv: Argv) -> Outcome {
    get(db, argv, Combine::Subtract, "zdiff")
}

pub(in crate::engine) fn zunionstore(db: &mut Db, argv: Argv) -> Outcome {
    store(db, argv, Combine::Unite, "zunionstore")
}

pub(in crate::engine) fn zinterstore(db: &mut Db, argv: Argv) -> Outcome {
    store(db, argv, Combine::Intersect, "zinterstore")
}

pub(in crate::engine) fn zdiffstore(db: &mut Db, argv: Argv) -> Outcome {
    store(db, argv, Combine::Subtract, "zdiffstore")
}

pub(in crate::engine) fn zintercard(db: &mut Db, argv: Argv) -> Outcome {
    let (keys, rest) = keys_of(&argv[1..], "zintercard")?;
    for key in keys {
        source(db, key)?;
    }
    let mut limit = usize::MAX;
    for pair in rest.chunks(2) {
        match pair {
            [word, number] if is(word, "LIMIT") => {
                let number =
                    positive(number).map_err(|_| Fault::new("ERR LIMIT can't be negative"))?;
                limit = if number == 0 { usize::MAX } else { number };
            }
            _ => return Err(SYNTAX),
        }
    }
    let sets = &argv[1..=keys.len() + 1];
    Ok(len(combined(db, sets, Combine::Intersect, false, "zintercard")?.0.len().min(limit)))
}
