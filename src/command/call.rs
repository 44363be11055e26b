//! [`Call`]: a command that knows how its reply is read, on its own (for pipelines) or bound to a client (a future).

use super::Command;
use crate::client::Bound;
use crate::value::{ConvertError, FromValue, Value};
use std::fmt;
use std::time::Duration;

/// Marks a call that is not bound to a client: it goes into a pipeline or a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unbound;

/// Options of one call, whatever its command. The client's settings hold where nothing is
/// said.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// Longest time for one attempt.
    pub timeout: Option<Duration>,
    /// Longest time for the call with all its attempts.
    pub deadline: Option<Duration>,
    /// Sends the command once.
    pub no_retry: bool,
    /// The server runs the command once, even if it is sent again. See [`Call::exactly_once`].
    pub exactly_once: bool,
    /// Time after which to send a second copy of a read-only command without a reply.
    pub hedge_after: Option<Duration>,
}

impl CallOptions {
    pub(crate) const DEFAULT: Self = Self {
        timeout: None,
        deadline: None,
        no_retry: false,
        exactly_once: false,
        hedge_after: None,
    };
}

/// Reads a reply.
pub(crate) type Read<R> = fn(Value) -> Result<R, ConvertError>;

/// A command and the type `R` of its reply. Bound to a client, which is the default, it is a
/// future: await it, join it, spawn it. The functions of [`cmd`](mod@crate::cmd) create [`Unbound`]
/// calls, for a [`Pipeline`](crate::Pipeline) or a [`Transaction`](crate::Transaction).
///
/// Commands with options return their own struct instead, such as [`cmd::Set`](crate::cmd::Set),
/// which is otherwise the same.
///
/// Nothing is sent before the first poll. Dropping a call cancels the wait; a request that was sent
/// may still be executed.
#[must_use = "a call does nothing until it is awaited or added to a pipeline"]
pub struct Call<R, X = Bound> {
    pub(crate) command: Command,
    /// `None`: the defaults. Few calls have others, and all calls would carry them.
    pub(crate) options: Option<Box<CallOptions>>,
    pub(crate) executor: X,
    pub(crate) read: Read<R>,
}

impl<R: FromValue> Call<R, Unbound> {
    pub(crate) fn new(command: Command) -> Self {
        Self::read_by(command, R::from_value)
    }
}

impl<R> Call<R, Unbound> {
    pub(crate) fn read_by(command: Command, read: Read<R>) -> Self {
        Self { command, options: None, executor: Unbound, read }
    }

    /// Binds the command to a client, which makes it a future.
    pub fn on(self, client: &crate::Client) -> Call<R> {
        Call {
            command: self.command,
            options: self.options,
            executor: Bound::new(client),
            read: self.read,
        }
    }
}

impl<R, X> Call<R, X> {
    /// Changes the command. A command that was sent is not changed: the call then fails.
    pub(crate) fn map(mut self, change: impl FnOnce(Command) -> Command) -> Self {
        self.command = self.command.unless_taken(change);
        self
    }

    /// Changes the command and the type of its reply.
    pub(crate) fn map_reply<S>(
        self,
        read: Read<S>,
        change: impl FnOnce(Command) -> Command,
    ) -> Call<S, X> {
        let Self { command, options, executor, .. } = self.map(change);
        Call { command, options, executor, read }
    }

    /// Reads the reply as another type.
    ///
    /// ```
    /// use redis_rest::cmd;
    /// let raw = cmd::incr("n").reading::<redis_rest::Value>();
    /// # let _ = raw;
    /// ```
    pub fn reading<S: FromValue>(self) -> Call<S, X> {
        let Self { command, options, executor, .. } = self;
        Call { command, options, executor, read: S::from_value }
    }

    /// Declares that the command may be resent if a reply was lost, even if its kind is not
    /// idempotent.
    pub fn idempotent(self) -> Self {
        self.map(Command::idempotent)
    }

    /// Reads a reply like the call, for a custom executor.
    ///
    /// # Errors
    /// Fails if the reply has another type.
    pub fn read(&self, reply: Value) -> Result<R, ConvertError> {
        (self.read)(reply)
    }

