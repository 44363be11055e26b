//! The commands that wait for a [worker](super::worker).

use super::entries::Batch;
use crate::clock::Instant;
use crate::platform::{CachePadded, Mutex};
use std::collections::VecDeque;
use std::sync::MutexGuard;

/// The queues of a batcher.
#[derive(Default)]
pub(super) struct BatchQueues(CachePadded<Mutex<Queues>>);

#[derive(Default)]
pub(super) struct Queues {
    /// Batches of non-retry-safe commands, and of retry-safe ones.
    batches: [VecDeque<Batch>; 2],
    /// Number of batches created so far.
    begun: u64,
}

impl BatchQueues {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.0.lock()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().batches.iter().all(VecDeque::is_empty)
    }

    /// Takes the oldest batch, merged with compatible ones: at most `entries` commands, in about
    /// `bytes`.
    pub(super) fn take(&self, entries: usize, bytes: usize) -> Option<Batch> {
        let mut queues = self.lock();
        let fronts = queues.batches.iter().filter_map(VecDeque::front);
        let queue = fronts.min_by_key(|batch| batch.number)?.queue;
        let queue = &mut queues.batches[queue];
        let mut batch = queue.pop_front()?;
        while let Some(next) = queue.front_mut().filter(|next| batch.can_join(next, entries, bytes))
        {
            batch.join(next);
            queue.pop_front();
        }
        Some(batch)
    }

    /// Returns the first deadline of the queued calls.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        let queues = self.lock();
        queues.batches.iter().filter_map(|queue| queue.front()?.first_deadline()).min()
    }

    /// Ends the calls whose deadline passed before they were sent.
    pub(super) fn expire(&self, now: Instant) {
        for queue in &mut self.lock().batches {
            queue
                .iter_mut()
                .take_while(|batch| batch.first_deadline().is_some_and(|first| first <= now))
                .for_each(|batch| batch.expire(now));
            queue.retain(|batch| !batch.is_empty());
        }
    }

    /// Releases all queued calls, which then run alone.
    pub(super) fn disband(&self) {
        self.lock().batches.iter_mut().for_each(VecDeque::clear);
    }

    /// Puts a batch before the queued ones.
    pub(super) fn put_back(&self, batch: Batch) {
        self.lock().batches[batch.queue].push_front(batch);
    }
}

impl Queues {
    /// Returns the last batch of a queue if it accepts another command; else a new one.
    pub(super) fn open_batch(
        &mut self,
        queue: usize,
        (entries, bytes): (usize, usize),
    ) -> &mut Batch {
        let batches = &mut self.batches[queue];
        if !batches.back().is_some_and(|batch| batch.has_room(entries, bytes)) {
            batches.push_back(Batch::new(queue, self.begun));
            self.begun += 1;
        }
        let last = batches.len() - 1;
        &mut batches[last]
    }

    /// Removes the last batch of a queue if nothing was added to it.
    pub(super) fn drop_if_empty(&mut self, queue: usize) {
        if self.batches[queue].back().is_some_and(Batch::is_empty) {
            self.batches[queue].pop_back();
        }
    }
}
