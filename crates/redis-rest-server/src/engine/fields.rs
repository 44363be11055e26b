//! The expiry of fields of hashes.

use super::args::{Argv, Fault, Outcome, int, is, wrong_arity};
use super::db::{Db, Hash};
use super::expiry::{Conditions, Keyword, Lifetime, Unit};
use super::table::{READ, Spec, WRITE, row};
use bytes::Bytes;
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("hexpire", WRITE, hexpire),
    row("hpexpire", WRITE, hpexpire),
    row("hexpireat", WRITE, hexpireat),
    row("hpexpireat", WRITE, hpexpireat),
    row("hpersist", WRITE, hpersist),
    row("httl", READ, httl),
    row("hpttl", READ, hpttl),
    row("hexpiretime", READ, hexpiretime),
    row("hpexpiretime", READ, hpexpiretime),
    row("hgetdel", WRITE, hgetdel),
    row("hgetex", WRITE, hgetex),
    row("hsetex", WRITE, hsetex),
];

/// No later time, in milliseconds.
const LATEST: i64 = (1 << 46) - 1;

const NO_FIELDS: Fault =
    Fault::new("ERR Mandatory argument FIELDS is missing or not at the right position");
const BAD_COUNT: Fault = Fault::new("ERR Number of fields must be a positive integer");
const BAD_COUNT_OF_EXPIRE: Fault = Fault::new("ERR Parameter `numFields` should be greater than 0");
const MISMATCH: Fault =
    Fault::new("ERR The `numfields` parameter must match the number of arguments");

const NEGATIVE: Fault = Fault::new("ERR invalid expire time, must be >= 0");

/// The fields after `FIELDS` and their number.
fn fields_of<'a>(args: Argv<'a>, bad_count: Fault) -> Result<Argv<'a>, Fault> {
    let [word, count, fields @ ..] = args else { return Err(NO_FIELDS) };
    if !is(word, "FIELDS") {
        return Err(NO_FIELDS);
    }
    let count = int(count).ok().filter(|count| *count > 0);
    let count = usize::try_from(count.ok_or(bad_count)?).unwrap_or(usize::MAX);
    if count != fields.len() {
        return Err(MISMATCH);
    }
    Ok(fields)
}

fn each(fields: Argv, reply: impl FnMut(&&[u8]) -> Value) -> Outcome {
    Ok(Value::Array(fields.iter().map(reply).collect()))
}

fn due_of(db: &Db, unit: Unit, amount: &[u8], name: &str) -> Result<i64, Fault> {
    let invalid = || Fault::owned(format!("ERR invalid expire time in '{name}' command"));
    let amount = int(amount)?;
    if amount < 0 {
        return Err(NEGATIVE);
    }
    let millis = match unit {
        Unit::Seconds | Unit::AtSeconds => amount.checked_mul(1000),
        Unit::Millis | Unit::AtMillis => Some(amount),
    };
    let base = match unit {
        Unit::Seconds | Unit::Millis => db.now,
        Unit::AtSeconds | Unit::AtMillis => 0,
    };
    let due = millis.and_then(|millis| millis.checked_add(base));
    due.filter(|due| *due <= LATEST).ok_or_else(invalid)
}

fn expire(db: &mut Db, argv: Argv, unit: Unit, name: &str) -> Outcome {
    db.read::<Hash>(argv[1])?;
    let due = due_of(db, unit, argv[2], name)?;
    let conditions = Conditions::of_field(argv[3]);
    let fields = fields_of(&argv[3 + usize::from(conditions.is_some())..], BAD_COUNT_OF_EXPIRE)?;
    let conditions = conditions.unwrap_or_default();
    let now = db.now;
    let Some(hash) = db.write::<Hash>(argv[1])? else { return each(fields, |_| Value::Int(-2)) };
    let reply = each(fields, |field| {
        Value::Int(if !hash.contains(field) {
            -2
        } else if !conditions.admit(hash.deadline(field), due) {
            0
        } else if due <= now {
            hash.remove(field);
            2
        } else {
            hash.set_deadline(field, due);
            1
        })
    });
    db.note_fields(argv[1]);
    db.drop_if_empty(argv[1]);
    reply
}

