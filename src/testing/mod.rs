//! What tests need.
pub mod conformance;
