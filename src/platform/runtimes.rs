//! Values of which every runtime has its own.

use super::lock::{CachePadded, Mutex};
use super::native::NoRuntime;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use tokio::runtime::{Handle, Id};

/// The runtime of the calling task or thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RuntimeId(Id);

impl RuntimeId {
    pub(crate) fn current() -> Result<Self, NoRuntime> {
        // A cache by thread or by task would sometimes be wrong: a thread can enter several
        // runtimes, and so can a `LocalSet` with its tasks.
        Handle::try_current().map(|runtime| Self(runtime.id())).map_err(|_| NoRuntime)
    }
}

/// A value for each runtime that requests one.
///
/// The end of a runtime is not observable. Instead, spent values are dropped whenever the number of
/// values has doubled: a program that creates a runtime for each event holds a bounded number of
/// them.
pub(crate) struct PerRuntime<T> {
    is_spent: fn(&T) -> bool,
    /// The value that a thread used last. Threads would contend for one lock.
    recent: PerThread<Mutex<Option<Entry<T>>>>,
    all: Mutex<All<T>>,
}

type Entry<T> = (RuntimeId, Arc<T>);

struct All<T> {
    values: HashMap<RuntimeId, Arc<T>>,
    /// The number of values at which spent ones are dropped.
    full: usize,
}

impl<T> PerRuntime<T> {
    /// More values than most programs have concurrent runtimes.
    const FEW: usize = 64;

    /// Creates an empty set. A value for which `is_spent` returns true may be dropped, and
    /// recreated, at any time.
    pub(crate) fn new(is_spent: fn(&T) -> bool) -> Self {
        let all = All { values: HashMap::new(), full: Self::FEW };
        Self { is_spent, recent: PerThread::new(Self::FEW), all: Mutex::new(all) }
    }

    /// Passes the value of the caller's runtime to `act`, under a lock: `act` must not block, nor
    /// wake a task. Without a value, `make` creates one.
    ///
    /// # Errors
    /// Fails with [`NoRuntime`] outside of a runtime, or with the error of `make`.
    pub(crate) fn with<R, E: From<NoRuntime>>(
        &self,
        make: impl FnOnce(RuntimeId) -> Result<T, E>,
        act: impl FnOnce(&Arc<T>) -> R,
    ) -> Result<R, E> {
        let runtime = RuntimeId::current()?;
        if let Some((_, value)) = self.recent.get().lock().as_ref().filter(|(of, _)| *of == runtime)
        {
            return Ok(act(value));
        }
        let value = self.find(runtime, make)?;
        let result = act(&value);
        let before = self.recent.get().lock().replace((runtime, value));
        // Dropped without the lock.
        drop(before);
        Ok(result)
    }

    fn find<E>(
        &self,
        runtime: RuntimeId,
        make: impl FnOnce(RuntimeId) -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        if let Some(value) = self.all.lock().values.get(&runtime) {
            return Ok(Arc::clone(value));
        }
        let made = Arc::new(make(runtime)?);
        let mut all = self.all.lock();
        let spent =
            if all.values.len() >= all.full { self.take_spent(&mut all) } else { Vec::new() };
        let value = Arc::clone(all.values.entry(runtime).or_insert(made));
        drop(all);
        drop(spent);
        Ok(value)
    }

    fn take_spent(&self, all: &mut All<T>) -> Vec<Arc<T>> {
        let is_spent = |value: &Arc<T>| (self.is_spent)(value);
        let mut spent: Vec<_> =
            all.values.extract_if(|_, value| is_spent(value)).map(|(_, value)| value).collect();
        for recent in self.recent.iter() {
            spent.extend(
                recent.lock().take_if(|(_, value)| is_spent(value)).map(|(_, value)| value),
            );
        }
        all.full = Self::FEW.max(2 * all.values.len());
        spent
    }
}

/// A value for each thread, or for a few threads.
pub(crate) struct PerThread<T>(Box<[CachePadded<T>]>);

thread_local! {
    static NUMBER: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
}

impl<T: Default> PerThread<T> {
    /// Creates one value per processor, but at most `most`.
    pub(crate) fn new(most: usize) -> Self {
        // Read from files if a container has limits.
        static PROCESSORS: LazyLock<usize> =
            LazyLock::new(|| available_parallelism().map_or(1, usize::from));
        Self((0..(*PROCESSORS).min(most)).map(|_| CachePadded::default()).collect())
    }
}

impl<T> PerThread<T> {
    /// Returns the value of this thread.
    pub(crate) fn get(&self) -> &T {
        // A thread that is about to end may use any value.
        let number = NUMBER.try_with(|number| number % self.0.len()).unwrap_or_default();
        &self.0[number].0
    }

    /// Returns the values of all threads.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|value| &value.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use tokio::runtime::Builder;

    type Flag = AtomicBool;

    fn flags() -> PerRuntime<Flag> {
        PerRuntime::new(|spent| spent.load(Ordering::Relaxed))
    }

    fn get(values: &PerRuntime<Flag>) -> Result<Arc<Flag>, NoRuntime> {
        values.with(|_| Ok(Flag::default()), Arc::clone)
    }

    #[test]
    fn every_runtime_has_one_value_on_all_its_threads() {
        let values = flags();
        assert!(get(&values).is_err(), "outside of a runtime");
        let [one, other] = [(); 2].map(|()| Builder::new_current_thread().build().unwrap());
        let first = one.block_on(async { get(&values).unwrap() });
        for _ in 0..2 {
            let second = other.block_on(async { get(&values).unwrap() });
            assert!(!Arc::ptr_eq(&first, &second));
            assert!(Arc::ptr_eq(&first, &one.block_on(async { get(&values).unwrap() })));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let _entered = one.enter();
                    assert!(Arc::ptr_eq(&first, &get(&values).unwrap()));
                });
            });
        }
    }

    #[test]
    fn values_of_runtimes_that_ended_are_dropped() {
        let values = flags();
        let kept = Builder::new_current_thread().build().unwrap();
        let in_use = kept.block_on(async { get(&values).unwrap() });
        let mut made = Vec::new();
        for _ in 0..1000 {
            let runtime = Builder::new_current_thread().build().unwrap();
            let value = runtime.block_on(async { get(&values).unwrap() });
            value.store(true, Ordering::Relaxed);
            made.push(Arc::downgrade(&value));
        }
        let alive = made.iter().filter(|value| value.strong_count() > 0).count();
        assert!(alive <= PerRuntime::<Flag>::FEW, "{alive} of 1000");
        assert!(Arc::ptr_eq(&in_use, &kept.block_on(async { get(&values).unwrap() })));
    }
}
