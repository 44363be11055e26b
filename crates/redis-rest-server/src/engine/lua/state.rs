//! A Lua state and one run in it.

use super::{bit, calls, decode, encode, msgpack, strings};
use crate::clock;
use crate::engine::Limits;
use crate::engine::args::{Argv, Fault, Outcome};
use crate::engine::db::Db;
use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// The name under which scripts are compiled: error texts show it.
const CHUNK: &str = "@user_script";
/// Compiled scripts that are kept. Beyond it all are dropped and compiled again as needed.
const KEPT: usize = 500;
/// How many instructions pass between two looks at the clock.
const LOOK_EVERY: u32 = 5000;

/// An error that a function of ours raises in Lua.
#[derive(Debug, Clone)]
pub(super) struct Raised {
    pub(super) text: String,
    /// True when `text` starts with a Redis code of its own.
    pub(super) coded: bool,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Raised {}

/// An error reply, with its code.
pub(super) fn raise(text: impl Into<String>) -> mlua::Error {
    mlua::Error::external(Raised { text: text.into(), coded: true })
}

/// An error of a library function: Lua puts the caller's place in front. What stands between is of the prelude.
pub(super) fn raise_at(lua: &Lua, text: impl fmt::Display) -> mlua::Error {
    let place = |level| {
        lua.inspect_stack(level, |frame| {
            let source = frame.source().short_src?.into_owned();
            Some((frame.current_line(), source))
                .filter(|(_, source)| source != "prelude" && source != "(tail call)")
        })
    };
    let caller = (1..5).map_while(place).flatten().next();
    let place = caller.and_then(|(line, source)| Some(format!("{source}:{}: ", line?)));
    mlua::Error::external(Raised {
        text: format!("{}{text}", place.unwrap_or_default()),
        coded: false,
    })
}

/// A function of ours found no room for what it makes.
pub(super) fn out_of_memory() -> mlua::Error {
    mlua::Error::MemoryError("not enough memory".to_owned())
}

/// How long the run may still take. Between two instructions of Lua a hook looks; what works on its own for long looks here.
#[derive(Clone)]
pub(super) struct Clock {
    deadline: Instant,
    expired: Arc<AtomicBool>,
}

impl Clock {
    fn new(limit: Duration) -> Self {
        Self { deadline: clock::after(limit), expired: Arc::default() }
    }

    /// That of the script that is running.
    pub(super) fn of(lua: &Lua) -> Self {
        lua.app_data_ref::<Run>().map_or_else(|| Self::new(Duration::MAX), |run| run.clock.clone())
    }

    pub(super) fn in_time(&self) -> bool {
        clock::now() < self.deadline
    }

    /// The error that ends the run. Whatever catches it is ended by the hook, or is not believed.
    pub(super) fn over(&self) -> mlua::Error {
        self.expired.store(true, Ordering::Relaxed);
        raise("ERR time limit")
    }
}

/// What functions called by the script need to know about the run.
pub(super) struct Run {
    pub(super) db: OwnedMutexGuard<Db>,
    pub(super) read_only: bool,
    pub(super) clock: Clock,
    /// How many bytes Lua may use, and so the arguments of one command.
    pub(super) memory: usize,
}

pub(super) struct Engine {
    lua: Lua,
    limits: Limits,
    environment: Table,
    start: Function,
    compiled: HashMap<String, Function>,
}

impl Engine {
    pub(super) fn new(limits: Limits) -> mlua::Result<Self> {
        let lua = Lua::new_with(StdLib::STRING | StdLib::TABLE | StdLib::MATH, LuaOptions::new())?;
        let native = lua.create_table()?;
        strings::replace(&lua, limits.memory)?;
        native.raw_set("redis", calls::library(&lua)?)?;
        native.raw_set("cjson", json_library(&lua, limits.memory)?)?;
        native.raw_set("cmsgpack", msgpack::library(&lua, limits.memory)?)?;
        native.raw_set("bit", bit::library(&lua)?)?;
        let memory = limits.memory;
        native.raw_set(
            "replacer",
            lua.create_function(move |lua, args: MultiValue| {
                strings::replacer(lua, &args, memory)
            })?,
        )?;
        native.raw_set(
            "message",
            lua.create_function(|lua, problem: Value| message(lua, problem))?,
        )?;
        native.raw_set("locate", lua.create_function(locate)?)?;
        let prelude =
            lua.load(include_str!("prelude.lua")).set_name("=prelude").set_mode(ChunkMode::Text);
        let (environment, start) = prelude.call(native)?;
        lua.set_memory_limit(limits.memory)?;
        Ok(Self { lua, limits, environment, start, compiled: HashMap::new() })
    }

