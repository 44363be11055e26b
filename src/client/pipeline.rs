//! [`Pipeline`]: many commands in few requests, each with its own result. [`Transaction`]: the same, atomically.

mod replies;

pub use replies::{Replies, ReplyHandle, ReplyHandles};

use crate::backend::Reply;
use crate::client::Client;
use crate::client::exactly_once;
use crate::clock;
use crate::command::as_eval;
use crate::command::{Call, CallOptions, Command, Unbound, UnboundCall};
use crate::error::{Error, Outcome, Result, ServerErrorClass};
use crate::observe::{self, Operation};
use crate::value::{FromValue, Value};
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Common parts of pipelines and transactions.
#[derive(Clone)]
struct Batch {
    client: Client,
    id: u64,
    commands: Vec<Command>,
    /// The commands without a handle.
    unclaimed: Vec<usize>,
    options: CallOptions,
}

impl Batch {
    fn new(client: Client) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            client,
            id,
            commands: Vec::new(),
            unclaimed: Vec::new(),
            options: CallOptions::default(),
        }
    }

    fn add<R>(&mut self, call: Call<R, Unbound>) -> ReplyHandle<R> {
        self.commands.push(call.command);
        ReplyHandle::new(self.id, self.commands.len() - 1, call.read)
    }

    /// Converts the commands to their sent form.
    fn prepare(&mut self) -> Result<()> {
        for (index, command) in self.commands.iter_mut().enumerate() {
            match command.check().and_then(|()| self.client.admit(command)) {
                Ok(Cow::Owned(admitted)) => *command = admitted,
                Ok(Cow::Borrowed(_)) => {}
                Err(error) => {
                    let at = format!("entry {index}");
                    return Err(command.name_error(error).with_detail(at));
                }
            }
        }
        Ok(())
    }

    /// Returns the replies, unless a command without a handle failed.
    fn replies(self, items: Vec<Reply>) -> Result<Replies> {
        let truthful = |(reply, command): (Reply, &Command)| {
            Some(
                reply
                    .map(|reply| self.client.seen(command, reply))
                    .map_err(|error| command.name_error(error).shown(self.client.is_verbose())),
            )
        };
        let items: Vec<_> = items.into_iter().zip(&self.commands).map(truthful).collect();
        let failure = |index: usize| match items.get(index) {
            Some(Some(Err(error))) => Some((index, error.clone())),
            _ => None,
        };
        if let Some((index, error)) = self.unclaimed.iter().copied().find_map(failure) {
            let error = error.with_detail(format!("entry {index}"));
            // The other commands were executed.
            return Err(match self.commands.len() {
                1 => error,
                _ => error.with_outcome(Outcome::MaybeApplied),
            });
        }
        Ok(Replies::new(self.id, self.commands, self.client.is_verbose(), items))
    }
}

macro_rules! batch_api {
    ($type:ident) => {
        impl $type {
            pub(crate) fn new(client: Client) -> Self {
                Self(Batch::new(client))
            }

            /// Adds a command and returns the handle of its reply.
            pub fn add<C: UnboundCall>(&mut self, call: C) -> ReplyHandle<C::Reply> {
                self.0.add(call.into_call())
            }

            /// Adds a command whose reply is not needed, created by [`cmd`](mod@crate::cmd) or by
            /// name. If it fails, `send` fails.
            pub fn push(&mut self, command: impl Into<Command>) {
                self.0.unclaimed.push(self.0.commands.len());
                self.0.commands.push(command.into());
            }

            /// Adds any command, whose reply is read as `R`.
            pub fn add_raw<R: FromValue>(&mut self, command: Command) -> ReplyHandle<R> {
                self.0.add(Call::new(command))
            }

            /// Returns the number of commands that were added.
            pub fn len(&self) -> usize {
                self.0.commands.len()
            }

            /// Returns true if there are no commands.
            pub fn is_empty(&self) -> bool {
                self.0.commands.is_empty()
            }

            /// Sets the longest time for one attempt, instead of the client's.
            #[must_use]
            pub fn timeout(mut self, limit: Duration) -> Self {
                self.0.options.timeout = Some(limit);
                self
            }

            /// Sets the longest time for the whole with all its attempts, instead of the client's.
            #[must_use]
            pub fn deadline(mut self, limit: Duration) -> Self {
                self.0.options.deadline = Some(limit);
                self
            }

            /// Makes the server run each command once, even if it is sent again; see
            /// [`Call::exactly_once`](crate::Call::exactly_once).
            #[must_use]
            pub fn exactly_once(mut self) -> Self {
                self.0.options.exactly_once = true;
                self
            }

            /// Sends everything once, even after a failure.
            #[must_use]
            pub fn no_retry(mut self) -> Self {
                self.0.options.no_retry = true;
                self
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({} commands)"), self.len())
            }
        }
    };
}

/// Commands that are sent together and run in order, **not atomically**: commands of others may run
/// in between, and a failing one does not stop the rest.
///
/// ```
/// # async fn run(client: redis_rest::Client) -> redis_rest::Result<()> {
/// use redis_rest::cmd;
/// let mut pipe = client.pipeline();
/// pipe.push(cmd::set("seen", true)); // if it fails, `send` is an error
/// let name = pipe.add(cmd::get::<Option<String>>("name"));
/// let visits = pipe.add(cmd::incr("visits"));
/// let (name, visits) = pipe.send().await?.take((name, visits))?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Pipeline(Batch);
batch_api!(Pipeline);

