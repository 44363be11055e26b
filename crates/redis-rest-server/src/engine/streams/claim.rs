//! Taking over what other consumers have not acknowledged.

use super::Stream;
use super::group::{Group, unknown_group};
use super::id::{Id, interval_start};
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, int, is};
use crate::engine::db::Db;
use redis_rest::Value;

fn min_idle(text: &[u8], name: &str) -> Result<i64, Fault> {
    let idle = int(text)
        .map_err(|_| Fault::owned(format!("ERR Invalid min-idle-time argument for {name}")))?;
    Ok(idle.max(0))
}

/// The stream, without the group, which is put back by [`Claim::finish`].
fn group_of(db: &mut Db, argv: Argv) -> Result<Group, Fault> {
    db.write::<Stream>(argv[1])?
        .and_then(|stream| stream.groups.remove(argv[2]))
        .ok_or_else(|| unknown_group(argv[1], argv[2], ""))
}

fn put_back(db: &mut Db, argv: Argv, group: Group) {
    if let Ok(Some(stream)) = db.write::<Stream>(argv[1]) {
        stream.groups.insert(bytes::Bytes::copy_from_slice(argv[2]), group);
    }
}

fn exists(db: &Db, argv: Argv) -> Result<(), Fault> {
    let known =
        db.read::<Stream>(argv[1])?.is_some_and(|stream| stream.groups.contains_key(argv[2]));
    if known { Ok(()) } else { Err(unknown_group(argv[1], argv[2], "")) }
}

/// The options of `XCLAIM` after the ids.
#[derive(Default)]
struct Options {
    delivered: Option<i64>,
    count: Option<i64>,
    last: Option<Id>,
    force: bool,
    just_id: bool,
}

impl Options {
    fn parse(args: Argv, now: i64) -> Result<Self, Fault> {
        let mut options = Self::default();
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            rest = tail;
            if is(word, "FORCE") {
                options.force = true;
            } else if is(word, "JUSTID") {
                options.just_id = true;
            } else if let [value, tail @ ..] = tail {
                rest = tail;
                match () {
                    () if is(word, "IDLE") => {
                        let idle = int(value).map_err(|_| {
                            Fault::new("ERR Invalid IDLE option argument for XCLAIM")
                        })?;
                        options.delivered = Some(now.saturating_sub(idle));
                    }
                    () if is(word, "TIME") => {
                        options.delivered = Some(int(value).map_err(|_| {
                            Fault::new("ERR Invalid TIME option argument for XCLAIM")
                        })?);
                    }
                    () if is(word, "RETRYCOUNT") => {
                        let count = int(value).map_err(|_| {
                            Fault::new("ERR Invalid RETRYCOUNT option argument for XCLAIM")
                        })?;
                        if count < 0 {
                            return Err(Fault::new(
                                "ERR Invalid RETRYCOUNT option argument for XCLAIM",
                            ));
                        }
                        options.count = Some(count);
                    }
                    () if is(word, "LASTID") => options.last = Some(Id::parse(value, 0)?),
                    () => return Err(Self::unknown(word)),
                }
            } else {
                return Err(Self::unknown(word));
            }
        }
        options.delivered = options.delivered.map(|time| time.clamp(0, now));
        Ok(options)
    }

    fn unknown(word: &[u8]) -> Fault {
        Fault::owned(format!("ERR Unrecognized XCLAIM option '{}'", String::from_utf8_lossy(word)))
    }
}

pub(super) fn xclaim(db: &mut Db, argv: Argv) -> Outcome {
    exists(db, argv)?;
    let idle = min_idle(argv[4], "XCLAIM")?;
    let words = &argv[5..];
    let count = words.iter().take_while(|word| Id::parse(word, 0).is_ok()).count();
    let (ids, rest) = words.split_at(count);
    let now = db.now;
    let options = Options::parse(rest, now)?;
    let ids = super::write::ids(ids)?;
    let mut group = group_of(db, argv)?;
    if let Some(last) = options.last {
        group.last = group.last.max(last);
    }
    let stream = db.read::<Stream>(argv[1])?;
    let mut replies = Vec::new();
    for id in ids {
        let entry = stream.and_then(|stream| stream.entries.get(&id));
        let Some(entry) = entry else {
            // A deleted entry is pending no longer.
            group.forget(id);
            continue;
        };
        let old = group.pending.get(&id);
        if old.is_none() && !options.force {
            continue;
        }
        if old.is_some_and(|old| idle > 0 && now - old.delivered < idle) {
            continue;
        }
        let before = old.map_or(0, |old| old.count);
        let count = options.count.unwrap_or(if options.just_id { before } else { before + 1 });
        group.assign(id, argv[3], options.delivered.unwrap_or(now), count);
        let consumer = group.consumer(argv[3], now);
        (consumer.seen, consumer.active) = (now, Some(now));
        replies.push(if options.just_id { id.value() } else { Stream::show(id, entry) });
    }
    group.consumer(argv[3], now).seen = now;
    put_back(db, argv, group);
    Ok(Value::Array(replies))
}

pub(super) fn xautoclaim(db: &mut Db, argv: Argv) -> Outcome {
    let idle = min_idle(argv[4], "XAUTOCLAIM")?;
    let start = interval_start(argv[5])?;
    let (mut limit, mut just_id) = (100_usize, false);
    let mut rest = &argv[6..];
    while let [word, tail @ ..] = rest {
        match tail {
            [count, after @ ..] if is(word, "COUNT") => {
                limit = int(count)
                    .ok()
                    .and_then(|count| usize::try_from(count).ok())
                    .filter(|count| (1..=usize::MAX / 160).contains(count))
                    .ok_or(Fault::new("ERR COUNT must be > 0"))?;
                rest = after;
            }
            _ if is(word, "JUSTID") => {
                just_id = true;
                rest = tail;
            }
            _ => return Err(SYNTAX),
        }
    }
    exists(db, argv)?;
    let now = db.now;
    let mut group = group_of(db, argv)?;
    group.consumer(argv[3], now).seen = now;
    let stream = db.read::<Stream>(argv[1])?;
    // Redis looks at ten times as many as it claims at most.
    let candidates: Vec<Id> = group
        .pending
        .range(start..)
        .map(|(id, _)| *id)
        .take(limit.saturating_mul(10) + 1)
        .collect();
    let (mut claimed, mut deleted) = (Vec::new(), Vec::new());
    let mut next = Id::LOWEST;
    for (looked, id) in candidates.into_iter().enumerate() {
        if claimed.len() + deleted.len() >= limit || looked >= limit.saturating_mul(10) {
            next = id;
            break;
        }
        let Some(pending) = group.pending.get(&id) else { continue };
        let Some(entry) = stream.and_then(|stream| stream.entries.get(&id)) else {
            group.forget(id);
            deleted.push(id.value());
            continue;
        };
        if idle > 0 && now - pending.delivered < idle {
            continue;
        }
        let count = pending.count + i64::from(!just_id);
        group.assign(id, argv[3], now, count);
        group.consumer(argv[3], now).active = Some(now);
        claimed.push(if just_id { id.value() } else { Stream::show(id, entry) });
    }
    put_back(db, argv, group);
    Ok(Value::Array(vec![next.value(), Value::Array(claimed), Value::Array(deleted)]))
}