    pub(super) fn compile(&mut self, sha: &str, code: &[u8]) -> mlua::Result<Function> {
        if let Some(known) = self.compiled.get(sha) {
            return Ok(known.clone());
        }
        let chunk = self
            .lua
            .load(code)
            .set_name(CHUNK)
            .set_mode(ChunkMode::Text)
            .set_environment(self.environment.clone());
        let function = chunk.into_function()?;
        if self.compiled.len() >= KEPT {
            self.compiled.clear();
        }
        self.compiled.insert(sha.to_owned(), function.clone());
        Ok(function)
    }

    /// Runs a script; false when the state must not be used again.
    pub(super) fn run(
        &mut self,
        held: &mut Option<OwnedMutexGuard<Db>>,
        sha: &str,
        code: &[u8],
        keys: Argv,
        args: Argv,
        read_only: bool,
    ) -> (Outcome, bool) {
        let script = match self.compile(sha, code) {
            Ok(script) => script,
            Err(problem) => return (Err(compile_error(&problem)), !is_memory(&problem)),
        };
        let Some(db) = held.take() else {
            return (Err(Fault::new("ERR the script engine lost its state")), false);
        };
        let clock = Clock::new(self.limits.time);
        self.lua.set_app_data(Run {
            db,
            read_only,
            clock: clock.clone(),
            memory: self.limits.memory,
        });
        let result = self.call(&script, keys, args, &clock);
        self.lua.remove_hook();
        *held = self.lua.remove_app_data::<Run>().map(|run| run.db);
        if clock.expired.load(Ordering::Relaxed) {
            return (
                Err(suffixed("ERR Script killed: it ran longer than the time limit", sha, None)),
                false,
            );
        }
        match result {
            Ok((true, value)) => {
                let reply = match calls::reply_of(&value, self.limits.memory) {
                    // An error as the whole reply is the script's answer, as it worded it.
                    Ok(redis_rest::Value::Error(error)) => {
                        Err(Fault::owned(error.message().to_owned()))
                    }
                    Ok(reply) => Ok(reply),
                    Err(text) => Err(suffixed(&text, sha, None)),
                };
                (reply, true)
            }
            Ok((false, problem)) => {
                let (text, line, memory) = located(&problem);
                (Err(suffixed(&text, sha, line)), !memory)
            }
            Err(problem) if is_memory(&problem) => {
                (Err(suffixed("ERR not enough memory", sha, None)), false)
            }
            Err(_) => (Err(suffixed("ERR the script could not be run", sha, None)), false),
        }
    }

    fn call(
        &self,
        script: &Function,
        keys: Argv,
        args: Argv,
        clock: &Clock,
    ) -> mlua::Result<(bool, Value)> {
        let strings = |list: Argv| {
            self.lua.create_sequence_from(list.iter().map(|item| mlua::LuaString::wrap(*item)))
        };
        let (keys, args) = (strings(keys)?, strings(args)?);
        let clock = clock.clone();
        self.lua.set_hook(
            HookTriggers::new().every_nth_instruction(LOOK_EVERY),
            move |lua, _| {
                if clock.in_time() {
                    return Ok(VmState::Continue);
                }
                // From here on every instruction fails, also those of whatever catches this error.
                lua.set_hook(HookTriggers::new().every_nth_instruction(1), |_, _| {
                    Err(raise("ERR time limit"))
                })?;
                Err(clock.over())
            },
        )?;
        self.start.call((script, keys, args))
    }
}

fn json_library(lua: &Lua, memory: usize) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    library.raw_set(
        "encode",
        lua.create_function(move |lua, values| encode::encode(lua, values, memory))?,
    )?;
    library.raw_set("decode", lua.create_function(decode::decode)?)?;
    library.raw_set("null", Value::NULL)?;
    library.raw_set("_NAME", "cjson")?;
    library.raw_set("_VERSION", "2.1.0")?;
    Ok(library)
}

/// Memory or stack ran out: the state must not be used again.
fn is_memory(problem: &mlua::Error) -> bool {
    match problem {
        mlua::Error::MemoryError(_) | mlua::Error::StackError => true,
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => {
            is_memory(cause)
        }
        _ => false,
    }
}

