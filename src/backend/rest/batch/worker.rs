//! Workers: tasks that take batches, send them, and distribute the replies. A cancelled caller does
//! not affect others.
//!
//! Before it sends, a worker lets the ready tasks run, so that their commands join the batch.

use super::super::response::lacks;
use super::super::{ReplyShape, Rest};
use super::Batcher;
use super::entries::Batch;
use crate::clock;
use crate::command::CallOptions;
use crate::error::{Error, ErrorKind, Outcome};
use crate::observe::{self, Batch as Kind};
use crate::platform;
use crate::retry::{Attempted, Attempts, Entries, drive, is_exhausted, is_refused};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// From this many commands on, two requests are better than one: while the replies to one are
/// distributed the server works on the other. Equal sizes are best.
const WORTH_TWO: usize = 32;

/// The right to have one request in flight, of a lone call or of a worker.
pub(super) struct InFlightPermit {
    batcher: Arc<Batcher>,
    /// False once it was returned.
    holds: bool,
    /// About to look into the queues.
    gathers: bool,
    is_worker: bool,
    /// Number of commands in flight by it.
    carries: usize,
}

impl InFlightPermit {
    /// Creates the permit of a lone call.
    pub(super) fn first(batcher: &Arc<Batcher>) -> Self {
        Self::new(batcher, true, false)
    }

    /// Creates the permit of a worker, which holds it or waits for it.
    pub(super) fn of_worker(batcher: &Arc<Batcher>, holds: bool) -> Self {
        Self::new(batcher, holds, true)
    }

    fn new(batcher: &Arc<Batcher>, holds: bool, is_worker: bool) -> Self {
        Self { batcher: Arc::clone(batcher), holds, gathers: is_worker, is_worker, carries: 0 }
    }

    /// Takes batches and sends them until the queues are empty. Waits for its `turn` first.
    pub(super) async fn run(mut self, turn: Option<oneshot::Receiver<()>>) {
        if let Some(turn) = turn {
            self.wait_for_handover(turn).await;
        }
        while self.holds {
            platform::yield_now().await;
            let Some(batch) = self.take() else { return };
            self.send(batch).await;
        }
    }

    fn take(&mut self) -> Option<Batch> {
        let mut state = self.batcher.lock();
        state.gathering -= usize::from(std::mem::take(&mut self.gathers));
        let (entries, bytes) = self.batcher.room();
        let mut batch = self.batcher.queues.take(entries, bytes);
        match &mut batch {
            Some(batch) => {
                let share = (batch.len() + state.carried).div_ceil(self.batcher.limit());
                if batch.len() >= WORTH_TWO && batch.len() > share {
                    self.batcher.queues.put_back(batch.split_off(share));
                }
                self.carries = batch.len();
                state.carried += self.carries;
            }
            None => {
                state.in_flight -= 1;
                self.holds = false;
            }
        }
        self.batcher.start_worker(state);
        batch
    }

    /// Waits for the permit of the lone call, and meanwhile ends the calls whose deadline has
    /// passed. Gives up when the queues are empty.
    async fn wait_for_handover(&mut self, mut turn: oneshot::Receiver<()>) {
        while let Some(first) = self.batcher.queues.first_deadline() {
            let left = first.saturating_duration_since(clock::now());
            if platform::timeout(left, &mut turn).await.is_some() {
                self.holds = true;
                return;
            }
            self.batcher.queues.expire(clock::now());
        }
        let mut state = self.batcher.lock();
        if state.handover.take().is_none() {
            // The lone call has just ended.
            self.holds = true;
            return;
        }
        state.gathering -= usize::from(std::mem::take(&mut self.gathers));
        self.batcher.start_worker(state);
    }

    /// From here on callers continue, and their next commands join this worker's batch.
    fn gather(&mut self) {
        if self.holds && !self.gathers {
            let mut state = self.batcher.lock();
            state.gathering += 1;
            state.carried -= std::mem::take(&mut self.carries);
            self.gathers = true;
        }
    }

    /// Returns the permit, or passes it to the waiting worker.
    fn release(&mut self) {
        if std::mem::take(&mut self.holds) {
            let mut state = self.batcher.lock();
            if !self.is_worker {
                state.lone = false;
            }
            let handover = state.handover.take();
            if handover.is_none() {
                state.in_flight -= 1;
            }
            state.gathering -= usize::from(std::mem::take(&mut self.gathers));
            state.carried -= std::mem::take(&mut self.carries);
            let started = self.batcher.start_worker(state);
            // An error means that the worker is ending, and returns the permit.
            let handed_over = handover.is_some_and(|handover| handover.send(()).is_ok());
            if !self.is_worker && (started || handed_over) {
                platform::share_woken();
            }
        }
    }

