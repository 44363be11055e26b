//! Adding and trimming.

use super::delete::{Refs, drop_entry};
use super::id::{BAD_ID, Given, Id};
use super::{Entry, Stream};
use crate::engine::args::{Argv, Fault, NO_SUCH_KEY, Outcome, SYNTAX, int, is, len, wrong_arity};
use crate::engine::db::Db;
use redis_rest::Value;

#[derive(Clone, Copy)]
enum Threshold {
    MaxLen(usize),
    MinId(Id),
}

/// The options that `XADD` and `XTRIM` share. `~` trims as exactly as `=` does.
#[derive(Default)]
struct Options {
    threshold: Option<Threshold>,
    approximate: bool,
    limit: Option<i64>,
    refs: Refs,
    no_create: bool,
}

impl Options {
    /// Reads the options; returns how many words they are.
    fn parse(args: Argv, adds: bool) -> Result<(Self, usize), Fault> {
        let mut options = Self::default();
        let mut at = 0;
        while let Some(word) = args.get(at) {
            let more = args.len() - 1 - at;
            if adds && *word == b"*" {
                break;
            } else if (is(word, "MAXLEN") || is(word, "MINID")) && more > 0 {
                if options.threshold.is_some() {
                    return Err(Fault::new(
                        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
                    ));
                }
                let marked = more >= 2 && matches!(args[at + 1], b"~" | b"=");
                options.approximate = more >= 2 && args[at + 1] == b"~";
                at += 1 + usize::from(marked);
                options.threshold = Some(if is(word, "MAXLEN") {
                    let length = usize::try_from(int(args[at])?);
                    Threshold::MaxLen(
                        length.map_err(|_| Fault::new("ERR The MAXLEN argument must be >= 0."))?,
                    )
                } else {
                    Threshold::MinId(Id::parse(args[at], 0)?)
                });
            } else if is(word, "LIMIT") && more > 0 {
                at += 1;
                let limit = int(args[at])?;
                if limit < 0 {
                    return Err(Fault::new("ERR The LIMIT argument must be >= 0."));
                }
                options.limit = Some(limit);
            } else if adds && is(word, "NOMKSTREAM") {
                options.no_create = true;
            } else if let Some(refs) = Refs::parse(word) {
                options.refs = refs;
            } else if adds {
                break;
            } else {
                return Err(SYNTAX);
            }
            at += 1;
        }
        Ok((options, at))
    }

    fn check(&self, adds: bool) -> Result<(), Fault> {
        if self.limit.is_some_and(|limit| limit > 0) && self.threshold.is_none() {
            return Err(Fault::new(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if !adds && self.threshold.is_none() {
            return Err(Fault::new(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            ));
        }
        if self.limit.is_some() && !self.approximate {
            return Err(Fault::new(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        Ok(())
    }

    fn trim(&self, stream: &mut Stream) -> usize {
        let limit = match self.limit {
            Some(limit) if limit > 0 => usize::try_from(limit).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let doomed: Vec<Id> = match self.threshold {
            None => return 0,
            Some(Threshold::MaxLen(length)) => {
                let excess = stream.len().saturating_sub(length).min(limit);
                stream.entries.keys().take(excess).copied().collect()
            }
            Some(Threshold::MinId(id)) => {
                stream.entries.range(..id).map(|(id, _)| *id).take(limit).collect()
            }
        };
        let highest = stream.max_deleted;
        let removed = doomed.iter().filter(|id| drop_entry(stream, **id, self.refs)).count();
        // Redis remembers what `XDEL` deleted, and not what was trimmed.
        stream.max_deleted = highest;
        removed
    }
}

pub(super) fn xadd(db: &mut Db, argv: Argv) -> Outcome {
    let (options, count) = Options::parse(&argv[2..], true)?;
    let given = match argv.get(2 + count) {
        Some(&b"*") => None,
        Some(text) => Some(Id::given(text)?),
        None => None,
    };
    options.check(true)?;
    let fields = argv.get(3 + count..).unwrap_or_default();
    if fields.len() < 2 || !fields.len().is_multiple_of(2) {
        return Err(wrong_arity("xadd"));
    }
    if matches!(given, Some(Given::Whole(Id::LOWEST))) {
        return Err(Fault::new("ERR The ID specified in XADD must be greater than 0-0"));
    }
    if db.read::<Stream>(argv[1])?.is_none() && options.no_create {
        return Ok(Value::Nil);
    }
    let now = u64::try_from(db.now).unwrap_or(0);
    let last = db.read::<Stream>(argv[1])?.map(|stream| stream.last).unwrap_or_default();
    if last == Id::HIGHEST {
        return Err(Fault::new(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = match given {
        None if now > last.0 => Some(Id(now, 0)),
        None => last.next(),
        Some(Given::Whole(id)) => Some(id),
        Some(Given::Millis(millis)) if millis == last.0 => {
            last.1.checked_add(1).map(|sequence| Id(millis, sequence))
        }
        Some(Given::Millis(millis)) => Some(Id(millis, 0)),
    };
    let id = id.filter(|id| *id > last).ok_or(Fault::new(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))?;
    let stream = db.write_or_create::<Stream>(argv[1])?;
    stream.append(id, Entry::new(fields));
    options.trim(stream);
    Ok(id.value())
}

pub(super) fn xtrim(db: &mut Db, argv: Argv) -> Outcome {
    let (options, _) = Options::parse(&argv[2..], false)?;
    options.check(false)?;
    let Some(stream) = db.write::<Stream>(argv[1])? else { return Ok(Value::Int(0)) };
    Ok(len(options.trim(stream)))
}

pub(super) fn xsetid(db: &mut Db, argv: Argv) -> Outcome {
    let id = Id::parse(argv[2], 0)?;
    let (mut added, mut deleted) = (None, None);
    let mut rest = &argv[3..];
    while let [word, value, tail @ ..] = rest {
        if is(word, "ENTRIESADDED") {
            let number = int(value)?;
            added = Some(
                u64::try_from(number)
                    .map_err(|_| Fault::new("ERR entries_added must be positive"))?,
            );
        } else if is(word, "MAXDELETEDID") {
            let highest = Id::parse(value, 0)?;
            if id < highest {
                return Err(Fault::new(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            deleted = Some(highest);
        } else {
            return Err(SYNTAX);
        }
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(SYNTAX);
    }
    let stream = db.write::<Stream>(argv[1])?.ok_or(NO_SUCH_KEY)?;
    if id < stream.max_deleted {
        return Err(Fault::new(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if let Some((top, _)) = stream.entries.last_key_value() {
        if id < *top {
            return Err(Fault::new(
                "ERR The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if added.is_some_and(|added| added < stream.entries.len() as u64) {
            return Err(Fault::new(
                "ERR The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
    }
    stream.last = id;
    stream.added = added.unwrap_or(stream.added);
    if let Some(deleted) = deleted.filter(|deleted| *deleted != Id::LOWEST) {
        stream.max_deleted = deleted;
    }
    Ok(Value::Okay)
}

/// Reads ids, all before anything is done.
pub(super) fn ids(words: Argv) -> Result<Vec<Id>, Fault> {
    words.iter().map(|word| Id::parse(word, 0).map_err(|_| BAD_ID)).collect()
}