    /// Returns the command.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// Returns the command, without its reply type.
    pub fn into_command(self) -> Command {
        self.command
    }
}

impl<R> Call<R> {
    /// Sets the longest time for one attempt, instead of the client's.
    pub fn timeout(self, limit: Duration) -> Self {
        self.map_options(|options| options.timeout = Some(limit))
    }

    /// Sets the longest time for the call with all its attempts, instead of the client's.
    pub fn deadline(self, limit: Duration) -> Self {
        self.map_options(|options| options.deadline = Some(limit))
    }

    /// Makes the server run the command once, even if it is sent again: the first reply is stored
    /// for 10 minutes and returned to replays. A command such as `INCR` can then be resent if a
    /// reply was lost.
    ///
    /// The reply is stored at the key `redis_rest:once:{uuid}`, after the client's
    /// [prefix](crate::Client::with_prefix), and expires by itself; nothing else reads or deletes
    /// it. The user of the token must be allowed that key, `EVALSHA` and `EVAL`.
    ///
    /// The command runs in a script, which costs a key and about twice the work. Not for commands
    /// that Redis refuses in scripts (`EVAL`, `CONFIG` …), for more than 7000 arguments, or on a
    /// cluster. All keys of the command are passed as keys of the script; an unknown command has
    /// none. An integer reply of 2⁵³ or more is [`ErrorKind::Inexact`](crate::ErrorKind::Inexact).
    ///
    /// The deadline, the call's or else the client's, must be shorter than the 10 minutes (with
    /// [`Failover`](crate::backend::Failover), that of both sides together): a longer one is
    /// [`ErrorKind::InvalidCommand`](crate::ErrorKind::InvalidCommand), and nothing is sent.
    ///
    /// ```
    /// # async fn run(client: redis_rest::Client) -> redis_rest::Result<()> {
    /// let visits: i64 = client.incr("visits").exactly_once().await?;
    /// # Ok(()) }
    /// ```
    pub fn exactly_once(self) -> Self {
        self.map_options(|options| options.exactly_once = true)
    }

    /// Sends a second copy of a read-only command if the first has no reply after `delay`; the
    /// first reply wins and the other copy is cancelled. A second copy is charged to the retry
    /// budget. Over REST only.
    pub fn hedge_after(self, delay: Duration) -> Self {
        self.map_options(|options| options.hedge_after = Some(delay))
    }

    /// Sends the command once, even after a failure.
    pub fn no_retry(self) -> Self {
        self.map_options(|options| options.no_retry = true)
    }

    fn map_options(mut self, change: impl FnOnce(&mut CallOptions)) -> Self {
        self = self.map(|command| command);
        change(self.options.get_or_insert_default());
        self
    }
}

/// A call for a [`Pipeline`](crate::Pipeline) or a [`Transaction`](crate::Transaction): returned by
/// the functions of [`cmd`](mod@crate::cmd).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no call that a pipeline or a transaction can send",
    label = "not an unbound call",
    note = "the methods of `Client` send by themselves: use the function of the same name in `redis_rest::cmd`, such as `cmd::get(\"key\")`",
    note = "a `Command` made by name is added by `push` or `add_raw`"
)]
pub trait UnboundCall: sealed::Sealed {
    /// The type of the reply.
    type Reply;

    #[doc(hidden)]
    fn into_call(self) -> Call<Self::Reply, Unbound>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

impl<R> sealed::Sealed for Call<R, Unbound> {}
impl<R> UnboundCall for Call<R, Unbound> {
    type Reply = R;

    fn into_call(self) -> Self {
        self
    }
}

impl<R> From<Call<R, Unbound>> for Command {
    fn from(call: Call<R, Unbound>) -> Self {
        call.command
    }
}

impl<R> Clone for Call<R, Unbound> {
    fn clone(&self) -> Self {
        Self {
            command: self.command.clone(),
            options: self.options.clone(),
            executor: Unbound,
            read: self.read,
        }
    }
}

impl<R, X> fmt::Debug for Call<R, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(f)
    }
}
