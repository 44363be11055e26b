//! Platforms with threads: tokio's timers and tasks.

pub(crate) use super::runtimes::{PerRuntime, RuntimeId};

use super::lock::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future, `Send` wherever threads exist.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed stream, `Send` wherever threads exist.
pub type BoxStream<T> = Pin<Box<dyn futures_core::Stream<Item = T> + Send>>;

/// `Send + Sync` wherever threads exist, nothing on `wasm32`. Implemented for every type that can.
pub trait MaybeSend: Send + Sync {}
impl<T: Send + Sync + ?Sized> MaybeSend for T {}

/// The runtime's clock, which a test can stop.
pub(crate) type Instant = tokio::time::Instant;

/// There is a file system.
pub(crate) const HAS_FILES: bool = true;

/// Whether requests may name their origin. False if the host can refuse a header that a server does
/// not expect.
pub(crate) const MAY_ADD_HEADERS: bool = true;
pub(crate) const USER_AGENT: Option<&str> = Some(concat!("redis-rest/", env!("CARGO_PKG_VERSION")));

/// Returns a number from 0 to below 1, for jitter: not for secrets.
pub(crate) fn random() -> f64 {
    fastrand::f64()
}

/// Runs `future` in parallel to the caller, on the caller's runtime. Drops it at once if there is
/// none.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(future);
    }
}

/// Lets any thread of the runtime run the task that the caller has just woken. Tokio keeps that
/// task for this thread, which may compute for long before the caller waits.
pub(crate) fn share_woken() {
    if let Ok(current) = tokio::runtime::Handle::try_current()
        && current.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread
    {
        // Only one task is kept. This one takes its place, and ends at once.
        current.spawn(std::future::ready(()));
    }
}

/// There is no runtime here: waiting and connecting are impossible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRuntime;

/// Checks that this is called within a runtime. Elsewhere waiting and connecting would panic.
pub(crate) fn in_runtime() -> Result<(), NoRuntime> {
    tokio::runtime::Handle::try_current().map(drop).map_err(|_| NoRuntime)
}

/// Runs `act`, which blocks, on a thread for blocking code, at once and even if the result is not
/// awaited; here if there is no runtime. `None` if the runtime ends before it could begin.
pub(crate) fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Option<T>> {
    let begun = match tokio::runtime::Handle::try_current() {
        Ok(runtime) => Ok(runtime.spawn_blocking(act)),
        Err(_) => Err(act()),
    };
    async move {
        match begun {
            Ok(task) => task.await.ok(),
            Err(done) => Some(done),
        }
    }
}

/// Waits for `duration`.
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Returns the output of `future`, or `None` if `limit` passes first.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Reusable timers. Moving a set timer to a later time takes no lock of the runtime's, which all
/// its timers share: with 64 callers, setting and cancelling a new one for each call costs a tenth
/// of the throughput.
#[derive(Default)]
pub(crate) struct Timers(Mutex<Vec<Timer>>);

/// Set on this runtime.
type Timer = (tokio::runtime::Id, Pin<Box<tokio::time::Sleep>>);

impl Timers {
    /// Most timers kept.
    const KEPT: usize = 1024;

    /// Returns the output of `future`, or `None` if `limit` passes first. Outside of a runtime
    /// `future` is not polled.
    pub(crate) async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<Option<F::Output>, NoRuntime> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| NoRuntime)?.id();
        let kept = self.0.lock().pop();
        let mut timer = match kept {
            // A timer of another runtime would not fire once that has ended.
            Some((of, mut timer)) if of == runtime => {
                timer.as_mut().reset(crate::clock::after(limit));
                timer
            }
            _ => Box::pin(tokio::time::sleep(limit)),
        };
        let mut future = std::pin::pin!(future);
        let output = std::future::poll_fn(|context| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending => timer.as_mut().poll(context).map(|()| None),
        })
        .await;
        let mut kept = self.0.lock();
        if output.is_some() && kept.len() < Self::KEPT {
            kept.push((runtime, timer));
        }
        Ok(output)
    }
}
