//! Reading.

use super::Stream;
use super::group::unknown_group;
use super::id::{Id, interval_end, interval_start};
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, int, is, len};
use crate::engine::db::Db;
use redis_rest::Value;

pub(super) fn xlen(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(db.read::<Stream>(argv[1])?.map_or(0, Stream::len)))
}

fn range(db: &Db, argv: Argv, reverse: bool) -> Outcome {
    let (first, last) = if reverse { (argv[3], argv[2]) } else { (argv[2], argv[3]) };
    let (first, last) = (interval_start(first)?, interval_end(last)?);
    let mut limit = usize::MAX;
    for pair in argv[4..].chunks(2) {
        match pair {
            [word, count] if is(word, "COUNT") => {
                limit = usize::try_from(int(count)?).unwrap_or(0);
            }
            _ => return Err(SYNTAX),
        }
    }
    let Some(stream) = db.read::<Stream>(argv[1])? else { return Ok(Value::Array(Vec::new())) };
    if limit == 0 {
        return Ok(Value::Nil);
    }
    if first > last {
        return Ok(Value::Array(Vec::new()));
    }
    let found = stream.entries.range(first..=last).map(|(id, entry)| Stream::show(*id, entry));
    Ok(Value::Array(if reverse {
        found.rev().take(limit).collect()
    } else {
        found.take(limit).collect()
    }))
}

pub(super) fn xrange(db: &mut Db, argv: Argv) -> Outcome {
    range(db, argv, false)
}

pub(super) fn xrevrange(db: &mut Db, argv: Argv) -> Outcome {
    range(db, argv, true)
}

/// The arguments of `XREAD` and `XREADGROUP`.
struct Query<'a> {
    group: Option<(&'a [u8], &'a [u8])>,
    count: usize,
    no_ack: bool,
    keys: Argv<'a>,
    ids: Argv<'a>,
}

