//! Where there are threads: tokio's timers and tasks.

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

/// What requests say that they come from.
/// False where a header that a server does not expect can be refused by the host.
pub(crate) const MAY_ADD_HEADERS: bool = true;
pub(crate) const USER_AGENT: Option<&str> = Some(concat!("redis-rest/", env!("CARGO_PKG_VERSION")));

/// A number from 0 to below 1, for jitter: not for secrets.
pub(crate) fn random() -> f64 {
    fastrand::f64()
}

/// Runs `future` beside the caller, on the caller's runtime. Dropped at once where there is none.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(future);
    }
}

/// Lets any thread of the runtime run the task that the caller has just made ready. Tokio keeps
/// that task for this thread, which may compute for long before the caller waits.
pub(crate) fn share_woken() {
    if let Ok(current) = tokio::runtime::Handle::try_current()
        && current.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread
    {
        // Only one task is kept. This one takes its place, and ends at once.
        current.spawn(std::future::ready(()));
    }
}

/// There is no runtime here: nothing that waits or connects can be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRuntime;

/// That this is called within a runtime. What waits or connects panics elsewhere.
pub(crate) fn in_runtime() -> Result<(), NoRuntime> {
    tokio::runtime::Handle::try_current().map(drop).map_err(|_| NoRuntime)
}

/// Runs `act`, which blocks, on a thread for that, from now on and also if nobody waits for the end; here where there is no runtime.
/// `None` when the runtime ends before it could begin.
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

/// The output of `future`, or `None` when `limit` passes first.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Timers that are used again. Moving one that is set already to a later time takes no lock of the runtime's, which all its timers
/// share: with 64 callers, setting a new one for each call and taking it back costs a tenth of what can be done.
#[derive(Default)]
pub(crate) struct Timers(Mutex<Vec<Timer>>);

/// Set on this runtime.
type Timer = (tokio::runtime::Id, Pin<Box<tokio::time::Sleep>>);

impl Timers {
    /// More than this are not kept.
    const KEPT: usize = 1024;

    /// The output of `future`, or `None` when `limit` passes first. Outside of a runtime `future` is not begun.
    pub(crate) async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<Option<F::Output>, NoRuntime> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| NoRuntime)?.id();
        let kept = self.0.lock().pop();
        let mut timer = match kept {
            // One of another runtime would not go off when that has ended.
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
