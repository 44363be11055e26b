//! Strings.

use super::args::{
    Argv, Fault, NAN_OR_INF, NOT_FLOAT, NOT_INT, OVERFLOW, Outcome, SYNTAX, byte_range, int, len,
    strict_int, wrong_arity,
};
use super::db::{Data, Db};
use super::expiry::{Keyword, Lifetime, Unit, due_at, is_positive};
use super::number::Extended;
use super::table::{READ, Spec, WRITE, row};
use bytes::{Bytes, BytesMut};
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("get", READ, get),
    row("setnx", WRITE, setnx),
    row("setex", WRITE, setex),
    row("psetex", WRITE, psetex),
    row("getset", WRITE, getset),
    row("getdel", WRITE, getdel),
    row("getex", WRITE, getex),
    row("getrange", READ, getrange),
    row("substr", READ, getrange),
    row("setrange", WRITE, setrange),
    row("append", WRITE, append),
    row("strlen", READ, strlen),
    row("mget", READ, mget),
    row("mset", WRITE, mset),
    row("msetnx", WRITE, msetnx),
    row("incr", WRITE, incr),
    row("decr", WRITE, decr),
    row("incrby", WRITE, incrby),
    row("decrby", WRITE, decrby),
    row("incrbyfloat", WRITE, incrbyfloat),
];

const TOO_LONG: Fault = Fault::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
pub(super) const MAX_LEN: usize = 512 * 1024 * 1024;

pub(super) fn value_of(db: &Db, key: &[u8]) -> Outcome {
    Ok(db.read::<Bytes>(key)?.map_or(Value::Nil, |bytes| Value::Bytes(bytes.clone())))
}

fn put(db: &mut Db, key: &[u8], value: &[u8]) {
    db.set(key, Data::String(Bytes::copy_from_slice(value)));
}

pub(super) fn get(db: &mut Db, argv: Argv) -> Outcome {
    value_of(db, argv[1])
}

pub(super) fn setnx(db: &mut Db, argv: Argv) -> Outcome {
    let free = !db.exists(argv[1]);
    if free {
        put(db, argv[1], argv[2]);
    }
    Ok(Value::Int(free.into()))
}

fn set_with_expiry(db: &mut Db, argv: Argv, unit: Unit, name: &str) -> Outcome {
    let due = due_at(db, unit, is_positive(int(argv[2])?, name)?, name)?;
    put(db, argv[1], argv[3]);
    db.set_expiry(argv[1], due);
    Ok(Value::Okay)
}

pub(super) fn setex(db: &mut Db, argv: Argv) -> Outcome {
    set_with_expiry(db, argv, Unit::Seconds, "setex")
}

pub(super) fn psetex(db: &mut Db, argv: Argv) -> Outcome {
    set_with_expiry(db, argv, Unit::Millis, "psetex")
}

pub(super) fn getset(db: &mut Db, argv: Argv) -> Outcome {
    let old = value_of(db, argv[1])?;
    put(db, argv[1], argv[2]);
    Ok(old)
}

pub(super) fn getdel(db: &mut Db, argv: Argv) -> Outcome {
    let old = value_of(db, argv[1])?;
    db.remove(argv[1]);
    Ok(old)
}

pub(super) fn getex(db: &mut Db, argv: Argv) -> Outcome {
    let mut lifetime = Lifetime::default();
    let mut rest = &argv[2..];
    while !rest.is_empty() {
        rest = lifetime.option(rest, Keyword::Persist).ok_or(SYNTAX)?;
    }
    // Redis looks at the amount only where there is a value.
    let value = value_of(db, argv[1])?;
    if value == Value::Nil {
        return Ok(value);
    }
    match lifetime.due(db, "getex")? {
        Some(due) => db.set_expiry(argv[1], due),
        None if lifetime.keyword => {
            db.clear_expiry(argv[1]);
        }
        None => {}
    }
    Ok(value)
}

pub(super) fn getrange(db: &mut Db, argv: Argv) -> Outcome {
    let (start, stop) = (int(argv[2])?, int(argv[3])?);
    let Some(value) = db.read::<Bytes>(argv[1])? else { return Ok(Value::bytes("")) };
    Ok(Value::Bytes(value.slice(byte_range(start, stop, value.len()))))
}

