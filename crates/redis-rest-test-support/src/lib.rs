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

/// Returns a started server, or ends the test if the server is not installed.
///
/// Without arguments starts a private redis-server. With `REQUIRE_REDIS=1` a missing server is a
/// failure.
#[macro_export]
macro_rules! redis_test {
    () => {
        $crate::redis_test!($crate::redis::Redis::start())
    };
    ($started:expr) => {
        match $started {
            Some(server) => server,
            None => return,
        }
    };
}

pub mod certificates;
#[cfg(feature = "native")]
pub mod cluster;
pub mod connection;
pub mod forward_proxy;
pub mod gate;
pub mod haproxy;
pub mod nginx;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod redis;
pub mod rest;
pub mod scripted;
pub mod shared_connection;
pub mod spans;
pub mod tls;
