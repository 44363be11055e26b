use redis_rest::{Client, Event};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::connection::{LONG, connect, read_to_end, send};
use redis_rest_test_support::{raw, rest as server};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Opens a subscriber that has read the confirmation, and reads no more.
pub(super) async fn deaf(addr: std::net::SocketAddr) -> TcpStream {
    let mut stream = connect(addr).await;
    send(
        &mut stream,
        "GET /subscribe/news HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer local-token\r\n\r\n",
    )
    .await;
    let mut said = Vec::new();
    while !said.ends_with(b"data: subscribe,news,1\n\n\r\n") {
        said.push(stream.read_u8().await.unwrap());
    }
    stream
}

/// Without the backend's own bound on the number of events, which events of 1 MB would not reach.
#[tokio::test]
async fn subscriber_that_never_reads_is_disconnected_and_blocks_no_other() {
    let engine = MemoryBackend::new();
    let server =
        server::serve_with(engine.clone(), |config| config.max_backlog_bytes(3_000_000)).await;
    let mut deaf = [deaf(server.local_addr()).await, deaf(server.local_addr()).await];
    let mut hearing = server::client(&server).subscribe(["news"]);
    assert!(matches!(hearing.next().await, Some(Ok(Event::Subscribed(_)))));
    let publisher = Client::from_backend(engine);
    let (mut sent, mut reached) = (0, 3);
    // The system's buffers take some megabytes each; the backlog three.
    while reached > 1 {
        assert!(sent < 100, "{reached} are still there");
        reached = tokio::time::timeout(LONG, publisher.publish("news", "x".repeat(1_000_000)))
            .await
            .expect("nobody blocks it")
            .unwrap();
        sent += 1;
        let Some(Ok(Event::Message(message))) = hearing.next().await else {
            panic!("the honest one hears all")
        };
        assert_eq!(message.payload.len(), 1_000_000);
    }
    // No reader takes the end for a complete one: the last chunk is missing.
    for stream in &mut deaf {
        assert!(!read_to_end(stream).await.ends_with("0\r\n\r\n"));
    }
    assert_eq!(
        raw::request(server.local_addr(), "POST", "/", "[\"PUBSUB\",\"NUMSUB\",\"news\"]").await.1,
        "{\"result\":[\"news\",1]}"
    );
}

#[tokio::test]
async fn subscriber_that_accepts_nothing_is_closed() {
    let engine = MemoryBackend::new();
    let settings = |config: redis_rest_server::ServerConfig| {
        config.write_timeout(std::time::Duration::from_millis(300)).max_backlog_bytes(usize::MAX)
    };
    let server = server::serve_with(engine.clone(), settings).await;
    let mut deaf = deaf(server.local_addr()).await;
    let publisher = Client::from_backend(engine);
    for _ in 0..20 {
        publisher.publish("news", "x".repeat(1_000_000)).await.unwrap();
    }
    // Pending events are released with the connection.
    let gone = async { while publisher.publish("news", "").await.unwrap() > 0 {} };
    tokio::time::timeout(LONG, gone).await.expect("the server gives it up");
    assert!(read_to_end(&mut deaf).await.len() < 20_000_000);
}
