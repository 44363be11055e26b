//! The commands of the `redis` crate, written once and run over TCP and over HTTP.

mod collections;
mod migration_guide;
mod others;
mod over_http;
mod pipelines;
mod values;

use redis::aio::MultiplexedConnection;
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::rest;

async fn over_tcp(redis: &Redis) -> MultiplexedConnection {
    let client = redis::Client::open(redis.url()).expect("an address");
    client.get_multiplexed_async_connection().await.expect("the private redis-server answers")
}

/// Generates a test for each case and transport, on the same kind of server.
macro_rules! both_ways {
    ($($case:ident::{$($name:ident),* $(,)?})*) => {
        mod tcp {
            use super::*;
            $(mod $case {
                use super::*;
                $(#[tokio::test]
                async fn $name() {
                    let redis = redis_rest_test_support::redis_test!();
                    super::super::$case::$name(over_tcp(&redis).await).await;
                })*
            })*
        }
        mod http {
            use super::*;
            $(mod $case {
                use super::*;
                $(#[tokio::test]
                async fn $name() {
                    let redis = redis_rest_test_support::redis_test!();
                    let server = rest::serve(redis.backend().await).await;
                    super::super::$case::$name(rest::client(&server).redis_rs()).await;
                })*
            })*
        }
    };
}

both_ways! {
    values::{strings, counters, many_at_once, bytes, bits, keys, times_to_live}
    collections::{hashes, lists, sets, sorted_sets, ranges_of_scores, unions}
    others::{streams, groups, places, estimates, scans, scripts, script_errors}
    pipelines::{pipelines, pipelines_with_errors, atomic, atomic_with_errors, discarded}
}
