//! Platforms on which a JavaScript host runs the futures: browsers, Workers, Node. Uses its timers
//! and its tasks; those of `tokio` compile there, and panic.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

/// A boxed future, `Send` wherever threads exist.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A boxed stream, `Send` wherever threads exist.
pub type BoxStream<T> = Pin<Box<dyn futures_core::Stream<Item = T>>>;

/// `Send + Sync` wherever threads exist, nothing on `wasm32`. Implemented for every type that can.
pub trait MaybeSend {}
impl<T: ?Sized> MaybeSend for T {}

/// `performance.now()`. Workers stop it while code runs, and let it go on at every I/O.
pub(crate) type Instant = web_time::Instant;

/// There is no file system.
pub(crate) const HAS_FILES: bool = false;

/// The host names the origin of requests. A header of our own would have to be allowed by the
/// server (CORS): a browser asks the server first whether it allows a header, and refuses the
/// request if not.
pub(crate) const MAY_ADD_HEADERS: bool = false;
pub(crate) const USER_AGENT: Option<&str> = None;

/// Returns a number from 0 to below 1, for jitter: not for secrets.
pub(crate) fn random() -> f64 {
    js_sys::Math::random()
}

/// Runs `future` in parallel to the caller.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(future);
}

/// The host is the only runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeId;

impl RuntimeId {
    pub(crate) fn current() -> Result<Self, NoRuntime> {
        Ok(Self)
    }
}

/// There is one thread.
pub(crate) fn share_woken() {}

/// A single value: the host is the only runtime.
pub(crate) struct PerRuntime<T>(OnceLock<Arc<T>>);

impl<T> PerRuntime<T> {
    /// Creates an empty set. Its value is kept, spent or not.
    pub(crate) fn new(_is_spent: fn(&T) -> bool) -> Self {
        Self(OnceLock::new())
    }

    /// Passes the value to `act`. `make` creates it.
    pub(crate) fn with<R, E: From<NoRuntime>>(
        &self,
        make: impl FnOnce(RuntimeId) -> Result<T, E>,
        act: impl FnOnce(&Arc<T>) -> R,
    ) -> Result<R, E> {
        if let Some(value) = self.0.get() {
            return Ok(act(value));
        }
        let made = Arc::new(make(RuntimeId)?);
        Ok(act(self.0.get_or_init(|| made)))
    }
}

/// The host always drives waiting futures.
pub(crate) type NoRuntime = std::convert::Infallible;

/// Checks that futures can wait here.
pub(crate) fn in_runtime() -> Result<(), NoRuntime> {
    Ok(())
}

/// Runs `act` here: there are no threads.
pub(crate) fn blocking<T>(act: impl FnOnce() -> T) -> impl Future<Output = Option<T>> {
    std::future::ready(Some(act()))
}

/// Waits for `duration`, at most for 24.8 days: `setTimeout` counts milliseconds in 31 bits, and
/// treats larger values as zero.
pub(crate) async fn sleep(duration: Duration) {
    const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
    // Rounded up: a timer must not fire early.
    let whole = duration.saturating_add(Duration::from_micros(999)).min(LONGEST);
    gloo_timers::future::sleep(whole).await;
}

/// Returns the output of `future`, or `None` if `limit` passes first.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut timer) = (pin!(future), pin!(sleep(limit)));
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// Timers of attempts. The host's timers cannot be reused.
#[derive(Default)]
pub(crate) struct Timers;

impl Timers {
    /// Returns the output of `future`, or `None` if `limit` passes first.
    #[allow(clippy::unused_self, reason = "elsewhere it keeps timers")]
    pub(crate) async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<Option<F::Output>, NoRuntime> {
        Ok(timeout(limit, future).await)
    }
}
