//! `SCAN` and its relatives.

use super::args::{Argv, Fault, NOT_INT, Outcome, SYNTAX, is, score, strict_int};
use super::db::{Db, Hash, Set};
use super::number::unsigned;
use super::ordered::Ordered;
use super::sorted_sets::SortedSet;
use super::table::{READ, Spec, row};
use bytes::Bytes;
use redis_rest::Value;
use redis_rest::internal::glob_matches;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("scan", READ, scan),
    row("hscan", READ, hscan),
    row("sscan", READ, sscan),
    row("zscan", READ, zscan),
];

/// Collections up to this size come in one reply, as Redis does with compact encodings.
const IN_ONE_REPLY: usize = 128;

struct Options<'a> {
    cursor: u64,
    pattern: Option<&'a [u8]>,
    count: usize,
    kind: Option<&'a [u8]>,
    /// Fields come without their values.
    no_values: bool,
}

/// The options that not every command has.
#[derive(Clone, Copy, PartialEq)]
enum More {
    None,
    Type,
    NoValues,
}

impl Options<'_> {
    fn admits(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob_matches(pattern, name))
    }
}

fn options<'a>(cursor: u64, args: &[&'a [u8]], more: More) -> Result<Options<'a>, Fault> {
    let mut options = Options { cursor, pattern: None, count: 10, kind: None, no_values: false };
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        if more == More::NoValues && is(word, "NOVALUES") {
            options.no_values = true;
            continue;
        }
        let value: &[u8] = rest.next().ok_or(SYNTAX)?;
        if is(word, "COUNT") {
            let count = strict_int(value).ok_or(NOT_INT)?;
            options.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(SYNTAX)?;
        } else if is(word, "MATCH") {
            options.pattern = Some(value);
        } else if more == More::Type && is(word, "TYPE") {
            options.kind = Some(value);
        } else {
            return Err(SYNTAX);
        }
    }
    Ok(options)
}

fn cursor_of(text: &[u8]) -> Result<u64, Fault> {
    unsigned(text).ok_or(Fault::new("ERR invalid cursor"))
}

fn reply(cursor: u64, items: Vec<Value>) -> Outcome {
    Ok(Value::Array(vec![Value::bytes(cursor.to_string()), Value::Array(items)]))
}

pub(super) fn scan(db: &mut Db, argv: Argv) -> Outcome {
    let options = options(cursor_of(argv[1])?, &argv[2..], More::Type)?;
    let (cursor, names) = db.scan(options.cursor, options.count);
    let of_kind = |name: &Bytes| {
        options.kind.is_none_or(|kind| db.data(name).is_some_and(|data| is(kind, data.type_name())))
    };
    let found = names.into_iter().filter(|name| options.admits(name) && of_kind(name));
    reply(cursor, found.map(|name| Value::Bytes(name.clone())).collect())
}

fn page<'m, V>(map: &'m Ordered<V>, options: &Options) -> (u64, Vec<&'m Bytes>) {
    let count = if map.len() <= IN_ONE_REPLY { IN_ONE_REPLY } else { options.count };
    let (cursor, names) = map.scan(options.cursor, count);
    (cursor, names.into_iter().filter(|name| options.admits(name)).collect())
}

pub(super) fn hscan(db: &mut Db, argv: Argv) -> Outcome {
    let cursor = cursor_of(argv[2])?;
    let Some(hash) = db.read::<Hash>(argv[1])? else { return reply(0, Vec::new()) };
    let options = options(cursor, &argv[3..], More::NoValues)?;
    let (cursor, fields) = page(hash.fields(), &options);
    if options.no_values {
        return reply(cursor, fields.into_iter().cloned().map(Value::Bytes).collect());
    }
    let pairs =
        fields.into_iter().filter_map(|field| Some([field.clone(), hash.get(field)?.clone()]));
    reply(cursor, pairs.flatten().map(Value::Bytes).collect())
}

pub(super) fn sscan(db: &mut Db, argv: Argv) -> Outcome {
    let cursor = cursor_of(argv[2])?;
    let Some(set) = db.read::<Set>(argv[1])? else { return reply(0, Vec::new()) };
    let options = options(cursor, &argv[3..], More::None)?;
    let (cursor, members) = page(set, &options);
    reply(cursor, members.into_iter().cloned().map(Value::Bytes).collect())
}

/// All members in one reply: whatever is there throughout is then returned exactly once.
pub(super) fn zscan(db: &mut Db, argv: Argv) -> Outcome {
    let cursor = cursor_of(argv[2])?;
    let Some(set) = db.read::<SortedSet>(argv[1])? else { return reply(0, Vec::new()) };
    let options = options(cursor, &argv[3..], More::None)?;
    let found = set.iter().filter(|(_, member)| options.admits(member));
    reply(
        0,
        found.flat_map(|(number, member)| [Value::Bytes(member.clone()), score(number)]).collect(),
    )
}
