//! Hashes.

use super::args::{
    Argv, Fault, NAN_OR_INF, NOT_FLOAT, OVERFLOW, Outcome, int, len, strict_int, wrong_arity,
};
use super::db::{Db, Hash};
use super::number::Extended;
use super::random::{count_of, pick};
use super::table::{READ, Spec, WRITE, row};
use bytes::Bytes;
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("hset", WRITE, hset),
    row("hmset", WRITE, hmset),
    row("hsetnx", WRITE, hsetnx),
    row("hget", READ, hget),
    row("hmget", READ, hmget),
    row("hgetall", READ, hgetall),
    row("hkeys", READ, hkeys),
    row("hvals", READ, hvals),
    row("hdel", WRITE, hdel),
    row("hexists", READ, hexists),
    row("hlen", READ, hlen),
    row("hstrlen", READ, hstrlen),
    row("hincrby", WRITE, hincrby),
    row("hincrbyfloat", WRITE, hincrbyfloat),
    row("hrandfield", READ, hrandfield),
];

fn field_of(db: &Db, key: &[u8], field: &[u8]) -> Result<Option<Bytes>, Fault> {
    Ok(db.read::<Hash>(key)?.and_then(|hash| hash.get(field).cloned()))
}

fn or_nil(bytes: Option<Bytes>) -> Value {
    bytes.map_or(Value::Nil, Value::Bytes)
}

fn set_pairs(db: &mut Db, argv: Argv, name: &str) -> Result<usize, Fault> {
    if !argv.len().is_multiple_of(2) {
        return Err(wrong_arity(name));
    }
    let hash = db.write_or_create::<Hash>(argv[1])?;
    let mut added = 0;
    for pair in argv[2..].chunks_exact(2) {
        added += usize::from(hash.insert(pair[0], Bytes::copy_from_slice(pair[1])).is_none());
    }
    Ok(added)
}

pub(super) fn hset(db: &mut Db, argv: Argv) -> Outcome {
    set_pairs(db, argv, "hset").map(len)
}

pub(super) fn hmset(db: &mut Db, argv: Argv) -> Outcome {
    set_pairs(db, argv, "hmset").map(|_| Value::Okay)
}

pub(super) fn hsetnx(db: &mut Db, argv: Argv) -> Outcome {
    let hash = db.write_or_create::<Hash>(argv[1])?;
    let free = !hash.contains(argv[2]);
    if free {
        hash.insert(argv[2], Bytes::copy_from_slice(argv[3]));
    }
    Ok(Value::Int(free.into()))
}

pub(super) fn hget(db: &mut Db, argv: Argv) -> Outcome {
    field_of(db, argv[1], argv[2]).map(or_nil)
}

pub(super) fn hmget(db: &mut Db, argv: Argv) -> Outcome {
    let hash = db.read::<Hash>(argv[1])?;
    Ok(Value::Array(
        argv[2..]
            .iter()
            .map(|field| or_nil(hash.and_then(|hash| hash.get(field).cloned())))
            .collect(),
    ))
}

fn list<I: IntoIterator<Item = Bytes>>(
    db: &Db,
    key: &[u8],
    read: impl Fn(&Bytes, &Bytes) -> I,
) -> Outcome {
    let Some(hash) = db.read::<Hash>(key)? else { return Ok(Value::Array(Vec::new())) };
    Ok(Value::Array(
        hash.iter().flat_map(|(field, value)| read(field, value)).map(Value::Bytes).collect(),
    ))
}

pub(super) fn hgetall(db: &mut Db, argv: Argv) -> Outcome {
    list(db, argv[1], |field, value| [field.clone(), value.clone()])
}

pub(super) fn hkeys(db: &mut Db, argv: Argv) -> Outcome {
    list(db, argv[1], |field, _| [field.clone()])
}

pub(super) fn hvals(db: &mut Db, argv: Argv) -> Outcome {
    list(db, argv[1], |_, value| [value.clone()])
}

pub(super) fn hdel(db: &mut Db, argv: Argv) -> Outcome {
    let Some(hash) = db.write::<Hash>(argv[1])? else { return Ok(Value::Int(0)) };
    let removed = argv[2..].iter().filter(|field| hash.remove(field).is_some()).count();
    db.drop_if_empty(argv[1]);
    Ok(len(removed))
}

pub(super) fn hexists(db: &mut Db, argv: Argv) -> Outcome {
    Ok(Value::Int(field_of(db, argv[1], argv[2])?.is_some().into()))
}

pub(super) fn hlen(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(db.read::<Hash>(argv[1])?.map_or(0, Hash::len)))
}

pub(super) fn hstrlen(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(field_of(db, argv[1], argv[2])?.map_or(0, |value| value.len())))
}

pub(super) fn hincrby(db: &mut Db, argv: Argv) -> Outcome {
    let amount = int(argv[3])?;
    let old = match field_of(db, argv[1], argv[2])? {
        Some(value) => strict_int(&value).ok_or(Fault::new("ERR hash value is not an integer"))?,
        None => 0,
    };
    let new = old.checked_add(amount).ok_or(OVERFLOW)?;
    db.write_or_create::<Hash>(argv[1])?.replace(argv[2], Bytes::from(new.to_string()));
    Ok(Value::Int(new))
}

pub(super) fn hincrbyfloat(db: &mut Db, argv: Argv) -> Outcome {
    let amount = Extended::parse(argv[3]).ok_or(NOT_FLOAT)?;
    let amount = amount.map_err(|()| Fault::new("ERR value is NaN or Infinity"))?;
    let old = field_of(db, argv[1], argv[2])?.unwrap_or_else(|| Bytes::from_static(b"0"));
    let old = Extended::parse(&old).ok_or(Fault::new("ERR hash value is not a float"))?;
    let sum = old.and_then(|old| old.plus(amount).ok_or(())).map_err(|()| NAN_OR_INF)?;
    let new = Bytes::from(sum.text());
    db.write_or_create::<Hash>(argv[1])?.replace(argv[2], new.clone());
    Ok(Value::Bytes(new))
}

pub(super) fn hrandfield(db: &mut Db, argv: Argv) -> Outcome {
    let [count, ref options @ ..] = argv[2..] else {
        let hash = db.read::<Hash>(argv[1])?;
        return Ok(or_nil(hash.and_then(|hash| hash.fields().random().cloned())));
    };
    let (count, with_values) = count_of(count, options, "WITHVALUES")?;
    let hash = db.read::<Hash>(argv[1])?;
    let pairs: Vec<_> = hash.map(|hash| hash.iter().collect()).unwrap_or_default();
    let mut reply = Vec::new();
    for index in pick(count, pairs.len())? {
        let Some((field, value)) = pairs.get(index) else { continue };
        reply.push(Value::Bytes((*field).clone()));
        if with_values {
            reply.push(Value::Bytes((*value).clone()));
        }
    }
    Ok(Value::Array(reply))
}
