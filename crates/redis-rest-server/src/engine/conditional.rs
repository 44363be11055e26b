//! `SET` and its relatives that write or delete under a condition.

use super::args::{Argv, Fault, Outcome, SYNTAX, int, is, wrong_arity};
use super::db::{Data, Db};
use super::expiry::{Keyword, Lifetime};
use super::strings::value_of;
use super::table::{READ, Spec, WRITE, row};
use bytes::Bytes;
use redis_rest::Value;
use xxhash_rust::xxh3::xxh3_64;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("set", WRITE, set),
    row("msetex", WRITE, msetex),
    row("delex", WRITE, delex),
    row("digest", READ, digest),
];

/// When a value is written or deleted.
#[derive(Clone, Copy)]
enum Condition<'a> {
    Absent,
    Present,
    /// The value is this one, or is not.
    Value(&'a [u8], bool),
    /// The digest is this one, or is not.
    Digest(&'a [u8], bool),
}

impl<'a> Condition<'a> {
    /// Reads `NX` or `XX`.
    fn of_presence(word: &[u8]) -> Option<Self> {
        match () {
            () if is(word, "NX") => Some(Self::Absent),
            () if is(word, "XX") => Some(Self::Present),
            () => None,
        }
    }

    /// Reads `IFEQ` and its relatives.
    fn of_value(word: &[u8], operand: &'a [u8]) -> Option<Self> {
        match () {
            () if is(word, "IFEQ") => Some(Self::Value(operand, true)),
            () if is(word, "IFNE") => Some(Self::Value(operand, false)),
            () if is(word, "IFDEQ") => Some(Self::Digest(operand, true)),
            () if is(word, "IFDNE") => Some(Self::Digest(operand, false)),
            () => None,
        }
    }

    /// The same one twice is no conflict.
    fn agrees(self, other: Self) -> bool {
        matches!((self, other), (Self::Absent, Self::Absent) | (Self::Present, Self::Present))
    }

    fn holds(self, db: &Db, key: &[u8]) -> Result<bool, Fault> {
        Ok(match self {
            Self::Absent => !db.exists(key),
            Self::Present => db.exists(key),
            Self::Value(wanted, equal) => match db.read::<Bytes>(key)? {
                Some(value) => (value == wanted) == equal,
                None => !equal,
            },
            Self::Digest(wanted, equal) => {
                if wanted.len() != 16 {
                    return Err(Fault::new(
                        "ERR The digest must be exactly 16 hexadecimal characters",
                    ));
                }
                match db.read::<Bytes>(key)? {
                    Some(value) => {
                        wanted.eq_ignore_ascii_case(digest_of(value).as_bytes()) == equal
                    }
                    None => !equal,
                }
            }
        })
    }
}

fn digest_of(value: &[u8]) -> String {
    format!("{:016x}", xxh3_64(value))
}

fn put(db: &mut Db, key: &[u8], value: &[u8], due: Option<i64>, keep: bool) {
    let value = Data::String(Bytes::copy_from_slice(value));
    if keep {
        db.replace(key, value);
    } else {
        db.set(key, value);
    }
    if let Some(due) = due {
        db.set_expiry(key, due);
    }
}

fn set(db: &mut Db, argv: Argv) -> Outcome {
    let (mut condition, mut get, mut lifetime) = (None, false, Lifetime::default());
    let mut rest = &argv[3..];
    while let [word, tail @ ..] = rest {
        let presence = Condition::of_presence(word);
        let by_value = tail.first().and_then(|operand| Condition::of_value(word, operand));
        if let Some(found) = presence.or(by_value) {
            if condition.is_some_and(|known: Condition| !known.agrees(found)) {
                return Err(SYNTAX);
            }
            condition = Some(found);
            rest = &tail[usize::from(presence.is_none())..];
        } else if is(word, "GET") {
            get = true;
            rest = tail;
        } else {
            rest = lifetime.option(rest, Keyword::KeepTtl).ok_or(SYNTAX)?;
        }
    }
    let due = lifetime.due(db, "set")?;
    let old = if get { value_of(db, argv[1])? } else { Value::Nil };
    if let Some(condition) = condition
        && !condition.holds(db, argv[1])?
    {
        return Ok(old);
    }
    put(db, argv[1], argv[2], due, lifetime.keyword);
    Ok(if get { old } else { Value::Okay })
}

fn msetex(db: &mut Db, argv: Argv) -> Outcome {
    let count = int(argv[1]).ok().filter(|count| *count > 0);
    let count = count.ok_or(Fault::new("ERR invalid numkeys value"))?;
    let words = usize::try_from(count).ok().and_then(|count| count.checked_mul(2));
    let Some((pairs, mut rest)) = words.and_then(|words| argv[2..].split_at_checked(words)) else {
        return Err(wrong_arity("msetex"));
    };
    let (mut condition, mut lifetime) = (None, Lifetime::default());
    while let [word, tail @ ..] = rest {
        if let Some(found) = Condition::of_presence(word) {
            if condition.is_some_and(|known: Condition| !known.agrees(found)) {
                return Err(SYNTAX);
            }
            condition = Some(found);
            rest = tail;
        } else {
            rest = lifetime.option(rest, Keyword::KeepTtl).ok_or(SYNTAX)?;
        }
    }
    let due = lifetime.due(db, "msetex")?;
    if let Some(condition) = condition {
        for pair in pairs.chunks_exact(2) {
            if !condition.holds(db, pair[0])? {
                return Ok(Value::Int(0));
            }
        }
    }
    for pair in pairs.chunks_exact(2) {
        put(db, pair[0], pair[1], due, lifetime.keyword);
    }
    Ok(Value::Int(1))
}

fn delex(db: &mut Db, argv: Argv) -> Outcome {
    let condition = match argv[2..] {
        [] => Condition::Present,
        [word, operand] => Condition::of_value(word, operand).ok_or(SYNTAX)?,
        _ => return Err(wrong_arity("delex")),
    };
    let delete = db.exists(argv[1]) && condition.holds(db, argv[1])?;
    if delete {
        db.remove(argv[1]);
    }
    Ok(Value::Int(delete.into()))
}

fn digest(db: &mut Db, argv: Argv) -> Outcome {
    Ok(db.read::<Bytes>(argv[1])?.map_or(Value::Nil, |value| Value::bytes(digest_of(value))))
}
