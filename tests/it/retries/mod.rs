//! Retries: the decision, and what becomes of data when replies are lost.

/// Every failure with every replay safety.
mod decision;
/// Deadline, attempts, budget, connect timeout, cancellation.
mod limits;
/// Which entries of a pipeline go again.
mod pipelines;
/// The table of replay safety against a real server.
mod safety;