/// What [`raise`] or [`raise_at`] put into an error that went through Lua.
fn raised(problem: &mlua::Error) -> Raised {
    match problem {
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => {
            raised(cause)
        }
        mlua::Error::MemoryError(_) => {
            Raised { text: "not enough memory".to_owned(), coded: false }
        }
        other => match other.downcast_ref::<Raised>() {
            Some(raised) => raised.clone(),
            None => Raised {
                text: other.to_string().lines().next().unwrap_or_default().to_owned(),
                coded: false,
            },
        },
    }
}

/// A text without a place in the prelude in front of it: where its functions stand, real Redis has some of C, which have no places.
fn unplaced(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"prelude:")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest[digits..].strip_prefix(b": ")
}

/// What `pcall` gives to the script: errors of ours, and tables with `err`, become their text, as in Redis 7.0.
fn message(lua: &Lua, problem: Value) -> mlua::Result<Value> {
    match &problem {
        Value::Error(error) => Ok(Value::String(lua.create_string(raised(error).text)?)),
        Value::String(text) => match unplaced(&text.as_bytes()) {
            Some(rest) => Ok(Value::String(lua.create_string(rest)?)),
            None => Ok(problem.clone()),
        },
        Value::Table(table) => match table.raw_get("err")? {
            text @ Value::String(_) => Ok(text),
            _ => Ok(problem),
        },
        _ => Ok(problem),
    }
}

/// The handler of errors that nothing caught: notes the text, and the line of the script.
fn locate(lua: &Lua, problem: Value) -> mlua::Result<Table> {
    let found = lua.create_table()?;
    let memory = matches!(&problem, Value::Error(error) if is_memory(error));
    let text = match &problem {
        Value::Error(error) => {
            let Raised { text, coded } = raised(error);
            if coded { text } else { format!("ERR {text}") }
        }
        Value::Table(table) => match table.raw_get::<Value>("err")? {
            Value::String(text) => text.to_string_lossy(),
            _ => "ERR unknown error".to_owned(),
        },
        Value::String(text) => {
            let text = text.as_bytes();
            format!("ERR {}", String::from_utf8_lossy(unplaced(&text).unwrap_or(&text)))
        }
        Value::Nil => "ERR nil".to_owned(),
        other => {
            format!(
                "ERR {}",
                lua.coerce_string(other.clone())?
                    .map_or_else(|| other.type_name().to_owned(), |text| text.to_string_lossy())
            )
        }
    };
    found.raw_set("text", text)?;
    found.raw_set("memory", memory)?;
    for level in 1..200 {
        let frame = lua.inspect_stack(level, |frame| {
            let ours = frame.source().source.is_some_and(|name| name == CHUNK);
            frame.current_line().filter(|_| ours)
        });
        match frame {
            None => break,
            Some(None) => {}
            Some(Some(line)) => {
                found.raw_set("line", line)?;
                break;
            }
        }
    }
    Ok(found)
}

/// Reads what [`locate`] noted. Lua itself has a plain string where it had no memory left to call it.
fn located(noted: &Value) -> (String, Option<usize>, bool) {
    match noted {
        Value::Table(table) => {
            let text = table.raw_get::<mlua::LuaString>("text").map(|text| text.to_string_lossy());
            let memory = table.raw_get("memory").unwrap_or(true);
            let text = text.unwrap_or_else(|_| "ERR unknown error".to_owned());
            let memory = memory || text == "ERR not enough memory";
            (text, table.raw_get("line").unwrap_or_default(), memory)
        }
        Value::String(text) => (format!("ERR {}", text.to_string_lossy()), None, true),
        Value::Error(error) => (format!("ERR {}", raised(error).text), None, true),
        _ => ("ERR unknown error".to_owned(), None, true),
    }
}

/// Redis 7 names the script at the end of an error that it raised.
fn suffixed(text: &str, sha: &str, line: Option<usize>) -> Fault {
    let line = line.map_or_else(String::new, |line| format!(":{line}"));
    Fault::owned(format!("{} script: {sha}, on @user_script{line}.", calls::one_line(text)))
}

pub(super) fn compile_error(problem: &mlua::Error) -> Fault {
    let text = match problem {
        mlua::Error::SyntaxError { message, .. } => message.as_str(),
        _ => "not enough memory",
    };
    Fault::owned(format!(
        "ERR Error compiling script (new function): {}",
        calls::one_line(text.trim_end())
    ))
}
