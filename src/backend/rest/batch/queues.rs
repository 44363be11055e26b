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
    /// Of commands that must not be sent again, and of those that may.
    batches: [VecDeque<Batch>; 2],
    /// Batches that were begun, ever.
    begun: u64,
}

impl BatchQueues {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.0.lock()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().batches.iter().all(VecDeque::is_empty)
    }

    /// The batch that has waited longest, and what may go with it: at most `entries` commands, in about `bytes`.
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

    /// When the first call that waits is over.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        let queues = self.lock();
        queues.batches.iter().filter_map(|queue| queue.front()?.first_deadline()).min()
    }

    /// Ends the calls whose time is over before they were sent.
    pub(super) fn expire(&self, now: Instant) {
        for queue in &mut self.lock().batches {
            queue
                .iter_mut()
                .take_while(|batch| batch.first_deadline().is_some_and(|first| first <= now))
                .for_each(|batch| batch.expire(now));
            queue.retain(|batch| !batch.is_empty());
        }
    }

    /// Lets everyone who waits go by themselves.
    pub(super) fn disband(&self) {
        self.lock().batches.iter_mut().for_each(VecDeque::clear);
    }

    /// Puts a batch before those that wait.
    pub(super) fn put_back(&self, batch: Batch) {
        self.lock().batches[batch.queue].push_front(batch);
    }
}

impl Queues {
    /// The last batch of a queue, if it takes another command; else a new one.
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

    /// Takes the last batch of a queue back, if nothing came into it.
    pub(super) fn drop_if_empty(&mut self, queue: usize) {
        if self.batches[queue].back().is_some_and(Batch::is_empty) {
            self.batches[queue].pop_back();
        }
    }
}
