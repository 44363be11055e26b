//! Automatic batching: commands that arrive while requests are in flight leave together, as one pipeline request.
//!
//! A call that finds nothing in flight goes at once, in its caller's own future. The others are encoded into one of two queues,
//! for commands that may be sent again after a lost reply and for those that may not, until a [flight](super::flight) takes them.
//! There are no timers.
//!
//! Order: a caller that awaits one call before it makes the next sees its own order, since the second is queued after the first
//! was answered. Calls that are under way at the same time have none, with batching as without.

use super::batch::{Batch, Entry, Spare};
use super::flight::Slot;
use super::{Rest, wire};
use crate::backend::Reply;
use crate::clock::{self, Instant};
use crate::command::{CallOptions, Command, ReplaySafety};
use crate::platform;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A longer command goes alone: those beside it should not wait until it is through.
const LARGE: usize = 64 << 10;
/// A batch that is longer takes no further command.
const BATCH_BYTES: usize = 1 << 20;

/// Gathers the calls of a client and its clones.
pub(super) struct Batcher {
    pub(super) rest: Arc<Rest>,
    /// Most requests in flight at once. Flights whose batch is being tried again do not count, nor do calls that a batch cannot carry.
    limit: usize,
    /// The server has no pipelines: every call goes alone.
    off: AtomicBool,
    state: Apart<Mutex<State>>,
}

/// Shares no line of the cache with what is only read.
#[repr(align(128))]
#[derive(Default)]
struct Apart<T>(T);

/// What waits. Where something waits there is a flight, or a lone call that starts one when it ends.
#[derive(Default)]
pub(super) struct State {
    pub(super) in_flight: usize,
    /// Flights that are about to look into the queues.
    pub(super) gathering: usize,
    /// Commands on their way, by flights.
    pub(super) flying: usize,
    /// Of commands that must not be sent again, and of those that may.
    queues: [Queue; 2],
    /// Commands that were queued, ever.
    queued: u64,
    spares: Vec<Spare>,
}

type Queue = VecDeque<Batch>;

/// How a call goes on.
enum Turn {
    /// By itself; nothing was in flight. The slot is held until the call is over.
    First(Slot),
    /// By itself: a batch cannot carry it.
    Alone,
    /// The reply will come. Dropped without one: the command was never sent, or may be sent again.
    Queued(oneshot::Receiver<Reply>),
}

impl Batcher {
    pub(super) fn new(rest: Arc<Rest>, limit: usize) -> Self {
        Self { rest, limit, off: AtomicBool::new(false), state: Apart::default() }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under it panics.
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server turned out to have no pipelines.
    pub(super) fn switch_off(&self) {
        if !self.off.swap(true, Ordering::Relaxed) {
            tracing::info!("the server has no pipelines: no automatic batching from now on");
        }
    }

    /// Whether this call may travel with others.
    pub(super) fn takes(&self, command: &Command, options: &CallOptions) -> bool {
        let CallOptions { timeout: None, deadline: None, no_retry: false, exactly_once: false, hedge_after: None } = options else {
            return false;
        };
        command.byte_len() <= LARGE && !self.off.load(Ordering::Relaxed)
    }

    /// Executes a command that this [takes](Self::takes).
    pub(super) async fn execute(self: &Arc<Self>, command: &Command) -> Reply {
        let safety = command.replay_safety();
        let _slot = match self.enter(command, safety) {
            Turn::First(slot) => Some(slot),
            Turn::Alone => None,
            // Its deadline is kept by the flights, so that a call costs no timer.
            Turn::Queued(reply) => {
                if let Ok(reply) = reply.await {
                    return reply;
                }
                None
            }
        };
        Box::pin(async { self.rest.alone(command, &CallOptions::default()).await }).await
    }

    fn enter(self: &Arc<Self>, command: &Command, safety: ReplaySafety) -> Turn {
        let queue = usize::from(self.rest.retry.allows_replay(safety));
        let deadline = clock::after(self.rest.deadline);
        let mut state = self.lock();
        if state.in_flight == 0 {
            state.in_flight = 1;
            return Turn::First(Slot::first(self));
        }
        let most = self.rest.max_request_bytes;
        // With so much room to the limit that hardly a command does not fit any more.
        let has_room = |batch: &Batch| batch.has_room(self.rest.max_pipeline_commands, BATCH_BYTES.min(most / 2));
        if !state.queues[queue].back().is_some_and(has_room) {
            let batch = Batch::new(state.spare(), queue, state.queued);
            state.queues[queue].push_back(batch);
        }
        let batches = &mut state.queues[queue];
        let Some(batch) = batches.back_mut() else { return Turn::Alone };
        let (caller, reply) = oneshot::channel();
        // One byte for the closing bracket.
        let encode = |body: &mut Vec<u8>| wire::encode(command, body).is_ok() && body.len() < most;
        if !batch.push(encode, Entry::new(safety, deadline, caller)) {
            if batch.is_empty() {
                batches.pop_back();
            }
            return Turn::Alone;
        }
        state.queued += 1;
        self.fly(state);
        Turn::Queued(reply)
    }

    pub(super) fn has_free_slot(&self, state: &State) -> bool {
        state.in_flight < self.limit
    }

    /// Starts another flight, where a slot is free, something waits, and no flight is about to take it.
    pub(super) fn fly(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let waits = state.queues.iter().any(|queue| !queue.is_empty());
        if waits && state.gathering == 0 && self.has_free_slot(&state) {
            state.in_flight += 1;
            state.gathering += 1;
            // A task that cannot be started is dropped, which takes the lock.
            drop(state);
            platform::spawn(Slot::of_flight(self).fly());
        }
    }
}

impl State {
    /// Memory for a batch.
    pub(super) fn spare(&mut self) -> Spare {
        self.spares.pop().unwrap_or_default()
    }

    /// Keeps memory for another batch.
    pub(super) fn keep(&mut self, spare: Spare) {
        /// Two in flight, and one of each queue.
        const KEPT: usize = 4;
        if self.spares.len() < KEPT && spare.is_moderate() {
            self.spares.push(spare);
        }
    }

    /// The batch that has waited longest.
    pub(super) fn take(&mut self) -> Option<Batch> {
        let oldest = |queue: &&mut Queue| queue.front().map_or(u64::MAX, |batch| batch.number);
        let queue = self.queues.iter_mut().min_by_key(oldest)?;
        queue.pop_front()
    }

    /// When the first call that waits is over.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.queues.iter().filter_map(|queue| queue.front()?.first_deadline()).min()
    }

    /// Ends the calls whose time is over before they were sent.
    pub(super) fn expire(&mut self, now: Instant) {
        for queue in &mut self.queues {
            queue
                .iter_mut()
                .take_while(|batch| batch.first_deadline().is_some_and(|first| first <= now))
                .for_each(|batch| batch.expire(now));
            queue.retain(|batch| !batch.is_empty());
        }
    }

    /// Puts a batch before those that wait.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.queues[batch.queue].push_front(batch);
    }

    /// Lets everyone who waits go by themselves.
    pub(super) fn disband(&mut self) {
        self.queues.iter_mut().for_each(|queue| queue.clear());
    }
}
