//! The attempts of one call: classification of failures, limits, and waits in between.

use super::RetryPolicy;
use crate::clock::{self, Instant};
use crate::command::Idempotency;
use crate::error::{Error, ErrorKind, Outcome, Prospect, ServerError, ServerErrorClass};
use crate::observe;
use crate::platform;
use std::time::Duration;

/// Class of a failure, which decides about a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Nothing left this machine.
    NeverSent,
    /// The server did not process the request, since it renewed the connection or had no free
    /// stream.
    Unprocessed,
    /// The server refused temporarily and did not run the command.
    Refused,
    /// The command may have run.
    Ambiguous,
    /// A retry would fail again.
    Permanent,
}

fn class_of(error: &Error) -> Class {
    if let Some(server) = error.server_error() {
        return class_of_redis_error(error, server);
    }
    match error.kind() {
        // The certificate is for another name, has expired, or has an untrusted issuer.
        ErrorKind::Connect if error.is_lasting() => Class::Permanent,
        ErrorKind::Connect if error.is_unprocessed() => Class::Unprocessed,
        ErrorKind::Connect => Class::NeverSent,
        ErrorKind::RateLimited => Class::Refused,
        ErrorKind::Timeout | ErrorKind::Io | ErrorKind::Decode => match error.outcome() {
            // The request waited in vain for a connection or a stream, for example.
            Outcome::NotApplied => Class::Refused,
            Outcome::MaybeApplied | Outcome::Applied => Class::Ambiguous,
        },
        // The server rejected the request on this connection, or this early in it.
        ErrorKind::Http if matches!(error.status(), Some(421 | 425)) => Class::Refused,
        ErrorKind::Http => match (error.outcome(), error.status()) {
            (Outcome::MaybeApplied, _) => Class::Ambiguous,
            // Responded before the whole request was there.
            (Outcome::NotApplied, Some(408 | 500 | 502..)) => Class::Refused,
            (Outcome::NotApplied | Outcome::Applied, _) => Class::Permanent,
        },
        ErrorKind::Config
        | ErrorKind::InvalidCommand
        | ErrorKind::Unauthorized
        | ErrorKind::ReplyTooLarge
        | ErrorKind::Redis
        | ErrorKind::Discarded
        | ErrorKind::Conversion
        | ErrorKind::Inexact
        | ErrorKind::Unsupported
        | ErrorKind::Closed => Class::Permanent,
    }
}

fn class_of_redis_error(error: &Error, server: &ServerError) -> Class {
    match (server.class().facts().prospect, error.outcome()) {
        // From within a script, or of a transaction of which a part may have run.
        (Prospect::Passes, Outcome::MaybeApplied) => Class::Ambiguous,
        (Prospect::Passes, _) if server.may_have_run() => Class::Ambiguous,
        (Prospect::Passes, Outcome::NotApplied | Outcome::Applied) => Class::Refused,
        (Prospect::Lasts, _) => Class::Permanent,
        (Prospect::ByStatus, _) if server.may_have_run() => Class::Permanent,
        (Prospect::ByStatus, _) if error.kind() == ErrorKind::RateLimited => Class::Refused,
        (Prospect::ByStatus, Outcome::MaybeApplied)
            if error.kind() == ErrorKind::Redis && error.status() >= Some(500) =>
        {
            Class::Ambiguous
        }
        (Prospect::ByStatus, _) => Class::Permanent,
    }
}

/// Most attempts of a call that the server may leave unprocessed. If each connection takes three
/// requests, and 300 callers send theirs at once, some wait for the hundredth connection.
const MOST_UNPROCESSED: u32 = 300;
/// Longest wait after an unprocessed attempt.
const UNPROCESSED_WAIT: Duration = Duration::from_millis(20);

/// A larger request that gets 500 twice is not sent a third time: some servers respond so to a
/// request that is too large for them.
const LARGE: usize = 1_000_000;

/// The attempts of one call.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    policy: &'a RetryPolicy,
    connect_timeout: Duration,
    started: Instant,
    deadline: Instant,
    made: u32,
    no_retry: bool,
    /// An attempt may have run the command.
    ambiguous: bool,
    /// The request is so large that it may be the reason for a 500.
    large: bool,
    /// Attempts that ended with 500.
    internal_errors: u32,
    /// Attempts that the server left unprocessed. They count neither as attempts nor in the budget.
    unprocessed: u32,
}

/// Returns true for a refusal that reports that the command did not run and may work later.
pub(crate) fn is_refused(error: &Error) -> bool {
    class_of(error) == Class::Refused
}

/// Returns true for an exhausted quota: every further request is refused too.
pub(crate) fn is_exhausted(error: &Error) -> bool {
    error.server_class() == Some(ServerErrorClass::RequestQuota)
}

impl<'a> Attempts<'a> {
    pub(crate) fn start(
        policy: &'a RetryPolicy,
        connect_timeout: Duration,
        deadline: Instant,
        no_retry: bool,
    ) -> Self {
        policy.budget.earn();
        Self {
            policy,
            connect_timeout,
            started: clock::now(),
            deadline,
            made: 0,
            no_retry,
            ambiguous: false,
            large: false,
            internal_errors: 0,
            unprocessed: 0,
        }
    }

