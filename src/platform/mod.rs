//! The only module that knows whether futures must be `Send`, the timers and clocks, and the source
//! of randomness.
//!
//! On `wasm32` requests are futures of the JavaScript host and cannot cross threads; everywhere
//! else every future of this crate is `Send`. Other code uses [`BoxFuture`] and [`MaybeSend`] and
//! needs no `cfg`.

mod lock;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
mod runtimes;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
use native as here;
#[cfg(target_family = "wasm")]
use wasm as here;

pub use here::{BoxFuture, BoxStream, MaybeSend};
pub(crate) use here::{
    HAS_FILES, Instant, MAY_ADD_HEADERS, NoRuntime, PerRuntime, RuntimeId, Timers, USER_AGENT,
    blocking, in_runtime, random, share_woken, sleep, spawn, timeout,
};
pub(crate) use lock::{CachePadded, Mutex, RwLock};

use std::future::Future;

/// The items of a channel, as a stream.
#[cfg(feature = "native")]
pub(crate) struct Received<T>(pub(crate) tokio::sync::mpsc::Receiver<T>);

#[cfg(feature = "native")]
impl<T> futures_core::Stream for Received<T> {
    type Item = T;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        self.0.poll_recv(context)
    }
}

/// Returns the outputs of `futures`, which run concurrently.
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, output) in futures.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *output = Some(value),
                std::task::Poll::Pending => pending = true,
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

/// Lets other ready tasks run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
