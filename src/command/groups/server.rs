//! The server and the connection to it.
//!
//! ```
//! # use redis_rest::{Client, backend::memory::MemoryBackend};
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
use crate::command::{Call, Command, Idempotency, Row, ToArg, ToArgs, Unbound, UnixTime};
use crate::value::{ConvertError, FromValue, Value};
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
    fn echo<R>(message: impl ToArg) -> R = "ECHO" [message], ReadOnly, "1.0.0";
    /// How many keys the database holds.
    fn dbsize() -> u64 = "DBSIZE" [], ReadOnly, "1.0.0";
    /// The server's clock, to the microsecond.
    fn time() -> SystemTime, by read_time = "TIME" [], ReadOnly, "2.6.0";
    /// Facts about the server, as text.
    fn info() -> String as Info = "INFO" [], ReadOnly, "1.0.0";
    /// Deletes every key of the database.
    fn flushdb() -> () as Flush = "FLUSHDB" [], Idempotent, "1.0.0";
    /// Deletes every key of all databases.
    fn flushall() -> () as Flush = "FLUSHALL" [], Idempotent, "1.0.0";
    /// Settings whose names match.
    fn config_get(patterns: impl ToArgs) -> HashMap<String, String> = "CONFIG GET" [..patterns], ReadOnly, "2.0.0";
    /// Changes settings, given as pairs.
    fn config_set(pairs: impl ToArgs) -> () = "CONFIG SET" [(even pairs)], NonIdempotent, "2.0.0";
    /// Sets the counters of [`info`] to 0.
    fn config_resetstat() -> () = "CONFIG RESETSTAT" [], NonIdempotent, "2.0.0";
    /// Writes the settings to the server's file.
    fn config_rewrite() -> () = "CONFIG REWRITE" [], NonIdempotent, "2.8.0";
    /// How many commands the server has.
    fn command_count() -> u64 = "COMMAND COUNT" [], ReadOnly, "2.8.13";
    /// The names of the commands.
    fn command_list() -> Vec<String> as CommandList = "COMMAND LIST" [], ReadOnly, "7.0.0";
    /// Facts about commands, as Redis answers them; nil for each that is none.
    fn command_info(names: impl ToArgs) -> Vec<Value> = "COMMAND INFO" [..names], ReadOnly, "2.8.13";
    /// The documentation of commands, as Redis answers it.
    fn command_docs(names: impl ToArgs) -> HashMap<String, Value> = "COMMAND DOCS" [..names], ReadOnly, "7.0.0";
    /// The keys in a command, given as its name and arguments.
    fn command_getkeys<R>(parts: impl ToArgs) -> Vec<R> = "COMMAND GETKEYS" [..parts], ReadOnly, "2.8.13";
    /// What could be better about the use of memory.
    fn memory_doctor() -> String = "MEMORY DOCTOR" [], ReadOnly, "4.0.0";
    /// What takes how much memory, as Redis answers it.
    fn memory_stats() -> HashMap<String, Value> = "MEMORY STATS" [], ReadOnly, "4.0.0";
    /// Gives unused memory back to the system.
    fn memory_purge() -> () = "MEMORY PURGE" [], Idempotent, "4.0.0";
    /// When the last dump was written, to the second.
    fn lastsave() -> UnixTime, by UnixTime::read_seconds = "LASTSAVE" [], ReadOnly, "1.0.0";
    /// Whether the server is a primary or a replica, as Redis answers it.
    fn role() -> Vec<Value> = "ROLE" [], ReadOnly, "2.8.12";
    /// Up to `count` of the commands that took longest, as Redis answers them.
    fn slowlog_get(count: i64) -> Vec<Value> = "SLOWLOG GET" [count], ReadOnly, "2.2.12";
    /// How many commands the log of slow ones holds.
    fn slowlog_len() -> u64 = "SLOWLOG LEN" [], ReadOnly, "2.2.12";
    /// Empties the log of slow commands.
    fn slowlog_reset() -> () = "SLOWLOG RESET" [], NonIdempotent, "2.2.12";
    /// The latest spike of each kind: its name, Unix seconds, and milliseconds (the latest and the longest).
    fn latency_latest() -> Vec<Value> = "LATENCY LATEST" [], ReadOnly, "2.8.13";
    /// The spikes of one kind: Unix seconds and milliseconds.
    fn latency_history(event: impl ToArg) -> Vec<(u64, u64)> = "LATENCY HISTORY" [event], ReadOnly, "2.8.13";
    /// What could be better about latency.
    fn latency_doctor() -> String = "LATENCY DOCTOR" [], ReadOnly, "2.8.13";
    /// Forgets the spikes of these kinds; answers how many kinds.
    fn latency_reset(events: impl ToArgs) -> u64 = "LATENCY RESET" [..events], NonIdempotent, "2.8.13";
    /// A picture and the server's version.
    fn lolwut() -> String = "LOLWUT" [], ReadOnly, "5.0.0";
}

/// Reads Unix seconds and microseconds.
fn read_time(value: Value) -> Result<SystemTime, ConvertError> {
    let (seconds, micros) = <(u64, u64)>::from_value(value)?;
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .and_then(|time| time.checked_add(Duration::from_micros(micros)))
        .ok_or(ConvertError::new("a time that the platform can hold", "a later one"))
}

/// Answers `PONG`. [`Client::ping`](crate::Client::ping) measures how long that takes.
///
/// `PING`, since Redis 1.0.0.
pub fn ping() -> Call<String, Unbound> {
    Call::new(Command::new("PING").with_idempotency(Idempotency::ReadOnly))
}

/// Not among the others, since the client's method of this name does more.
pub(crate) const PING: &[Row] = &[Row {
    group: "server",
    command: "PING",
    method: "ping",
    safety: Some(Idempotency::ReadOnly),
    since: "1.0.0",
}];

options! { Info on String;
    /// Only one section, such as `memory`.
    fn section(name: &str) -> String = [name];
}

options! { Flush on ();
    /// Answers at once, and frees the memory afterwards (Redis 4.0).
    fn in_background() = "ASYNC" [];
}

options! { CommandList on Vec<String>;
    /// Only names that match this glob pattern.
    fn pattern(pattern: &str) = "FILTERBY" ["PATTERN", pattern];
}

finish! { Info Flush CommandList }
