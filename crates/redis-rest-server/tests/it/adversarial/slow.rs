use redis_rest_server::MemoryBackend;
use redis_rest_test_support::connection::{
    HEAD, LONG, connect, exchange, full_request, pong, read_response, read_to_end, send,
};
use redis_rest_test_support::{raw, rest as server};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SHORT: Duration = Duration::from_millis(300);

/// Sends a byte now and then until the server responds or closes. Returns everything it sent.
async fn drip(addr: SocketAddr, beginning: &str, byte: &[u8]) -> String {
    let mut stream = connect(addr).await;
    send(&mut stream, beginning).await;
    let dripping = async {
        let mut first = [0];
        loop {
            // The pace is the attack, not a wait for something.
            match tokio::time::timeout(Duration::from_millis(20), stream.read(&mut first)).await {
                Err(_) if stream.write_all(byte).await.is_ok() => {}
                Ok(Ok(1)) => {
                    return char::from(first[0]).to_string() + &read_to_end(&mut stream).await;
                }
                _ => return String::new(),
            }
        }
    };
    tokio::time::timeout(LONG, dripping).await.expect("the server ends it")
}

#[tokio::test]
async fn slow_heads_are_cut_off_and_block_no_other() {
    let server =
        server::serve_with(MemoryBackend::new(), |config| config.header_timeout(SHORT)).await;
    let addr = server.local_addr();
    let slow: Vec<_> = (0..50)
        .map(|_| tokio::spawn(drip(addr, "POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"a")))
        .collect();
    for _ in 0..20 {
        assert_eq!(raw::request(addr, "POST", "/", "[\"PING\"]").await.0, 200);
    }
    for slow in slow {
        // Without a response: there was no request.
        assert_eq!(slow.await.unwrap(), "");
    }
}

#[tokio::test]
async fn silent_connection_is_closed() {
    let server =
        server::serve_with(MemoryBackend::new(), |config| config.header_timeout(SHORT)).await;
    assert_eq!(read_to_end(&mut connect(server.local_addr()).await).await, "");
    // Also between two requests.
    let mut stream = connect(server.local_addr()).await;
    assert_eq!(exchange(&mut stream, "[\"PING\"]").await, pong());
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn slow_bodies_get_408_and_are_cut_off() {
    let server =
        server::serve_with(MemoryBackend::new(), |config| config.body_timeout(SHORT)).await;
    let addr = server.local_addr();
    let sized = drip(addr, &format!("{HEAD}Content-Length: 1000000\r\n\r\n"), b" ").await;
    let chunked =
        drip(addr, &format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"), b"1\r\n \r\n").await;
    for said in [sized, chunked] {
        assert_eq!(
            raw::parse(&said),
            (
                408,
                "{\"error\":\"ERR body too slow: the limit is ServerConfig::body_timeout\"}"
                    .to_owned()
            ),
            "{said}"
        );
    }
    // A request without a token is refused before its body, however slow.
    let said =
        drip(addr, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n", b" ")
            .await;
    assert_eq!(raw::parse(&said).0, 401, "{said}");
}

#[tokio::test]
async fn unread_response_is_freed() {
    let limits = |config: redis_rest_server::ServerConfig| {
        config
            .write_timeout(SHORT)
            .max_connections(1)
            .max_request_bytes(40_000_000)
            .max_reply_bytes(100_000_000)
    };
    let server = server::serve_with(MemoryBackend::new(), limits).await;
    let mut stream = connect(server.local_addr()).await;
    let text = "x".repeat(30_000_000);
    send(&mut stream, full_request(&format!("[\"ECHO\",\"{text}\"]"))).await;
    // The limit is one connection: the next is served once that one is gone.
    let gone = async {
        while raw::request(server.local_addr(), "POST", "/", "[\"PING\"]").await.0 != 200 {}
    };
    tokio::time::timeout(LONG, gone).await.expect("the server gives it up");
    // Only the bytes in the system's buffers arrived.
    assert!(read_to_end(&mut stream).await.len() < text.len());
}

#[tokio::test]
async fn steady_slow_reader_gets_everything() {
    let server = server::serve_with(MemoryBackend::new(), |config| {
        config.write_timeout(SHORT).max_request_bytes(40_000_000)
    })
    .await;
    let mut stream = connect(server.local_addr()).await;
    let text = "x".repeat(30_000_000);
    send(&mut stream, full_request(&format!("[\"ECHO\",\"{text}\"]"))).await;
    let mut piece = vec![0; 1_000_000];
    let mut seen = 0;
    // Longer in total than the time limit, and each time far more than the required minimum.
    while seen < text.len() / 2 {
        tokio::time::sleep(SHORT / 10).await;
        seen += stream.read(&mut piece).await.unwrap();
    }
    let mut all = Vec::new();
    // The last chunk.
    while !all.ends_with(b"\r\n0\r\n\r\n") {
        assert_ne!(
            stream.read_buf(&mut all).await.unwrap(),
            0,
            "cut off after {}",
            seen + all.len()
        );
    }
    assert_eq!(exchange(&mut stream, "[\"PING\"]").await, pong());
}

#[tokio::test]
async fn requests_sent_ahead_wait_for_their_reader() {
    // Thousands of requests at once, and no response read: the server stops reading, so that they
    // cost it nothing.
    let server =
        server::serve_with(MemoryBackend::new(), |config| config.write_timeout(SHORT)).await;
    let mut stream = connect(server.local_addr()).await;
    let many = full_request(&format!("[\"ECHO\",\"{}\"]", "x".repeat(10_000))).repeat(100);
    let flood = async { while stream.write_all(many.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(LONG, flood).await.expect("the server gives it up");
    let mut fresh = connect(server.local_addr()).await;
    send(&mut fresh, full_request("[\"PING\"]")).await;
    assert_eq!(read_response(&mut fresh).await, pong());
}
