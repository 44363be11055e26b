//! Sessions.

/// The conformance cases on every store and both index layouts.
mod conformance;
