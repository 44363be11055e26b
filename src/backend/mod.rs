//! Backends execute commands.
//!
//! Every backend takes the same [`Command`]s and returns the same [`Value`]s: [`rest`] over HTTP,
//! and behind features `native` over TCP and `memory` in this process. The conformance cases of
//! feature `testing` hold for all of them.

mod event;
mod failover;
mod function;
pub mod rest;

#[cfg(feature = "native")]
pub mod native;

#[cfg(all(feature = "rustls", not(target_family = "wasm")))]
mod tls;

pub use event::{Event, Message, SubscriptionTarget};
pub use failover::Failover;
pub(crate) use function::FunctionBackend;

use crate::command::{CallOptions, Command, cmd};
use crate::error::{Error, ErrorKind, Result};
use crate::platform::{BoxFuture, BoxStream, MaybeSend};
use crate::value::Value;
use std::time::Duration;

/// The result of one entry of a pipeline or transaction.
pub type Reply = Result<Value>;

/// The events of a subscription on one connection.
pub type EventStream = BoxStream<Result<Event>>;

/// Executes commands. Implement it to put a custom backend behind a [`Client`](crate::Client).
///
/// The contract:
/// * An error reply of Redis is an `Err` created by [`Error::redis`](crate::Error::redis).
/// * An `Err` states truthfully whether the command ran
///   ([`Error::outcome`](crate::Error::outcome)); `MaybeApplied` when in doubt.
/// * A command whose [`idempotency`](Command::idempotency) is `NonIdempotent` is never executed
///   twice.
/// * Dropping the returned future cancels the call; the command may still run.
/// * No error, log line or `Debug` output contains an argument or a value.
pub trait Backend: MaybeSend + 'static {
    /// Executes one command.
    fn execute<'a>(
        &'a self,
        command: &'a Command,
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Reply>;

    /// Opens the connections that the first calls will need.
    ///
    /// # Errors
    /// Fails with the error that a `PING` would return.
    fn warm_up(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { self.execute(&cmd("PING"), &CallOptions::default()).await.map(drop) })
    }

    /// Returns true if keys have hash slots, as on Redis Cluster: a command, script or transaction
    /// whose keys are in different slots is refused (`CROSSSLOT`). A backend in front of another
    /// returns the other's value.
    fn is_cluster(&self) -> bool {
        false
    }

    /// Returns how long after its begin a call with these options may still be sent again: its own deadline, or else the backend's. `None`
    /// where nothing limits it. Exactly-once calls are refused where that is longer than replies are kept. A backend in front of
    /// another answers what that one answers.
    fn deadline(&self, options: &CallOptions) -> Option<Duration> {
        options.deadline
    }

    /// Returns the read-your-writes token of the last reply, if the backend has such tokens. See
    /// [`Client::sync_token`](crate::Client::sync_token).
    fn sync_token(&self) -> Option<String> {
        None
    }

    /// Sets the read-your-writes token for the next request. Has no effect if the backend has no
    /// such tokens.
    ///
    /// # Errors
    /// Fails if the text cannot be a token.
    fn set_sync_token(&self, token: &str) -> Result<()> {
        let _ = token;
        Ok(())
    }

    /// Subscribes to a channel, a pattern or all commands. The stream ends when the connection is
    /// lost; an error in it ends it too. After an error such as [`ErrorKind::Unsupported`] the
    /// subscription ends, after others it reconnects. Backends do not send [`Event::Gap`].
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Unsupported`] if the backend has no subscriptions, and with another
    /// error if it does not work now.
    fn listen<'a>(&'a self, what: &'a SubscriptionTarget) -> BoxFuture<'a, Result<EventStream>> {
        let _ = what;
        Box::pin(async {
            Err(Error::new(ErrorKind::Unsupported, "this backend has no subscriptions"))
        })
    }

    /// Executes commands in order, not atomically. Returns exactly one result for each; one bad
    /// entry does not affect the others.
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>>;

    /// Executes commands atomically: one after another with nothing in between. A discarded
    /// transaction is a single `Err`, and none of it ran. A command that fails at run time is an
    /// `Err` in its place and does not undo the others.
    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>>;
}