impl Pipeline {
    /// Sends the commands, in as few requests as the limits on size and count allow. No commands
    /// need no request.
    ///
    /// # Errors
    /// Fails if no reply came for any command; if one of them cannot be sent at all (then none is);
    /// or if one added by [`push`](Self::push) failed. The last error says that the command *may
    /// have been applied*, because the others were. Otherwise each command has its own result.
    pub async fn send(mut self) -> Result<Replies> {
        self.0.prepare()?;
        if self.is_empty() {
            return self.0.replies(Vec::new());
        }
        observe::call(Operation::pipeline(&self.0.commands), clock::now(), self.send_prepared())
            .await
    }

    async fn send_prepared(self) -> Result<Replies> {
        let Batch { client, commands, options, .. } = &self.0;
        let replies = match options.exactly_once {
            true => exactly_once_each(client, commands, options).await?,
            false => send(client, commands, options).await,
        };
        match replies.as_slice() {
            // All entries share a connection failure.
            [Err(first), rest @ ..]
                if first.server_error().is_none()
                    && rest.iter().all(|reply| is_err_of(reply, first)) =>
            {
                // The whole has the outcome of its least certain entry.
                let worst = replies
                    .iter()
                    .filter_map(|reply| reply.as_ref().err())
                    .find(|error| error.maybe_applied());
                Err(worst.unwrap_or(first).clone())
            }
            _ => self.0.replies(replies),
        }
    }
}

/// Sends commands, and then as text the scripts that the server did not have.
async fn send(client: &Client, commands: &[Command], options: &CallOptions) -> Vec<Reply> {
    let mut replies = client.backend().pipeline(commands, options).await;
    resend_unknown_scripts(client, commands, options, &mut replies).await;
    replies
}

/// Wraps each command in a script with a unique id. A script that the server does not have is
/// loaded first, so that the order of the commands stays.
async fn exactly_once_each(
    client: &Client,
    commands: &[Command],
    options: &CallOptions,
) -> Result<Vec<Reply>> {
    exactly_once::check_deadline(&**client.backend(), options)?;
    let calls = commands.iter().enumerate().map(|(index, command)| {
        exactly_once::wrap(client.prefix(), std::slice::from_ref(command))
            .map_err(|error| error.with_detail(format!("entry {index}")))
    });
    let mut calls = calls.collect::<Result<Vec<_>>>()?;
    if let Some(first) = calls.first_mut()
        && let Some(eval) = as_eval(first)
    {
        *first = eval;
    }
    let replies = send(client, &calls, options).await;
    let single = |reply| {
        exactly_once::unwrap(reply, 1)
            .and_then(|mut replies| replies.pop().unwrap_or(Ok(Value::Nil)))
    };
    Ok(replies.into_iter().map(single).collect())
}

fn is_err_of(reply: &Reply, first: &Error) -> bool {
    matches!(reply, Err(error) if error.kind() == first.kind() && error.server_error().is_none())
}

/// Entries with the reply `NOSCRIPT` did not run: their scripts follow as text.
async fn resend_unknown_scripts(
    client: &Client,
    commands: &[Command],
    options: &CallOptions,
    replies: &mut [Reply],
) {
    let (mut places, mut evals) = (Vec::new(), Vec::new());
    for (index, (command, reply)) in commands.iter().zip(replies.iter()).enumerate() {
        let unknown =
            matches!(reply, Err(error) if error.server_class() == Some(ServerErrorClass::NoScript));
        if let Some(eval) = unknown.then(|| as_eval(command)).flatten() {
            places.push(index);
            evals.push(eval);
        }
    }
    if evals.is_empty() {
        return;
    }
    let answers = client.backend().pipeline(&evals, options).await;
    for (place, answer) in places.into_iter().zip(answers) {
        replies[place] = answer;
    }
}

/// Commands that run atomically: nothing runs in between. A command that fails at run time does not
/// undo the others (Redis has no rollback).
///
/// ```
/// # async fn run(client: redis_rest::Client) -> redis_rest::Result<()> {
/// use redis_rest::cmd;
/// let mut tx = client.transaction();
/// let from = tx.add(cmd::decrby("from", 10));
/// let to = tx.add(cmd::incrby("to", 10));
/// let (from, to) = tx.send().await?.take((from, to))?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Transaction(Batch);
batch_api!(Transaction);

impl Transaction {
    /// Sends the transaction as one request. No commands need no request.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Discarded`](crate::ErrorKind::Discarded) if Redis refused it as a
    /// whole: nothing ran; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the server
    /// has no transactions; [`ErrorKind::InvalidCommand`](crate::ErrorKind::InvalidCommand) if it
    /// is larger than the request limit: a transaction is never split. After any other error of
    /// Redis for the whole a part may have run: some servers send the commands one by one. The same
    /// applies to the error of a failed command added by [`push`](Self::push): there is no
    /// rollback.
    pub async fn send(mut self) -> Result<Replies> {
        self.0.prepare()?;
        if self.is_empty() {
            return self.0.replies(Vec::new());
        }
        observe::call(Operation::transaction(&self.0.commands), clock::now(), self.send_prepared())
            .await
    }

    async fn send_prepared(mut self) -> Result<Replies> {
        for command in &mut self.0.commands {
            if let Some(eval) = as_eval(command) {
                *command = eval;
            }
        }
        let Batch { client, commands, options, .. } = &self.0;
        let replies = match options.exactly_once {
            true => {
                exactly_once::check_deadline(&**client.backend(), options)?;
                let mut once = exactly_once::wrap(client.prefix(), commands)?;
                if let Some(eval) = as_eval(&once) {
                    once = eval;
                }
                exactly_once::unwrap(
                    client.backend().execute(&once, options).await,
                    commands.len(),
                )?
            }
            false => client.backend().transaction(commands, options).await?,
        };
        self.0.replies(replies)
    }
}
