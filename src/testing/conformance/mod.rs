//! Conformance cases.
pub mod sessions;