    /// Counts an attempt and returns its number and its time limit; `None` if the deadline has
    /// passed.
    pub(crate) fn begin(&mut self, timeout: Duration) -> Option<(u32, Duration)> {
        let left =
            self.deadline.checked_duration_since(clock::now()).filter(|left| !left.is_zero())?;
        self.made += 1;
        Some((self.made, left.min(timeout)))
    }

    /// Sets the size of the request.
    pub(crate) fn of_size(mut self, bytes: usize) -> Self {
        self.large = bytes > LARGE;
        self
    }

    /// Records that an earlier call for the same command may have run it.
    pub(crate) fn assume_it_may_have_run(&mut self) {
        self.ambiguous = true;
    }

    /// Records a failed attempt.
    pub(crate) fn note(&mut self, error: &Error) {
        let class = class_of(error);
        self.ambiguous |= class == Class::Ambiguous;
        self.unprocessed += u32::from(class == Class::Unprocessed);
        self.internal_errors += u32::from(error.status() == Some(500));
    }

    /// Returns true if one of the attempts may have run the command.
    pub(crate) fn may_have_run(&self) -> bool {
        self.ambiguous
    }

    /// Returns true if a command of this idempotency may be retried after `error` (already
    /// [noted](Self::note)).
    pub(crate) fn allows(&self, error: &Error, safety: Idempotency) -> bool {
        // The same error twice: a proxy may have responded once in place of the server.
        if error.is_lasting() && self.made > 1 || self.large && self.internal_errors > 1 {
            return false;
        }
        let replay = self.policy.allows_replay(safety);
        let allowed = match class_of(error) {
            // Retrying a refused connection is free, but a dead address must not hold a caller for
            // long.
            Class::NeverSent => self.started.elapsed() < self.connect_timeout,
            Class::Unprocessed | Class::Refused => true,
            Class::Ambiguous => replay,
            Class::Permanent => false,
        };
        // An earlier attempt may have run: from then on only idempotent commands are retried.
        allowed && (!self.ambiguous || replay)
    }

    /// Returns how long to wait before the next attempt, which then has to follow; `None` if
    /// attempts, deadline or budget are spent.
    pub(crate) fn wait(&mut self, error: &Error) -> Option<Duration> {
        let class = class_of(error);
        let free = class == Class::Unprocessed;
        let spent = match free {
            true => self.policy.max_attempts == 1 || self.unprocessed > MOST_UNPROCESSED,
            false => self.counted() >= self.policy.max_attempts,
        };
        if self.no_retry || spent {
            return None;
        }
        let backoff = || if free { self.unprocessed_wait() } else { self.backoff() };
        let wait = error.retry_after().unwrap_or_else(backoff);
        // Latest begin of the next attempt.
        let latest = match class {
            Class::NeverSent => self
                .started
                .checked_add(self.connect_timeout)
                .map_or(self.deadline, |limit| limit.min(self.deadline)),
            _ => self.deadline,
        };
        let in_time = clock::now().checked_add(wait).is_some_and(|at| {
            at < latest
                && self
                    .policy
                    .max_elapsed
                    .is_none_or(|most| at.duration_since(self.started) <= most)
        });
        if !in_time {
            return None;
        }
        if !free && !self.policy.budget.spend() {
            observe::retry_refused();
            return None;
        }
        observe::retried(error.kind());
        Some(wait)
    }

    /// Returns the number of attempts that the policy counts.
    fn counted(&self) -> u32 {
        self.made - self.unprocessed.min(self.made)
    }

    /// Returns a short wait, and none before the second attempt: the next connection usually exists
    /// already.
    fn unprocessed_wait(&self) -> Duration {
        let longest = Duration::from_millis(u64::from(self.unprocessed.saturating_sub(1)));
        longest.min(UNPROCESSED_WAIT).mul_f64(platform::random())
    }

    fn backoff(&self) -> Duration {
        let policy = self.policy;
        // Both are finite and not negative, and the exponent is small: the product may be infinite,
        // which `min` makes finite.
        let grown = policy.min_backoff.as_secs_f64()
            * policy.multiplier.powi(self.counted().saturating_sub(1).min(64) as i32);
        let backoff = Duration::from_secs_f64(grown.min(policy.max_backoff.as_secs_f64()));
        match policy.spread {
            None => backoff.mul_f64(platform::random()),
            Some(spread) => backoff.mul_f64(1.0 + spread * (2.0 * platform::random() - 1.0)),
        }
    }

    /// Returns the error for the caller: with the number of attempts, and with the outcome of all
    /// of them, not only the last.
    pub(crate) fn finish(&self, error: Error, safety: Idempotency) -> Error {
        let error = match safety {
            Idempotency::ReadOnly => error.with_outcome(Outcome::NotApplied),
            _ if self.ambiguous => safety.of_repeated(error),
            _ => error,
        };
        error.with_attempts(self.made)
    }

    /// Returns the error if the deadline passed before another attempt could begin.
    #[allow(clippy::unused_self, reason = "belongs to the call")]
    pub(crate) fn expired(&self) -> Error {
        Error::new(ErrorKind::Timeout, "the deadline passed").with_outcome(Outcome::NotApplied)
    }
}
