//! The server and the connection to it.

use crate::command::ToArg;
use crate::command::declare::commands;

commands! { "server";
    /// Answers `PONG`.
    fn ping() -> String = "PING" [], ReadOnly, "1.0.0";
    /// Answers `message`.
    fn echo<R>(message: impl ToArg) -> R = "ECHO" [message], ReadOnly, "1.0.0";
    /// How many keys the database holds.
    fn dbsize() -> u64 = "DBSIZE" [], ReadOnly, "1.0.0";
    /// The server's clock: Unix seconds and microseconds.
    fn time() -> (u64, u64) = "TIME" [], ReadOnly, "2.6.0";
    /// Facts about the server, as text.
    fn info(section: impl ToArg) -> String = "INFO" [section], ReadOnly, "1.0.0";
    /// Deletes every key of the database.
    fn flushdb() -> () = "FLUSHDB" [], Idempotent, "1.0.0";
    /// Deletes every key of all databases.
    fn flushall() -> () = "FLUSHALL" [], Idempotent, "1.0.0";
}
