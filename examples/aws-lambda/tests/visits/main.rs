//! The built function, run as Lambda runs it, against a server in this process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic here is a red test, which is what it should be"
)]

mod lambda;

use lambda::Function;
use redis_rest_server::MemoryBackend;
use redis_rest_server::{RunningServer, Server, ServerConfig};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

async fn redis(data: &Arc<MemoryBackend>, address: SocketAddr) -> RunningServer {
    Server::bind(Arc::clone(data) as _, ServerConfig::new().listen(address)).await.unwrap().spawn()
}

async fn start() -> (Arc<MemoryBackend>, RunningServer, Function) {
    let data = Arc::new(MemoryBackend::new());
    let server = redis(&data, ([127, 0, 0, 1], 0).into()).await;
    let function = Function::start(&server.url()).await;
    (data, server, function)
}

/// Returns status, body, and the cookie as a browser sends it back.
fn parts(answer: &Value) -> (u64, &str, &str) {
    let cookie = answer["cookies"][0].as_str().unwrap_or_default();
    (
        answer["statusCode"].as_u64().unwrap(),
        answer["body"].as_str().unwrap(),
        cookie.split(';').next().unwrap(),
    )
}

#[tokio::test]
async fn a_visitor_gets_a_session_and_is_known_by_its_cookie() {
    let (_data, _server, mut function) = start().await;
    let first = function.visit(&[]).await;
    let (status, body, cookie) = parts(&first);
    assert_eq!((status, body), (200, "visit 1\n"));
    assert!(first["cookies"][0].as_str().unwrap().contains("HttpOnly; Secure; SameSite=Lax"));
    let second = function.visit(&["theme=dark", cookie]).await;
    assert_eq!(parts(&second), (200, "visit 2\n", cookie));
    for unknown in ["session=nobody", "session=../no id", "session=", "sessions=x"] {
        let answer = function.visit(&[unknown]).await;
        assert_eq!(parts(&answer).1, "visit 1\n", "{unknown}");
        assert_ne!(parts(&answer).2, unknown);
    }
}

#[tokio::test]
async fn function_with_a_connection_closed_while_frozen_serves_the_next_event() {
    let (data, server, mut function) = start().await;
    let first = function.visit(&[]).await;
    let address = server.local_addr();
    function.freeze(true);
    server.shutdown().await;
    let _server = redis(&data, address).await;
    function.freeze(false);
    assert_eq!(parts(&function.visit(&[parts(&first).2]).await).1, "visit 2\n");
}

#[tokio::test]
async fn without_redis_the_response_is_503_and_the_session_survives() {
    let (data, server, mut function) = start().await;
    let first = function.visit(&[]).await;
    let cookie = parts(&first).2;
    let address = server.local_addr();
    server.shutdown().await;
    for cookies in [&[cookie][..], &[]] {
        let answer = function.visit(cookies).await;
        let (status, body, set) = parts(&answer);
        assert_eq!(status, 503);
        assert_eq!(body, "sessions are unavailable, please come back\n");
        assert_eq!(set, "");
        assert_eq!(answer["headers"]["retry-after"], "2");
    }
    let _server = redis(&data, address).await;
    assert_eq!(parts(&function.visit(&[cookie]).await), (200, "visit 2\n", cookie));
}
