//! [`Typed`]: a command that knows its reply type, on its own (for pipelines) or bound to a client (to be awaited).

use super::Command;
use crate::client::Client;
use crate::error::Result;
use crate::platform::BoxFuture;
use crate::value::FromValue;
use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

/// Not bound to a client: goes into a pipeline or a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detached;

/// A command without options of its own.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// What one call may be told, whatever its command. The client's settings hold where nothing is said.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// Longest time for one attempt.
    pub timeout: Option<Duration>,
    /// Longest time for the call with all its attempts.
    pub deadline: Option<Duration>,
    /// One attempt only.
    pub no_retry: bool,
    /// Run by the server once, however often it is sent. See [`Typed::exactly_once`].
    pub exactly_once: bool,
    /// When to send a second copy of a read-only command whose reply has not come.
    pub hedge_after: Option<Duration>,
}

impl CallOptions {
    const DEFAULT: Self = Self {
        timeout: None,
        deadline: None,
        no_retry: false,
        exactly_once: false,
        hedge_after: None,
    };
}

/// A command, the type `R` of its reply and its options.
///
/// `K` says which options it has. `X` is [`Detached`] for the functions in [`mod@crate::cmd`], and [`Client`] for the
/// client's methods: those can be awaited.
#[must_use = "a command does nothing until it is awaited or added to a pipeline"]
pub struct Typed<R, K = Plain, X = Detached> {
    pub(crate) command: Command,
    /// None: the defaults. Few calls have others, and all calls would carry them.
    options: Option<Box<CallOptions>>,
    executor: X,
    marker: PhantomData<fn() -> (R, K)>,
}

impl<R, K> Typed<R, K> {
    pub(crate) fn new(command: Command) -> Self {
        Self { command, options: None, executor: Detached, marker: PhantomData }
    }

    /// Binds the command to a client, which makes it awaitable.
    pub fn on(self, client: &Client) -> Typed<R, K, Client> {
        Typed {
            command: self.command,
            options: self.options,
            executor: client.for_call(),
            marker: PhantomData,
        }
    }
}

impl<R, K, X> Typed<R, K, X> {
    /// Changes the command and, by the way, the type of its reply and its further options.
    pub(crate) fn with<S, L>(self, change: impl FnOnce(Command) -> Command) -> Typed<S, L, X> {
        Typed {
            command: change(self.command),
            options: self.options,
            executor: self.executor,
            marker: PhantomData,
        }
    }

    /// Reads the reply as another type.
    ///
    /// ```
    /// use redis_rest::cmd;
    /// let raw = cmd::incr("n").reading::<redis_rest::Value>();
    /// # let _ = raw;
    /// ```
    pub fn reading<S: FromValue>(self) -> Typed<S, K, X> {
        self.with(|command| command)
    }

    /// States that the command may be sent again when a reply was lost, even if its kind says otherwise.
    pub fn replay_safe(self) -> Self {
        self.with(Command::replay_safe)
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

impl<R, K> Typed<R, K, Client> {
    /// Longest time for one attempt, instead of the client's.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options_mut().timeout = Some(limit);
        self
    }

    /// Longest time for the call with all its attempts, instead of the client's.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.options_mut().deadline = Some(limit);
        self
    }

    /// Has the server run the command once, however often it is sent: the first reply is kept for 10 minutes and answers
    /// replays. So a command such as `INCR` can be sent again when a reply was lost.
    ///
    /// The reply is kept at the key `redis_rest:once:{uuid}`, after the client's [prefix](Client::with_prefix), and expires by
    /// itself; nothing else reads or deletes it. The user of the token must be allowed that key, `EVALSHA` and `EVAL`.
    ///
    /// The command travels in a script, which costs a key and about twice the work; not for what Redis refuses in scripts
    /// (`EVAL`, `CONFIG` …), for more than 7000 arguments, or on a cluster. All keys that the command names go to the script as its
    /// keys; of a command that is not known here, none do. An integer reply of 2⁵³ or more is
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
    pub fn exactly_once(mut self) -> Self {
        self.options_mut().exactly_once = true;
        self
    }

    /// Sends a second copy of a read-only command when the first has not answered after `delay`; the first answer wins and the
    /// other is given up. A second copy is paid from the budget of retries. Over REST only.
    pub fn hedge_after(mut self, delay: Duration) -> Self {
        self.options_mut().hedge_after = Some(delay);
        self
    }

    /// Sends the command once, whatever happens.
    pub fn no_retry(mut self) -> Self {
        self.options_mut().no_retry = true;
        self
    }
}

impl<R, K> Typed<R, K, Client> {
    fn options_mut(&mut self) -> &mut CallOptions {
        self.options.get_or_insert_default()
    }

    pub(crate) fn into_parts(self) -> (Command, CallOptions, Client) {
        (
            self.command,
            self.options.map_or_else(CallOptions::default, |options| *options),
            self.executor,
        )
    }
}

impl<R: FromValue + 'static, K: 'static> IntoFuture for Typed<R, K, Client> {
    type Output = Result<R>;
    type IntoFuture = BoxFuture<'static, Result<R>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { command, options, executor, .. } = self;
        match executor.checked(command) {
            Ok(command) => Box::pin(async move {
                Ok(R::from_value(
                    executor
                        .execute_checked(
                            &command,
                            options.as_deref().unwrap_or(&CallOptions::DEFAULT),
                        )
                        .await?,
                )?)
            }),
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }
}

impl<R, K> From<Typed<R, K>> for Command {
    fn from(typed: Typed<R, K>) -> Self {
        typed.command
    }
}

impl<R, K, X: Clone> Clone for Typed<R, K, X> {
    fn clone(&self) -> Self {
        Self {
            command: self.command.clone(),
            options: self.options.clone(),
            executor: self.executor.clone(),
            marker: PhantomData,
        }
    }
}

impl<R, K, X> fmt::Debug for Typed<R, K, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(f)
    }
}