    /// Sends one request with its attempts. Callers receive their replies as soon as they arrive.
    async fn send(&mut self, batch: Batch) {
        let batcher = Arc::clone(&self.batcher);
        let rest = &*batcher.rest;
        let mut attempts = rest.attempts(batch.last_deadline(), &CallOptions::default());
        if batch.may_have_run() {
            attempts.assume_it_may_have_run();
        }
        let mut sending = Sending { permit: self, rest, batch };
        drive(&mut sending, &mut attempts, rest.timeout).await;
        sending.permit.gather();
    }

    /// Waits for `future`, and meanwhile ends the calls whose deadline has passed, in the batch and
    /// in the queues.
    async fn in_time<T>(&self, batch: &mut Batch, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            let waiting = self.batcher.queues.first_deadline();
            let Some(first) = batch.first_deadline().into_iter().chain(waiting).min() else {
                return future.await;
            };
            let left = first.saturating_duration_since(clock::now());
            if let Some(result) = platform::timeout(left, future.as_mut()).await {
                return result;
            }
            let now = clock::now();
            batch.expire(now);
            self.batcher.queues.expire(now);
        }
    }

    /// After an error that a single command may have caused for all: sends the halves of the batch
    /// separately, down to the single command. If non-retry-safe commands may have run, every
    /// caller gets the error.
    fn bisect(&self, batch: &mut Batch, attempts: &Attempts<'_>, error: &Error) {
        if lacks(error, "pipeline") {
            self.batcher.rest.switch_batching_off();
        }
        batch.goes_again(attempts.may_have_run());
        let not_run = error.outcome() == Outcome::NotApplied;
        batch.fail(error, attempts, |safety| {
            !not_run && !self.batcher.rest.retry.allows_replay(safety)
        });
        if batch.is_empty() {
            return;
        }
        let second = batch.split_off(batch.len() / 2);
        for half in [second, batch.split_off(0)] {
            if !half.is_empty() {
                self.batcher.queues.put_back(half);
            }
        }
        self.batcher.start_worker(self.batcher.lock());
    }
}

/// A batch in flight.
struct Sending<'a> {
    permit: &'a mut InFlightPermit,
    rest: &'a Rest,
    batch: Batch,
}

impl Entries for Sending<'_> {
    fn expire(&mut self) {
        self.batch.expire(clock::now());
    }

    fn len(&self) -> usize {
        self.batch.len()
    }

    async fn attempt(&mut self, number: u32, limit: Duration, may_have_run: bool) -> Attempted {
        let count = self.batch.len();
        if number == 1 {
            observe::commands_sent(Kind::Auto, count);
        }
        let outgoing = self.batch.leaves(self.rest);
        let shape = if count == 1 { ReplyShape::One } else { ReplyShape::Many(count) };
        let attempt = self.rest.attempt(&outgoing, (number, limit), shape);
        let answer = self.permit.in_time(&mut self.batch, attempt).await;
        self.permit.gather();
        if answer.may_lack_bytes && self.batch.only_reads() {
            self.batch.goes_again(may_have_run);
            return Attempted::Repeat;
        }
        // Returns the body to the batch.
        drop(outgoing);
        match answer.replies {
            Ok(replies) => match self.batch.answer(replies) {
                Some(refused) => Attempted::Refused(refused),
                None => Attempted::Done,
            },
            Err(error) => Attempted::Failed(error),
        }
    }

    fn give_up(&mut self, error: &Error, attempts: &Attempts<'_>) {
        if self.batch.len() > 1 && spoils(error) {
            return self.permit.bisect(&mut self.batch, attempts, error);
        }
        self.batch.fail(error, attempts, |safety| !attempts.allows(error, safety));
    }

    fn end(&mut self, error: &Error, attempts: &Attempts<'_>) {
        self.permit.gather();
        self.batch.fail(error, attempts, |_| true);
    }

    async fn wait(&mut self, time: Duration, may_have_run: bool) {
        // Other batches must not wait until the server is back.
        self.permit.release();
        self.batch.goes_again(may_have_run);
        self.permit.in_time(&mut self.batch, platform::sleep(time)).await;
    }
}

/// Ends early if the call is cancelled, or if its runtime ends.
impl Drop for InFlightPermit {
    fn drop(&mut self) {
        if !self.is_worker {
            return self.release();
        }
        if self.holds || self.gathers {
            let mut state = self.batcher.lock();
            // A worker that waits for a permit has it once the state no longer offers it.
            let has_permit = std::mem::take(&mut self.holds) || state.handover.take().is_none();
            state.in_flight -= usize::from(has_permit);
            state.gathering -= usize::from(self.gathers);
            state.carried -= self.carries;
            // No task can be started here: it would be dropped in the same way.
            if state.gathering == 0 {
                // Published before: later callers see that no worker will come.
                drop(state);
                self.batcher.queues.disband();
            }
        }
    }
}

/// Returns true if a single command may have caused the error of a whole batch.
fn spoils(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Decode | ErrorKind::ReplyTooLarge => true,
        ErrorKind::Http => error.outcome() == Outcome::NotApplied && !is_refused(error),
        ErrorKind::Redis => !is_refused(error) && !is_exhausted(error),
        _ => false,
    }
}
