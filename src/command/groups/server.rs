//! The server and the connection to it.
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! # let client = Client::from_backend(MemoryBackend::new());
//! client.set("k", "v").await?;
//! assert_eq!(client.dbsize().await?, 1);
//! client.flushdb().await?;
//! let round_trip = client.ping().await?;
//! assert!(round_trip.as_secs() < 5);
//! # Ok(()) }
//! ```

use crate::command::declare::{calls, commands, finish, options};
use crate::command::table::{Flags, Keys};
use crate::command::{Call, Command, Idempotency, Row, ToArg, ToArgs, Unbound, UnixTime};
use crate::value::{ConvertError, FromValue, Value};
use bytes::Bytes;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

calls! {
    /// The option of `INFO`: [`section`](Info::section).
    Info = String;
    /// The option of `FLUSHALL` and `FLUSHDB`: [`in_background`](Flush::in_background).
    Flush = ();
    /// The option of `COMMAND LIST`: [`pattern`](CommandList::pattern).
    CommandList = Vec<String>;
}

commands! { "server", "The server";
    /// Answers `message`.
    fn echo<R>(message: impl ToArg) -> R = "ECHO" [message], ReadOnly, "1.0.0", HARMLESS;
    /// Counts the keys of the database.
    fn dbsize() -> u64 = "DBSIZE" [], ReadOnly, "1.0.0", WHOLE_KEYSPACE;
    /// The server's clock, to the microsecond.
    fn time() -> SystemTime, by read_time = "TIME" [], ReadOnly, "2.6.0", HARMLESS;
    /// Facts about the server, as text.
    fn info() -> String as Info = "INFO" [], ReadOnly, "1.0.0";
    /// Deletes every key of the database.
    fn flushdb() -> () as Flush = "FLUSHDB" [], Idempotent, "1.0.0", WHOLE_KEYSPACE, EVERY_NODE;
    /// Deletes every key of all databases.
    fn flushall() -> () as Flush = "FLUSHALL" [], Idempotent, "1.0.0", WHOLE_KEYSPACE, EVERY_NODE;
    /// Returns settings whose names match.
    fn config_get(patterns: impl ToArgs) -> HashMap<String, String> = "CONFIG GET" [..patterns], ReadOnly, "2.0.0";
    /// Changes settings, given as pairs.
    fn config_set(settings: impl ToArgs) -> () = "CONFIG SET" [(even settings)], NonIdempotent, "2.0.0", SECRET;
    /// Sets the counters of [`info`] to 0.
    fn config_resetstat() -> () = "CONFIG RESETSTAT" [], NonIdempotent, "2.0.0";
    /// Writes the settings to the server's file.
    fn config_rewrite() -> () = "CONFIG REWRITE" [], NonIdempotent, "2.8.0";
    /// Counts the commands of the server.
    fn command_count() -> u64 = "COMMAND COUNT" [], ReadOnly, "2.8.13";
    /// Returns the names of the commands.
    fn command_list() -> Vec<String> as CommandList = "COMMAND LIST" [], ReadOnly, "7.0.0";
    /// Returns facts about commands, as Redis lists them; nil for each name that is none.
    fn command_info(names: impl ToArgs) -> Vec<Value> = "COMMAND INFO" [..names], ReadOnly, "2.8.13" @ -2;
    /// Returns the documentation of commands, as Redis lists it.
    fn command_docs(names: impl ToArgs) -> HashMap<String, Value> = "COMMAND DOCS" [..names], ReadOnly, "7.0.0" @ -2;
    /// Returns the keys in a command, given as its name and arguments.
    fn command_getkeys<R>(parts: impl ToArgs) -> Vec<R> = "COMMAND GETKEYS" [..parts], ReadOnly, "2.8.13";
    /// Returns advice on the use of memory.
    fn memory_doctor() -> String = "MEMORY DOCTOR" [], ReadOnly, "4.0.0";
    /// Returns the use of memory by part, as Redis lists it.
    fn memory_stats() -> HashMap<String, Value> = "MEMORY STATS" [], ReadOnly, "4.0.0";
    /// Gives unused memory back to the system.
    fn memory_purge() -> () = "MEMORY PURGE" [], Idempotent, "4.0.0";
    /// Returns when the last dump was written, to the second.
    fn lastsave() -> UnixTime, by UnixTime::read_seconds = "LASTSAVE" [], ReadOnly, "1.0.0";
    /// Returns whether the server is a primary or a replica, as Redis lists it.
    fn role() -> Vec<Value> = "ROLE" [], ReadOnly, "2.8.12", NO_SCRIPT;
    /// Returns at most `count` slow commands, the latest first; all of them for -1.
    fn slowlog_get(count: i64) -> Vec<SlowCommand> = "SLOWLOG GET" [count], ReadOnly, "2.2.12" @ -2;
    /// Counts the commands in the log of slow ones.
    fn slowlog_len() -> u64 = "SLOWLOG LEN" [], ReadOnly, "2.2.12";
    /// Empties the log of slow commands.
    fn slowlog_reset() -> () = "SLOWLOG RESET" [], NonIdempotent, "2.2.12";
    /// Returns the latest latency spike of each event.
    fn latency_latest() -> Vec<LatencySpike> = "LATENCY LATEST" [], ReadOnly, "2.8.13";
    /// Returns the latency spikes of one event: the time and the duration of each.
    fn latency_history(event: impl ToArg) -> Vec<(UnixTime, Duration)>, by read_history = "LATENCY HISTORY" [event], ReadOnly, "2.8.13";
    /// Returns advice on latency.
    fn latency_doctor() -> String = "LATENCY DOCTOR" [], ReadOnly, "2.8.13";
    /// Forgets the spikes of these kinds; returns how many kinds.
    fn latency_reset(events: impl ToArgs) -> u64 = "LATENCY RESET" [..events], NonIdempotent, "2.8.13" @ -2;
    /// Returns a picture and the server's version.
    fn lolwut() -> String = "LOLWUT" [], ReadOnly, "5.0.0" @ -1;
}

