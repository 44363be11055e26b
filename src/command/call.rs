//! [`Call`]: a command that knows how its reply is read, on its own (for pipelines) or bound to a client (a future).

use super::Command;
use crate::client::Bound;
use crate::value::{ConvertError, FromValue, Value};
use std::fmt;
use std::time::Duration;

/// Not bound to a client: goes into a pipeline or a transaction.
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
    /// Run by the server once, however often it is sent. See [`Call::exactly_once`].
    pub exactly_once: bool,
    /// When to send a second copy of a read-only command whose reply has not come.
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
/// future: await it, join it, spawn it. The functions of [`cmd`](mod@crate::cmd) make calls that
/// are [`Unbound`], for a [`Pipeline`](crate::Pipeline) or a [`Transaction`](crate::Transaction).
///
/// The commands that have options of their own return a struct of their own instead, such as
/// [`cmd::Set`](crate::cmd::Set), which is the same in everything else.
///
/// Nothing is sent before the first poll. Dropping a call gives up waiting; a request that has left
/// may still be executed.
#[must_use = "a call does nothing until it is awaited or added to a pipeline"]
pub struct Call<R, X = Bound> {
    pub(crate) command: Command,
    /// None: the defaults. Few calls have others, and all calls would carry them.
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
    /// Changes the command. One that was sent is not changed: the call then fails.
    pub(crate) fn map(mut self, change: impl FnOnce(Command) -> Command) -> Self {
        self.command = self.command.unless_taken(change);
        self
    }

    /// Changes the command and how its reply is read.
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

    /// States that the command may be sent again when a reply was lost, even if its kind says
    /// otherwise.
    pub fn idempotent(self) -> Self {
        self.map(Command::idempotent)
    }

    /// Reads a reply as the call would, for an executor of your own.
    ///
    /// # Errors
    /// The reply is of another type.
    pub fn read(&self, reply: Value) -> Result<R, ConvertError> {
        (self.read)(reply)
    }

    /// The command itself.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// The command itself, without its reply type.
    pub fn into_command(self) -> Command {
        self.command
    }
}

impl<R> Call<R> {
    /// Longest time for one attempt, instead of the client's.
    pub fn timeout(self, limit: Duration) -> Self {
        self.map_options(|options| options.timeout = Some(limit))
    }

    /// Longest time for the call with all its attempts, instead of the client's.
    pub fn deadline(self, limit: Duration) -> Self {
        self.map_options(|options| options.deadline = Some(limit))
    }

    /// Has the server run the command once, however often it is sent: the first reply is kept for
    /// 10 minutes and answers replays. So a command such as `INCR` can be sent again when a reply
    /// was lost.
    ///
    /// The reply is kept at the key `redis_rest:once:{uuid}`, after the client's
    /// [prefix](crate::Client::with_prefix), and expires by itself; nothing else reads or deletes
    /// it. The user of the token must be allowed that key, `EVALSHA` and `EVAL`.
    ///
    /// The command travels in a script, which costs a key and about twice the work; not for what
    /// Redis refuses in scripts (`EVAL`, `CONFIG` …), for more than 7000 arguments, or on a
    /// cluster. All keys that the command names go to the script as its keys; of a command that is
    /// not known here, none do. An integer reply of 2⁵³ or more is
    /// [`ErrorKind::Inexact`](crate::ErrorKind::Inexact).
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

    /// Sends a second copy of a read-only command when the first has not answered after `delay`;
    /// the first answer wins and the other is given up. A second copy is paid from the budget of
    /// retries. Over REST only.
    pub fn hedge_after(self, delay: Duration) -> Self {
        self.map_options(|options| options.hedge_after = Some(delay))
    }

    /// Sends the command once, whatever happens.
    pub fn no_retry(self) -> Self {
        self.map_options(|options| options.no_retry = true)
    }

    fn map_options(mut self, change: impl FnOnce(&mut CallOptions)) -> Self {
        self = self.map(|command| command);
        change(self.options.get_or_insert_default());
        self
    }
}

/// A call that goes into a [`Pipeline`](crate::Pipeline) or a [`Transaction`](crate::Transaction):
/// what the functions of [`cmd`](mod@crate::cmd) return.
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
