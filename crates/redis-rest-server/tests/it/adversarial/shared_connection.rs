//! A misbehaving client does not affect others, whose commands share its connection to Redis.

use redis_rest::Client;
use redis_rest::backend::Backend;
use redis_rest::backend::native::NativeConfig;
use redis_rest_server::MemoryBackend;
use redis_rest_server::RunningServer;
use redis_rest_test_support::raw;
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest as server;
use redis_rest_test_support::shared_connection::{CONNECTION_ENDING, DEEP, assert_unaffected};
use serde_json::json;
use std::time::Duration;

const LIMIT: usize = 100_000;

async fn serve(redis: &Redis) -> RunningServer {
    let config = NativeConfig::new(redis.url()).timeout(Duration::from_secs(20));
    server::serve(config.max_reply_bytes(LIMIT).connect().await.unwrap()).await
}

/// A separate request for each call, so that each failure is the call's own.
fn client(server: &RunningServer) -> Client {
    server::config(server).no_auto_batch().no_retry().build().unwrap()
}

async fn error(server: &RunningServer, target: &str, body: serde_json::Value) -> (u16, String) {
    let (status, body) = raw::request(server.local_addr(), "POST", target, body.to_string()).await;
    (status, serde_json::from_str::<serde_json::Value>(&body).unwrap()["error"].to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_too_deep_or_too_large_affect_no_other_client() {
    let redis = redis_test!();
    let server = serve(&redis).await;
    assert_unaffected(&client(&server), async || {
        let deep = json!(["EVAL", DEEP, 0]);
        let (status, text) = error(&server, "/", deep).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("ERR max response size exceeded. reply too deep: 64 "), "{text}");
        assert!(text.contains("the command was executed"), "{text}");
        let large = json!(["EVAL", "return string.rep('x', ARGV[1])", 0, LIMIT + 1]);
        let (status, text) = error(&server, "/", large).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("ERR max response size exceeded"), "{text}");
        assert!(text.contains("the command was executed"), "{text}");
    })
    .await;
}

async fn refuses_what_ends_a_connection(backend: impl Backend) {
    let server = server::serve(backend).await;
    assert_unaffected(&client(&server), async || {
        for parts in CONNECTION_ENDING {
            let (status, text) = error(&server, "/", json!(parts)).await;
            assert!(status == 400 && text.contains("not available over REST"), "{parts:?} {text}");
            let (status, text) = error(&server, "/multi-exec", json!([parts])).await;
            assert!(status == 400 && text.contains("not available over REST"), "{parts:?} {text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_ending_commands_affect_no_other_client() {
    let redis = redis_test!();
    refuses_what_ends_a_connection(redis.backend().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_engine_refuses_connection_ending_commands() {
    refuses_what_ends_a_connection(MemoryBackend::new()).await;
}
