//! Numbers, strings, booleans and objects inside documents.

use super::path::{get, get_mut};
use super::value::Json;
use super::{NO_DOCUMENT, change_each, each, length_of, path_at, wrong_kind};
use crate::engine::args::{Argv, Fault, Outcome};
use crate::engine::db::Db;
use redis_rest::Value;

pub(super) fn type_of(db: &mut Db, argv: Argv) -> Outcome {
    let path = path_at(argv, 2)?;
    let Some(root) = db.read::<Json>(argv[1])? else { return Ok(Value::Nil) };
    let found = path.locate(root);
    let mut names = found
        .iter()
        .filter_map(|place| get(root, place))
        .map(|value| Value::bytes(value.type_name()));
    Ok(if path.legacy { names.next().unwrap_or(Value::Nil) } else { Value::Array(names.collect()) })
}

/// A document as a reply: containers start with their bracket.
fn as_reply(value: &Json) -> Value {
    match value {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::bytes(if *value { "true" } else { "false" }),
        Json::Number(text) => text.parse().map_or_else(|_| Value::bytes(text.clone()), Value::Int),
        Json::String(string) => Value::bytes(string.clone()),
        Json::Array(items) => {
            let items = items.iter().map(as_reply);
            Value::Array(std::iter::once(Value::bytes("[")).chain(items).collect())
        }
        Json::Object(members) => {
            let members = members
                .iter()
                .flat_map(|(name, value)| [Value::Bytes(name.clone()), as_reply(value)]);
            Value::Array(std::iter::once(Value::bytes("{")).chain(members).collect())
        }
    }
}

pub(super) fn resp(db: &mut Db, argv: Argv) -> Outcome {
    each(db, argv, &path_at(argv, 2)?, "", as_reply)
}

pub(super) fn toggle(db: &mut Db, argv: Argv) -> Outcome {
    let path = path_at(argv, 2)?;
    let legacy = path.legacy;
    change_each(db, argv, &path, "boolean", |value| {
        let Json::Bool(value) = value else { return Ok(Value::Nil) };
        *value = !*value;
        Ok(match legacy {
            true => Value::bytes(if *value { "true" } else { "false" }),
            false => Value::Int((*value).into()),
        })
    })
}

/// The number that an operation makes; integers stay integers while they fit.
fn computed(
    left: &Json,
    right: &Json,
    whole: fn(i64, i64) -> Option<i64>,
    float: fn(f64, f64) -> f64,
) -> Result<Json, Fault> {
    let integer = |json: &Json| match json {
        Json::Number(text) => text.parse::<i64>().ok(),
        _ => None,
    };
    if let (Some(left), Some(right)) = (integer(left), integer(right))
        && let Some(result) = whole(left, right)
    {
        return Ok(Json::Number(result.to_string()));
    }
    let result = left.as_f64().zip(right.as_f64()).map(|(left, right)| float(left, right));
    match result.filter(|result| result.is_finite()) {
        Some(result) => Ok(Json::Number(format!("{result:?}"))),
        None => Err(Fault::new("ERR result is not a number")),
    }
}

fn calculate(
    db: &mut Db,
    argv: Argv,
    whole: fn(i64, i64) -> Option<i64>,
    float: fn(f64, f64) -> f64,
) -> Outcome {
    let path = path_at(argv, 2)?;
    let operand = Json::parse(argv[3])?;
    if operand.as_f64().is_none() {
        return Err(Fault::new("ERR expected a number"));
    }
    let root = db.write::<Json>(argv[1])?.ok_or(NO_DOCUMENT)?;
    let mut results = Vec::new();
    for place in path.locate(root) {
        let Some(value) = get_mut(root, &place) else { continue };
        results.push(if let Json::Number(_) = value {
            *value = computed(value, &operand, whole, float)?;
            value.clone()
        } else {
            Json::Null
        });
    }
    if !path.legacy {
        return Ok(Value::bytes(Json::Array(results).text()));
    }
    match results.first() {
        None => Err(super::no_path(&path)),
        Some(Json::Null) => Err(wrong_kind(&path, "number")),
        Some(result) => Ok(Value::bytes(result.text())),
    }
}

pub(super) fn numincrby(db: &mut Db, argv: Argv) -> Outcome {
    calculate(db, argv, i64::checked_add, |left, right| left + right)
}

pub(super) fn nummultby(db: &mut Db, argv: Argv) -> Outcome {
    calculate(db, argv, i64::checked_mul, |left, right| left * right)
}

pub(super) fn strappend(db: &mut Db, argv: Argv) -> Outcome {
    // The path may be left out.
    let path = path_at(argv, if argv.len() > 3 { 2 } else { argv.len() })?;
    let Json::String(more) = Json::parse(argv[argv.len() - 1])? else {
        return Err(Fault::new("ERR expected a string"));
    };
    change_each(db, argv, &path, "string", |value| {
        let Json::String(string) = value else { return Ok(Value::Nil) };
        *string += &more;
        Ok(length_of(string.len()))
    })
}

pub(super) fn strlen(db: &mut Db, argv: Argv) -> Outcome {
    each(db, argv, &path_at(argv, 2)?, "string", |value| match value {
        Json::String(string) => length_of(string.len()),
        _ => Value::Nil,
    })
}

pub(super) fn objkeys(db: &mut Db, argv: Argv) -> Outcome {
    each(db, argv, &path_at(argv, 2)?, "object", |value| match value {
        Json::Object(members) => Value::Array(members.keys().cloned().map(Value::Bytes).collect()),
        _ => Value::Nil,
    })
}

pub(super) fn objlen(db: &mut Db, argv: Argv) -> Outcome {
    each(db, argv, &path_at(argv, 2)?, "object", |value| match value {
        Json::Object(members) => length_of(members.len()),
        _ => Value::Nil,
    })
}
