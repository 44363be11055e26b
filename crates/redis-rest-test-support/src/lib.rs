//! Support for the tests of several packages: private Redis servers, REST servers in this process,
//! proxies, raw sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::new_without_default,
    missing_docs,
    reason = "a panic here is a red test, and nothing here is an interface"
)]

pub mod certificates;
#[cfg(feature = "native")]
pub mod cluster;
pub mod connection;
pub mod forward_proxy;
pub mod gate;
pub mod haproxy;
pub mod neighbours;
pub mod nginx;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod redis;
pub mod rest;
pub mod scripted;
pub mod spans;
pub mod tls;
