//! Groups of consumers, and what they have read and not acknowledged.

use super::Stream;
use super::id::{Id, interval_end, interval_start};
use super::write::ids;
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, int, is, len};
use crate::engine::db::Db;
use bytes::Bytes;
use redis_rest::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An entry that was delivered and not acknowledged.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) consumer: Bytes,
    /// When it was delivered last, in milliseconds.
    pub(super) delivered: i64,
    pub(super) count: i64,
}

#[derive(Clone)]
pub(super) struct Consumer {
    /// When it last tried to do something, and when it last got something.
    pub(super) seen: i64,
    pub(super) active: Option<i64>,
    pub(super) pending: BTreeSet<Id>,
}

#[derive(Clone, Default)]
pub(super) struct Group {
    pub(super) last: Id,
    /// The number of entries read; unknown after some deletions.
    pub(super) read: Option<u64>,
    pub(super) pending: BTreeMap<Id, Pending>,
    pub(super) consumers: BTreeMap<Bytes, Consumer>,
}

impl Group {
    /// Removes an entry from what is pending.
    pub(super) fn forget(&mut self, id: Id) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }

    /// The consumer, which is created if it is new.
    pub(super) fn consumer(&mut self, name: &[u8], now: i64) -> &mut Consumer {
        let new = || Consumer { seen: now, active: None, pending: BTreeSet::new() };
        self.consumers.entry(Bytes::copy_from_slice(name)).or_insert_with(new)
    }

    /// Makes an entry pending for a consumer, whoever had it before.
    pub(super) fn assign(&mut self, id: Id, name: &[u8], delivered: i64, count: i64) {
        self.forget(id);
        let consumer = Bytes::copy_from_slice(name);
        self.consumer(name, delivered).pending.insert(id);
        self.pending.insert(id, Pending { consumer, delivered, count });
    }
}

const NO_STREAM: Fault = Fault::new(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
);

fn no_group(argv: Argv) -> Fault {
    Fault::owned(format!(
        "NOGROUP No such consumer group '{}' for key name '{}'",
        String::from_utf8_lossy(argv[3]),
        String::from_utf8_lossy(argv[2])
    ))
}

/// The group of a subcommand's key and group.
fn group_mut<'d>(db: &'d mut Db, argv: Argv) -> Result<&'d mut Group, Fault> {
    let stream = db.write::<Stream>(argv[2])?.ok_or(NO_STREAM)?;
    stream.groups.get_mut(argv[3]).ok_or_else(|| no_group(argv))
}

/// `$` is the last entry's.
fn position(stream: &Stream, text: &[u8]) -> Result<Id, Fault> {
    if text == b"$" { Ok(stream.last) } else { Id::parse(text, 0) }
}

struct Options {
    create: bool,
    read: Option<u64>,
}

fn options(argv: Argv, creates: bool) -> Result<Options, Fault> {
    let mut options = Options { create: false, read: None };
    let mut rest = &argv[5..];
    while let [word, tail @ ..] = rest {
        if creates && is(word, "MKSTREAM") {
            options.create = true;
            rest = tail;
        } else if let ([number, tail @ ..], true) = (tail, is(word, "ENTRIESREAD")) {
            let number = int(number)?;
            if number < -1 {
                return Err(Fault::new("ERR value for ENTRIESREAD must be positive or -1"));
            }
            options.read = u64::try_from(number).ok();
            rest = tail;
        } else {
            return Err(Fault::owned(format!(
                "ERR unknown subcommand or wrong number of arguments for '{}'. Try XGROUP HELP.",
                String::from_utf8_lossy(argv[1])
            )));
        }
    }
    Ok(options)
}

pub(super) fn create(db: &mut Db, argv: Argv) -> Outcome {
    let options = options(argv, true)?;
    let empty = Stream::default();
    let id = match db.read::<Stream>(argv[2])? {
        None if !options.create => return Err(NO_STREAM),
        stream => position(stream.unwrap_or(&empty), argv[4])?,
    };
    let stream = db.write_or_create::<Stream>(argv[2])?;
    if stream.groups.contains_key(argv[3]) {
        return Err(Fault::new("BUSYGROUP Consumer Group name already exists"));
    }
    let group = Group { last: id, read: options.read, ..Group::default() };
    stream.groups.insert(Bytes::copy_from_slice(argv[3]), group);
    Ok(Value::Okay)
}

