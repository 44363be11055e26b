//! Lua scripts and libraries of functions. [`Script`](crate::Script) is the comfortable way to run
//! a script.
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! # let client = Client::from_backend(MemoryBackend::new());
//! let doubled: i64 = client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1]) * 2", ["n"], [4]).await?;
//! assert_eq!(doubled, 8);
//! # Ok(()) }
//! ```

use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ToArg, ToArgs};
use crate::value::{Value, from_fields};
use bytes::Bytes;
use serde::Deserialize;

calls! {
    /// The option of `FUNCTION LOAD`: [`replace`](FunctionLoad::replace).
    FunctionLoad = String;
    /// The options of `FUNCTION LIST`: [`library`](FunctionList::library),
    /// [`with_code`](FunctionList::with_code).
    FunctionList = Vec<Library>;
    /// The options of `FUNCTION RESTORE`: [`flush`](FunctionRestore::flush),
    /// [`replace`](FunctionRestore::replace).
    FunctionRestore = ();
}

/// A library of functions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Library {
    /// Its name.
    #[serde(rename = "library_name")]
    pub name: String,
    /// The language, such as `LUA`.
    pub engine: String,
    /// Its functions.
    pub functions: Vec<Function>,
    /// Its code, if requested.
    #[serde(rename = "library_code")]
    pub code: Option<String>,
}
from_fields!(Library);

/// A function of a library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The description that the library gives.
    pub description: Option<String>,
    /// Its flags, such as `no-writes`.
    pub flags: Vec<String>,
}

commands! { "scripting", "Scripts and functions";
    /// Runs a script with keys and arguments (`()` for none).
    fn eval<R>(script: impl ToArg, keys: impl ToArgs, args: impl ToArgs) -> R = "EVAL" [script, (count keys), ..args], NonIdempotent, "2.6.0" @ -3, NO_SCRIPT, RUNS_SCRIPT;
    /// Does what [`eval`] does, for a script that writes nothing.
    fn eval_ro<R>(script: impl ToArg, keys: impl ToArgs, args: impl ToArgs) -> R = "EVAL_RO" [script, (count keys), ..args], ReadOnly, "7.0.0" @ -3, NO_SCRIPT, RUNS_SCRIPT;
    /// Does what [`eval`] does, for a script the server knows by its SHA-1.
    fn evalsha<R>(sha1: impl ToArg, keys: impl ToArgs, args: impl ToArgs) -> R = "EVALSHA" [sha1, (count keys), ..args], NonIdempotent, "2.6.0" @ -3, NO_SCRIPT, RUNS_SCRIPT;
    /// Does what [`evalsha`] does, for a script that writes nothing.
    fn evalsha_ro<R>(sha1: impl ToArg, keys: impl ToArgs, args: impl ToArgs) -> R
        = "EVALSHA_RO" [sha1, (count keys), ..args], ReadOnly, "7.0.0" @ -3, NO_SCRIPT, RUNS_SCRIPT;
    /// Makes a script known; returns its SHA-1.
    fn script_load(script: impl ToArg) -> String = "SCRIPT LOAD" [script], Idempotent, "2.6.0";
    /// Returns, for each SHA-1, whether the server has the script.
    fn script_exists(sha1s: impl ToArgs) -> Vec<bool> = "SCRIPT EXISTS" [..sha1s], ReadOnly, "2.6.0";
    /// Removes all scripts from the cache.
    fn script_flush() -> () = "SCRIPT FLUSH" [], Idempotent, "2.6.0" @ -2;
    /// Stops the running script, if it has not written yet.
    fn script_kill() -> () = "SCRIPT KILL" [], NonIdempotent, "2.6.0", ADMIN;
    /// Runs a function of a library.
    fn fcall<R>(function: impl ToArg, keys: impl ToArgs, args: impl ToArgs) -> R = "FCALL" [function, (count keys), ..args], NonIdempotent, "7.0.0" @ -3, NO_SCRIPT, RUNS_SCRIPT;
    /// Does what [`fcall`] does, for a function that writes nothing.
    fn fcall_ro<R>(function: impl ToArg, keys: impl ToArgs, args: impl ToArgs) -> R
        = "FCALL_RO" [function, (count keys), ..args], ReadOnly, "7.0.0" @ -3, NO_SCRIPT, RUNS_SCRIPT;
    /// Makes a library; returns its name.
    fn function_load(code: impl ToArg) -> String as FunctionLoad = "FUNCTION LOAD" [code], EffectIdempotent, "7.0.0";
    /// Removes a library.
    fn function_delete(library: impl ToArg) -> () = "FUNCTION DELETE" [library], EffectIdempotent, "7.0.0";
    /// Removes all libraries.
    fn function_flush() -> () = "FUNCTION FLUSH" [], Idempotent, "7.0.0" @ -2;
    /// Returns the libraries.
    fn function_list() -> Vec<Library> as FunctionList = "FUNCTION LIST" [], ReadOnly, "7.0.0";
    /// Returns the running function and the engines, as Redis lists them.
    fn function_stats() -> Value = "FUNCTION STATS" [], ReadOnly, "7.0.0";
    /// Returns all libraries in a form that [`function_restore`] reads.
    fn function_dump() -> Bytes = "FUNCTION DUMP" [], ReadOnly, "7.0.0";
    /// Creates libraries from the output of [`function_dump`].
    fn function_restore(dumped: impl ToArg) -> () as FunctionRestore = "FUNCTION RESTORE" [dumped], NonIdempotent, "7.0.0";
    /// Stops the running function, if it has not written yet.
    fn function_kill() -> () = "FUNCTION KILL" [], NonIdempotent, "7.0.0", ADMIN;
}

options! { FunctionLoad on String;
    /// Replaces a library of the same name.
    fn replace() = "REPLACE" @ 1;
}

options! { FunctionList on Vec<Library>;
    /// Restricts to names that match this glob pattern.
    fn library(pattern: impl ToArg) = "LIBRARYNAME" [pattern];
    /// Returns their code too.
    fn with_code() = "WITHCODE" [];
}

options! { FunctionRestore on ();
    /// Removes all others first.
    fn flush() = "FLUSH" [];
    /// Replaces libraries of the same name.
    fn replace() = "REPLACE" [];
}

finish! { FunctionLoad FunctionList FunctionRestore }
