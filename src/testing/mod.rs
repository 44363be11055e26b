//! What tests need, in this crate and in those that use it.

pub mod conformance;
