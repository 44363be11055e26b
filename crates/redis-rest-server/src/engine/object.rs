//! `OBJECT` and `MEMORY`: how values would be kept by Redis.

use super::args::{Argv, Outcome, SYNTAX, int, is, len, strict_int};
use super::db::{Data, Db};
use super::table::{READ, Spec, container, row};
use bytes::Bytes;
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    container("object"),
    row("object|encoding", READ, encoding),
    row("object|refcount", READ, refcount),
    row("object|idletime", READ, idletime),
    container("memory"),
    row("memory|usage", READ, usage),
];

/// Compact encodings hold at most this many elements of this many bytes.
const COMPACT: usize = 128;
const COMPACT_BYTES: usize = 64;
/// The most integers of a compact set of them.
const INTEGERS: usize = 512;
/// The most bytes of a compact list.
const COMPACT_LIST: usize = 8192;
/// The most bytes of a string beside its header.
const EMBEDDED: usize = 44;

fn small<'b>(count: usize, mut items: impl Iterator<Item = &'b Bytes>) -> bool {
    count <= COMPACT && items.all(|item| item.len() <= COMPACT_BYTES)
}

fn encoding_of(data: &Data) -> &'static str {
    match data {
        Data::String(bytes) if strict_int(bytes).is_some() => "int",
        Data::String(bytes) if bytes.len() <= EMBEDDED => "embstr",
        Data::String(_) => "raw",
        Data::Hash(hash) => {
            let all = hash.iter().flat_map(|(field, value)| [field, value]);
            match (small(hash.len(), all), hash.first_deadline()) {
                (true, None) => "listpack",
                (true, Some(_)) => "listpackex",
                (false, _) => "hashtable",
            }
        }
        Data::List(list) => {
            let bytes: usize = list.iter().map(|item| item.len() + 2).sum();
            if bytes <= COMPACT_LIST { "listpack" } else { "quicklist" }
        }
        Data::Set(set) => {
            if set.len() <= INTEGERS && set.keys().all(|member| strict_int(member).is_some()) {
                "intset"
            } else if small(set.len(), set.keys()) {
                "listpack"
            } else {
                "hashtable"
            }
        }
        Data::SortedSet(set) => {
            let compact = small(set.len(), set.iter().map(|(_, member)| member));
            if compact { "listpack" } else { "skiplist" }
        }
        Data::Stream(_) => "stream",
        Data::Json(_) => "raw",
    }
}

fn encoding(db: &mut Db, argv: Argv) -> Outcome {
    Ok(db.data(argv[2]).map_or(Value::Nil, |data| Value::bytes(encoding_of(data))))
}

fn refcount(db: &mut Db, argv: Argv) -> Outcome {
    Ok(if db.exists(argv[2]) { Value::Int(1) } else { Value::Nil })
}

/// Nothing is forgotten for idleness, so nobody counts it.
fn idletime(db: &mut Db, argv: Argv) -> Outcome {
    Ok(if db.exists(argv[2]) { Value::Int(0) } else { Value::Nil })
}

/// About the bytes of the key and its value, with what surrounds them.
fn usage(db: &mut Db, argv: Argv) -> Outcome {
    const OVERHEAD: usize = 48;
    match argv[3..] {
        [] => {}
        [word, samples] if is(word, "SAMPLES") => {
            if int(samples)? < 0 {
                return Err(SYNTAX);
            }
        }
        _ => return Err(SYNTAX),
    }
    let weight = db.data(argv[2]).map(|data| data.weight() + argv[2].len() + OVERHEAD);
    Ok(weight.map_or(Value::Nil, len))
}
