//! The command line.

use crate::connection::Connection;
use crate::help;
use crate::output::Format;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use serde_json::value::{RawValue, to_raw_value};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};

/// Redis over HTTP: a server to develop against, and a client for the shell.
#[derive(Parser)]
#[command(name = "redis-rest", version, after_help = help::TOOL)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Serve the REST protocol in front of an embedded engine or a real Redis
    #[command(after_help = help::SERVE)]
    Serve(Serve),
    /// Execute one command, as redis-cli does
    #[command(after_help = help::EXEC)]
    Exec(Exec),
    /// Execute commands as they are typed, or one per line from a pipe
    #[command(after_help = help::REPL)]
    Repl(Repl),
    /// List the keys that match a pattern
    #[command(after_help = help::SCAN)]
    Scan(Scan),
    /// Print the messages published on channels
    #[command(after_help = help::SUBSCRIBE)]
    Subscribe(Subscribe),
    /// Print every command that the server runs, including keys and values
    #[command(after_help = help::MONITOR)]
    Monitor(Monitor),
    /// List, show, update and delete sessions
    #[command(subcommand, after_help = help::SESSIONS)]
    Sessions(Sessions),
    /// Measure the throughput and latency of a REST server. Uses a key of its own and deletes it
    #[command(after_help = help::BENCH)]
    Bench(Bench),
    /// Check address, token, server and clock, and say how to fix problems
    #[command(after_help = help::DOCTOR)]
    Doctor(Doctor),
    /// Print the completions for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
}

#[derive(ClapArgs)]
pub(crate) struct Serve {
    /// Serve this Redis, such as redis://127.0.0.1:6379
    #[arg(long, value_name = "URL", conflicts_with = "memory")]
    pub(crate) redis: Option<String>,
    /// Serve an embedded engine that starts empty and stores nothing on disk (the default)
    #[arg(long)]
    pub(crate) memory: bool,
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8079")]
    pub(crate) listen: SocketAddr,
    /// A second token with read-only access
    #[arg(long, value_name = "TOKEN")]
    pub(crate) read_only_token: Option<String>,
    /// Allow browser pages of this origin, such as http://localhost:3000; * allows every origin and
    /// needs a --token other than the default
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) cors: Vec<String>,
    /// Accept this host name too, such as the public name that a proxy passes on
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// Resource limits for clients of `serve`. Times are in seconds.
#[derive(ClapArgs)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Most connections at once; others get 503
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) max_connections: NonZeroUsize,
    /// Longest time for the head of a request, and for a connection to idle
    #[arg(long, value_name = "S", default_value = "75", value_parser = seconds)]
    pub(crate) header_timeout: f64,
    /// Longest time for the body of a request
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    pub(crate) body_timeout: f64,
    /// Close connections that accept neither all pending output nor 64 KiB of it in this time
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    pub(crate) write_timeout: f64,
    /// Largest head of a request, at least 8192
    #[arg(long, value_name = "N", default_value = "131072")]
    pub(crate) max_header_bytes: usize,
    /// Largest request body
    #[arg(long, value_name = "N", default_value = "10000000")]
    pub(crate) max_request_bytes: NonZeroUsize,
    /// Most bytes of the replies in a response, counting 64 for each element of an array; replies
    /// beyond it become errors
    #[arg(long, value_name = "N", default_value = "67108864")]
    pub(crate) max_reply_bytes: NonZeroUsize,
    /// Most bytes pending for a subscriber; a subscriber further behind is disconnected
    #[arg(long, value_name = "N", default_value = "8388608")]
    pub(crate) max_backlog_bytes: NonZeroUsize,
    /// Most bytes held for all clients together: bodies, commands, pending replies. Requests beyond
    /// it get 503, except small ones
    #[arg(long, value_name = "N", default_value = "536870912")]
    pub(crate) max_memory: NonZeroUsize,
    /// Longest run of a script; 0 for no limit. Writes before its end remain. A real Redis stops no
    /// script before its busy-reply-threshold (5 s), none that has written, and stops whichever
    /// script is running, even another client's
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds_or_none)]
    pub(crate) script_timeout: f64,
    /// Most memory for a script in the embedded engine, at least 1 MiB
    #[arg(long, value_name = "N", default_value = "67108864", value_parser = script_memory, conflicts_with = "redis")]
    pub(crate) script_memory_bytes: usize,
}

#[derive(ClapArgs)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) show: OutputOptions,
    /// Execute the command N times and print one line of JSON: the numbers of calls that succeeded,
    /// failed (not applied) and maybe applied, which add up to N, and the speed
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "raw"])]
    pub(crate) repeat: Option<NonZeroU64>,
    /// Make the server run the command once, even if the request is sent again
    #[arg(long)]
    pub(crate) exactly_once: bool,
    /// Most of the N calls in flight at once
    #[arg(long, value_name = "C", default_value = "1", requires = "repeat")]
    pub(crate) concurrency: NonZeroUsize,
    /// Command and arguments, passed on unchanged
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND ARG")]
    pub(crate) command: Vec<OsString>,
}

