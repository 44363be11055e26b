//! The server and its engine, as their users see them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic here is a red test, which is what it should be"
)]

/// Requests that are no good: wrong tokens, odd addresses, bodies that are none.
mod bad_input;
/// Clients that mean harm: what balloons, what gets through.
mod hostile;
/// The server as a program: stopping, access, encodings, refused commands.
mod server;