/// Changes the bytes of a string in place, keeping its expiry.
pub(super) fn edit(db: &mut Db, key: &[u8], change: impl FnOnce(&mut BytesMut)) -> Outcome {
    if !db.exists(key) {
        db.set(key, Data::String(Bytes::new()));
    }
    let Some(value) = db.write::<Bytes>(key)? else { return Ok(Value::Int(0)) };
    let mut bytes = std::mem::take(value)
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
    change(&mut bytes);
    *value = bytes.freeze();
    Ok(len(value.len()))
}

pub(super) fn append(db: &mut Db, argv: Argv) -> Outcome {
    let length = db.read::<Bytes>(argv[1])?.map_or(0, Bytes::len);
    if length.saturating_add(argv[2].len()) > MAX_LEN {
        return Err(TOO_LONG);
    }
    edit(db, argv[1], |bytes| bytes.extend_from_slice(argv[2]))
}

pub(super) fn setrange(db: &mut Db, argv: Argv) -> Outcome {
    let start =
        usize::try_from(int(argv[2])?).map_err(|_| Fault::new("ERR offset is out of range"))?;
    let length = db.read::<Bytes>(argv[1])?.map_or(0, Bytes::len);
    if argv[3].is_empty() {
        return Ok(len(length));
    }
    let end = start.saturating_add(argv[3].len());
    if end > MAX_LEN {
        return Err(TOO_LONG);
    }
    edit(db, argv[1], |bytes| {
        bytes.resize(length.max(end), 0);
        bytes[start..end].copy_from_slice(argv[3]);
    })
}

pub(super) fn strlen(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(db.read::<Bytes>(argv[1])?.map_or(0, Bytes::len)))
}

pub(super) fn mget(db: &mut Db, argv: Argv) -> Outcome {
    Ok(Value::Array(argv[1..].iter().map(|key| value_of(db, key).unwrap_or(Value::Nil)).collect()))
}

pub(super) fn mset(db: &mut Db, argv: Argv) -> Outcome {
    if argv.len().is_multiple_of(2) {
        return Err(wrong_arity("mset"));
    }
    for pair in argv[1..].chunks_exact(2) {
        put(db, pair[0], pair[1]);
    }
    Ok(Value::Okay)
}

pub(super) fn msetnx(db: &mut Db, argv: Argv) -> Outcome {
    if argv.len().is_multiple_of(2) {
        return Err(wrong_arity("msetnx"));
    }
    if argv[1..].chunks_exact(2).any(|pair| db.exists(pair[0])) {
        return Ok(Value::Int(0));
    }
    mset(db, argv).map(|_| Value::Int(1))
}

fn add(db: &mut Db, key: &[u8], amount: i64) -> Outcome {
    let old = match db.read::<Bytes>(key)? {
        Some(bytes) => strict_int(bytes).ok_or(NOT_INT)?,
        None => 0,
    };
    let new = old.checked_add(amount).ok_or(OVERFLOW)?;
    db.replace(key, Data::String(Bytes::from(new.to_string())));
    Ok(Value::Int(new))
}

pub(super) fn incr(db: &mut Db, argv: Argv) -> Outcome {
    add(db, argv[1], 1)
}

pub(super) fn decr(db: &mut Db, argv: Argv) -> Outcome {
    add(db, argv[1], -1)
}

pub(super) fn incrby(db: &mut Db, argv: Argv) -> Outcome {
    add(db, argv[1], int(argv[2])?)
}

pub(super) fn decrby(db: &mut Db, argv: Argv) -> Outcome {
    let amount = int(argv[2])?.checked_neg().ok_or(Fault::new("ERR decrement would overflow"))?;
    add(db, argv[1], amount)
}

pub(super) fn incrbyfloat(db: &mut Db, argv: Argv) -> Outcome {
    let old = db.read::<Bytes>(argv[1])?.cloned().unwrap_or_else(|| Bytes::from_static(b"0"));
    let old = Extended::parse(&old).ok_or(NOT_FLOAT)?;
    let amount = Extended::parse(argv[2]).ok_or(NOT_FLOAT)?;
    let sum = old.and_then(|old| old.plus(amount?).ok_or(())).map_err(|()| NAN_OR_INF)?;
    let new = Bytes::from(sum.text());
    db.replace(argv[1], Data::String(new.clone()));
    Ok(Value::Bytes(new))
}
