//! State that threads share without queueing for each other.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

/// A value that shares no cache line with values that other threads write. Processors fetch lines
/// of 64 bytes in pairs.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// A value for each thread, or for a few threads.
pub(crate) struct PerThread<T>(Box<[CachePadded<T>]>);

thread_local! {
    static NUMBER: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
}

impl<T: Default> PerThread<T> {
    /// As many values as there are processors, but at most `most`.
    pub(crate) fn new(most: usize) -> Self {
        // Read from files if a container has limits.
        static PROCESSORS: LazyLock<usize> =
            LazyLock::new(|| available_parallelism().map_or(1, usize::from));
        Self((0..(*PROCESSORS).min(most)).map(|_| CachePadded::default()).collect())
    }
}

impl<T> PerThread<T> {
    /// The value of this thread.
    pub(crate) fn get(&self) -> &T {
        // A thread that is about to end may use any value.
        let number = NUMBER.try_with(|number| number % self.0.len()).unwrap_or_default();
        &self.0[number].0
    }

    /// The values of all threads.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|value| &value.0)
    }
}
