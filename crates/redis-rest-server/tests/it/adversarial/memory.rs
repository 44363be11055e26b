//! Many clients that each hold little: their total is limited.

use redis_rest::{Client, Outcome};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::connection::{
    HEAD, LONG, connect, exchange, full_request, pong, read_response, read_to_end, send,
};
use redis_rest_test_support::rest as server;
use std::net::SocketAddr;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

const MEGABYTE: usize = 1_000_000;
const LIMIT: usize = 8 * MEGABYTE;

/// Opens a connection and sends all but the last bytes of a request: `["SET","k","xxx…"]`.
async fn hold_body(addr: SocketAddr, bytes: usize) -> TcpStream {
    let mut stream = connect(addr).await;
    let body = format!("[\"SET\",\"k\",\"{}", "x".repeat(bytes));
    send(&mut stream, format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len() + 2)).await;
    stream
}

/// Returns the server's response before the end of the request; `None` if it waits for the end.
async fn refusal(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"}") {
        // A response shows that a body was refused; held requests stay silent.
        let read = tokio::time::timeout(std::time::Duration::from_millis(300), stream.read_u8());
        head.push(read.await.ok()?.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

#[tokio::test]
async fn bodies_of_many_clients_wait_within_one_limit_and_small_requests_pass() {
    let server = server::serve_with(MemoryBackend::new(), |config| config.max_memory(LIMIT)).await;
    let addr = server.local_addr();
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(hold_body(addr, MEGABYTE).await);
    }
    let (mut held, mut refused) = (Vec::new(), 0);
    for mut client in clients {
        match refusal(&mut client).await {
            None => held.push(client),
            Some(answer) => {
                assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
                assert!(answer.contains("retry-after: 1"), "{answer}");
                assert!(answer.contains("DB connection refused"), "{answer}");
                refused += 1;
            }
        }
    }
    // The number that fits; if two were read at once, both may have been refused.
    assert!(held.len() <= 7 && refused >= 5, "{} held, {refused} refused", held.len());
    // Small requests pass, and a large one learns that nothing ran.
    let mut small = connect(addr).await;
    assert_eq!(exchange(&mut small, "[\"PING\"]").await, pong());
    let strict = server::config(&server).no_retry().build().unwrap();
    let error = strict.set("k", "x".repeat(LIMIT)).await.unwrap_err();
    assert_eq!((error.outcome(), error.status()), (Outcome::NotApplied, Some(503)), "{error}");
    assert!(error.retry_after().is_some());
    // Requests already held continue.
    for client in &mut held {
        send(client, "\"]").await;
        assert_eq!(read_response(client).await.map(|(status, _)| status), Some(200));
    }
    drop(held);
    // A client that retries gets through.
    server::client(&server).set("k", "x".repeat(MEGABYTE)).await.unwrap();
}

/// Opens a connection whose client sends a request and does not read. Some megabytes are in the
/// system's buffers.
async fn hold_reply(addr: SocketAddr, key: &str) -> TcpStream {
    let mut stream = connect(addr).await;
    send(&mut stream, full_request(&format!("[\"GET\",\"{key}\"]"))).await;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

#[tokio::test]
async fn unread_replies_count_until_they_are_written() {
    let engine = MemoryBackend::new();
    let direct = Client::from_backend(engine.clone());
    direct.set("large", "x".repeat(20 * MEGABYTE)).await.unwrap();
    let server = server::serve_with(engine, |config| config.max_memory(50 * MEGABYTE)).await;
    let addr = server.local_addr();
    let held = [hold_reply(addr, "large").await, hold_reply(addr, "large").await];
    // A read-only command counts as not executed; another must not.
    let mut other = connect(addr).await;
    let (status, body) = exchange(&mut other, "[\"GET\",\"large\"]").await.unwrap();
    assert!(status == 503 && body.contains("DB connection refused"), "{status} {body}");
    let script = "redis.call('INCR', 'ran') return redis.call('GET', 'large')";
    let (status, body) = exchange(&mut other, &format!("[\"EVAL\",\"{script}\",0]")).await.unwrap();
    assert!(status == 400 && body.starts_with("{\"error\":\"ERR max response size"), "{body}");
    assert!(body.contains("max_memory") && body.contains("the command was executed"), "{body}");
    assert_eq!(
        exchange(&mut other, "[\"GET\",\"ran\"]").await,
        Some((200, "{\"result\":\"1\"}".to_owned()))
    );
    drop(held);
    // The server notices a little later that they are gone.
    let free = async { while exchange(&mut other, "[\"STRLEN\",\"large\"]").await.is_none() {} };
    free.await;
    let client = server::client(&server);
    let value = tokio::time::timeout(LONG, client.get::<String>("large")).await.unwrap().unwrap();
    assert_eq!(value.len(), 20 * MEGABYTE);
}

#[tokio::test]
async fn pending_events_count_too() {
    let engine = MemoryBackend::new();
    let settings = |config: redis_rest_server::ServerConfig| {
        config.max_backlog_bytes(usize::MAX).max_memory(10 * MEGABYTE)
    };
    let server = server::serve_with(engine.clone(), settings).await;
    let mut deaf = super::subscribers::deaf(server.local_addr()).await;
    let publisher = Client::from_backend(engine);
    let (mut sent, mut reached) = (0, 1);
    // Beside the bytes in the system's buffers.
    while reached > 0 {
        assert!(sent < 100, "the subscriber is still there");
        reached = publisher.publish("news", "x".repeat(MEGABYTE)).await.unwrap();
        sent += 1;
    }
    assert!(!read_to_end(&mut deaf).await.ends_with("0\r\n\r\n"));
}
