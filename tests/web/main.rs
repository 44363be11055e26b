//! The tests of the `wasm32` build: the conformance cases and what is different there, in Node and in a browser, against
//! `redis-rest serve`. `.ci/wasm` starts that, builds this and runs it; elsewhere this is an empty program.

#![cfg_attr(target_family = "wasm", no_main)]
#![cfg(target_family = "wasm")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic here is a red test, which is what it should be"
)]

/// The conformance cases of backends.
mod backend;
/// Batching, timeouts, refused connections, subscriptions.
mod client;
/// The manager: what it keeps, and an outage.
mod manager;
/// The conformance cases of session stores.
mod sessions;
/// Clients, and a transport that can be told to fail.
mod support;
