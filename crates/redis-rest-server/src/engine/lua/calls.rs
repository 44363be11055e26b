//! The library `redis`, and values on their way between Redis and Lua.

use super::state::{Run, out_of_memory, raise};
use crate::engine::args::format_g;
use crate::engine::number::shortest;
use crate::engine::table::{self, Run as Where};
use mlua::{Lua, MultiValue, Table, Value};
use redis_rest::{ServerError, Value as Reply};

/// How deep a reply may be nested.
const DEPTH: usize = 1000;

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    let raising = |lua: &Lua, args: MultiValue| {
        call(lua, args)?.map_err(raise).and_then(|reply| answer(lua, reply))
    };
    let returning = |lua: &Lua, args: MultiValue| match call(lua, args)? {
        Ok(reply) => answer(lua, reply),
        Err(text) => error_table(lua, &text),
    };
    library.raw_set("call", lua.create_function(raising)?)?;
    library.raw_set("pcall", lua.create_function(returning)?)?;
    library.raw_set("error_reply", lua.create_function(error_reply)?)?;
    library.raw_set("status_reply", lua.create_function(status_reply)?)?;
    library.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    library.raw_set("log", lua.create_function(log)?)?;
    library.raw_set("setresp", lua.create_function(setresp)?)?;
    library.raw_set("replicate_commands", lua.create_function(|_, ()| Ok(true))?)?;
    library.raw_set("set_repl", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    for (level, name) in
        ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"].into_iter().enumerate()
    {
        library.raw_set(name, level)?;
    }
    for (name, bits) in
        [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)]
    {
        library.raw_set(name, bits)?;
    }
    library.raw_set("REDIS_VERSION", "7.0.15")?;
    library.raw_set("REDIS_VERSION_NUM", 0x0007_000f)?;
    Ok(library)
}

/// An error reply as a text, or the reply, and whether that is a status: values know no status but `OK`, scripts do.
type Called = Result<(Reply, bool), String>;

/// Runs one command of a script.
fn call(lua: &Lua, args: MultiValue) -> mlua::Result<Called> {
    if args.is_empty() {
        return Ok(Err(
            "ERR Please specify at least one argument for this redis lib call".to_owned()
        ));
    }
    let (clock, memory) = lua
        .app_data_ref::<Run>()
        .map(|run| (run.clock.clone(), run.memory))
        .ok_or_else(no_script)?;
    // A command may take long by itself, and few instructions lie between many of them.
    if !clock.in_time() {
        return Err(clock.over());
    }
    let mut words = Vec::with_capacity(args.len());
    let mut size = 0_usize;
    for value in &args {
        match argument(value) {
            Some(word) => {
                // One string of Lua's, given a thousand times, is a thousand copies here.
                size = size.saturating_add(word.len());
                if size > memory {
                    return Err(out_of_memory());
                }
                words.push(word);
            }
            None => {
                return Ok(Err(
                    "ERR Lua redis lib command arguments must be strings or integers".to_owned()
                ));
            }
        }
    }
    let argv: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let Some(mut run) = lua.app_data_mut::<Run>() else { return Err(no_script()) };
    Ok(execute(&mut run, &argv))
}

/// Commands of a connection, which scripts may not run; the engine has none of them.
const FORBIDDEN: &[&str] = &[
    "multi",
    "exec",
    "discard",
    "watch",
    "unwatch",
    "subscribe",
    "unsubscribe",
    "psubscribe",
    "punsubscribe",
    "ssubscribe",
    "sunsubscribe",
    "auth",
    "hello",
    "client",
    "quit",
    "reset",
    "monitor",
    "shutdown",
    "acl",
    "config",
    "debug",
];

fn no_script() -> mlua::Error {
    raise("ERR no script is running")
}

