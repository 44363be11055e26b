//! Sets.

use super::args::{Argv, Fault, Outcome, SYNTAX, int_between, is, len, positive, strict_int};
use super::db::{Data, Db, Set};
use super::random::pick;
use super::table::{READ, Spec, WRITE, row};
use bytes::Bytes;
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("sadd", WRITE, sadd),
    row("srem", WRITE, srem),
    row("smembers", READ, smembers),
    row("sismember", READ, sismember),
    row("smismember", READ, smismember),
    row("scard", READ, scard),
    row("spop", WRITE, spop),
    row("srandmember", READ, srandmember),
    row("smove", WRITE, smove),
    row("sinter", READ, sinter),
    row("sunion", READ, sunion),
    row("sdiff", READ, sdiff),
    row("sinterstore", WRITE, sinterstore),
    row("sunionstore", WRITE, sunionstore),
    row("sdiffstore", WRITE, sdiffstore),
    row("sintercard", READ, sintercard),
];

pub(super) fn sadd(db: &mut Db, argv: Argv) -> Outcome {
    let set = db.write_or_create::<Set>(argv[1])?;
    Ok(len(argv[2..].iter().filter(|member| set.insert(member, ()).is_none()).count()))
}

pub(super) fn srem(db: &mut Db, argv: Argv) -> Outcome {
    let Some(set) = db.write::<Set>(argv[1])? else { return Ok(Value::Int(0)) };
    let removed = argv[2..].iter().filter(|member| set.remove(member).is_some()).count();
    db.drop_if_empty(argv[1]);
    Ok(len(removed))
}

fn members(set: &Set) -> Value {
    Value::Array(set.keys().cloned().map(Value::Bytes).collect())
}

pub(super) fn smembers(db: &mut Db, argv: Argv) -> Outcome {
    Ok(db.read::<Set>(argv[1])?.map_or(Value::Array(Vec::new()), members))
}

pub(super) fn sismember(db: &mut Db, argv: Argv) -> Outcome {
    Ok(Value::Int(db.read::<Set>(argv[1])?.is_some_and(|set| set.contains(argv[2])).into()))
}

pub(super) fn smismember(db: &mut Db, argv: Argv) -> Outcome {
    let set = db.read::<Set>(argv[1])?;
    let found = |member: &&[u8]| Value::Int(set.is_some_and(|set| set.contains(member)).into());
    Ok(Value::Array(argv[2..].iter().map(found).collect()))
}

pub(super) fn scard(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(db.read::<Set>(argv[1])?.map_or(0, Set::len)))
}

pub(super) fn spop(db: &mut Db, argv: Argv) -> Outcome {
    let count = match argv[2..] {
        [] => None,
        [count] => Some(positive(count)?),
        _ => return Err(SYNTAX),
    };
    let Some(set) = db.write::<Set>(argv[1])? else {
        return Ok(if count.is_some() { Value::Array(Vec::new()) } else { Value::Nil });
    };
    let chosen = fastrand::choose_multiple(set.keys().cloned(), count.unwrap_or(1).min(set.len()));
    for member in &chosen {
        set.remove(member);
    }
    db.drop_if_empty(argv[1]);
    let mut chosen = chosen.into_iter().map(Value::Bytes);
    Ok(if count.is_some() {
        Value::Array(chosen.collect())
    } else {
        chosen.next().unwrap_or(Value::Nil)
    })
}

pub(super) fn srandmember(db: &mut Db, argv: Argv) -> Outcome {
    let count = match argv[2..] {
        [] => {
            let set = db.read::<Set>(argv[1])?;
            return Ok(set
                .and_then(Set::random)
                .map_or(Value::Nil, |member| Value::Bytes(member.clone())));
        }
        [count] => int_between(count, -i64::MAX, i64::MAX)?,
        _ => return Err(SYNTAX),
    };
    let set = db.read::<Set>(argv[1])?;
    let all: Vec<&Bytes> = set.map(|set| set.keys().collect()).unwrap_or_default();
    let chosen = pick(count, all.len())?.into_iter().filter_map(|index| all.get(index));
    Ok(Value::Array(chosen.map(|member| Value::Bytes((*member).clone())).collect()))
}

