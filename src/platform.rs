//! The one place that knows whether futures must be `Send` and which timer exists.
//!
//! On `wasm32` requests are futures of the JavaScript host and cannot cross threads; everywhere else every future of
//! this crate is `Send`. Code elsewhere says [`BoxFuture`] and [`MaybeSend`] and needs no `cfg`.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future, `Send` wherever threads exist.
#[cfg(not(target_family = "wasm"))]
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A boxed future, `Send` wherever threads exist.
#[cfg(target_family = "wasm")]
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A boxed stream, `Send` wherever threads exist.
#[cfg(not(target_family = "wasm"))]
pub type BoxStream<T> = Pin<Box<dyn futures_core::Stream<Item = T> + Send>>;
/// A boxed stream, `Send` wherever threads exist.
#[cfg(target_family = "wasm")]
pub type BoxStream<T> = Pin<Box<dyn futures_core::Stream<Item = T>>>;

/// `Send + Sync` wherever threads exist, nothing on `wasm32`. Implemented for every type that can.
#[cfg(not(target_family = "wasm"))]
pub trait MaybeSend: Send + Sync {}
#[cfg(not(target_family = "wasm"))]
impl<T: Send + Sync + ?Sized> MaybeSend for T {}
/// `Send + Sync` wherever threads exist, nothing on `wasm32`. Implemented for every type that can.
#[cfg(target_family = "wasm")]
pub trait MaybeSend {}
#[cfg(target_family = "wasm")]
impl<T: ?Sized> MaybeSend for T {}

/// What comes through a channel, as a stream.
#[cfg(feature = "native")]
pub(crate) struct Received<T>(pub(crate) tokio::sync::mpsc::Receiver<T>);

#[cfg(feature = "native")]
impl<T> futures_core::Stream for Received<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<T>> {
        self.0.poll_recv(context)
    }
}

/// Runs `future` beside the caller, on the caller's runtime. Dropped at once where there is none.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(future);
    }
}
/// Runs `future` beside the caller.
#[cfg(target_family = "wasm")]
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(future);
}

/// The outputs of `futures`, which run at the same time.
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

/// Lets the other tasks run that are ready.
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

/// Waits for `duration`.
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Lets the runtime read what the network brought while nobody looked, and connections take note of it. A task that is ready runs
/// before that otherwise, and would write to connections that were closed long ago.
#[cfg(unix)]
pub(crate) async fn read_news() {
    // The kernel tells events in their order: when this one is here, so are all before it.
    if let Ok((end, other)) = tokio::net::UnixStream::pair() {
        drop(other);
        let _ = end.readable().await;
    }
    settle().await;
}

/// As well as it can be done without an event of one's own.
#[cfg(not(unix))]
pub(crate) async fn read_news() {
    settle().await;
}

/// Lets the tasks run that were woken before. The first time may be spent on the runtime's own turn.
async fn settle() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}

/// Timers that are used again. Moving one that is set already to a later time takes no lock of the runtime's, which all its timers
/// share: with 64 callers, setting a new one for each call and taking it back costs a tenth of what can be done.
#[derive(Default)]
pub(crate) struct Timers(std::sync::Mutex<Vec<Timer>>);

/// Set on this runtime.
type Timer = (tokio::runtime::Id, Pin<Box<tokio::time::Sleep>>);

impl Timers {
    /// More than this are not kept.
    const KEPT: usize = 1024;

    /// The output of `future`, or `None` when `limit` passes first.
    pub(crate) async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let runtime = tokio::runtime::Handle::current().id();
        let kept = self.lock().pop();
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
        let mut kept = self.lock();
        if output.is_some() && kept.len() < Self::KEPT {
            kept.push((runtime, timer));
        }
        output
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Timer>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The output of `future`, or `None` when `limit` passes first.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}
