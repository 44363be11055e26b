//! Retries: what goes again, what does not, and what that adds up to when replies are lost.

/// Every failure with every replay safety.
mod decision;
/// The time for which idle connections are kept.
mod keep_alive;
/// Deadline, attempts, budget, connect timeout, cancellation.
mod limits;
/// A thousand increments and a thousand sessions through proxies that lose replies.
#[cfg(feature = "native")]
mod lossy;
/// Which entries of a pipeline go again.
mod pipelines;
/// The table of replay safety against a real server.
#[cfg(feature = "native")]
mod safety;