pub(super) fn smove(db: &mut Db, argv: Argv) -> Outcome {
    let Some(from) = db.read::<Set>(argv[1])? else { return Ok(Value::Int(0)) };
    let present = from.contains(argv[3]);
    db.read::<Set>(argv[2])?;
    if present && argv[1] != argv[2] {
        if let Some(from) = db.write::<Set>(argv[1])? {
            from.remove(argv[3]);
        }
        db.drop_if_empty(argv[1]);
        db.write_or_create::<Set>(argv[2])?.insert(argv[3], ());
    }
    Ok(Value::Int(present.into()))
}

#[derive(Clone, Copy)]
enum Combine {
    Intersect,
    Unite,
    Subtract,
}

fn combined(db: &Db, keys: Argv, how: Combine) -> Result<Set, Fault> {
    let mut sets =
        keys.iter().map(|key| db.read::<Set>(key)).collect::<Result<Vec<_>, Fault>>()?.into_iter();
    let mut result = sets.next().flatten().cloned().unwrap_or_default();
    for set in sets {
        match (how, set) {
            (Combine::Unite, set) => set.into_iter().flat_map(Set::keys).for_each(|member| {
                result.insert(member, ());
            }),
            (Combine::Subtract, Some(set)) => set.keys().for_each(|member| {
                result.remove(member);
            }),
            (Combine::Subtract, None) => {}
            (Combine::Intersect, Some(set)) => {
                let gone: Vec<Bytes> =
                    result.keys().filter(|member| !set.contains(member)).cloned().collect();
                gone.iter().for_each(|member| {
                    result.remove(member);
                });
            }
            (Combine::Intersect, None) => result.clear(),
        }
    }
    Ok(result)
}

fn store(db: &mut Db, argv: Argv, how: Combine) -> Outcome {
    let set = combined(db, &argv[2..], how)?;
    let length = set.len();
    db.store(argv[1], Data::Set(set));
    Ok(len(length))
}

pub(super) fn sinter(db: &mut Db, argv: Argv) -> Outcome {
    combined(db, &argv[1..], Combine::Intersect).map(|set| members(&set))
}

pub(super) fn sunion(db: &mut Db, argv: Argv) -> Outcome {
    combined(db, &argv[1..], Combine::Unite).map(|set| members(&set))
}

pub(super) fn sdiff(db: &mut Db, argv: Argv) -> Outcome {
    combined(db, &argv[1..], Combine::Subtract).map(|set| members(&set))
}

pub(super) fn sinterstore(db: &mut Db, argv: Argv) -> Outcome {
    store(db, argv, Combine::Intersect)
}

pub(super) fn sunionstore(db: &mut Db, argv: Argv) -> Outcome {
    store(db, argv, Combine::Unite)
}

pub(super) fn sdiffstore(db: &mut Db, argv: Argv) -> Outcome {
    store(db, argv, Combine::Subtract)
}

pub(super) fn sintercard(db: &mut Db, argv: Argv) -> Outcome {
    let count = strict_int(argv[1])
        .filter(|count| *count > 0)
        .ok_or(Fault::new("ERR numkeys should be greater than 0"))?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > argv.len() - 2 {
        return Err(Fault::new("ERR Number of keys can't be greater than number of args"));
    }
    let (keys, options) = argv[2..].split_at(count);
    let mut limit = usize::MAX;
    for pair in options.chunks(2) {
        match pair {
            [word, number] if is(word, "LIMIT") => {
                let number =
                    positive(number).map_err(|_| Fault::new("ERR LIMIT can't be negative"))?;
                limit = if number == 0 { usize::MAX } else { number };
            }
            _ => return Err(SYNTAX),
        }
    }
    Ok(len(combined(db, keys, Combine::Intersect)?.len().min(limit)))
}
