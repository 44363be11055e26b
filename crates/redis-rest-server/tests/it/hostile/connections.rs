use redis_rest::Outcome;
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::connection::{ask, connect, pong, rest, send, whole};
use redis_rest_test_support::raw::parse;
use redis_rest_test_support::rest as server;
use tokio::io::AsyncWriteExt as _;

const ROOM: usize = 100;
const FLOOD: usize = 600;

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_the_others_go_on() {
    let server =
        server::serve_with(MemoryBackend::new(), |config| config.max_connections(ROOM)).await;
    let addr = server.local_addr();
    let mut honest = connect(addr).await;
    assert_eq!(ask(&mut honest, "[\"PING\"]").await, pong());
    let mut held = Vec::new();
    for _ in 1..ROOM {
        let mut stream = connect(addr).await;
        // The server has accepted it.
        assert_eq!(ask(&mut stream, "[\"PING\"]").await, pong());
        held.push(stream);
    }
    let mut flood = Vec::new();
    for round in 0..FLOOD {
        flood.push(connect(addr).await);
        if round % 100 == 0 {
            assert_eq!(ask(&mut honest, "[\"PING\"]").await, pong());
        }
    }
    let mut refused = 0;
    for mut stream in flood {
        // The server may have closed some already.
        let _ = stream.write_all(whole("[\"PING\"]").as_bytes()).await;
        let said = rest(&mut stream).await;
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
        ask(&mut honest, "[\"GET\",\"n\"]").await,
        Some((200, "{\"result\":null}".to_owned()))
    );
    // A closed connection makes room; the server notices a little later.
    drop(held.pop());
    let mut next = connect(addr).await;
    while ask(&mut next, "[\"PING\"]").await != pong() {
        next = connect(addr).await;
    }
    drop(held);
}

#[tokio::test]
async fn a_refused_client_sees_the_answer_although_it_had_sent_its_request() {
    let server = server::serve_with(MemoryBackend::new(), |config| config.max_connections(1)).await;
    let mut first = connect(server.local_addr()).await;
    assert_eq!(ask(&mut first, "[\"PING\"]").await, pong());
    for _ in 0..50 {
        let mut stream = connect(server.local_addr()).await;
        send(&mut stream, whole(&format!("[\"ECHO\",\"{}\"]", "x".repeat(1000)))).await;
        assert_eq!(parse(&rest(&mut stream).await).0, 503);
    }
}
