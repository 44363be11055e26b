//! A circuit breaker: knows that a server is unavailable, so that no call waits for it.
//!
//! Driven by calls alone, so it works without background tasks. Knows no backend: callers report
//! how calls ended.

use crate::clock::{self, Instant};
pub(crate) use crate::error::Signal;
use crate::observe::{BreakerWatch, Guarded};
use crate::platform::{self, Mutex};
use std::collections::VecDeque;
use std::time::Duration;

/// When a breaker opens and how long it stays open.
#[derive(Clone, Debug)]
#[must_use]
pub struct BreakerPolicy {
    window: Duration,
    min_calls: usize,
    failure_ratio: f64,
    open_for: Duration,
    max_open: Duration,
    quota_open: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            min_calls: 5,
            failure_ratio: 0.5,
            open_for: Duration::from_secs(1),
            max_open: Duration::from_secs(30),
            quota_open: Duration::from_secs(300),
        }
    }
}

impl BreakerPolicy {
    /// Sets over how much time failures are counted (default 10 s).
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how many calls there must be in the window before it opens (default 5).
    pub fn min_calls(mut self, calls: usize) -> Self {
        self.min_calls = calls.max(1);
        self
    }

    /// Sets which part of them must have failed (default 0.5).
    pub fn failure_ratio(mut self, ratio: f64) -> Self {
        self.failure_ratio = ratio;
        self
    }

    /// Sets how long it stays open before a probe, at first and at most (default 1 s and 30 s). It doubles with every probe that fails,
    /// and each time is drawn evenly from half of it to all of it.
    pub fn open_for(mut self, first: Duration, most: Duration) -> Self {
        (self.open_for, self.max_open) = (first, most.max(first));
        self
    }

    /// Sets how long it stays open after an error that says a quota is used up (default 5 min).
    pub fn quota_open(mut self, time: Duration) -> Self {
        self.quota_open = time;
        self
    }
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// No call passes.
    Open,
    /// A single call passes, as a probe.
    HalfOpen,
}

/// A breaker's decision about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Pass,
    /// The call passes, and reports its end by [`Breaker::probed`].
    Probe,
    Reject,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Begin of the current phase, available or not: half-open does not start a new one.
    since: Instant,
}

#[derive(Debug)]
enum Phase {
    /// Ends of calls, and whether they failed.
    Closed(VecDeque<(Instant, bool)>),
    Open {
        until: Instant,
        failed_probes: u32,
        probing: bool,
    },
}

/// A circuit breaker for one backend.
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    /// Locked for a few operations only, never across an await.
    state: Mutex<State>,
    /// Receives every change, while the lock is held.
    watch: BreakerWatch,
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy, guarded: Guarded) -> Self {
        let state = State { phase: Phase::Closed(VecDeque::new()), since: clock::now() };
        Self { policy, state: Mutex::new(state), watch: BreakerWatch::new(guarded) }
    }

    pub(crate) fn admit(&self) -> Admission {
        match &mut self.state.lock().phase {
            Phase::Closed(_) => Admission::Pass,
            Phase::Open { until, probing, .. } if !*probing && *until <= clock::now() => {
                *probing = true;
                self.watch.moves_to(BreakerState::HalfOpen as u8);
                Admission::Probe
            }
            Phase::Open { .. } => Admission::Reject,
        }
    }

    /// Records the end of a call admitted by [`Admission::Pass`]; returns true if that opened it.
    pub(crate) fn record(&self, signal: Signal) -> bool {
        let now = clock::now();
        let state = &mut *self.state.lock();
        let Phase::Closed(calls) = &mut state.phase else { return false };
        let failed = match signal {
            Signal::Works => false,
            Signal::Down => true,
            Signal::Caller => return false,
            Signal::Quota => {
                *state = Self::open(self.policy.quota_open, 0);
                self.watch.moves_to(BreakerState::Open as u8);
                return true;
            }
        };
        calls.push_back((now, failed));
        while calls.front().is_some_and(|(at, _)| now.duration_since(*at) > self.policy.window)
            || calls.len() > 1000
        {
            calls.pop_front();
        }
        let failures = calls.iter().filter(|(_, failed)| *failed).count();
        if failed
            && calls.len() >= self.policy.min_calls
            && failures as f64 >= self.policy.failure_ratio * calls.len() as f64
        {
            *state = Self::open(jittered(self.policy.open_for), 0);
            self.watch.moves_to(BreakerState::Open as u8);
            return true;
        }
        false
    }

    /// Records the end of a probe.
    pub(crate) fn probed(&self, signal: Signal) {
        let state = &mut *self.state.lock();
        let Phase::Open { failed_probes, .. } = state.phase else { return };
        let since = state.since;
        *state = match signal {
            Signal::Works | Signal::Caller => {
                State { phase: Phase::Closed(VecDeque::new()), since: clock::now() }
            }
            Signal::Quota => State { since, ..Self::open(self.policy.quota_open, failed_probes) },
            Signal::Down => {
                let failed_probes = failed_probes.saturating_add(1);
                let grown = self
                    .policy
                    .open_for
                    .saturating_mul(1 << failed_probes.min(20))
                    .min(self.policy.max_open);
                State { since, ..Self::open(jittered(grown), failed_probes) }
            }
        };
        self.watch.moves_to(match state.phase {
            Phase::Closed(_) => BreakerState::Closed as u8,
            Phase::Open { .. } => BreakerState::Open as u8,
        });
    }

    /// Records a cancelled probe: the next call may probe.
    pub(crate) fn abandon(&self) {
        if let Phase::Open { probing, .. } = &mut self.state.lock().phase {
            *probing = false;
            self.watch.moves_to(BreakerState::Open as u8);
        }
    }

    /// Opens it: the other side was seen to fail.
    pub(crate) fn open_now(&self) {
        let mut state = self.state.lock();
        *state = Self::open(jittered(self.policy.open_for), 0);
        self.watch.moves_to(BreakerState::Open as u8);
    }

    /// Closes it: the other side was seen to work.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Open { .. }) {
            *state = State { phase: Phase::Closed(VecDeque::new()), since: clock::now() };
            self.watch.moves_to(BreakerState::Closed as u8);
        }
    }

    /// Returns the state, and for how long the other side has been available or unavailable.
    pub(crate) fn state(&self) -> (BreakerState, Duration) {
        let now = clock::now();
        let state = self.state.lock();
        let name = match &state.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { until, probing, .. } if *probing || *until <= now => {
                BreakerState::HalfOpen
            }
            Phase::Open { .. } => BreakerState::Open,
        };
        (name, now.duration_since(state.since))
    }

    fn open(time: Duration, failed_probes: u32) -> State {
        State {
            phase: Phase::Open { until: clock::after(time), failed_probes, probing: false },
            since: clock::now(),
        }
    }
}

