//! Errors: what went wrong, and whether the command ran.
//!
//! No text in here contains a value, a key, a token, a session id or a URL. The server's text is
//! kept apart, behind [`Error::server_message`], and is never part of `Display` or `Debug`.

mod class;
mod kind;
mod server;
mod server_class;

use crate::platform::NoRuntime;
use crate::value::ConvertError;
pub(crate) use class::Signal;
pub use kind::{ErrorKind, Outcome};
pub use server::ServerError;
pub(crate) use server_class::Prospect;
pub use server_class::ServerErrorClass;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of anything in this crate that talks to Redis.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// An error of this crate: one pointer wide, cheap to clone.
///
/// The first question after a failure is whether the command ran; [`Error::outcome`] tells.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    outcome: Outcome,
    message: &'static str,
    detail: Option<Arc<str>>,
    server: Option<ServerError>,
    status: Option<u16>,
    attempts: u32,
    retry_after: Option<Duration>,
    /// Another attempt would fail alike, as far as known.
    lasting: bool,
    /// The server did not process the request, and will process the next.
    unprocessed: bool,
    /// The name of the command, if it looks like one.
    command: Option<Arc<str>>,
    /// Reason why the reply could not be read.
    conversion: Option<Arc<ConvertError>>,
    /// Texts that may quote data are shown.
    verbose: bool,
    source: Option<Source>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: &'static str) -> Self {
        Self(Box::new(Inner {
            kind,
            outcome: kind.default_outcome(),
            message,
            detail: None,
            server: None,
            status: None,
            attempts: 0,
            retry_after: None,
            lasting: false,
            unprocessed: false,
            command: None,
            conversion: None,
            verbose: false,
            source: None,
        }))
    }

    /// Creates an error for a [`Backend`](crate::backend::Backend) or
    /// [`Transport`](crate::backend::rest::Transport) outside this crate. `message` is shown to
    /// users: it must not contain data.
    ///
    /// ```
    /// use redis_rest::{Error, ErrorKind, Outcome};
    /// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    /// let error = Error::custom(ErrorKind::Connect, Outcome::NotApplied, "no connection").with_source(refused);
    /// assert_eq!(error.to_string(), "no connection");
    /// ```
    pub fn custom(kind: ErrorKind, outcome: Outcome, message: &'static str) -> Self {
        Self::new(kind, message).with_outcome(outcome)
    }

    /// Creates the error that Redis returned.
    pub fn redis(server: ServerError) -> Self {
        let kind = server.class().facts().kind;
        let outcome =
            if server.may_have_run() { Outcome::MaybeApplied } else { Outcome::NotApplied };
        let mut error = Self::new(kind, "Redis answered with an error").with_outcome(outcome);
        error.0.server = Some(server);
        error
    }

    /// Sets the outcome of the command.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Sets the command's name, unless one is set or the name may be data.
    pub(crate) fn of_command(mut self, label: &str) -> Self {
        if self.0.command.is_none() && label != "?" && !label.is_empty() {
            self.0.command = Some(label.into());
        }
        self
    }

    /// Returns the error of a script or function, which may come from any part of it, even after it
    /// wrote: only texts that Redis sends before it starts one are certain.
    pub(crate) fn of_writing_script(self) -> Self {
        let may_have_run = self.server_class().is_some_and(|class| !class.facts().is_before_start);
        match self.0.outcome {
            Outcome::NotApplied if may_have_run => self.with_outcome(Outcome::MaybeApplied),
            Outcome::NotApplied | Outcome::Applied | Outcome::MaybeApplied => self,
        }
    }

    /// Creates the error of an unreadable reply: the command ran.
    pub(crate) fn conversion(error: ConvertError) -> Self {
        let mut this =
            Self::new(ErrorKind::Conversion, "the reply has another type than asked for");
        this.0.conversion = Some(Arc::new(error));
        this
    }

    /// Returns the same error with the server's full text, and for an unreadable reply the
    /// deserializer's. **These texts may quote keys and values**: not for shared logs.
    /// [`Config::verbose_errors`](crate::Config::verbose_errors) applies this to every error of a
    /// client.
    #[must_use]
    pub fn verbose(self) -> Self {
        self.shown(true)
    }

    pub(crate) fn shown(mut self, verbose: bool) -> Self {
        self.0.verbose |= verbose;
        self
    }

    /// Appends to the text. `detail` must contain nothing from the network or from arguments.
    pub(crate) fn with_detail(mut self, detail: impl Into<Arc<str>>) -> Self {
        let detail = detail.into();
        self.0.detail = Some(match self.0.detail.take() {
            Some(earlier) => format!("{earlier}, {detail}").into(),
            None => detail,
        });
        self
    }

    /// Sets the HTTP status of the response; it is shown.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn lasting(mut self) -> Self {
        self.0.lasting = true;
        self
    }

    /// Returns true if another attempt would fail alike, as far as known.
    pub(crate) fn is_lasting(&self) -> bool {
        self.0.lasting
    }

    #[cfg_attr(target_family = "wasm", allow(dead_code))]
    pub(crate) fn unprocessed(mut self) -> Self {
        self.0.unprocessed = true;
        self
    }

    /// Returns true if the server did not process the request for a reason that another attempt
    /// need not meet: it renewed the connection, or had no free stream.
    pub(crate) fn is_unprocessed(&self) -> bool {
        self.0.unprocessed
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Sets how long the server asked to wait. A retry then follows after that time, instead of the
    /// policy's backoff, or not at all if the deadline is earlier.
    #[must_use]
    pub fn with_retry_after(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.0.retry_after = wait.into();
        self
    }

    /// Sets the cause, which is the [`source`](std::error::Error::source) and part of the `Debug`
    /// output, not of the text. It must contain nothing secret in either form: texts of HTTP
    /// libraries quote URLs, which this crate removes.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Returns the name of the failed command, as it was sent. `None` if the error concerns no
    /// single command, or if the name looks like data.
    pub fn command(&self) -> Option<&str> {
        self.0.command.as_deref()
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the command took effect.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Returns true if the command may have run although no usable reply came back.
    pub fn maybe_applied(&self) -> bool {
        self.0.outcome == Outcome::MaybeApplied
    }

    /// Returns how often the request was sent or tried to be sent; 0 if it was refused before.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns true if a timeout or the deadline ended the call.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Returns true if the server limits the request rate.
    pub fn is_rate_limited(&self) -> bool {
        self.0.kind == ErrorKind::RateLimited
    }

    /// Returns true if no connection could be opened.
    pub fn is_connect(&self) -> bool {
        self.0.kind == ErrorKind::Connect
    }

    /// Returns true if the same call may work later, without a change: no connection, a timeout, a
    /// broken connection, a limit on rate or quota, a proxy's or server's 5xx, and Redis's
    /// `LOADING`, `BUSY`, `READONLY`, `OOM` and the like. A web handler should respond 503.
    /// Independent of whether the command ran: see [`outcome`](Self::outcome).
    pub fn is_transient(&self) -> bool {
        class::is_transient(self)
    }

    /// Returns true if Redis was not reached or refused all work, and did nothing: no connection,
    /// an exhausted quota, `LOADING`, `MASTERDOWN`, `CLUSTERDOWN`, or a 502, 503 or 504 of a server
    /// or proxy that reports that the command did not run.
    pub fn is_unavailable(&self) -> bool {
        class::is_unavailable(self)
    }

    /// Returns how long the server asked to wait (`Retry-After`).
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the HTTP status of the last response, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the code that starts Redis's error, such as `WRONGTYPE`.
    pub fn redis_code(&self) -> Option<&str> {
        self.0.server.as_ref().map(ServerError::code)
    }

    /// Returns the meaning of Redis's error.
    pub fn server_class(&self) -> Option<ServerErrorClass> {
        self.0.server.as_ref().map(ServerError::class)
    }

    /// Returns the whole text of Redis's error. **It may quote keys and arguments**, so it is not
    /// part of `Display` or `Debug`; do not log it if those are secret.
    pub fn server_message(&self) -> Option<&str> {
        self.0.server.as_ref().map(ServerError::message)
    }

    /// Returns the code of Redis's error if it is one of Redis's own, for spans: a script's error
    /// may start with anything.
    pub(crate) fn known_code(&self) -> Option<&'static str> {
        self.server_error()?.known_code()
    }

    pub(crate) fn server_error(&self) -> Option<&ServerError> {
        self.0.server.as_ref()
    }
}

impl From<NoRuntime> for Error {
    fn from(_: NoRuntime) -> Self {
        Self::new(ErrorKind::Config, "no Tokio runtime: calls need one, with its timers and I/O")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(command) = &self.0.command {
            write!(f, "{command}: ")?;
        }
        match (&self.0.server, &self.0.conversion) {
            (Some(server), _) if self.0.verbose => f.write_str(server.message())?,
            (Some(server), _) => write!(f, "{server}")?,
            (None, Some(error)) => error.write(f, self.0.verbose)?,
            (None, None) => f.write_str(self.0.message)?,
        }
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(status) = self.0.status {
            write!(f, " (HTTP {status})")?;
        }
        if self.0.attempts > 1 {
            write!(f, " after {} attempts", self.0.attempts)?;
        }
        if self.0.outcome == Outcome::MaybeApplied {
            f.write_str("; the command may have been applied")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("outcome", &self.0.outcome)
            .field("message", &format_args!("{self}"))
            .field("attempts", &self.0.attempts)
            .field("status", &self.0.status)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests;