/// Format of replies.
#[derive(ClapArgs)]
pub(crate) struct OutputOptions {
    /// Print replies as JSON, one per line; bytes that are not UTF-8 as {"base64": "…"}
    #[arg(long)]
    json: bool,
    /// Print strings without quotes and types
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

impl OutputOptions {
    pub(crate) fn format(&self) -> Format {
        match (self.json, self.raw) {
            (true, _) => Format::Json,
            (false, true) => Format::Raw,
            (false, false) => Format::Human,
        }
    }
}

#[derive(ClapArgs)]
pub(crate) struct Repl {
    #[command(flatten)]
    pub(crate) show: OutputOptions,
    /// Neither read nor write the history file
    #[arg(long)]
    pub(crate) no_history: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Scan {
    /// Only keys that match this glob pattern
    pub(crate) pattern: Option<String>,
    /// Only keys that hold this type: string, list, set, zset, hash, stream
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) of_type: Option<String>,
    /// Number of keys that the server examines per request
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) count: NonZeroU64,
    /// Stop after N keys
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroU64>,
    /// Print each key as a JSON string; bytes that are not UTF-8 as {"base64": "…"}
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Subscribe {
    /// Channels to subscribe to, one connection each
    #[arg(required = true, value_name = "CHANNEL")]
    pub(crate) channels: Vec<String>,
    /// Treat the names as glob patterns
    #[arg(long)]
    pub(crate) pattern: bool,
    #[command(flatten)]
    pub(crate) events: EventOptions,
}

#[derive(ClapArgs)]
pub(crate) struct Monitor {
    #[command(flatten)]
    pub(crate) events: EventOptions,
}

/// Format and number of events.
#[derive(ClapArgs)]
pub(crate) struct EventOptions {
    /// Print every event as a JSON object on a line, including the start of a subscription and gaps
    #[arg(long)]
    pub(crate) json: bool,
    /// Stop after N messages
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<NonZeroU64>,
}

#[derive(ClapArgs)]
pub(crate) struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Skip the check that writes a key and deletes it
    #[arg(long)]
    pub(crate) no_write: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Bench {
    /// Load to generate
    #[arg(long, value_enum, default_value = "batched")]
    pub(crate) mode: Mode,
    /// Concurrent callers; always one in sequential mode
    #[arg(long, value_name = "C", default_value = "64")]
    pub(crate) concurrency: NonZeroUsize,
    /// Length of the load in seconds
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Length of the value to read or write, in bytes
    #[arg(long, value_name = "N", default_value = "500")]
    pub(crate) value_bytes: usize,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// GETs, one after another
    Sequential,
    /// GETs, each in a separate request
    Concurrent,
    /// GETs, batched automatically
    Batched,
    /// Pipelines of 100 SETs
    Pipeline,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Concurrent => "concurrent",
            Self::Batched => "batched",
            Self::Pipeline => "pipeline",
        }
    }
}

/// Parses a memory limit; less would not hold the libraries that scripts use.
fn script_memory(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|bytes| *bytes >= 1 << 20)
        .ok_or_else(|| "a number from 1048576".to_owned())
}

/// Parses seconds like [`seconds`], or 0 for no limit.
fn seconds_or_none(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(0.0) => Ok(0.0),
        _ => seconds(text).map_err(|error| format!("0 or {error}")),
    }
}

/// Parses a time from a hundredth of a second to a day.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.01..=86_400.0).contains(seconds))
        .ok_or_else(|| "a number from 0.01 to 86400".to_owned())
}

#[derive(Subcommand)]
pub(crate) enum Sessions {
    /// List the sessions of a user
    List {
        /// The user's id
        user: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a session
    Show {
        /// The session's id
        #[arg(value_name = "SESSION")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a session's metadata; its time to live is unchanged
    Update {
        /// The session's id
        #[arg(value_name = "SESSION")]
        id: String,
        /// Entry to set. VALUE is JSON if it parses as JSON, else text
        #[arg(long, value_name = "KEY=VALUE", required = true, value_parser = metadata)]
        metadata: Vec<(String, Box<RawValue>)>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a session
    Delete {
        /// The session's id
        #[arg(value_name = "SESSION")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Parses an entry. The value stays JSON text: a number in this process would be rounded if it is
/// large.
fn metadata(text: &str) -> Result<(String, Box<RawValue>), String> {
    let (key, value) =
        text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("write KEY=VALUE")?;
    let value = serde_json::from_str(value)
        .or_else(|_| to_raw_value(value))
        .map_err(|error| error.to_string())?;
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn clap_definition_is_valid() {
        Args::command().debug_assert();
    }

    #[test]
    fn arguments_after_the_command_are_verbatim() {
        let args = Args::parse_from([
            "redis-rest",
            "exec",
            "--json",
            "--url",
            "u",
            "SET",
            "--json",
            "-5",
            "--",
            "--token",
        ]);
        assert!(args.connection.token.is_none());
        let Action::Exec(exec) = args.action else { panic!("not exec") };
        assert_eq!(exec.show.format(), Format::Json);
        assert_eq!(exec.command, ["SET", "--json", "-5", "--", "--token"]);
    }

    #[test]
    fn metadata_is_json_or_text() {
        for (text, value) in [
            ("a=1", "1"),
            ("a=123456789012345678901234567890", "123456789012345678901234567890"),
            ("a={\"b\": [null]}", "{\"b\": [null]}"),
            ("a=b=c", "\"b=c\""),
            ("a=", "\"\""),
        ] {
            let (key, raw) = metadata(text).unwrap();
            assert_eq!((key.as_str(), raw.get()), ("a", value));
        }
        assert!(metadata("a").is_err() && metadata("=1").is_err());
    }
}