pub(super) fn setid(db: &mut Db, argv: Argv) -> Outcome {
    let options = options(argv, false)?;
    group_mut(db, argv)?;
    let id = position(db.read::<Stream>(argv[2])?.ok_or(NO_STREAM)?, argv[4])?;
    let group = group_mut(db, argv)?;
    group.last = id;
    group.read = options.read;
    Ok(Value::Okay)
}

pub(super) fn destroy(db: &mut Db, argv: Argv) -> Outcome {
    let stream = db.write::<Stream>(argv[2])?.ok_or(NO_STREAM)?;
    Ok(Value::Int(stream.groups.remove(argv[3]).is_some().into()))
}

pub(super) fn createconsumer(db: &mut Db, argv: Argv) -> Outcome {
    let now = db.now;
    let group = group_mut(db, argv)?;
    let new = !group.consumers.contains_key(argv[4]);
    group.consumer(argv[4], now);
    Ok(Value::Int(new.into()))
}

pub(super) fn delconsumer(db: &mut Db, argv: Argv) -> Outcome {
    let group = group_mut(db, argv)?;
    let Some(consumer) = group.consumers.remove(argv[4]) else { return Ok(Value::Int(0)) };
    for id in &consumer.pending {
        group.pending.remove(id);
    }
    Ok(len(consumer.pending.len()))
}

pub(super) fn xack(db: &mut Db, argv: Argv) -> Outcome {
    let known =
        db.read::<Stream>(argv[1])?.is_some_and(|stream| stream.groups.contains_key(argv[2]));
    if !known {
        return Ok(Value::Int(0));
    }
    let ids = ids(&argv[3..])?;
    let group = db.write::<Stream>(argv[1])?.and_then(|stream| stream.groups.get_mut(argv[2]));
    let Some(group) = group else { return Ok(Value::Int(0)) };
    Ok(len(ids.into_iter().filter(|id| group.forget(*id)).count()))
}

/// Says that there is no such key or group.
pub(super) fn unknown_group(key: &[u8], group: &[u8], end: &str) -> Fault {
    Fault::owned(format!(
        "NOGROUP No such key '{}' or consumer group '{}'{end}",
        String::from_utf8_lossy(key),
        String::from_utf8_lossy(group)
    ))
}

pub(super) fn xpending(db: &mut Db, argv: Argv) -> Outcome {
    if argv.len() != 3 && !(6..=9).contains(&argv.len()) {
        return Err(SYNTAX);
    }
    let (mut args, mut idle) = (&argv[3..], 0);
    if let [word, given, rest @ ..] = args
        && is(word, "IDLE")
    {
        idle = int(given)?;
        args = rest;
    }
    let query = match args {
        [] => None,
        [first, last, count, rest @ ..] => {
            let count = usize::try_from(int(count)?).unwrap_or(0);
            Some((interval_start(first)?, interval_end(last)?, count, rest.first()))
        }
        _ => return Err(SYNTAX),
    };
    let now = db.now;
    let stream = db.read::<Stream>(argv[1])?;
    let group = stream
        .and_then(|stream| stream.groups.get(argv[2]))
        .ok_or_else(|| unknown_group(argv[1], argv[2], ""))?;
    let Some((first, last, count, consumer)) = query else { return Ok(summary(group)) };
    if first > last {
        return Ok(Value::Array(Vec::new()));
    }
    let found = group.pending.range(first..=last).filter(|(_, pending)| {
        consumer.is_none_or(|name| pending.consumer == **name) && now - pending.delivered >= idle
    });
    let shown = found.take(count).map(|(id, pending)| {
        Value::Array(vec![
            id.value(),
            Value::Bytes(pending.consumer.clone()),
            Value::Int((now - pending.delivered).max(0)),
            Value::Int(pending.count),
        ])
    });
    Ok(Value::Array(shown.collect()))
}

fn summary(group: &Group) -> Value {
    let (Some((first, _)), Some((last, _))) =
        (group.pending.first_key_value(), group.pending.last_key_value())
    else {
        return Value::Array(vec![Value::Int(0), Value::Nil, Value::Nil, Value::Nil]);
    };
    let consumers = group.consumers.iter().filter(|(_, consumer)| !consumer.pending.is_empty());
    let consumers = consumers.map(|(name, consumer)| {
        let count = Value::bytes(consumer.pending.len().to_string());
        Value::Array(vec![Value::Bytes(name.clone()), count])
    });
    Value::Array(vec![
        len(group.pending.len()),
        first.value(),
        last.value(),
        Value::Array(consumers.collect()),
    ])
}