impl<'a> Query<'a> {
    fn parse(args: Argv<'a>, grouped: bool) -> Result<Self, Fault> {
        let mut query = Self { group: None, count: usize::MAX, no_ack: false, keys: &[], ids: &[] };
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            match tail {
                // Nothing blocks here: no entry is a reply at once.
                [millis, after @ ..] if is(word, "BLOCK") => {
                    let millis = int(millis)
                        .map_err(|_| Fault::new("ERR timeout is not an integer or out of range"))?;
                    if millis < 0 {
                        return Err(Fault::new("ERR timeout is negative"));
                    }
                    rest = after;
                }
                [count, after @ ..] if is(word, "COUNT") => {
                    let count = usize::try_from(int(count)?).unwrap_or(0);
                    query.count = if count == 0 { usize::MAX } else { count };
                    rest = after;
                }
                [_, ..] if is(word, "STREAMS") => {
                    if !tail.len().is_multiple_of(2) {
                        return Err(Self::unbalanced(grouped));
                    }
                    (query.keys, query.ids) = tail.split_at(tail.len() / 2);
                    break;
                }
                [group, consumer, after @ ..] if is(word, "GROUP") => {
                    if !grouped {
                        return Err(Fault::new(
                            "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                        ));
                    }
                    query.group = Some((group, consumer));
                    rest = after;
                }
                _ if is(word, "NOACK") => {
                    if !grouped {
                        return Err(Fault::new(
                            "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                        ));
                    }
                    query.no_ack = true;
                    rest = tail;
                }
                _ => return Err(SYNTAX),
            }
        }
        if query.keys.is_empty() {
            return Err(SYNTAX);
        }
        if grouped && query.group.is_none() {
            return Err(Fault::new("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(query)
    }

    fn unbalanced(grouped: bool) -> Fault {
        Fault::new(if grouped {
            "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
        } else {
            "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified."
        })
    }
}

fn meaningless(id: &str) -> Fault {
    Fault::owned(format!(
        "ERR The {id} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The {id} ID would just return an empty result set."
    ))
}

fn found(key: &[u8], entries: Vec<Value>) -> Value {
    Value::Array(vec![Value::bytes(key.to_vec()), Value::Array(entries)])
}

fn streams(all: Vec<Value>) -> Outcome {
    Ok(if all.is_empty() { Value::Nil } else { Value::Array(all) })
}

pub(super) fn xread(db: &mut Db, argv: Argv) -> Outcome {
    let query = Query::parse(&argv[1..], false)?;
    let mut starts = Vec::with_capacity(query.ids.len());
    for (key, id) in query.keys.iter().zip(query.ids) {
        let stream = db.read::<Stream>(key)?;
        starts.push(match *id {
            b"$" => stream.map(|stream| stream.last).unwrap_or_default(),
            b"+" => {
                let last = stream.and_then(|stream| stream.entries.last_key_value());
                last.and_then(|(id, _)| id.previous()).unwrap_or_default()
            }
            b">" => {
                return Err(Fault::new(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                ));
            }
            text => Id::parse(text, 0)?,
        });
    }
    let mut all = Vec::new();
    for ((key, start), id) in query.keys.iter().zip(starts).zip(query.ids) {
        let Some(stream) = db.read::<Stream>(key)? else { continue };
        let Some(start) = start.next() else { continue };
        let limit = if *id == b"+" { 1 } else { query.count };
        let entries = stream.entries.range(start..).take(limit);
        let entries: Vec<_> = entries.map(|(id, entry)| Stream::show(*id, entry)).collect();
        if !entries.is_empty() {
            all.push(found(key, entries));
        }
    }
    streams(all)
}

/// Entries that no consumer of the group has got yet.
fn deliver(stream: &mut Stream, query: &Query, now: i64) -> Vec<Value> {
    let Some((group_name, consumer)) = query.group else { return Vec::new() };
    let Some(mut group) = stream.groups.remove(group_name) else { return Vec::new() };
    let mut replies = Vec::new();
    let start = group.last.next();
    let entries = start.into_iter().flat_map(|start| stream.entries.range(start..));
    for (id, entry) in entries.take(query.count) {
        let counted = group
            .read
            .filter(|_| group.last >= stream.first() && !stream.has_gap_after(group.last));
        group.read = match counted {
            Some(read) => Some(read + 1),
            None if stream.added > 0 => stream.distance(*id),
            None => group.read,
        };
        group.last = *id;
        if !query.no_ack {
            group.assign(*id, consumer, now, 1);
        }
        replies.push(Stream::show(*id, entry));
    }
    let known = group.consumer(consumer, now);
    known.seen = now;
    if !replies.is_empty() {
        known.active = Some(now);
    }
    stream.groups.insert(bytes::Bytes::copy_from_slice(group_name), group);
    replies
}

/// Entries that this consumer has got and not acknowledged.
fn history(stream: &mut Stream, query: &Query, after: Id, now: i64) -> Vec<Value> {
    let Some((group_name, consumer)) = query.group else { return Vec::new() };
    let Some(group) = stream.groups.get_mut(group_name) else { return Vec::new() };
    let known = group.consumer(consumer, now);
    known.seen = now;
    let start = after.next();
    let ids: Vec<Id> = start
        .into_iter()
        .flat_map(|start| known.pending.range(start..))
        .take(query.count)
        .copied()
        .collect();
    if !ids.is_empty() {
        known.active = Some(now);
    }
    let mut replies = Vec::with_capacity(ids.len());
    for id in ids {
        match stream.entries.get(&id) {
            None => replies.push(Value::Array(vec![id.value(), Value::Nil])),
            Some(entry) => {
                if let Some(pending) = group.pending.get_mut(&id) {
                    pending.delivered = now;
                    pending.count = pending.count.saturating_add(1);
                }
                replies.push(Stream::show(id, entry));
            }
        }
    }
    replies
}

pub(super) fn xreadgroup(db: &mut Db, argv: Argv) -> Outcome {
    let query = Query::parse(&argv[1..], true)?;
    let now = db.now;
    let mut starts = Vec::with_capacity(query.ids.len());
    for (key, id) in query.keys.iter().zip(query.ids) {
        let group = query.group.map(|(group, _)| group).unwrap_or_default();
        if !db.read::<Stream>(key)?.is_some_and(|stream| stream.groups.contains_key(group)) {
            return Err(unknown_group(key, group, " in XREADGROUP with GROUP option"));
        }
        starts.push(match *id {
            b">" => None,
            b"$" => return Err(meaningless("$")),
            b"+" => return Err(meaningless("+")),
            text => Some(Id::parse(text, 0)?),
        });
    }
    let mut all = Vec::new();
    for (key, start) in query.keys.iter().zip(starts) {
        let Some(stream) = db.write::<Stream>(key)? else { continue };
        let entries = match start {
            None => deliver(stream, &query, now),
            Some(after) => history(stream, &query, after, now),
        };
        if start.is_some() || !entries.is_empty() {
            all.push(found(key, entries));
        }
    }
    streams(all)
}
