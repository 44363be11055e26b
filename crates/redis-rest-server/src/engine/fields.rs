//! The expiry of fields of hashes.

use super::args::{Argv, Fault, Outcome, int, is, wrong_arity};
use super::db::{Db, Hash};
use super::expiry::{Conditions, Keyword, Lifetime, Unit};
use super::table::{KEY, READ, Spec, WRITE, row};
use bytes::Bytes;
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("hexpire", -6, WRITE, KEY, hexpire),
    row("hpexpire", -6, WRITE, KEY, hpexpire),
    row("hexpireat", -6, WRITE, KEY, hexpireat),
    row("hpexpireat", -6, WRITE, KEY, hpexpireat),
    row("hpersist", -5, WRITE, KEY, hpersist),
    row("httl", -5, READ, KEY, httl),
    row("hpttl", -5, READ, KEY, hpttl),
    row("hexpiretime", -5, READ, KEY, hexpiretime),
    row("hpexpiretime", -5, READ, KEY, hpexpiretime),
    row("hgetdel", -5, WRITE, KEY, hgetdel),
    row("hgetex", -5, WRITE, KEY, hgetex),
    row("hsetex", -6, WRITE, KEY, hsetex),
];

/// No later time, in milliseconds.
const LATEST: i64 = (1 << 46) - 1;

const NO_FIELDS: Fault =
    Fault::new("ERR Mandatory argument FIELDS is missing or not at the right position");
const BAD_COUNT: Fault = Fault::new("ERR Number of fields must be a positive integer");
const BAD_COUNT_OF_EXPIRE: Fault = Fault::new("ERR Parameter `numFields` should be greater than 0");
const MISMATCH: Fault =
    Fault::new("ERR The `numfields` parameter must match the number of arguments");

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
        return Err(Fault::new("ERR invalid expire time, must be >= 0"));
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

/// The options before and after `FIELDS`, in any order; and the fields, `step` words each.
struct Options<'a> {
    lifetime: Lifetime<'a>,
    if_none: bool,
    if_all: bool,
    fields: Argv<'a>,
}

impl<'a> Options<'a> {
    fn parse(args: Argv<'a>, keyword: Keyword, step: usize, name: &str) -> Result<Self, Fault> {
        let mut options =
            Self { lifetime: Lifetime::default(), if_none: false, if_all: false, fields: &[] };
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            if is(word, "FIELDS") {
                if !options.fields.is_empty() {
                    return Err(Fault::new("ERR FIELDS keyword specified multiple times"));
                }
                let [count, tail @ ..] = tail else {
                    return Err(wrong_arity(name));
                };
                let count = int(count).ok().filter(|count| *count > 0);
                let count = usize::try_from(count.ok_or(BAD_COUNT)?).map_err(|_| BAD_COUNT)?;
                let words = count
                    .checked_mul(step)
                    .filter(|words| *words == tail.len() || (*words < tail.len() && step == 1));
                let words = words.ok_or_else(|| wrong_arity(name))?;
                (options.fields, rest) = tail.split_at(words);
            } else if name == "hsetex" && (is(word, "FNX") || is(word, "FXX")) {
                let none = is(word, "FNX");
                if options.if_none || options.if_all {
                    return Err(Fault::new(
                        "ERR Only one of FXX or FNX arguments can be specified",
                    ));
                }
                (options.if_none, options.if_all) = (none, !none);
                rest = tail;
            } else {
                let had = options.lifetime.is_set();
                let known = options.lifetime.option(rest, keyword);
                let names = Unit::of_option(word).is_some() || is(word, keyword.name());
                rest = match known {
                    Some(rest) if !had => rest,
                    _ if names && had => return Err(Self::several(keyword)),
                    _ if names => return Err(Fault::new("ERR missing expire time")),
                    _ if name == "hgetex" => return Err(NO_FIELDS),
                    _ => {
                        let word = String::from_utf8_lossy(word);
                        return Err(Fault::owned(format!("ERR unknown argument: {word}")));
                    }
                };
            }
        }
        if options.fields.is_empty() {
            return Err(Fault::new("ERR missing FIELDS argument"));
        }
        Ok(options)
    }

    fn several(keyword: Keyword) -> Fault {
        let name = keyword.name();
        Fault::owned(format!(
            "ERR Only one of EX, PX, EXAT, PXAT or {name} arguments can be specified"
        ))
    }

    fn due(&self, db: &Db, name: &str) -> Result<Option<i64>, Fault> {
        let Some((unit, amount)) = self.lifetime.time else { return Ok(None) };
        due_of(db, unit, amount, name).map(Some)
    }
}

fn hgetex(db: &mut Db, argv: Argv) -> Outcome {
    let options = Options::parse(&argv[2..], Keyword::Persist, 1, "hgetex")?;
    let due = options.due(db, "hgetex")?;
    let now = db.now;
    let Some(hash) = db.write::<Hash>(argv[1])? else {
        return each(options.fields, |_| Value::Nil);
    };
    let reply = each(options.fields, |field| {
        let reply = value(hash, field);
        match due {
            _ if reply == Value::Nil => {}
            Some(due) if due <= now => {
                hash.remove(field);
            }
            Some(due) => hash.set_deadline(field, due),
            None if options.lifetime.keyword => {
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

fn hsetex(db: &mut Db, argv: Argv) -> Outcome {
    let options = Options::parse(&argv[2..], Keyword::KeepTtl, 2, "hsetex")?;
    let due = options.due(db, "hsetex")?;
    let now = db.now;
    let pairs = options.fields.chunks_exact(2);
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
