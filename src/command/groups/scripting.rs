//! Lua scripts. [`Script`](crate::Script) is the comfortable way to run one.

use crate::command::declare::commands;
use crate::command::{ToArg, ToArgs};

commands! { "scripting";
    /// Runs a script; its number of keys is `keys`, and `keys_and_args` are the keys followed by the arguments.
    fn eval<R>(script: impl ToArg, keys: u64, keys_and_args: impl ToArgs) -> R = "EVAL" [script, keys, ..keys_and_args], Unsafe, "2.6.0";
    /// As [`eval`], for a script the server knows by its SHA-1.
    fn evalsha<R>(sha1: impl ToArg, keys: u64, keys_and_args: impl ToArgs) -> R = "EVALSHA" [sha1, keys, ..keys_and_args], Unsafe, "2.6.0";
    /// Makes a script known; answers its SHA-1.
    fn script_load(script: impl ToArg) -> String = "SCRIPT LOAD" [script], Idempotent, "2.6.0";
    /// For each SHA-1, whether the server knows the script.
    fn script_exists(sha1s: impl ToArgs) -> Vec<bool> = "SCRIPT EXISTS" [..sha1s], ReadOnly, "2.6.0";
    /// Forgets all scripts.
    fn script_flush() -> () = "SCRIPT FLUSH" [], Idempotent, "2.6.0";
}
