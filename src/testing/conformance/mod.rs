//! Cases that hold for every implementation, as functions that panic where they do not.
//!
//! Each case works on keys of its own, so cases run side by side on one server.

pub mod backend;
