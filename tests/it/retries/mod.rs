//! Retries: commands that are retried, commands that are not, and the totals if replies are lost.

/// Every failure with every idempotency.
mod decision;
/// Lifetime of idle connections.
mod keep_alive;
/// Deadline, attempts, budget, connect timeout, cancellation.
mod limits;
/// A thousand increments and a thousand sessions through proxies that lose replies.
#[cfg(feature = "native")]
mod lossy;
/// Entries of a pipeline that are retried.
mod pipelines;
/// The idempotency table against a real server.
#[cfg(feature = "native")]
mod safety;
