//! The tests of the `wasm32` build: the conformance cases and the differences of that build, in
//! Node and in a browser, against `redis-rest serve`. `.ci/wasm` starts the server, and builds and
//! runs the tests; on other targets this is an empty program.

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
/// The manager: its cache, and an outage.
mod manager;
/// The conformance cases of session stores.
mod sessions;
/// Clients, and a transport that fails on demand.
mod support;
