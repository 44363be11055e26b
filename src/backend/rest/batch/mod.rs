//! Automatic batching: commands that arrive while requests are in flight share one pipeline
//! request.
//!
//! A call that finds nothing in flight is sent at once, in its caller's own future. The others are
//! encoded into one of two queues, for retry-safe and for non-retry-safe commands, until a [worker]
//! takes them. There are no timers.
//!
//! Each runtime that uses a client has a separate batcher. A worker is a task of one runtime, and
//! must not carry calls of others: they would wait while that runtime is blocked, or no thread
//! drives it. Within a runtime a worker keeps the deadlines of the waiting calls.
//!
//! Order: a caller that awaits one call before it makes the next sees its own order, since the
//! second is queued after the first has its reply. Concurrent calls have no order, with batching as
//! without.

mod entries;
mod queues;
mod worker;

use super::{Rest, wire};
use crate::backend::Reply;
use crate::clock::{self, Instant};
use crate::command::{CallOptions, Command, Idempotency};
use crate::platform::{self, CachePadded, Mutex, NoRuntime, PerRuntime, RuntimeId};
use entries::Entry;
use queues::BatchQueues;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, MutexGuard};
use tokio::sync::oneshot;
use worker::InFlightPermit;

/// Commands longer than this are sent alone: others should not wait until they are transferred.
const LARGE: usize = 64 << 10;
/// A batch longer than this accepts no further command.
const BATCH_BYTES: usize = 1 << 20;

/// Gathers the calls of a client and its clones on one runtime.
struct Batcher {
    rest: Arc<Rest>,
    runtime: RuntimeId,
    /// Most requests in flight at once. Workers whose batch is being retried do not count, nor do
    /// calls that a batch cannot carry.
    limit: usize,
    queues: BatchQueues,
    state: CachePadded<Mutex<State>>,
    /// The part of the state that callers need, mostly without taking its lock.
    signs: CachePadded<AtomicU8>,
}

/// A request is in flight.
const BUSY: u8 = 1;
/// A worker is scheduled to drain the queues, or the in-flight limit is reached.
const SEEN_TO: u8 = 2;

/// Requests in flight. While commands are queued there is a worker.
#[derive(Default)]
struct State {
    in_flight: usize,
    /// True if one of them is a lone call. Its caller may not poll it, so that the call cannot be
    /// relied on to start a worker when it ends.
    lone: bool,
    /// Passes the permit of the lone call to the waiting worker.
    handover: Option<oneshot::Sender<()>>,
    /// Workers that are about to look into the queues.
    gathering: usize,
    /// Commands in flight, by workers.
    carried: usize,
}

impl State {
    /// Returns true if no worker has a permit.
    fn has_no_worker(&self) -> bool {
        self.in_flight == usize::from(self.lone)
    }
}

/// The locked state. Updates the signs when it is unlocked.
struct Held<'a> {
    batcher: &'a Batcher,
    state: MutexGuard<'a, State>,
}

/// Next step of a call.
enum Turn {
    /// Alone; nothing was in flight. The permit is held until the call ends.
    First(InFlightPermit),
    /// Alone: a batch cannot carry it.
    Alone,
    /// In a batch.
    Queued(Joined),
}

/// A command in a batch. Receives nothing if it was never sent and still has to be executed.
#[derive(Debug)]
pub(crate) struct Joined(oneshot::Receiver<Carried>);

/// Result of a command in a batch.
#[derive(Debug)]
enum Carried {
    Answered(Reply),
    /// Its request ended with the runtime that carried it. It may have run, and may be retried.
    Lost,
}

impl Joined {
    /// Returns the reply that arrives, or that of `alone`.
    pub(crate) async fn reply_or<F: Future<Output = Reply>>(
        self,
        safety: Idempotency,
        alone: impl FnOnce() -> F,
    ) -> Reply {
        match self.0.await {
            Ok(Carried::Answered(reply)) => reply,
            Ok(Carried::Lost) => alone().await.map_err(|error| safety.of_repeated(error)),
            Err(_) => alone().await,
        }
    }
}