/// Reads Unix seconds and microseconds.
fn read_time(value: Value) -> Result<SystemTime, ConvertError> {
    let (seconds, micros) = <(u64, u64)>::from_value(value)?;
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .and_then(|time| time.checked_add(Duration::from_micros(micros)))
        .ok_or(ConvertError::new("a time that the platform can hold", "a later one"))
}

/// An entry of the log of slow commands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowCommand {
    /// The number of the entry, which grows.
    pub id: u64,
    /// When the command ran, to the second.
    pub at: UnixTime,
    /// The time that it ran, to the microsecond.
    pub took: Duration,
    /// Its name and arguments. Redis shortens long ones.
    pub command: Vec<Bytes>,
    /// The address of the connection. Empty before Redis 4.0.
    pub client_address: String,
    /// The name of the connection. Empty unless it has one.
    pub client_name: String,
}

impl FromValue for SlowCommand {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let mut fields = Vec::<Value>::from_value(value)?.into_iter();
        let mut field = || fields.next().unwrap_or(Value::Nil);
        Ok(Self {
            id: u64::from_value(field())?,
            at: UnixTime::read_seconds(field())?,
            took: Duration::from_micros(u64::from_value(field())?),
            command: Vec::from_value(field())?,
            client_address: Option::from_value(field())?.unwrap_or_default(),
            client_name: Option::from_value(field())?.unwrap_or_default(),
        })
    }
}

/// The latency spikes of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencySpike {
    /// The name of the event, such as `command` or `fork`.
    pub event: String,
    /// When the latest spike was, to the second.
    pub at: UnixTime,
    /// The time that the latest one took, to the millisecond.
    pub latest: Duration,
    /// The time that the longest one took, to the millisecond.
    pub longest: Duration,
}

impl FromValue for LatencySpike {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let mut fields = Vec::<Value>::from_value(value)?.into_iter();
        let mut field = || fields.next().unwrap_or(Value::Nil);
        let event = String::from_value(field())?;
        let at = UnixTime::read_seconds(field())?;
        let mut millis = || u64::from_value(field()).map(Duration::from_millis);
        Ok(Self { event, at, latest: millis()?, longest: millis()? })
    }
}

/// Reads pairs of Unix seconds and milliseconds.
fn read_history(value: Value) -> Result<Vec<(UnixTime, Duration)>, ConvertError> {
    let spike = |(at, millis)| Ok((UnixTime::read_seconds(at)?, Duration::from_millis(millis)));
    Vec::<(Value, u64)>::from_value(value)?.into_iter().map(spike).collect()
}

/// Returns `PONG`. [`Client::ping`](crate::Client::ping) measures the time.
///
/// `PING`, since Redis 1.0.0.
pub fn ping() -> Call<String, Unbound> {
    Call::new(Command::new("PING").with_idempotency(Idempotency::ReadOnly))
}

/// Not among the others, since the client's method of this name does more.
pub(crate) static PING: &[Row] = &[Row {
    group: "server",
    method: "ping",
    flags: Flags::HARMLESS,
    ..Row::untyped("PING", -1, "1.0.0").keys(Keys::None).safety(Idempotency::ReadOnly)
}];

options! { Info on String;
    /// Returns a single section, such as `memory`.
    fn section(name: &str) -> String = [name];
}

options! { Flush on ();
    /// Returns at once, and frees the memory afterwards (Redis 4.0).
    fn in_background() = "ASYNC" [];
}

options! { CommandList on Vec<String>;
    /// Only names that match this glob pattern.
    fn pattern(pattern: &str) = "FILTERBY" ["PATTERN", pattern];
}

finish! { Info Flush CommandList }

#[cfg(test)]
mod tests {
    use super::*;

    fn of<R: FromValue>(json: Value) -> R {
        R::from_value(json).unwrap()
    }

    #[test]
    fn times_and_durations_have_types() {
        let bytes = |text: &'static str| Value::Bytes(Bytes::from_static(text.as_bytes()));
        let int = Value::Int;
        let entry = vec![
            int(7),
            int(1_700_000_000),
            int(1500),
            Value::Array(vec![bytes("KEYS"), bytes("*")]),
        ];
        let slow: SlowCommand = of(Value::Array(entry));
        assert_eq!((slow.id, slow.took), (7, Duration::from_micros(1500)));
        assert_eq!((slow.at, slow.client_name.as_str()), (UnixTime::from_secs(1_700_000_000), ""));
        assert_eq!(slow.command, ["KEYS", "*"]);
        let spike = vec![bytes("fork"), int(1_700_000_000), int(20), int(300)];
        let spike: LatencySpike = of(Value::Array(spike));
        assert_eq!(
            (spike.latest, spike.longest),
            (Duration::from_millis(20), Duration::from_millis(300))
        );
        let history = read_history(Value::Array(vec![Value::Array(vec![int(1), int(2)])])).unwrap();
        assert_eq!(history, [(UnixTime::from_secs(1), Duration::from_millis(2))]);
    }
}