fn execute(run: &mut Run, argv: &[&[u8]]) -> Called {
    let refused = "ERR This Redis command is not allowed from script";
    let spec = match table::resolve(argv) {
        Ok(spec) => spec,
        Err(_) if table::exists(argv) => {
            return Err("ERR Wrong number of args calling Redis command from script".to_owned());
        }
        Err(_) => {
            let name = argv.first().copied().unwrap_or_default();
            let known = FORBIDDEN.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
            return Err(if known {
                refused
            } else {
                "ERR Unknown Redis command called from script"
            }
            .to_owned());
        }
    };
    if !spec.allowed_in_scripts() {
        return Err(refused.to_owned());
    }
    if spec.writes() && run.read_only {
        return Err("ERR Write commands are not allowed from read-only scripts.".to_owned());
    }
    match spec.run {
        Where::Here(function) => {
            let status = spec.name == "type" || (spec.name == "ping" && argv.len() == 1);
            function(&mut run.db, argv)
                .map(|reply| (reply, status))
                .map_err(|fault| fault.0.into_owned())
        }
        _ => Err(refused.to_owned()),
    }
}

fn argument(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(number_text(*number as f64).into_bytes()),
        Value::Number(number) => Some(number_text(*number).into_bytes()),
        _ => None,
    }
}

fn number_text(number: f64) -> String {
    format_g(number, 17)
}

fn answer(lua: &Lua, reply: (Reply, bool)) -> mlua::Result<Value> {
    match reply {
        (Reply::Bytes(text), true) => status_table(lua, &text),
        (reply, _) => to_lua(lua, reply),
    }
}

/// A reply for Lua: nil is false, a status and an error are tables.
fn to_lua(lua: &Lua, reply: Reply) -> mlua::Result<Value> {
    Ok(match reply {
        Reply::Nil => Value::Boolean(false),
        // Lua's numbers are doubles: as in Redis, what is beyond 2⁵³ loses its last digits.
        Reply::Int(number) => Value::Number(number as f64),
        Reply::Bytes(bytes) => Value::String(lua.create_string(&bytes)?),
        Reply::Okay => status_table(lua, b"OK")?,
        Reply::Error(error) => error_table(lua, error.message())?,
        Reply::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(to_lua(lua, item)?)?;
            }
            Value::Table(table)
        }
        // No command of the engine returns another kind.
        _ => Value::Boolean(false),
    })
}

fn status_table(lua: &Lua, text: &[u8]) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    table.raw_set("ok", lua.create_string(text)?)?;
    Ok(Value::Table(table))
}

fn error_table(lua: &Lua, text: &str) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    table.raw_set("err", text)?;
    Ok(Value::Table(table))
}