/// A command in a queue.
struct Queued {
    reply: Joined,
    /// A worker will take it; otherwise one has to be [started](Batcher::ensure_worker).
    is_seen_to: bool,
}

/// The batchers of a client and its clones.
pub(super) struct Batchers {
    rest: Arc<Rest>,
    limit: usize,
    runtimes: PerRuntime<Batcher>,
}

impl Batchers {
    /// Creates batchers with at most `limit` requests in flight on each runtime.
    pub(super) fn new(rest: Arc<Rest>, limit: usize) -> Self {
        Self { rest, limit, runtimes: PerRuntime::new(Batcher::is_idle) }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Executes a command that [may be batched](Rest::may_batch).
    pub(super) async fn execute(&self, command: &Command) -> Reply {
        let batcher = self.with(Arc::clone)?;
        batcher.execute(command).await
    }

    /// Queues a command if something is in flight on the caller's runtime, and a batch can carry
    /// the command.
    pub(super) fn join(&self, command: &Command, now: Instant) -> Option<Joined> {
        let join = |batcher: &Arc<Batcher>| {
            let safety = command.idempotency();
            let queued =
                batcher.shows(BUSY).then(|| batcher.push(command, safety, now)).flatten()?;
            let unseen = (!queued.is_seen_to).then(|| Arc::clone(batcher));
            Some((queued.reply, unseen))
        };
        let (reply, unseen) = self.with(join).ok()??;
        if let Some(batcher) = unseen {
            batcher.ensure_worker();
        }
        Some(reply)
    }

    fn with<R>(&self, act: impl FnOnce(&Arc<Batcher>) -> R) -> Result<R, NoRuntime> {
        let make = |runtime| Ok(Batcher::new(Arc::clone(&self.rest), runtime, self.limit));
        self.runtimes.with(make, act)
    }
}

impl Rest {
    /// Returns true if this call may be batched.
    pub(super) fn may_batch(&self, command: &Command, options: &CallOptions) -> bool {
        let CallOptions {
            timeout: None,
            deadline: None,
            no_retry: false,
            exactly_once: false,
            hedge_after: None,
        } = options
        else {
            return false;
        };
        command.byte_len() <= LARGE && !self.has_no_pipelines()
    }

    pub(super) fn has_no_pipelines(&self) -> bool {
        self.has_no_pipelines.load(Ordering::Relaxed)
    }

    /// Sends every call alone from now on: the server turned out to have no pipelines.
    pub(super) fn switch_batching_off(&self) {
        if !self.has_no_pipelines.swap(true, Ordering::Relaxed) {
            tracing::info!("the server has no pipelines: commands go one by one from now on");
        }
    }
}

impl Batcher {
    fn new(rest: Arc<Rest>, runtime: RuntimeId, limit: usize) -> Self {
        Self {
            rest,
            runtime,
            limit,
            queues: BatchQueues::default(),
            state: CachePadded::default(),
            signs: CachePadded::default(),
        }
    }

    /// Returns true while nothing is in flight and nothing is queued.
    fn is_idle(&self) -> bool {
        let state = self.lock();
        state.in_flight == 0 && state.gathering == 0 && self.queues.is_empty()
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn lock(&self) -> Held<'_> {
        Held { batcher: self, state: self.state.0.lock() }
    }

    fn shows(&self, sign: u8) -> bool {
        self.signs.0.load(Ordering::Relaxed) & sign != 0
    }

    async fn execute(self: &Arc<Self>, command: &Command) -> Reply {
        let safety = command.idempotency();
        let alone = || Box::pin(async { self.rest.alone(command, &CallOptions::default()).await });
        let _permit = match self.enter(command, safety) {
            Turn::First(permit) => Some(permit),
            Turn::Alone => None,
            // The workers keep its deadline, so that a call costs no timer.
            Turn::Queued(joined) => return joined.reply_or(safety, alone).await,
        };
        alone().await
    }

