use redis_rest::Outcome;
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::connection::{
    connect, exchange, full_request, pong, read_to_end, send,
};
use redis_rest_test_support::raw::parse;
use redis_rest_test_support::rest as server;
use tokio::io::AsyncWriteExt as _;

const ROOM: usize = 100;
const FLOOD: usize = 600;

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_others_continue() {
    let server =
        server::serve_with(MemoryBackend::new(), |config| config.max_connections(ROOM)).await;
    let addr = server.local_addr();
    let mut honest = connect(addr).await;
    assert_eq!(exchange(&mut honest, "[\"PING\"]").await, pong());
    let mut held = Vec::new();
    for _ in 1..ROOM {
        let mut stream = connect(addr).await;
        // The server has accepted it.
        assert_eq!(exchange(&mut stream, "[\"PING\"]").await, pong());
        held.push(stream);
    }
    let mut flood = Vec::new();
    for round in 0..FLOOD {
        flood.push(connect(addr).await);
        if round % 100 == 0 {
            assert_eq!(exchange(&mut honest, "[\"PING\"]").await, pong());
        }
    }
    let mut refused = 0;
    for mut stream in flood {
        // The server may have closed some already.
        let _ = stream.write_all(full_request("[\"PING\"]").as_bytes()).await;
        let said = read_to_end(&mut stream).await;
        if !said.is_empty() {
            assert_eq!(parse(&said), (503, "{\"error\":\"DB connection refused\"}".to_owned()));
            refused += 1;
        }
    }
    // A flood is partly closed without a response.
    assert!(refused > 0);
    // A client learns that nothing ran.
    let client = server::config(&server).no_retry().build().unwrap();
    assert_eq!(client.incr("n").await.unwrap_err().outcome(), Outcome::NotApplied);
    assert_eq!(
        exchange(&mut honest, "[\"GET\",\"n\"]").await,
        Some((200, "{\"result\":null}".to_owned()))
    );
    // A closed connection makes room; the server notices a little later.
    drop(held.pop());
    let mut next = connect(addr).await;
    while exchange(&mut next, "[\"PING\"]").await != pong() {
        next = connect(addr).await;
    }
    drop(held);
}

#[tokio::test]
async fn refused_client_sees_the_response_after_sending() {
    let server = server::serve_with(MemoryBackend::new(), |config| config.max_connections(1)).await;
    let mut first = connect(server.local_addr()).await;
    assert_eq!(exchange(&mut first, "[\"PING\"]").await, pong());
    for _ in 0..50 {
        let mut stream = connect(server.local_addr()).await;
        send(&mut stream, full_request(&format!("[\"ECHO\",\"{}\"]", "x".repeat(1000)))).await;
        assert_eq!(parse(&read_to_end(&mut stream).await).0, 503);
    }
}
