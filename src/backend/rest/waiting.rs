//! The commands that wait until a [flight](super::flight) takes them.
//!
//! Each thread queues in a place of its own, so that callers on several do not wait for each other, nor fetch from each other what the
//! other wrote: with 256 callers on two threads that was a tenth of the time.

use super::batch::{Batch, Spare};
use crate::clock::Instant;
use crate::platform::{CachePadded, Mutex, PerThread};
use std::collections::VecDeque;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU64, Ordering};

/// The places of all threads.
pub(super) struct Waiting {
    places: PerThread<Mutex<Place>>,
    /// Batches that were begun, ever.
    begun: CachePadded<AtomicU64>,
}

/// Of one thread, or of a few.
#[derive(Default)]
pub(super) struct Place {
    /// Of commands that must not be sent again, and of those that may.
    queues: [VecDeque<Batch>; 2],
    spares: Vec<Spare>,
}

impl Waiting {
    /// More places are more to look into.
    const MOST: usize = 8;

    pub(super) fn new() -> Self {
        Self { places: PerThread::new(Self::MOST), begun: CachePadded::default() }
    }

    /// That of this thread.
    pub(super) fn place(&self) -> MutexGuard<'_, Place> {
        self.places.get().lock()
    }

    fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Place>> {
        self.places.iter().map(Mutex::lock)
    }

    /// The number of a batch that begins now.
    pub(super) fn next_number(&self) -> u64 {
        self.begun.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all().all(|place| place.queues.iter().all(VecDeque::is_empty))
    }

    /// The batch that has waited longest, and what may go with it: at most `entries` commands, in about `bytes`.
    pub(super) fn take(&self, entries: usize, bytes: usize) -> Option<Batch> {
        let fronts = self.all().zip(self.places.iter()).filter_map(|(place, of)| {
            let front =
                place.queues.iter().filter_map(VecDeque::front).min_by_key(|batch| batch.number)?;
            Some((front.number, front.queue, of))
        });
        let (_, queue, of) = fronts.min_by_key(|&(number, ..)| number)?;
        // Only flights take, one at a time.
        let mut batch = of.lock().queues[queue].pop_front()?;
        for mut place in self.all() {
            while let Some(next) =
                place.queues[queue].front_mut().filter(|next| batch.can_join(next, entries, bytes))
            {
                batch.join(next);
                let emptied = place.queues[queue].pop_front().map(Batch::into_spare);
                emptied.into_iter().for_each(|spare| place.keep(spare));
            }
        }
        Some(batch)
    }

    /// When the first call that waits is over.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        let first = |place: MutexGuard<'_, Place>| {
            place.queues.iter().filter_map(|queue| queue.front()?.first_deadline()).min()
        };
        self.all().filter_map(first).min()
    }

    /// Ends the calls whose time is over before they were sent.
    pub(super) fn expire(&self, now: Instant) {
        for mut place in self.all() {
            for queue in &mut place.queues {
                queue
                    .iter_mut()
                    .take_while(|batch| batch.first_deadline().is_some_and(|first| first <= now))
                    .for_each(|batch| batch.expire(now));
                queue.retain(|batch| !batch.is_empty());
            }
        }
    }

    /// Lets everyone who waits go by themselves.
    pub(super) fn disband(&self) {
        self.all().for_each(|mut place| place.queues.iter_mut().for_each(VecDeque::clear));
    }
}

impl Place {
    pub(super) fn queue(&mut self, queue: usize) -> &mut VecDeque<Batch> {
        &mut self.queues[queue]
    }

    /// Memory for a batch.
    pub(super) fn spare(&mut self) -> Spare {
        self.spares.pop().unwrap_or_default()
    }

    /// Keeps memory for another batch.
    pub(super) fn keep(&mut self, spare: Spare) {
        /// One on its way, one that waits.
        const KEPT: usize = 2;
        if self.spares.len() < KEPT && spare.is_moderate() {
            self.spares.push(spare);
        }
    }

    /// Puts a batch before those that wait.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.queues[batch.queue].push_front(batch);
    }
}
