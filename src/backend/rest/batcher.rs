//! Automatic batching: commands that arrive while requests are in flight leave together, as one pipeline request.
//!
//! A call that finds nothing in flight goes at once, in its caller's own future. The others are encoded into one of two queues,
//! for commands that may be sent again after a lost reply and for those that may not, until a [flight](super::flight) takes them.
//! There are no timers.
//!
//! Order: a caller that awaits one call before it makes the next sees its own order, since the second is queued after the first
//! was answered. Calls that are under way at the same time have none, with batching as without.

use super::batch::{Batch, Entry};
use super::flight::Slot;
use super::waiting::{Apart, Waiting};
use super::{Rest, wire};
use crate::backend::{Carried, Joined, Reply};
use crate::clock::{self, Instant};
use crate::command::{CallOptions, Command, ReplaySafety};
use crate::platform;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
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
    pub(super) waiting: Waiting,
    state: Apart<Mutex<State>>,
    /// What callers have to know of the state, so that they mostly do without its lock.
    signs: Apart<AtomicU8>,
}

/// Something is in flight.
const BUSY: u8 = 1;
/// Who comes to look into the queues is on the way: a flight that gathers, or all that may be in flight.
const SEEN_TO: u8 = 2;

/// What is in flight. Where something waits there is a flight, or a lone call that starts one when it ends.
#[derive(Default)]
pub(super) struct State {
    pub(super) in_flight: usize,
    /// Flights that are about to look into the queues.
    pub(super) gathering: usize,
    /// Commands on their way, by flights.
    pub(super) flying: usize,
}

/// The state, locked. Its signs are those of the state again when it is given back.
pub(super) struct Held<'a> {
    batcher: &'a Batcher,
    state: MutexGuard<'a, State>,
}

/// How a call goes on.
enum Turn {
    /// By itself; nothing was in flight. The slot is held until the call is over.
    First(Slot),
    /// By itself: a batch cannot carry it.
    Alone,
    /// With others.
    Queued(Joined),
}

impl Batcher {
    pub(super) fn new(rest: Arc<Rest>, limit: usize) -> Self {
        Self {
            rest,
            limit,
            off: AtomicBool::new(false),
            waiting: Waiting::new(),
            state: Apart::default(),
            signs: Apart::default(),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn lock(&self) -> Held<'_> {
        // Nothing under it panics.
        Held { batcher: self, state: self.state.0.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    fn shows(&self, sign: u8) -> bool {
        self.signs.0.load(Ordering::Relaxed) & sign != 0
    }

    /// The server turned out to have no pipelines.
    pub(super) fn switch_off(&self) {
        if !self.off.swap(true, Ordering::Relaxed) {
            tracing::info!("the server has no pipelines: no automatic batching from now on");
        }
    }

    /// Whether this call may travel with others.
    pub(super) fn takes(&self, command: &Command, options: &CallOptions) -> bool {
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
        command.byte_len() <= LARGE && !self.off.load(Ordering::Relaxed)
    }

    /// Executes a command that this [takes](Self::takes).
    pub(super) async fn execute(self: &Arc<Self>, command: &Command) -> Reply {
        let safety = command.replay_safety();
        let alone = || Box::pin(async { self.rest.alone(command, &CallOptions::default()).await });
        let _slot = match self.enter(command, safety) {
            Turn::First(slot) => Some(slot),
            Turn::Alone => None,
            // Its deadline is kept by the flights, so that a call costs no timer.
            Turn::Queued(joined) => return joined.reply_or(safety, alone).await,
        };
        alone().await
    }

    fn enter(self: &Arc<Self>, command: &Command, safety: ReplaySafety) -> Turn {
        if !self.shows(BUSY) {
            let mut state = self.lock();
            if state.in_flight == 0 {
                state.in_flight = 1;
                return Turn::First(Slot::first(self));
            }
        }
        self.queue(command, safety, clock::now()).map_or(Turn::Alone, Turn::Queued)
    }

    /// Queues a command where something is in flight, and the command can be carried.
    pub(super) fn join(self: &Arc<Self>, command: &Command, now: Instant) -> Option<Joined> {
        self.shows(BUSY).then(|| self.queue(command, command.replay_safety(), now)).flatten()
    }

    fn queue(
        self: &Arc<Self>,
        command: &Command,
        safety: ReplaySafety,
        now: Instant,
    ) -> Option<Joined> {
        let (reply, is_seen_to) = self.push(command, safety, now)?;
        if !is_seen_to {
            self.fly(self.lock());
        }
        Some(Joined(reply))
    }

    /// Where the reply will come, and whether somebody will look into the queue.
    fn push(
        &self,
        command: &Command,
        safety: ReplaySafety,
        now: Instant,
    ) -> Option<(oneshot::Receiver<Carried>, bool)> {
        let queue = usize::from(self.rest.retry.allows_replay(safety));
        let (caller, reply) = oneshot::channel();
        let entry = Entry::new(safety, clock::later(now, self.rest.deadline), caller);
        let (entries, bytes) = self.room();
        let mut place = self.waiting.place();
        if !place.queue(queue).back().is_some_and(|batch| batch.has_room(entries, bytes)) {
            let batch = Batch::new(place.spare(), queue, self.waiting.next_number());
            place.queue(queue).push_back(batch);
        }
        let batches = place.queue(queue);
        let batch = batches.back_mut()?;
        // One byte for the closing bracket.
        let encode = |body: &mut Vec<u8>| {
            wire::encode(command, body).is_ok() && body.len() < self.rest.max_request_bytes
        };
        if batch.push(encode, entry) {
            // Under the lock: who looks into the queue after this sees the command, and who has looked before has shown its signs before.
            return Some((reply, self.shows(SEEN_TO)));
        }
        if batch.is_empty() {
            batches.pop_back();
        }
        None
    }

    /// A batch of so many commands, or so many bytes, takes no further: with so much room to the limit that hardly a command does not fit
    /// any more.
    pub(super) fn room(&self) -> (usize, usize) {
        (self.rest.max_pipeline_commands, BATCH_BYTES.min(self.rest.max_request_bytes / 2))
    }

    pub(super) fn has_free_slot(&self, state: &State) -> bool {
        state.in_flight < self.limit
    }

    /// Starts another flight, where a slot is free, something waits, and no flight is about to take it. Whoever gives a slot back, or
    /// has looked into the queues, ends with it.
    pub(super) fn fly(self: &Arc<Self>, mut state: Held<'_>) {
        state.show();
        if state.gathering == 0 && self.has_free_slot(&state) && !self.waiting.is_empty() {
            state.in_flight += 1;
            state.gathering += 1;
            // A task that cannot be started is dropped, which takes the lock.
            drop(state);
            platform::spawn(Slot::of_flight(self).fly());
        }
    }
}

impl Held<'_> {
    /// Before the queues are looked into, under whose locks callers queue first and look at the signs then: so one of the two sees what the
    /// other did.
    fn show(&self) {
        let busy = if self.in_flight > 0 { BUSY } else { 0 };
        let seen_to =
            if self.gathering > 0 || !self.batcher.has_free_slot(self) { SEEN_TO } else { 0 };
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
