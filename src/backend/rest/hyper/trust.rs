//! Tracks whether the connections of a pool may be dead. Knows no HTTP: the pool is any value that
//! can be recreated.
//!
//! A process that stood still (a frozen function, a sleeping laptop) continues with connections
//! that may be dead in two ways.
//!
//! * Closed or reset, with the event waiting in the kernel. Hence [`Pool::rested`]: after a pause
//!   pending events are read first.
//! * No peer reported anything: a box in between forgot them. Only a request reveals it. Hence
//!   [`Watch`]: if one gets no response, and nothing else did meanwhile, all connections of its
//!   time are dropped, so that the retry does not meet the next dead one.

use crate::clock::{self, Instant};
use crate::platform::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Pause after which connections may have been closed unnoticed. The check costs some 20 µs.
const REST: Duration = Duration::from_millis(100);
/// A request cancelled sooner proves nothing about its connection: callers cancel for other
/// reasons.
const PATIENCE: Duration = Duration::from_millis(100);

/// A pool of connections that can be replaced by a new one.
pub(super) struct Pool<C> {
    current: RwLock<C>,
    signs: Arc<Signs>,
}

struct Signs {
    epoch: Instant,
    /// Start of the last request, in milliseconds after `epoch`, plus one. Zero: there was none.
    used: AtomicU64,
    /// Counts responses, and losses of trust.
    progress: AtomicU64,
    suspect: AtomicBool,
}

impl<C> Pool<C> {
    pub(super) fn new(client: C) -> Self {
        let signs = Signs {
            epoch: clock::now(),
            used: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
        };
        Self { current: RwLock::new(client), signs: Arc::new(signs) }
    }

    /// Returns true if the last request began a while ago: events that arrived meanwhile should be
    /// read before the next.
    pub(super) fn rested(&self) -> bool {
        let used = self.signs.used.load(Ordering::Relaxed);
        used != 0 && self.signs.now().saturating_sub(used) >= millis(REST)
    }

    /// Makes the next request recreate the pool.
    pub(super) fn renew(&self) {
        self.signs.suspect.store(true, Ordering::SeqCst);
    }

    /// Returns true if no request is in flight.
    pub(super) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.signs) == 1
    }

    /// Begins a request over trusted connections. `renew` creates a new pool.
    pub(super) fn begin<T>(
        &self,
        renew: impl FnOnce() -> C,
        send: impl FnOnce(&C) -> T,
    ) -> (Watch, T) {
        if self.signs.suspect.load(Ordering::Relaxed)
            && self.signs.suspect.swap(false, Ordering::SeqCst)
        {
            *self.current.write() = renew();
        }
        let signs = &self.signs;
        let began = signs.now();
        // Written once a millisecond at most: threads would contend for it.
        if signs.used.load(Ordering::Relaxed) != began {
            signs.used.store(began, Ordering::Relaxed);
        }
        let seen = signs.progress.load(Ordering::Relaxed);
        let watch = Watch { signs: Arc::clone(signs), seen, began, over: false };
        (watch, send(&self.current.read()))
    }
}

impl Signs {
    fn now(&self) -> u64 {
        millis(self.epoch.elapsed()) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

/// Observes the end of a request. If it is dropped earlier, the request was cancelled.
pub(super) struct Watch {
    signs: Arc<Signs>,
    seen: u64,
    began: u64,
    over: bool,
}

impl Watch {
    /// A response arrived.
    pub(super) fn answered(mut self) {
        self.over = true;
        self.signs.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// The connection broke.
    pub(super) fn broke(mut self) {
        self.over = true;
        self.distrust();
    }

    /// The request ended in a way that proves nothing about existing connections.
    pub(super) fn ended(mut self) {
        self.over = true;
    }

    /// The first of many requests that end alike counts: the others see its mark.
    fn distrust(&self) {
        if self
            .signs
            .progress
            .compare_exchange(self.seen, self.seen + 1, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            self.signs.suspect.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.over && self.signs.now().saturating_sub(self.began) >= millis(PATIENCE) {
            self.distrust();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how often the pool was recreated by the time of the next request.
    fn renewals(pool: &Pool<u32>) -> u32 {
        let newer = *pool.current.read() + 1;
        pool.begin(|| newer, |current| *current).1
    }

    fn begin(pool: &Pool<u32>) -> Watch {
        pool.begin(|| unreachable!(), |_| ()).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_breaks_or_waits_in_vain_costs_the_pool_its_trust_once() {
        let pool = Pool::new(0);
        begin(&pool).broke();
        assert_eq!(renewals(&pool), 1);
        let many: Vec<_> = (0..64).map(|_| begin(&pool)).collect();
        tokio::time::advance(PATIENCE).await;
        drop(many);
        assert_eq!((renewals(&pool), renewals(&pool)), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_fails_beside_others_that_work_costs_nothing() {
        let pool = Pool::new(0);
        let (slow, broken) = (begin(&pool), begin(&pool));
        begin(&pool).answered();
        tokio::time::advance(PATIENCE).await;
        drop(slow);
        broken.broke();
        assert_eq!(renewals(&pool), 0);
        // Nor a cancelled request, nor one without a connection.
        drop(begin(&pool));
        begin(&pool).ended();
        assert_eq!(renewals(&pool), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_one_since_the_last_request_began() {
        let pool = Pool::new(0);
        tokio::time::advance(REST).await;
        assert!(!pool.rested(), "there is no connection yet");
        begin(&pool).answered();
        assert!(!pool.rested());
        tokio::time::advance(REST).await;
        assert!(pool.rested());
    }
}
