//! Whether the connections of a pool are still what they seem. Knows no HTTP: the pool is any value that can be made anew.
//!
//! A process that stood still (a function that was frozen, a laptop that slept) goes on with connections that may be dead in two ways.
//!
//! * They were closed or reset, and the news waits in the kernel. Hence [`Pool::rested`]: after a pause the news is read first.
//! * Nobody said anything: a box between forgot them. Only a request finds out. Hence [`Watch`]: when one gets no answer, and nothing
//!   else did meanwhile, all connections of its time are given up, so that the retry does not meet the next dead one.

use crate::clock::{self, Instant};
use crate::platform::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A pause after which connections may have been closed unseen. Looking costs some 20 µs.
const REST: Duration = Duration::from_millis(100);
/// A request that is given up sooner says nothing about its connection: callers change their minds.
const PATIENCE: Duration = Duration::from_millis(100);

/// A pool of connections that can be replaced by a new one.
pub(super) struct Pool<C> {
    current: RwLock<C>,
    signs: Arc<Signs>,
}

struct Signs {
    epoch: Instant,
    /// When the last request began, in milliseconds after `epoch`, plus one. Zero: there was none.
    used: AtomicU64,
    /// Counts answers, and losses of trust.
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

    /// True when the last request began a while ago: what came in meanwhile should be read before the next.
    pub(super) fn rested(&self) -> bool {
        let used = self.signs.used.load(Ordering::Relaxed);
        used != 0 && self.signs.now().saturating_sub(used) >= millis(REST)
    }

    /// The next request has the pool made anew.
    pub(super) fn renew(&self) {
        self.signs.suspect.store(true, Ordering::SeqCst);
    }

    /// True if no request is under way.
    pub(super) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.signs) == 1
    }

    /// Begins a request over connections that are trusted. `renew` makes a new pool.
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
        // Written once a millisecond at most: threads would queue for it.
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

/// Sees how a request ends. Dropped before, it was given up.
pub(super) struct Watch {
    signs: Arc<Signs>,
    seen: u64,
    began: u64,
    over: bool,
}

impl Watch {
    /// Something came back.
    pub(super) fn answered(mut self) {
        self.over = true;
        self.signs.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// The connection broke.
    pub(super) fn broke(mut self) {
        self.over = true;
        self.distrust();
    }

    /// It ended in a way that says nothing about connections there were before.
    pub(super) fn ended(mut self) {
        self.over = true;
    }

    /// Of many requests that end alike, the first one counts: the others see its mark.
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

    /// How often the pool was made anew by the time of the next request.
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
        // Nor one whose caller changed their mind, nor one that found no connection.
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
