//! Commands on keys of any type.

use super::args::{Argv, Fault, NO_SUCH_KEY, Outcome, SYNTAX, int, is, len};
use super::db::{Data, Db};
use super::table::{READ, Spec, WRITE, row};
use redis_rest::Value;
use redis_rest::internal::glob_matches;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("del", WRITE, del),
    row("unlink", WRITE, del),
    row("exists", READ, exists),
    row("touch", READ, exists),
    row("keys", READ, keys),
    row("randomkey", READ, random),
    row("type", READ, type_of),
    row("rename", WRITE, rename),
    row("renamenx", WRITE, renamenx),
    row("copy", WRITE, copy),
];

pub(super) fn del(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(argv[1..].iter().filter(|key| db.remove(key).is_some()).count()))
}

pub(super) fn exists(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(argv[1..].iter().filter(|key| db.exists(key)).count()))
}

pub(super) fn keys(db: &mut Db, argv: Argv) -> Outcome {
    Ok(Value::Array(
        db.names().filter(|name| glob_matches(argv[1], name)).cloned().map(Value::Bytes).collect(),
    ))
}

pub(super) fn random(db: &mut Db, _: Argv) -> Outcome {
    Ok(db.random().map_or(Value::Nil, |name| Value::Bytes(name.clone())))
}

pub(super) fn type_of(db: &mut Db, argv: Argv) -> Outcome {
    Ok(Value::bytes(db.data(argv[1]).map_or("none", Data::type_name)))
}

fn put(db: &mut Db, key: &[u8], data: Data, expires: Option<i64>) {
    db.set(key, data);
    if let Some(due) = expires {
        db.set_expiry(key, due);
    }
}

fn move_key(db: &mut Db, argv: Argv, only_if_free: bool) -> Result<bool, Fault> {
    if !db.exists(argv[1]) {
        return Err(NO_SUCH_KEY);
    }
    if only_if_free && db.exists(argv[2]) {
        return Ok(false);
    }
    let expires = db.expires(argv[1]);
    if let Some(data) = db.remove(argv[1]) {
        put(db, argv[2], data, expires);
    }
    Ok(true)
}

pub(super) fn rename(db: &mut Db, argv: Argv) -> Outcome {
    move_key(db, argv, false).map(|_| Value::Okay)
}

pub(super) fn renamenx(db: &mut Db, argv: Argv) -> Outcome {
    move_key(db, argv, true).map(|moved| Value::Int(moved.into()))
}

pub(super) fn copy(db: &mut Db, argv: Argv) -> Outcome {
    let (mut replace, mut elsewhere) = (false, false);
    let mut rest = argv[3..].iter();
    while let Some(word) = rest.next() {
        if is(word, "REPLACE") {
            replace = true;
        } else if is(word, "DB") {
            let number = int(rest.next().ok_or(SYNTAX)?)?;
            elsewhere = number != 0;
            if !(0..16).contains(&number) {
                return Err(Fault::new("ERR DB index is out of range"));
            }
        } else {
            return Err(SYNTAX);
        }
    }
    if elsewhere && db.exists(argv[1]) {
        return Err(Fault::new("ERR the engine has one database"));
    }
    if argv[1] == argv[2] && !elsewhere {
        return Err(Fault::new("ERR source and destination objects are the same"));
    }
    if db.exists(argv[2]) && !replace {
        return Ok(Value::Int(0));
    }
    let Some(data) = db.data(argv[1]).cloned() else { return Ok(Value::Int(0)) };
    let expires = db.expires(argv[1]);
    put(db, argv[2], data, expires);
    Ok(Value::Int(1))
}
