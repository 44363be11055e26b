//! Commands about the engine itself.

use super::args::{Argv, Fault, Outcome, SYNTAX, int, is, len, text, wrong_arity};
use super::db::Db;
use super::table::{self, NO_SCRIPT, OTHER, READ, Spec, WRITE, container, row};
use bytes::Bytes;
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("ping", OTHER, ping),
    row("echo", OTHER, echo),
    row("dbsize", READ, dbsize),
    row("time", OTHER, time),
    row("info", OTHER, info),
    row("flushdb", WRITE, flush),
    row("flushall", WRITE, flush),
    row("select", OTHER, select),
    row("command", OTHER, command),
    row("command|count", OTHER, command_count),
    row("command|info", OTHER, command_info),
    container("script"),
    row("script|exists", NO_SCRIPT, script_exists),
    row("script|flush", NO_SCRIPT, script_flush),
];

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

/// Six entries for each command, as in Redis before 7.
fn command(_: &mut Db, _: Argv) -> Outcome {
    Ok(Value::Array(commands().map(table::describe).collect()))
}

fn commands() -> impl Iterator<Item = &'static Spec> {
    table::all().filter(|spec| !spec.name.contains('|'))
}

fn command_count(_: &mut Db, _: Argv) -> Outcome {
    Ok(len(commands().count()))
}

fn command_info(db: &mut Db, argv: Argv) -> Outcome {
    if argv.len() == 2 {
        return command(db, argv);
    }
    let described = |name: &&[u8]| table::find(name).map_or(Value::Nil, table::describe);
    Ok(Value::Array(argv[2..].iter().map(described).collect()))
}

fn script_exists(db: &mut Db, argv: Argv) -> Outcome {
    let known = |sha: &&[u8]| {
        let sha = String::from_utf8_lossy(sha).to_ascii_lowercase();
        Value::Int(db.scripts.contains_key(&sha).into())
    };
    Ok(Value::Array(argv[2..].iter().map(known).collect()))
}

fn script_flush(db: &mut Db, argv: Argv) -> Outcome {
    match argv[2..] {
        [] => {}
        [mode] if is(mode, "ASYNC") || is(mode, "SYNC") => {}
        _ => return Err(Fault::new("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
    }
    db.scripts.clear();
    Ok(Value::Okay)
}

/// Remembers a script's source and answers its SHA-1.
pub(super) fn remember_script(db: &mut Db, source: &[u8]) -> String {
    let sha = sha1_smol::Sha1::from(source).digest().to_string();
    db.scripts.entry(sha.clone()).or_insert_with(|| Bytes::copy_from_slice(source));
    sha
}
