//! Hedged reads: a second copy of a slow request. The first reply counts.

use crate::backend::Reply;
use crate::platform;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Runs `call`, and once more if it has no reply after `delay` and `may_hedge` allows it. The first
/// reply wins; an error waits for the other copy.
pub(super) async fn race<F: Future<Output = Reply>>(
    call: impl Fn() -> F,
    delay: Duration,
    may_hedge: impl FnOnce() -> bool,
) -> Reply {
    let mut first = pin!(call());
    if let Some(reply) = platform::timeout(delay, first.as_mut()).await {
        return reply;
    }
    if !may_hedge() {
        return first.await;
    }
    tracing::debug!("no reply yet: sending a second copy");
    let mut second = pin!(call());
    let mut failed = (None, None);
    poll_fn(|context| {
        // A failed copy is not polled again.
        if failed.0.is_none() {
            match first.as_mut().poll(context) {
                Poll::Ready(Ok(value)) => return Poll::Ready(Ok(value)),
                Poll::Ready(Err(error)) => failed.0 = Some(error),
                Poll::Pending => {}
            }
        }
        if failed.1.is_none() {
            match second.as_mut().poll(context) {
                Poll::Ready(Ok(value)) => return Poll::Ready(Ok(value)),
                Poll::Ready(Err(error)) => failed.1 = Some(error),
                Poll::Pending => {}
            }
        }
        match (&failed.0, &failed.1) {
            (Some(error), Some(_)) => Poll::Ready(Err(error.clone())),
            _ => Poll::Pending,
        }
    })
    .await
}