fn hexpire(db: &mut Db, argv: Argv) -> Outcome {
    expire(db, argv, Unit::Seconds, "hexpire")
}

fn hpexpire(db: &mut Db, argv: Argv) -> Outcome {
    expire(db, argv, Unit::Millis, "hpexpire")
}

fn hexpireat(db: &mut Db, argv: Argv) -> Outcome {
    expire(db, argv, Unit::AtSeconds, "hexpireat")
}

fn hpexpireat(db: &mut Db, argv: Argv) -> Outcome {
    expire(db, argv, Unit::AtMillis, "hpexpireat")
}

fn hpersist(db: &mut Db, argv: Argv) -> Outcome {
    db.read::<Hash>(argv[1])?;
    let fields = fields_of(&argv[2..], BAD_COUNT)?;
    let Some(hash) = db.write::<Hash>(argv[1])? else { return each(fields, |_| Value::Int(-2)) };
    each(fields, |field| {
        Value::Int(match hash.contains(field) {
            false => -2,
            true if hash.clear_deadline(field) => 1,
            true => -1,
        })
    })
}

/// -2 without the field, -1 without an expiry.
fn remaining(db: &Db, argv: Argv, read: impl Fn(i64) -> i64) -> Outcome {
    db.read::<Hash>(argv[1])?;
    let fields = fields_of(&argv[2..], BAD_COUNT)?;
    let hash = db.read::<Hash>(argv[1])?;
    each(fields, |field| {
        let hash = hash.filter(|hash| hash.contains(field));
        Value::Int(hash.map_or(-2, |hash| hash.deadline(field).map_or(-1, &read)))
    })
}

fn httl(db: &mut Db, argv: Argv) -> Outcome {
    let now = db.now;
    remaining(db, argv, |due| (due - now + 999) / 1000)
}

fn hpttl(db: &mut Db, argv: Argv) -> Outcome {
    let now = db.now;
    remaining(db, argv, |due| due - now)
}

fn hexpiretime(db: &mut Db, argv: Argv) -> Outcome {
    remaining(db, argv, |due| (due + 999) / 1000)
}

fn hpexpiretime(db: &mut Db, argv: Argv) -> Outcome {
    remaining(db, argv, |due| due)
}

fn value(hash: &Hash, field: &[u8]) -> Value {
    hash.get(field).map_or(Value::Nil, |value| Value::Bytes(value.clone()))
}

fn hgetdel(db: &mut Db, argv: Argv) -> Outcome {
    db.read::<Hash>(argv[1])?;
    let fields = fields_of(&argv[2..], BAD_COUNT)?;
    let Some(hash) = db.write::<Hash>(argv[1])? else { return each(fields, |_| Value::Nil) };
    let reply = each(fields, |field| hash.remove(field).map_or(Value::Nil, Value::Bytes));
    db.drop_if_empty(argv[1]);
    reply
}

fn hgetex(db: &mut Db, argv: Argv) -> Outcome {
    let mut lifetime = Lifetime::default();
    let rest = lifetime.option(&argv[2..], Keyword::Persist).unwrap_or(&argv[2..]);
    if rest.len() < 2 {
        return Err(wrong_arity("hgetex"));
    }
    let due = due_of_option(db, &lifetime, "hgetex")?;
    let fields = fields_of(rest, BAD_COUNT)?;
    let now = db.now;
    let Some(hash) = db.write::<Hash>(argv[1])? else { return each(fields, |_| Value::Nil) };
    let reply = each(fields, |field| {
        let reply = value(hash, field);
        match due {
            _ if reply == Value::Nil => {}
            Some(due) if due <= now => {
                hash.remove(field);
            }
            Some(due) => hash.set_deadline(field, due),
            None if lifetime.keyword => {
                hash.clear_deadline(field);
            }
            None => {}
        }
        reply
    });
    db.note_fields(argv[1]);
    db.drop_if_empty(argv[1]);
    reply
}

