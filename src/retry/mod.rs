//! Decides whether and when a failed attempt is followed by another. Sees an error's kind, the
//! command's idempotency and `Retry-After`; knows no HTTP.

mod attempts;
pub(crate) mod breaker;
mod driver;

pub(crate) use attempts::{Attempts, is_exhausted, is_refused};
pub(crate) use driver::{Attempted, Entries, drive};

use crate::command::Idempotency;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// When and how often to retry.
///
/// The wait before retry `n` is drawn evenly from zero to `min(max_backoff, min_backoff × 2ⁿ⁻¹)`
/// ("full jitter"), so that many clients that failed together do not retry together.
///
/// All retries of a client and its clones share one budget: 500 at first and at most, and each call
/// earns a fifth of one. Each client that is built has its own, even if several are built with
/// clones of one policy.
#[derive(Clone, Debug)]
#[must_use]
pub struct RetryPolicy {
    max_attempts: u32,
    min_backoff: Duration,
    max_backoff: Duration,
    multiplier: f64,
    /// Largest deviation of a wait from the backoff, as a ratio. `None`: evenly from zero to the
    /// backoff.
    spread: Option<f64>,
    /// Latest begin of a retry after the begin of the call.
    max_elapsed: Option<Duration>,
    replay_effect_idempotent: bool,
    budget: Budget,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 10,
            min_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(2),
            multiplier: 2.0,
            spread: None,
            max_elapsed: None,
            replay_effect_idempotent: true,
            budget: Budget::default(),
        }
    }
}

impl RetryPolicy {
    /// Returns the same policy with a full budget of its own: clones of a policy share theirs.
    pub(crate) fn with_own_budget(self) -> Self {
        Self { budget: Budget::default(), ..self }
    }

    /// Takes one retry from the budget, for a second copy of a slow read; returns false if the
    /// budget is spent.
    pub(crate) fn spend(&self) -> bool {
        self.budget.spend()
    }

    /// Sets the most attempts of one call, the first included (default 10).
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Sets the shortest and the longest backoff (default 50 ms and 2 s).
    pub fn backoff(mut self, min: Duration, max: Duration) -> Self {
        (self.min_backoff, self.max_backoff) = (min, max.max(min));
        self
    }

    /// Does not retry commands whose second reply may differ from the first
    /// ([`Idempotency::EffectIdempotent`]: `DEL` returns 0, `SET … NX` returns nil after it
    /// worked). By default they are retried.
    pub fn no_effect_idempotent_replays(mut self) -> Self {
        self.replay_effect_idempotent = false;
        self
    }

    /// Returns true if a command of this idempotency may be retried after it may have run.
    pub(crate) fn allows_replay(&self, safety: Idempotency) -> bool {
        match safety {
            Idempotency::ReadOnly | Idempotency::Idempotent => true,
            Idempotency::EffectIdempotent => self.replay_effect_idempotent,
            Idempotency::NonIdempotent => false,
        }
    }
}

/// Uses the schedule of a `backoff::ExponentialBackoff`: its first interval, multiplier, longest
/// interval, spread and longest elapsed time. This crate still decides what may be retried, and
/// attempts and budget keep their limits.
///
/// ```
/// let policy = redis_rest::RetryPolicy::from(backoff::ExponentialBackoff::default()).max_attempts(5);
/// # let _ = policy;
/// ```
#[cfg(feature = "backoff")]
impl From<backoff::ExponentialBackoff> for RetryPolicy {
    fn from(backoff: backoff::ExponentialBackoff) -> Self {
        let sound = |number: f64, else_: f64| if number.is_finite() { number } else { else_ };
        Self {
            min_backoff: backoff.initial_interval,
            max_backoff: backoff.max_interval.max(backoff.initial_interval),
            multiplier: sound(backoff.multiplier, 2.0).max(1.0),
            spread: Some(sound(backoff.randomization_factor, 0.5).clamp(0.0, 1.0)),
            max_elapsed: backoff.max_elapsed_time,
            ..Self::default()
        }
    }
}

/// The retry budget of a client and its clones: every call earns a fifth of a retry, up to 500
/// retries, which is also the start. An outage then adds at most a fifth to the load once the 500
/// are spent.
#[derive(Clone, Debug)]
struct Budget(Arc<AtomicI64>);

impl Budget {
    /// Capacity in thousandths of a retry.
    const CAP: i64 = 500_000;
    const EARNED_BY_CALL: i64 = 200;
    const RETRY: i64 = 1000;

    fn earn(&self) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            (now < Self::CAP).then(|| (now + Self::EARNED_BY_CALL).min(Self::CAP))
        });
    }

    fn spend(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now >= Self::RETRY).then(|| now - Self::RETRY)
            })
            .is_ok()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(Self::CAP)))
    }
}
