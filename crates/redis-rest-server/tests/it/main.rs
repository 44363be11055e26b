//! The server and its engine from their users' view.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic here is a red test, which is what it should be"
)]

/// Invalid requests, and malicious clients: memory exhaustion, injection.
mod adversarial;
/// The server as a program: stopping, access, encodings, refused commands.
mod server;