fn one_string(args: &MultiValue) -> Option<Vec<u8>> {
    match args.iter().collect::<Vec<_>>()[..] {
        [Value::String(text)] => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

fn error_reply(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    let Some(text) = one_string(&args) else {
        return error_table(lua, "ERR wrong number or type of arguments");
    };
    let text = String::from_utf8_lossy(&text);
    let text = text.strip_prefix('-').unwrap_or(&text);
    if text.contains(' ') {
        error_table(lua, text)
    } else {
        error_table(lua, &format!("ERR {text}"))
    }
}

fn status_reply(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    match one_string(&args) {
        Some(text) => status_table(lua, &text),
        None => error_table(lua, "ERR wrong number or type of arguments"),
    }
}

fn sha1hex(_: &Lua, args: MultiValue) -> mlua::Result<String> {
    match args.iter().collect::<Vec<_>>()[..] {
        [value] => {
            Ok(sha1_smol::Sha1::from(argument(value).unwrap_or_default()).digest().to_string())
        }
        _ => Err(raise("ERR wrong number of arguments")),
    }
}

/// Checks its arguments and drops the message: it may hold data.
fn log(_: &Lua, args: MultiValue) -> mlua::Result<()> {
    if args.len() < 2 {
        return Err(raise("ERR redis.log() requires two arguments or more."));
    }
    match args.front() {
        Some(Value::Integer(0..=3)) => Ok(()),
        Some(Value::Number(level)) if (0.0..4.0).contains(level) => Ok(()),
        Some(Value::Integer(_) | Value::Number(_)) => Err(raise("ERR Invalid debug level.")),
        _ => Err(raise("ERR First argument must be a number (log level).")),
    }
}

fn setresp(_: &Lua, args: MultiValue) -> mlua::Result<()> {
    match args.iter().collect::<Vec<_>>()[..] {
        [Value::Integer(2)] => Ok(()),
        [Value::Number(version)] if *version == 2.0 => Ok(()),
        [_] => Err(raise("ERR RESP version must be 2.")),
        _ => Err(raise("ERR redis.setresp() requires one argument.")),
    }
}

/// Line breaks would end an error or status on the wire.
pub(super) fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// What a script returns, as the reply: an error is the text of the whole reply. `budget` bounds its size, since tables
/// that contain each other would otherwise multiply.
pub(super) fn reply_of(value: &Value, budget: usize) -> Result<Reply, String> {
    let mut budget = budget;
    from_lua(value, 0, &mut budget)
}

fn from_lua(value: &Value, depth: usize, budget: &mut usize) -> Result<Reply, String> {
    let size = match value {
        Value::String(text) => text.as_bytes().len() + 32,
        _ => 32,
    };
    *budget = budget.checked_sub(size).ok_or("ERR the reply of the script is too large")?;
    Ok(match value {
        Value::String(text) => Reply::bytes(text.as_bytes().to_vec()),
        Value::Integer(number) => Reply::Int(*number),
        Value::Number(number) => Reply::Int(truncate(*number)),
        Value::Boolean(true) => Reply::Int(1),
        Value::Table(table) => from_table(table, depth, budget)?,
        _ => Reply::Nil,
    })
}

/// Redis converts by the processor's own instruction: what does not fit becomes the smallest integer.
fn truncate(number: f64) -> i64 {
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    if number.is_nan() || number.abs() >= TOO_LARGE { i64::MIN } else { number as i64 }
}

/// Tables that stand for types of RESP3, as RESP2 has them: a map is flat, a set is a list.
fn of_resp3(table: &Table, depth: usize, budget: &mut usize) -> Result<Option<Reply>, String> {
    let field = |name: &str| table.raw_get::<Value>(name).unwrap_or(Value::Nil);
    let number = match field("double") {
        Value::Integer(number) => Some(number as f64),
        Value::Number(number) => Some(number),
        _ => None,
    };
    if let Some(number) = number {
        return Ok(Some(Reply::bytes(shortest(number))));
    }
    for (name, pairs) in [("map", true), ("set", false)] {
        let Value::Table(inner) = field(name) else { continue };
        if depth >= DEPTH {
            return Err("ERR reached lua stack limit".to_owned());
        }
        let mut items = Vec::new();
        for entry in inner.pairs::<Value, Value>() {
            let (key, value) = entry.map_err(|_| "ERR unreadable reply".to_owned())?;
            items.push(from_lua(&key, depth + 1, budget)?);
            if pairs {
                items.push(from_lua(&value, depth + 1, budget)?);
            }
        }
        return Ok(Some(Reply::Array(items)));
    }
    if let Value::String(text) = field("big_number") {
        return Ok(Some(Reply::bytes(one_line(&text.to_string_lossy()))));
    }
    if let Value::Table(inner) = field("verbatim_string")
        && let Ok(Value::String(text)) = inner.raw_get::<Value>("string")
    {
        return Ok(Some(Reply::bytes(text.as_bytes().to_vec())));
    }
    Ok(None)
}

fn from_table(table: &Table, depth: usize, budget: &mut usize) -> Result<Reply, String> {
    let field = |name: &str| match table.raw_get::<Value>(name) {
        Ok(Value::String(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    };
    if let Some(text) = field("err") {
        let text = one_line(&String::from_utf8_lossy(&text));
        // As a whole reply it is an error; inside an array it is a value.
        return Ok(Reply::Error(ServerError::new(text)));
    }
    if let Some(text) = field("ok") {
        let text: Vec<u8> = text
            .into_iter()
            .map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte })
            .collect();
        return Ok(if text == b"OK" { Reply::Okay } else { Reply::bytes(text) });
    }
    if let Some(typed) = of_resp3(table, depth, budget)? {
        return Ok(typed);
    }
    if depth >= DEPTH {
        return Err("ERR reached lua stack limit".to_owned());
    }
    let mut items = Vec::new();
    for index in 1_i64.. {
        match table.raw_get::<Value>(index) {
            Ok(Value::Nil) | Err(_) => break,
            Ok(value) => items.push(from_lua(&value, depth + 1, budget)?),
        }
    }
    Ok(Reply::Array(items))
}
