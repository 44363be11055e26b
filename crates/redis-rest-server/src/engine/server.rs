//! Commands about the engine itself.

use super::args::{Argv, Fault, Outcome, SYNTAX, int, is, len, text, wrong_arity};
use super::db::Db;
use super::table::{self, SPECS};
use bytes::Bytes;
use redis_rest::Value;

pub(super) fn ping(_: &mut Db, argv: Argv) -> Outcome {
    match argv[1..] {
        [] => Ok(Value::bytes("PONG")),
        [message] => Ok(text(message)),
        _ => Err(wrong_arity("ping")),
    }
}

pub(super) fn echo(_: &mut Db, argv: Argv) -> Outcome {
    Ok(text(argv[1]))
}

pub(super) fn dbsize(db: &mut Db, _: Argv) -> Outcome {
    Ok(len(db.len()))
}

pub(super) fn time(db: &mut Db, _: Argv) -> Outcome {
    let parts = [db.now / 1000, db.now % 1000 * 1000];
    Ok(Value::Array(parts.into_iter().map(|part| Value::bytes(part.to_string())).collect()))
}

/// The few lines that tools look for.
pub(super) fn info(db: &mut Db, _: Argv) -> Outcome {
    let mut info = String::from(
        "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nengine:redis-rest-memory\r\n\r\n",
    );
    info += &format!("# Memory\r\nused_memory:{}\r\n\r\n# Keyspace\r\n", db.weight());
    if db.len() > 0 {
        info += &format!("db0:keys={},expires={},avg_ttl=0\r\n", db.len(), db.expiring_count());
    }
    Ok(Value::bytes(info))
}

pub(super) fn flush(db: &mut Db, argv: Argv) -> Outcome {
    match argv[1..] {
        [] => {}
        [mode] if is(mode, "ASYNC") || is(mode, "SYNC") => {}
        _ => return Err(SYNTAX),
    }
    db.flush();
    Ok(Value::Okay)
}

pub(super) fn select(_: &mut Db, argv: Argv) -> Outcome {
    match int(argv[1]) {
        Ok(0) => Ok(Value::Okay),
        Ok(_) => Err(Fault::new("ERR DB index is out of range")),
        Err(fault) => Err(fault),
    }
}

/// `COMMAND COUNT` and `COMMAND INFO`: six entries for each command, as in Redis before 7.
pub(super) fn command(_: &mut Db, argv: Argv) -> Outcome {
    match argv[1..] {
        [] => Ok(Value::Array(SPECS.iter().map(table::describe).collect())),
        [word] if is(word, "COUNT") => Ok(len(SPECS.len())),
        [word] if is(word, "INFO") => Ok(Value::Array(SPECS.iter().map(table::describe).collect())),
        [word, ref names @ ..] if is(word, "INFO") => Ok(Value::Array(
            names
                .iter()
                .map(|name| table::find(name).map_or(Value::Nil, table::describe))
                .collect(),
        )),
        [word, ..] => Err(unknown_subcommand("COMMAND", word)),
    }
}

pub(super) fn unknown_subcommand(command: &str, word: &[u8]) -> Fault {
    Fault::owned(format!(
        "ERR unknown subcommand '{}'. Try {command} HELP.",
        String::from_utf8_lossy(word)
    ))
}

/// The parts of `SCRIPT` that need no Lua. `SCRIPT LOAD` compiles, so it runs on the script thread.
pub(super) fn script(db: &mut Db, argv: Argv) -> Outcome {
    match argv[1..] {
        [word, _, ..] if is(word, "EXISTS") => {
            let known = |sha: &&[u8]| {
                let sha = String::from_utf8_lossy(sha).to_ascii_lowercase();
                Value::Int(db.scripts.contains_key(&sha).into())
            };
            Ok(Value::Array(argv[2..].iter().map(known).collect()))
        }
        [word, ref mode @ ..] if is(word, "FLUSH") => {
            match mode {
                [] => {}
                [mode] if is(mode, "ASYNC") || is(mode, "SYNC") => {}
                _ => return Err(Fault::new("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
            }
            db.scripts.clear();
            Ok(Value::Okay)
        }
        [word, ..] if is(word, "EXISTS") => Err(wrong_arity("script|exists")),
        [word, ..] if is(word, "LOAD") => Err(wrong_arity("script|load")),
        [word, ..] => Err(unknown_subcommand("SCRIPT", word)),
        [] => Err(wrong_arity("script")),
    }
}

/// Remembers a script's source and answers its SHA-1.
pub(super) fn remember_script(db: &mut Db, source: &[u8]) -> String {
    let sha = sha1_smol::Sha1::from(source).digest().to_string();
    db.scripts.entry(sha.clone()).or_insert_with(|| Bytes::copy_from_slice(source));
    sha
}