    fn enter(self: &Arc<Self>, command: &Command, safety: Idempotency) -> Turn {
        if !self.shows(BUSY) {
            let mut state = self.lock();
            if state.in_flight == 0 {
                (state.in_flight, state.lone) = (1, true);
                return Turn::First(InFlightPermit::first(self));
            }
        }
        let Some(queued) = self.push(command, safety, clock::now()) else { return Turn::Alone };
        if !queued.is_seen_to {
            self.ensure_worker();
        }
        Turn::Queued(queued.reply)
    }

    /// Starts a worker for a queued command, unless one is about to take it.
    fn ensure_worker(self: &Arc<Self>) {
        if self.start_worker(self.lock()) {
            platform::share_woken();
        }
    }

    fn push(&self, command: &Command, safety: Idempotency, now: Instant) -> Option<Queued> {
        let queue = usize::from(self.rest.retry.allows_replay(safety));
        let (caller, reply) = oneshot::channel();
        let entry = Entry::new(safety, clock::later(now, self.rest.deadline), caller);
        let mut queues = self.queues.lock();
        let batch = queues.open_batch(queue, self.room());
        // Plus the closing bracket.
        let encode = |body: &mut Vec<u8>| {
            wire::encode(command, body).is_ok() && body.len() < self.rest.max_request_bytes
        };
        if batch.push(encode, entry) {
            // Under the lock: a worker that looks into the queue later sees the command, and one
            // that looked earlier has published its signs before.
            return Some(Queued { reply: Joined(reply), is_seen_to: self.shows(SEEN_TO) });
        }
        queues.drop_if_empty(queue);
        None
    }

    /// Returns the numbers of commands and bytes at which a batch is full: close enough to the
    /// limit that hardly another command fits.
    fn room(&self) -> (usize, usize) {
        (self.rest.max_pipeline_commands, BATCH_BYTES.min(self.rest.max_request_bytes / 2))
    }

    fn has_free_permit(&self, state: &State) -> bool {
        state.in_flight < self.limit
    }

    /// Starts another worker if a permit is free, commands are queued, and no worker is about to
    /// take them. Called at the end by everything that returns a permit or has drained the queues.
    ///
    /// If a lone call has the only permit, the worker waits for that permit, and keeps the
    /// deadlines of the queued calls.
    ///
    /// Returns true if a worker was started. The task of a caller then has to
    /// [share](platform::share_woken) it.
    fn start_worker(self: &Arc<Self>, mut state: Held<'_>) -> bool {
        state.show();
        if state.gathering > 0 || self.queues.is_empty() {
            return false;
        }
        let turn = if self.has_free_permit(&state) {
            state.in_flight += 1;
            None
        } else if state.has_no_worker() {
            let (handover, turn) = oneshot::channel();
            state.handover = Some(handover);
            Some(turn)
        } else {
            return false;
        };
        state.gathering += 1;
        drop(state);
        let worker = InFlightPermit::of_worker(self, turn.is_none());
        // A lone call can be dropped on another runtime, which must not run the worker. Dropping
        // the worker takes the lock, and releases the queued calls.
        if RuntimeId::current().is_ok_and(|current| current == self.runtime) {
            platform::spawn(worker.run(turn));
        }
        true
    }
}

impl Held<'_> {
    /// Publishes the signs before the queues are examined. Callers queue first, under the queues'
    /// locks, and read the signs afterwards: so one of the two sees the other's change.
    fn show(&self) {
        let busy = if self.in_flight > 0 { BUSY } else { 0 };
        let all_busy = !self.batcher.has_free_permit(self) && !self.has_no_worker();
        let seen_to = if self.gathering > 0 || all_busy { SEEN_TO } else { 0 };
        self.batcher.signs.0.store(busy | seen_to, Ordering::Relaxed);
    }
}

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.show();
    }
}
