//! Spans: one for each call, one for each HTTP attempt. Names of commands, counts, kinds and codes
//! only.

use super::{name_of, recorded};
use crate::clock::Instant;
use crate::command::Command;
use crate::error::{Error, Result};
use pin_project_lite::pin_project;
use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tracing::field::Empty;
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Level, Span};

/// A call's operation, by names.
pub(crate) struct Operation<'a> {
    name: Cow<'a, str>,
    /// The number of commands, if more than one: a batch of one counts as its command.
    batch: Option<usize>,
    recorded: recorded::Name,
}

impl<'a> Operation<'a> {
    pub(crate) fn of(command: &'a Command) -> Self {
        Self { name: command.label().into(), batch: None, recorded: recorded::Name::of(command) }
    }
}

impl Operation<'static> {
    pub(crate) fn pipeline(commands: &[Command]) -> Self {
        Self::batch("PIPELINE", recorded::Name::pipeline(), commands)
    }

    pub(crate) fn transaction(commands: &[Command]) -> Self {
        Self::batch("MULTI", recorded::Name::transaction(), commands)
    }

    fn batch(name: &'static str, recorded: recorded::Name, commands: &[Command]) -> Self {
        if let [command] = commands {
            return Self {
                name: command.label().to_owned().into(),
                batch: None,
                recorded: recorded::Name::of(command),
            };
        }
        let name = match commands {
            // Built only if spans are recorded.
            [first, rest @ ..]
                if tracing::span_enabled!(Level::DEBUG)
                    && rest.iter().all(|other| other.label() == first.label()) =>
            {
                format!("{name} {}", first.label()).into()
            }
            _ => name.into(),
        };
        Self { name, batch: Some(commands.len()), recorded }
    }
}

/// Runs a call that begins `now` in its span, and counts it when it ends. A cancelled call is not
/// counted.
pub(crate) fn call<F: Future<Output = Result<T>>, T>(
    operation: Operation<'_>,
    now: Instant,
    call: F,
) -> Call<F> {
    let span = tracing::debug_span!(
        "redis",
        otel.kind = "client",
        otel.name = &*operation.name,
        db.system.name = "redis",
        db.operation.name = &*operation.name,
        db.operation.batch.size = operation.batch,
        db.response.status_code = Empty,
        error.r#type = Empty,
        otel.status_code = Empty,
    );
    Call {
        call: call.instrument(span),
        began: Some(recorded::Call::begin(operation.recorded, now)),
    }
}

pin_project! {
    /// A call in flight. Written by hand since an `async` block would hold the call twice, and
    /// every waiting call holds this.
    pub(crate) struct Call<F> {
        #[pin]
        call: Instrumented<F>,
        // `None`: it has ended.
        began: Option<recorded::Call>,
    }
}

impl<F: Future<Output = Result<T>>, T> Future for Call<F> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let mut this = self.project();
        let result = ready!(this.call.as_mut().poll(context));
        let error = result.as_ref().err();
        if let Some(began) = this.began.take() {
            began.end(error);
        }
        if let Some(error) = error {
            let span = this.call.span();
            failed(span, error);
            if let Some(code) = error.known_code() {
                span.record("db.response.status_code", code);
            }
        }
        Poll::Ready(result)
    }
}

/// An HTTP request of a call, or of a batch of calls. If it is dropped before [`Attempt::end`], it
/// was cancelled, and only leaves the level of requests in flight.
pub(crate) struct Attempt {
    span: Span,
    recorded: recorded::Attempt,
}

impl Attempt {
    /// `number` counts from 1.
    pub(crate) fn begin(number: u32) -> Self {
        let span = tracing::debug_span!(
            "redis.http",
            otel.kind = "client",
            otel.name = "POST",
            http.request.method = "POST",
            // Only if it was sent before, as the conventions require.
            http.request.resend_count = (number > 1).then(|| number - 1),
            http.response.status_code = Empty,
            error.r#type = Empty,
            otel.status_code = Empty,
        );
        Self { span, recorded: recorded::Attempt::begin() }
    }

    /// Links the attempt to calls in other tasks.
    pub(crate) fn follows(&self, calls: &[Span]) {
        for call in calls {
            self.span.follows_from(call);
        }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Records a response with this status.
    pub(crate) fn answered(&self, status: u16) {
        self.span.record("http.response.status_code", status);
    }

    pub(crate) fn end(self, error: Option<&Error>) {
        if let Some(error) = error {
            failed(&self.span, error);
        }
        self.recorded.end(error);
    }
}

/// Records an error. Its type is Redis's code if it is one of Redis's own, else the kind of the
/// error.
fn failed(span: &Span, error: &Error) {
    span.record("error.type", error.known_code().unwrap_or_else(|| name_of(error.kind())));
    span.record("otel.status_code", "ERROR");
}