fn due_of_option(db: &Db, lifetime: &Lifetime, name: &str) -> Result<Option<i64>, Fault> {
    let Some((unit, amount)) = lifetime.time else { return Ok(None) };
    due_of(db, unit, amount, name).map(Some)
}

/// The options of `HSETEX`, and its fields with their values, which come last.
#[derive(Default)]
struct Options<'a> {
    lifetime: Lifetime<'a>,
    if_none: bool,
    if_all: bool,
    pairs: Argv<'a>,
}

impl<'a> Options<'a> {
    fn parse(args: Argv<'a>) -> Result<Self, Fault> {
        let mut options = Self::default();
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            if is(word, "FIELDS") {
                let [count, pairs @ ..] = tail else { return Err(wrong_arity("hsetex")) };
                if pairs.len() < 2 {
                    return Err(wrong_arity("hsetex"));
                }
                let count = int(count).ok().filter(|count| *count > 0);
                let count = count.ok_or(Fault::new("ERR invalid number of fields"))?;
                let words = usize::try_from(count).ok().and_then(|count| count.checked_mul(2));
                if words != Some(pairs.len()) {
                    return Err(wrong_arity("hsetex"));
                }
                options.pairs = pairs;
                return Ok(options);
            }
            if is(word, "FNX") || is(word, "FXX") {
                if options.if_none || options.if_all {
                    return Err(Fault::new(
                        "ERR Only one of FXX or FNX arguments can be specified",
                    ));
                }
                options.if_none = is(word, "FNX");
                options.if_all = !options.if_none;
                rest = tail;
                continue;
            }
            let had = options.lifetime.is_set();
            let known = options.lifetime.option(rest, Keyword::KeepTtl);
            let names = Unit::of_option(word).is_some() || is(word, Keyword::KeepTtl.name());
            if let Some((_, amount)) = options.lifetime.time.filter(|_| !had)
                && int(amount)? < 0
            {
                return Err(NEGATIVE);
            }
            rest = match known {
                Some(rest) if !had => rest,
                _ if names && had => {
                    return Err(Fault::new(
                        "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                    ));
                }
                _ if names => return Err(wrong_arity("hsetex")),
                _ => {
                    let word = String::from_utf8_lossy(word);
                    return Err(Fault::owned(format!("ERR unknown argument: {word}")));
                }
            };
        }
        Err(wrong_arity("hsetex"))
    }
}

fn hsetex(db: &mut Db, argv: Argv) -> Outcome {
    let options = Options::parse(&argv[2..])?;
    let due = due_of_option(db, &options.lifetime, "hsetex")?;
    let now = db.now;
    let pairs = options.pairs.chunks_exact(2);
    let hash = db.read::<Hash>(argv[1])?;
    let present = |pair: &[&[u8]]| hash.is_some_and(|hash| hash.contains(pair[0]));
    let refused = (options.if_none && pairs.clone().any(present))
        || (options.if_all && !pairs.clone().all(present));
    if refused {
        return Ok(Value::Int(0));
    }
    let hash = db.write_or_create::<Hash>(argv[1])?;
    for pair in pairs {
        let value = Bytes::copy_from_slice(pair[1]);
        if options.lifetime.keyword {
            hash.replace(pair[0], value);
        } else {
            hash.insert(pair[0], value);
        }
        match due {
            Some(due) if due <= now => {
                hash.remove(pair[0]);
            }
            Some(due) => hash.set_deadline(pair[0], due),
            None => {}
        }
    }
    db.note_fields(argv[1]);
    db.drop_if_empty(argv[1]);
    Ok(Value::Int(1))
}
