//! Calls bound to a client: futures.

use super::Client;
use crate::backend::{Backend, Reply};
use crate::command::{Call, CallOptions, Command, as_eval};
use crate::error::{Error, ErrorKind, Outcome, Result, ServerErrorClass};
use crate::platform::BoxFuture;
use crate::value::ConvertError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bound to a client: the call is a future.
pub struct Bound(State);

/// Two variants fit into the size of the future alone.
enum State {
    Ready(Client),
    Running(BoxFuture<'static, (Reply, Sent)>),
}

/// The part of a call that its error names.
struct Sent {
    command: Command,
    verbose: bool,
}

impl Bound {
    pub(crate) fn new(client: &Client) -> Self {
        Self(State::Ready(client.for_call()))
    }
}

/// Shows nothing.
impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bound")
    }
}

impl<R> Call<R> {
    /// Starts the call at its first poll. No future is left in `Ready`, so that the client is
    /// moved, not counted.
    fn start(&mut self) -> Result<()> {
        let nothing = Bound(State::Running(Box::pin(std::future::pending())));
        match std::mem::replace(&mut self.executor, nothing).0 {
            State::Ready(client) => {
                let command = self.command.take();
                let command = client.checked(command)?;
                let options = self.options.take();
                // A block holds its captures once; an `async fn` would hold its arguments twice.
                let running = async move {
                    let options = options.as_deref().unwrap_or(&CallOptions::DEFAULT);
                    let reply = client.execute_checked(&command, options).await;
                    (reply, Sent { command, verbose: client.is_verbose() })
                };
                self.executor = Bound(State::Running(Box::pin(running)));
            }
            running => self.executor = Bound(running),
        }
        Ok(())
    }

    /// Returns the parts of a call.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::InvalidCommand`] if it was polled.
    pub(crate) fn into_parts(self) -> Result<(Command, CallOptions, Client)> {
        let options = self.options.map_or_else(CallOptions::default, |options| *options);
        match self.executor.0 {
            State::Ready(client) => Ok((self.command, options, client)),
            State::Running(_) => {
                let error = Error::new(ErrorKind::InvalidCommand, "the call had been polled");
                Err(error.with_outcome(Outcome::MaybeApplied))
            }
        }
    }
}

impl<R> Future for Call<R> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let State::Ready(_) = this.executor.0 {
            this.start()?;
        }
        let State::Running(running) = &mut this.executor.0 else { return Poll::Pending };
        if let Err(error) = this.command.check() {
            return Poll::Ready(Err(error.with_outcome(Outcome::MaybeApplied)));
        }
        let (reply, sent) = ready!(running.as_mut().poll(context));
        let named = |error: ConvertError| sent.command.name_error(error.into()).shown(sent.verbose);
        Poll::Ready(reply.and_then(|value| (this.read)(value).map_err(named)))
    }
}

/// The same script as text, where the server did not know it.
pub(super) fn as_text<'a>(
    backend: &'a dyn Backend,
    command: &Command,
    options: &'a CallOptions,
    reply: &Reply,
) -> Option<BoxFuture<'a, Reply>> {
    reply
        .as_ref()
        .err()
        .filter(|error| error.server_class() == Some(ServerErrorClass::NoScript))?;
    let eval = as_eval(command)?;
    Some(Box::pin(async move { backend.execute(&eval, options).await }))
}
