//! Sessions.

/// The conformance cases on every store and both index layouts.
mod conformance;
/// The manager through outages: what is written after them, and what is not.
mod outage;
