//! JSON documents, as RedisJSON has them.

mod arrays;
mod change;
mod document;
mod filter;
mod path;
mod value;

pub(super) use value::Json;

use super::args::{Argv, Fault, Outcome, len};
use super::db::Db;
use super::table::{READ, Spec, WRITE, row};
use path::{Location, Path, get, get_mut};
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("json.set", WRITE, document::set),
    row("json.get", READ, document::get),
    row("json.mget", READ, document::mget),
    row("json.mset", WRITE, document::mset),
    row("json.merge", WRITE, document::merge),
    row("json.del", WRITE, document::del),
    row("json.forget", WRITE, document::del),
    row("json.clear", WRITE, document::clear),
    row("json.type", READ, change::type_of),
    row("json.resp", READ, change::resp),
    row("json.toggle", WRITE, change::toggle),
    row("json.numincrby", WRITE, change::numincrby),
    row("json.nummultby", WRITE, change::nummultby),
    row("json.strappend", WRITE, change::strappend),
    row("json.strlen", READ, change::strlen),
    row("json.objkeys", READ, change::objkeys),
    row("json.objlen", READ, change::objlen),
    row("json.arrappend", WRITE, arrays::append),
    row("json.arrinsert", WRITE, arrays::insert),
    row("json.arrindex", READ, arrays::index),
    row("json.arrlen", READ, arrays::length),
    row("json.arrpop", WRITE, arrays::pop),
    row("json.arrtrim", WRITE, arrays::trim),
];

const NO_DOCUMENT: Fault =
    Fault::new("ERR could not perform this operation on a key that doesn't exist");

fn no_path(path: &Path) -> Fault {
    Fault::owned(format!("ERR Path '{}' does not exist", path.text))
}

/// The path of an argument, or the root as an older path.
fn path_at<'a>(argv: Argv<'a>, index: usize) -> Result<Path<'a>, Fault> {
    Path::parse(argv.get(index).copied().unwrap_or(b"."))
}

/// A list of replies for `$…`; for older paths the one reply, which must not be missing.
fn by_path(path: &Path, replies: Vec<Value>, expected: &str) -> Outcome {
    if !path.legacy {
        return Ok(Value::Array(replies));
    }
    match replies.into_iter().next() {
        None => Err(no_path(path)),
        Some(Value::Nil) if !expected.is_empty() => Err(wrong_kind(path, expected)),
        Some(reply) => Ok(reply),
    }
}

fn wrong_kind(path: &Path, expected: &str) -> Fault {
    Fault::owned(format!(
        "WRONGTYPE wrong type of path value - expected {expected} at '{}'",
        path.text
    ))
}

/// Replies about every value that a path leads to; nil for a key that is not there.
fn each(
    db: &Db,
    argv: Argv,
    path: &Path,
    expected: &str,
    reply: impl Fn(&Json) -> Value,
) -> Outcome {
    let Some(root) = db.read::<Json>(argv[1])? else { return Ok(Value::Nil) };
    let found = path.locate(root);
    let replies = found.iter().map(|place| get(root, place).map_or(Value::Nil, &reply));
    by_path(path, replies.collect(), expected)
}

/// Changes every value that a path leads to; nil stands for values of another kind.
fn change_each(
    db: &mut Db,
    argv: Argv,
    path: &Path,
    expected: &str,
    mut change: impl FnMut(&mut Json) -> Result<Value, Fault>,
) -> Outcome {
    let root = db.write::<Json>(argv[1])?.ok_or(NO_DOCUMENT)?;
    let places: Vec<Location> = path.locate(root);
    let mut replies = Vec::with_capacity(places.len());
    for place in &places {
        replies.push(match get_mut(root, place) {
            Some(value) => change(value)?,
            None => Value::Nil,
        });
    }
    by_path(path, replies, expected)
}

fn length_of(length: usize) -> Value {
    len(length)
}
