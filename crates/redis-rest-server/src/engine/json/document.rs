//! Whole documents, and parts of them.

use super::path::{Key, Location, Path, get as value_at, get_mut};
use super::value::{Json, Layout};
use super::{no_path, path_at};
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, is, len, wrong_arity};
use crate::engine::db::{Data, Db};
use redis_rest::Value;

fn set_at(db: &mut Db, key: &[u8], path: &Path, value: Json, condition: &[u8]) -> Outcome {
    let (if_absent, if_present) = (is(condition, "NX"), is(condition, "XX"));
    let Some(root) = db.write::<Json>(key)? else {
        if !path.is_root() {
            return Err(Fault::new("ERR new objects must be created at the root"));
        }
        if if_present {
            return Ok(Value::Nil);
        }
        db.set(key, Data::Json(value));
        return Ok(Value::Okay);
    };
    let places = path.locate(root);
    if !places.is_empty() {
        if if_absent {
            return Ok(Value::Nil);
        }
        for place in places {
            if let Some(old) = get_mut(root, &place) {
                *old = value.clone();
            }
        }
        return Ok(Value::Okay);
    }
    let Some((parents, name)) = path.addition(root).filter(|_| !if_present) else {
        return Ok(Value::Nil);
    };
    let mut added = false;
    for parent in parents {
        if let Some(Json::Object(members)) = get_mut(root, &parent) {
            members.insert(name.as_bytes(), value.clone());
            added = true;
        }
    }
    Ok(if added { Value::Okay } else { Value::Nil })
}

pub(super) fn set(db: &mut Db, argv: Argv) -> Outcome {
    let condition: &[u8] = match argv[4..] {
        [] => b"",
        [word] if is(word, "NX") || is(word, "XX") => word,
        _ => return Err(SYNTAX),
    };
    let path = path_at(argv, 2)?;
    let value = Json::parse(argv[3])?;
    set_at(db, argv[1], &path, value, condition)
}

pub(super) fn mset(db: &mut Db, argv: Argv) -> Outcome {
    if argv.len() % 3 != 1 {
        return Err(wrong_arity("json.mset"));
    }
    let mut changes = Vec::new();
    for triple in argv[1..].chunks_exact(3) {
        let path = Path::parse(triple[1])?;
        if db.read::<Json>(triple[0])?.is_none() && !path.is_root() {
            return Err(Fault::new("ERR new objects must be created at the root"));
        }
        changes.push((triple[0], path, Json::parse(triple[2])?));
    }
    for (key, path, value) in changes {
        set_at(db, key, &path, value, b"")?;
    }
    Ok(Value::Okay)
}

/// The values of a path as one text: a list for `$…`.
fn shown(root: &Json, path: &Path, layout: &Layout, depth: usize) -> Option<String> {
    let places = path.locate(root);
    let mut text = String::new();
    if path.legacy {
        value_at(root, places.first()?)?.write(&mut text, layout, depth);
    } else {
        let values = places.iter().filter_map(|place| value_at(root, place)).cloned().collect();
        Json::Array(values).write(&mut text, layout, depth);
    }
    Some(text)
}

pub(super) fn get(db: &mut Db, argv: Argv) -> Outcome {
    let (mut layout, mut paths) = (Layout::default(), Vec::new());
    let mut rest = &argv[2..];
    while let [word, tail @ ..] = rest {
        rest = tail;
        let option = ["INDENT", "NEWLINE", "SPACE"].into_iter().find(|name| is(word, name));
        if let Some(name) = option {
            let [value, tail @ ..] = tail else { return Err(wrong_arity("json.get")) };
            let value = std::str::from_utf8(value).unwrap_or_default();
            match name {
                "INDENT" => layout.indent = value,
                "NEWLINE" => layout.newline = value,
                _ => layout.space = value,
            }
            rest = tail;
        } else if !is(word, "NOESCAPE") {
            paths.push(Path::parse(word)?);
        }
    }
    let Some(root) = db.read::<Json>(argv[1])? else { return Ok(Value::Nil) };
    if paths.is_empty() {
        paths.push(Path::parse(b".")?);
    }
    if let [path] = &paths[..] {
        return shown(root, path, &layout, 0).map(Value::bytes).ok_or_else(|| no_path(path));
    }
    // A single path of the new form makes lists of them all.
    let legacy = paths.iter().all(|path| path.legacy);
    let mut object = crate::engine::ordered::Ordered::default();
    for mut path in paths {
        path.legacy = legacy;
        let text = shown(root, &path, &Layout::default(), 0).ok_or_else(|| no_path(&path))?;
        object.insert(path.text.as_bytes(), Json::parse(text.as_bytes())?);
    }
    let mut text = String::new();
    Json::Object(object).write(&mut text, &layout, 0);
    Ok(Value::bytes(text))
}

