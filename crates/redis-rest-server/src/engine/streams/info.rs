//! `XINFO`.

use super::group::Group;
use super::{Id, Stream};
use crate::engine::args::{Argv, Fault, NO_SUCH_KEY, Outcome, int, is, len};
use crate::engine::db::Db;
use redis_rest::Value;

/// Redis keeps this many entries in a node.
const NODE: usize = 100;

fn named(pairs: Vec<(&'static str, Value)>) -> Value {
    Value::Array(pairs.into_iter().flat_map(|(name, value)| [Value::bytes(name), value]).collect())
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn summary(stream: &Stream) -> Vec<(&'static str, Value)> {
    let nodes = stream.len().div_ceil(NODE);
    vec![
        ("length", len(stream.len())),
        ("radix-tree-keys", len(nodes)),
        ("radix-tree-nodes", len(nodes + 1)),
        ("last-generated-id", stream.last.value()),
        ("max-deleted-entry-id", stream.max_deleted.value()),
        ("entries-added", number(stream.added)),
        ("recorded-first-entry-id", stream.first().value()),
    ]
}

/// Up to this many, all of them if it is 0.
fn limit(count: usize) -> usize {
    if count == 0 { usize::MAX } else { count }
}

pub(super) fn stream(db: &mut Db, argv: Argv) -> Outcome {
    let stream = db.read::<Stream>(argv[2])?.ok_or(NO_SUCH_KEY)?;
    let count = match argv[3..] {
        [] => {
            let show = |entry: Option<(&Id, &super::Entry)>| {
                entry.map_or(Value::Nil, |(id, entry)| Stream::show(*id, entry))
            };
            let mut pairs = summary(stream);
            pairs.extend([
                ("groups", len(stream.groups.len())),
                ("first-entry", show(stream.entries.first_key_value())),
                ("last-entry", show(stream.entries.last_key_value())),
            ]);
            return Ok(named(pairs));
        }
        [word] if is(word, "FULL") => 10,
        [word, option, count] if is(word, "FULL") && is(option, "COUNT") => {
            usize::try_from(int(count)?).unwrap_or(10)
        }
        _ => {
            return Err(Fault::owned(format!(
                "ERR unknown subcommand or wrong number of arguments for '{}'. Try XINFO HELP.",
                String::from_utf8_lossy(argv[1])
            )));
        }
    };
    let entries = stream.entries.iter().take(limit(count));
    let entries = entries.map(|(id, entry)| Stream::show(*id, entry)).collect();
    let groups = stream.groups.iter().map(|(name, group)| {
        let pending = group.pending.iter().take(limit(count)).map(|(id, pending)| {
            Value::Array(vec![
                id.value(),
                Value::Bytes(pending.consumer.clone()),
                Value::Int(pending.delivered),
                Value::Int(pending.count),
            ])
        });
        let consumers = group.consumers.iter().map(|(name, consumer)| {
            let own = consumer.pending.iter().take(limit(count)).filter_map(|id| {
                let pending = group.pending.get(id)?;
                Some(Value::Array(vec![
                    id.value(),
                    Value::Int(pending.delivered),
                    Value::Int(pending.count),
                ]))
            });
            named(vec![
                ("name", Value::Bytes(name.clone())),
                ("seen-time", Value::Int(consumer.seen)),
                ("active-time", Value::Int(consumer.active.unwrap_or(-1))),
                ("pel-count", len(consumer.pending.len())),
                ("pel", Value::Array(own.collect())),
            ])
        });
        named(vec![
            ("name", Value::Bytes(name.clone())),
            ("last-delivered-id", group.last.value()),
            ("entries-read", group.read.map_or(Value::Nil, number)),
            ("lag", lag(stream, group)),
            ("pel-count", len(group.pending.len())),
            ("pel", Value::Array(pending.collect())),
            ("consumers", Value::Array(consumers.collect())),
        ])
    });
    let groups = Value::Array(groups.collect());
    let mut pairs = summary(stream);
    pairs.extend([("entries", Value::Array(entries)), ("groups", groups)]);
    Ok(named(pairs))
}

/// The number of entries that the group has yet to read, or nil if it is unknown.
fn lag(stream: &Stream, group: &Group) -> Value {
    let read = match group.read {
        _ if stream.added == 0 => Some(0),
        Some(read) if group.last >= stream.first() && !stream.has_gap_after(group.last) => {
            Some(read)
        }
        _ => stream.distance(group.last),
    };
    read.map_or(Value::Nil, |read| number(stream.added.saturating_sub(read)))
}

pub(super) fn groups(db: &mut Db, argv: Argv) -> Outcome {
    let stream = db.read::<Stream>(argv[2])?.ok_or(NO_SUCH_KEY)?;
    let groups = stream.groups.iter().map(|(name, group)| {
        named(vec![
            ("name", Value::Bytes(name.clone())),
            ("consumers", len(group.consumers.len())),
            ("pending", len(group.pending.len())),
            ("last-delivered-id", group.last.value()),
            ("entries-read", group.read.map_or(Value::Nil, number)),
            ("lag", lag(stream, group)),
        ])
    });
    Ok(Value::Array(groups.collect()))
}

pub(super) fn consumers(db: &mut Db, argv: Argv) -> Outcome {
    let stream = db.read::<Stream>(argv[2])?.ok_or(NO_SUCH_KEY)?;
    let Some(group) = stream.groups.get(argv[3]) else {
        return Err(Fault::owned(format!(
            "NOGROUP No such consumer group '{}' for key name '{}'",
            String::from_utf8_lossy(argv[3]),
            String::from_utf8_lossy(argv[2])
        )));
    };
    let consumers = group.consumers.iter().map(|(name, consumer)| {
        let inactive = consumer.active.map_or(-1, |active| (db.now - active).max(0));
        named(vec![
            ("name", Value::Bytes(name.clone())),
            ("pending", len(consumer.pending.len())),
            ("idle", Value::Int((db.now - consumer.seen).max(0))),
            ("inactive", Value::Int(inactive)),
        ])
    });
    Ok(Value::Array(consumers.collect()))
}
