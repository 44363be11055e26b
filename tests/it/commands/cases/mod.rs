//! The cases: a command, its wire form, and its reply decoded from the seeded data.

mod collections;
mod others;
mod values;

use redis_rest::cmd::Row;
use redis_rest::{Command, UnboundCall, UnixTime, Value, cmd};
use serde::Deserialize;
use std::fmt::Debug;
use std::time::Duration;

pub const MINUTE: Duration = Duration::from_secs(60);
/// A time in the year 2100.
pub const FUTURE: UnixTime = UnixTime::from_secs(4_102_444_800);

pub const LIBRARY: &str = "#!lua name=lib\n\
    redis.register_function('hi', function(keys, args) return args[1] end)\n\
    redis.register_function{function_name='ro', callback=function(keys, args) return args[1] end, flags={'no-writes'}}";

/// Reply to `DUMP` for the text `hello`.
pub const DUMPED: &[u8] = b"\x00\x05hello\n\x00cr\xdfve4 \n";
/// Reply to `FUNCTION DUMP` without libraries.
pub const LIBRARIES: &[u8] = b"\n\x00]\x9b\\@\x0f\x7f\xa2\xda";

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read by Debug")]
pub struct H {
    a: u32,
    b: String,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read by Debug")]
pub struct F {
    f: String,
}

/// Expected reply.
#[derive(Clone, Copy)]
pub enum Reply {
    /// This value in `Debug` form; `! CODE` is an error.
    Is(&'static str),
    /// Any value of the right type.
    Any,
}

pub const ANY: Reply = Reply::Any;

pub struct Case {
    pub command: Command,
    /// The parts, separated by spaces.
    pub wire: &'static str,
    pub reply: Reply,
    pub read: Box<dyn Fn(Value) -> String>,
    /// The Redis version that introduced these options, if later than the command's.
    pub since: Option<&'static str>,
    pub admin: bool,
    pub binary: bool,
}

fn case<C: UnboundCall>(call: C, wire: &'static str, reply: Reply) -> Case
where
    C::Reply: Debug + 'static,
{
    let call = call.into_call();
    let command = call.command().clone();
    let read = Box::new(move |value| match call.read(value) {
        Ok(reply) => format!("{reply:?}"),
        Err(error) => format!("! {error}"),
    });
    Case { command, wire, reply, read, since: None, admin: false, binary: false }
}

impl Case {
    fn since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }

    /// Marks a command that administers the server.
    fn admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// Marks arguments that are not UTF-8.
    fn binary(mut self) -> Self {
        self.binary = true;
        self
    }

    /// Returns the declaration: the one with the longest matching name.
    pub fn row(&self) -> &'static Row {
        let fits = |row: &&Row| {
            self.wire == row.command || self.wire.starts_with(&format!("{} ", row.command))
        };
        cmd::table()
            .filter(fits)
            .max_by_key(|row| row.command.len())
            .unwrap_or_else(|| panic!("{} is not declared", self.wire))
    }
}

pub fn wire(command: &Command) -> String {
    let parts: Vec<_> = command
        .parts()
        .map(|part| part.escape_ascii().to_string().replace("\\'", "'").replace("\\\"", "\""))
        .collect();
    parts.join(" ")
}

pub fn all() -> Vec<Case> {
    values::all().chain(collections::all()).chain(others::all()).collect()
}
