//! Deleting entries, with what groups remember of them.

use super::Stream;
use super::id::Id;
use super::write::ids;
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, int, is, len};
use crate::engine::db::Db;
use redis_rest::Value;

/// The fate of groups' pending entries when their entry is deleted.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Refs {
    /// Pending entries stay.
    #[default]
    Keep,
    /// Pending entries are removed.
    Delete,
    /// The entry stays while it is pending, or while a group has yet to read it.
    Acked,
}

impl Refs {
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        match () {
            () if is(word, "KEEPREF") => Some(Self::Keep),
            () if is(word, "DELREF") => Some(Self::Delete),
            () if is(word, "ACKED") => Some(Self::Acked),
            () => None,
        }
    }
}

/// True if a group has yet to read an entry, or to acknowledge it.
fn referenced(stream: &Stream, id: Id) -> bool {
    let refers = |group: &super::Group| group.last < id || group.pending.contains_key(&id);
    stream.groups.values().any(refers)
}

/// Deletes an entry; false if there is none, or groups keep it.
pub(super) fn drop_entry(stream: &mut Stream, id: Id, refs: Refs) -> bool {
    match refs {
        Refs::Acked if referenced(stream, id) => return false,
        Refs::Delete => {
            for group in stream.groups.values_mut() {
                group.forget(id);
            }
        }
        _ => {}
    }
    stream.remove(id)
}

pub(super) fn xdel(db: &mut Db, argv: Argv) -> Outcome {
    if db.read::<Stream>(argv[1])?.is_none() {
        return Ok(Value::Int(0));
    }
    let ids = ids(&argv[2..])?;
    let Some(stream) = db.write::<Stream>(argv[1])? else { return Ok(Value::Int(0)) };
    Ok(len(ids.into_iter().filter(|id| stream.remove(*id)).count()))
}

/// The options and ids: `[KEEPREF | DELREF | ACKED] IDS numids id …`.
fn options(args: Argv) -> Result<(Refs, Argv), Fault> {
    let (mut refs, mut found, mut rest) = (Refs::Keep, None, args);
    while let [word, tail @ ..] = rest {
        if let (Some(given), None) = (Refs::parse(word), found) {
            refs = given;
            rest = tail;
        } else if found.is_none() && is(word, "IDS") {
            let [count, tail @ ..] = tail else { return Err(SYNTAX) };
            let count = int(count).ok().filter(|count| *count > 0);
            let count = count.ok_or(Fault::new("ERR Number of IDs must be a positive integer"))?;
            let ids = usize::try_from(count).ok().and_then(|count| tail.split_at_checked(count));
            let Some((ids, tail)) = ids else {
                return Err(Fault::new(
                    "ERR The `numids` parameter must match the number of arguments",
                ));
            };
            found = Some(ids);
            rest = tail;
        } else {
            return Err(SYNTAX);
        }
    }
    found.map(|ids| (refs, ids)).ok_or(SYNTAX)
}

pub(super) fn xdelex(db: &mut Db, argv: Argv) -> Outcome {
    let missing = db.read::<Stream>(argv[1])?.is_none();
    let (refs, words) = options(&argv[2..])?;
    let stream = db.write::<Stream>(argv[1])?;
    let Some(stream) = stream.filter(|_| !missing) else {
        return Ok(Value::Array(words.iter().map(|_| Value::Int(-1)).collect()));
    };
    let ids = ids(words)?;
    let delete = |id: Id| {
        let exists = stream.entries.contains_key(&id);
        Value::Int(if refs == Refs::Acked && referenced(stream, id) {
            2
        } else if exists && drop_entry(stream, id, refs) {
            1
        } else {
            -1
        })
    };
    Ok(Value::Array(ids.into_iter().map(delete).collect()))
}

pub(super) fn xackdel(db: &mut Db, argv: Argv) -> Outcome {
    let missing =
        !db.read::<Stream>(argv[1])?.is_some_and(|stream| stream.groups.contains_key(argv[2]));
    let (refs, words) = options(&argv[3..])?;
    let stream = db.write::<Stream>(argv[1])?;
    let Some(stream) = stream.filter(|_| !missing) else {
        return Ok(Value::Array(words.iter().map(|_| Value::Int(-1)).collect()));
    };
    let ids = ids(words)?;
    let mut replies = Vec::with_capacity(ids.len());
    for id in ids {
        let acknowledged = stream.groups.get_mut(argv[2]).is_some_and(|group| group.forget(id));
        replies.push(Value::Int(match acknowledged {
            false => -1,
            true if refs != Refs::Acked => {
                drop_entry(stream, id, refs);
                1
            }
            true if !stream.entries.contains_key(&id) || drop_entry(stream, id, refs) => 1,
            true => 2,
        }));
    }
    Ok(Value::Array(replies))
}