pub(super) fn mget(db: &mut Db, argv: Argv) -> Outcome {
    let path = path_at(argv, argv.len() - 1)?;
    let shown = |key: &&[u8]| {
        let root = db.read::<Json>(key).ok().flatten();
        let text = root.and_then(|root| shown(root, &path, &Layout::default(), 0));
        text.map_or(Value::Nil, Value::bytes)
    };
    Ok(Value::Array(argv[1..argv.len() - 1].iter().map(shown).collect()))
}

/// RFC 7396: null deletes.
fn merge_into(target: &mut Json, patch: Json) {
    let Json::Object(changes) = patch else {
        *target = patch;
        return;
    };
    if !matches!(target, Json::Object(_)) {
        *target = Json::Object(crate::engine::ordered::Ordered::default());
    }
    let Json::Object(members) = target else { return };
    for (name, change) in changes.iter() {
        if matches!(change, Json::Null) {
            members.remove(name);
            continue;
        }
        if members.get(name).is_none() {
            members.insert(name, Json::Null);
        }
        if let Some(member) = members.get_mut(name) {
            merge_into(member, change.clone());
        }
    }
}

pub(super) fn merge(db: &mut Db, argv: Argv) -> Outcome {
    let path = path_at(argv, 2)?;
    let patch = Json::parse(argv[3])?;
    let Some(root) = db.write::<Json>(argv[1])? else {
        let mut value = Json::Null;
        merge_into(&mut value, patch);
        return set_at(db, argv[1], &path, value, b"");
    };
    let places = path.locate(root);
    if path.is_root() && matches!(patch, Json::Null) {
        db.remove(argv[1]);
        return Ok(Value::Okay);
    }
    if places.is_empty() {
        return set_at(db, argv[1], &path, patch, b"");
    }
    if matches!(patch, Json::Null) {
        remove_all(root, places);
        return Ok(Value::Okay);
    }
    for place in places {
        if let Some(value) = get_mut(root, &place) {
            merge_into(value, patch.clone());
        }
    }
    Ok(Value::Okay)
}

/// Removes values, the last ones first so that indexes stay right; returns how many.
fn remove_all(root: &mut Json, mut places: Vec<Location>) -> usize {
    let index = |key: &Key| match key {
        Key::Index(index) => *index,
        Key::Name(_) => 0,
    };
    places.sort_by(|left, right| {
        let indexes = |place: &Location| place.iter().map(index).collect::<Vec<_>>();
        right.len().cmp(&left.len()).then_with(|| indexes(right).cmp(&indexes(left)))
    });
    places.dedup();
    let mut removed = 0;
    for place in places {
        let Some((key, parent)) = place.split_last() else { continue };
        match (get_mut(root, parent), key) {
            (Some(Json::Object(members)), Key::Name(name)) => {
                removed += usize::from(members.remove(name.as_bytes()).is_some());
            }
            (Some(Json::Array(items)), Key::Index(index)) if *index < items.len() => {
                items.remove(*index);
                removed += 1;
            }
            _ => {}
        }
    }
    removed
}

pub(super) fn del(db: &mut Db, argv: Argv) -> Outcome {
    if argv.len() > 3 {
        return Err(wrong_arity("json.del"));
    }
    let path = path_at(argv, 2)?;
    let Some(root) = db.write::<Json>(argv[1])? else { return Ok(Value::Int(0)) };
    if path.is_root() {
        db.remove(argv[1]);
        return Ok(Value::Int(1));
    }
    let places = path.locate(root);
    Ok(len(remove_all(root, places)))
}

pub(super) fn clear(db: &mut Db, argv: Argv) -> Outcome {
    let path = path_at(argv, 2)?;
    let root = db.write::<Json>(argv[1])?.ok_or(super::NO_DOCUMENT)?;
    let mut cleared = 0;
    for place in path.locate(root) {
        let Some(value) = get_mut(root, &place) else { continue };
        let changed = match value {
            Json::Array(items) if !items.is_empty() => {
                items.clear();
                true
            }
            Json::Object(members) if !members.is_empty() => {
                members.clear();
                true
            }
            Json::Number(number) if number != "0" => {
                "0".clone_into(number);
                true
            }
            _ => false,
        };
        cleared += usize::from(changed);
    }
    Ok(len(cleared))
}