/// The right to probe. If it is dropped before [`Probe::ended`], another call may probe.
pub(crate) struct Probe<'a>(Option<&'a Breaker>);

impl<'a> Probe<'a> {
    pub(crate) fn new(breaker: &'a Breaker) -> Self {
        Self(Some(breaker))
    }

    pub(crate) fn ended(mut self, signal: Signal) {
        if let Some(breaker) = self.0.take() {
            breaker.probed(signal);
        }
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if let Some(breaker) = self.0 {
            breaker.abandon();
        }
    }
}

/// Returns a time drawn evenly from half of `time` to all of it, so that many clients do not probe
/// at once.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.5 + platform::random() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ServerError;
    use crate::error::{Error, ErrorKind};

    fn breaker() -> Breaker {
        let policy = BreakerPolicy::default()
            .min_calls(4)
            .open_for(Duration::from_secs(1), Duration::from_secs(4));
        Breaker::new(policy, Guarded::Failover)
    }

    fn fail(breaker: &Breaker, times: usize) {
        for _ in 0..times {
            assert_eq!(breaker.admit(), Admission::Pass);
            breaker.record(Signal::Down);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_by_the_ratio_of_failures_and_closes_by_a_probe() {
        let breaker = breaker();
        for signal in [
            Signal::Works,
            Signal::Works,
            Signal::Works,
            Signal::Caller,
            Signal::Down,
            Signal::Down,
        ] {
            breaker.record(signal);
        }
        assert_eq!(breaker.admit(), Admission::Pass, "two of five failed");
        breaker.record(Signal::Down);
        assert_eq!(breaker.admit(), Admission::Reject);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(breaker.state().0, BreakerState::HalfOpen);
        assert_eq!(breaker.admit(), Admission::Probe);
        assert_eq!(breaker.admit(), Admission::Reject, "one probe at a time");
        breaker.abandon();
        assert_eq!(breaker.admit(), Admission::Probe);
        breaker.probed(Signal::Works);
        assert_eq!(
            (breaker.admit(), breaker.state()),
            (Admission::Pass, (BreakerState::Closed, Duration::ZERO))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn waits_longer_after_every_failed_probe() {
        let breaker = breaker();
        fail(&breaker, 4);
        for longest in [1, 2, 4, 4] {
            tokio::time::advance(Duration::from_secs(longest) / 2 - Duration::from_millis(1)).await;
            assert_eq!(breaker.admit(), Admission::Reject);
            tokio::time::advance(Duration::from_secs(longest) / 2 + Duration::from_millis(1)).await;
            assert_eq!(breaker.admit(), Admission::Probe);
            breaker.probed(Signal::Down);
        }
        assert_eq!(
            breaker.state(),
            (BreakerState::Open, Duration::from_secs(11)),
            "down since it opened first"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn old_failures_do_not_count_and_quotas_count_at_once() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(Duration::from_secs(11)).await;
        fail(&breaker, 3);
        assert_eq!(breaker.admit(), Admission::Pass);
        breaker.record(Signal::Quota);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(breaker.admit(), Admission::Reject);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(breaker.admit(), Admission::Probe);
    }

    #[test]
    fn callers_errors_say_nothing_about_the_server() {
        let of = |text: &str| Signal::of(&Error::redis(ServerError::new(text)));
        assert_eq!(of("WRONGTYPE Operation against a key"), Signal::Works);
        assert_eq!(of("WRONGPASS invalid or missing auth token"), Signal::Caller);
        assert_eq!(of("READONLY You can't write against a read only replica."), Signal::Down);
        assert_eq!(of("OOM command not allowed when used memory > 'maxmemory'."), Signal::Down);
        assert_eq!(of("ERR max daily request limit exceeded. Limit: 1, Usage: 2"), Signal::Quota);
        assert_eq!(Signal::of(&Error::new(ErrorKind::Connect, "")), Signal::Down);
        assert_eq!(Signal::of(&Error::new(ErrorKind::InvalidCommand, "")), Signal::Caller);
        assert_eq!(Signal::of(&Error::new(ErrorKind::Http, "").with_status(404)), Signal::Caller);
        assert_eq!(Signal::of(&Error::new(ErrorKind::Http, "").with_status(502)), Signal::Down);
    }
}
