//! Arrays inside documents.

use super::value::Json;
use super::{change_each, each, length_of, path_at};
use crate::engine::args::{Argv, Fault, OUT_OF_RANGE, Outcome, clamp_range, int, offset};
use crate::engine::db::Db;
use redis_rest::Value;

fn values(words: Argv) -> Result<Vec<Json>, Fault> {
    words.iter().map(|word| Json::parse(word)).collect()
}

pub(super) fn append(db: &mut Db, argv: Argv) -> Outcome {
    let (path, more) = (path_at(argv, 2)?, values(&argv[3..])?);
    change_each(db, argv, &path, "array", |value| {
        let Json::Array(items) = value else { return Ok(Value::Nil) };
        items.extend(more.iter().cloned());
        Ok(length_of(items.len()))
    })
}

pub(super) fn insert(db: &mut Db, argv: Argv) -> Outcome {
    let (path, index, more) = (path_at(argv, 2)?, int(argv[3])?, values(&argv[4..])?);
    change_each(db, argv, &path, "array", |value| {
        let Json::Array(items) = value else { return Ok(Value::Nil) };
        let at = usize::try_from(offset(index, items.len())).ok();
        let at = at.filter(|at| *at <= items.len()).ok_or(OUT_OF_RANGE)?;
        items.splice(at..at, more.iter().cloned());
        Ok(length_of(items.len()))
    })
}

pub(super) fn index(db: &mut Db, argv: Argv) -> Outcome {
    let (path, wanted) = (path_at(argv, 2)?, Json::parse(argv[3])?);
    let start = argv.get(4).map_or(Ok(0), |start| int(start))?;
    // 0 means the end, as -1 does not: the last element is left out.
    let stop = argv.get(5).map_or(Ok(0), |stop| int(stop))?;
    each(db, argv, &path, "array", |value| {
        let Json::Array(items) = value else { return Value::Nil };
        let length = items.len();
        let first = usize::try_from(offset(start, length)).unwrap_or(0);
        let last = match stop {
            0 => length,
            stop => usize::try_from(offset(stop, length)).unwrap_or(0).min(length),
        };
        let found = items
            .get(first..last)
            .and_then(|items| items.iter().position(|item| item.equals(&wanted)));
        found.map_or(Value::Int(-1), |index| length_of(first + index))
    })
}

pub(super) fn length(db: &mut Db, argv: Argv) -> Outcome {
    each(db, argv, &path_at(argv, 2)?, "array", |value| match value {
        Json::Array(items) => length_of(items.len()),
        _ => Value::Nil,
    })
}

pub(super) fn pop(db: &mut Db, argv: Argv) -> Outcome {
    let path = path_at(argv, 2)?;
    let index = argv.get(3).map_or(Ok(-1), |index| int(index))?;
    // An empty array has nothing to pop, which is no error.
    change_each(db, argv, &path, "", |value| {
        let Json::Array(items) = value else { return Ok(Value::Nil) };
        if items.is_empty() {
            return Ok(Value::Nil);
        }
        let last = items.len() - 1;
        let at = usize::try_from(offset(index, items.len()).max(0)).unwrap_or(last).min(last);
        Ok(Value::bytes(items.remove(at).text()))
    })
}

pub(super) fn trim(db: &mut Db, argv: Argv) -> Outcome {
    let (path, start, stop) = (path_at(argv, 2)?, int(argv[3])?, int(argv[4])?);
    change_each(db, argv, &path, "array", |value| {
        let Json::Array(items) = value else { return Ok(Value::Nil) };
        let range = clamp_range(start, stop, items.len());
        items.truncate(range.end);
        items.drain(..range.start.min(items.len()));
        Ok(length_of(items.len()))
    })
}
