//! Every case on every backend, each a separate test.

use redis_rest::Client;
use redis_rest::conformance::backend;
use redis_rest_test_support::rest;

macro_rules! native {
    ($($case:ident)*) => {
        mod native {
            use super::*;
            $(#[tokio::test]
            async fn $case() {
                let redis = redis_rest_test_support::redis_test!();
                backend::$case(&Client::from_backend(redis.backend().await)).await;
            })*
        }
    };
}
redis_rest::each_backend_case!(native);

macro_rules! rest_over_redis {
    ($($case:ident)*) => {
        mod rest_over_redis {
            use super::*;
            $(#[tokio::test]
            async fn $case() {
                let redis = redis_rest_test_support::redis_test!();
                let server = rest::serve(redis.backend().await).await;
                backend::$case(&rest::client(&server)).await;
            })*
        }
    };
}
redis_rest::each_backend_case!(rest_over_redis);

/// Generates the tests with replies in RESP2.
macro_rules! resp2_over_redis {
    ($($case:ident)*) => {
        mod resp2_over_redis {
            use super::*;
            $(#[tokio::test]
            async fn $case() {
                let redis = redis_rest_test_support::redis_test!();
                let server = rest::serve(redis.backend().await).await;
                let client = rest::config(&server).encoding(redis_rest::Encoding::Resp2).build().unwrap();
                backend::$case(&client).await;
            })*
        }
    };
}
redis_rest::each_backend_case!(resp2_over_redis);

macro_rules! memory {
    ($($case:ident)*) => {
        mod memory {
            use super::*;
            use redis_rest_server::MemoryBackend;
            $(#[tokio::test]
            async fn $case() {
                backend::$case(&Client::from_backend(MemoryBackend::new())).await;
            })*
        }
        mod rest_over_memory {
            use super::*;
            use redis_rest_server::MemoryBackend;
            $(#[tokio::test]
            async fn $case() {
                let server = rest::serve(MemoryBackend::new()).await;
                backend::$case(&rest::client(&server)).await;
            })*
        }
    };
}
redis_rest::each_backend_case!(memory);
