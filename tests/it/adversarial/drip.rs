//! Replies that arrive byte by byte: a call's time is limited even if its connection looks alive.

use redis_rest::{Client, ErrorKind, Outcome};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Starts a server that sends `start` to every client, and then `drop` repeatedly.
async fn dripping(start: &'static str, drop: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read_u8().await;
                let mut next = stream.write_all(start.as_bytes()).await;
                while next.is_ok() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    next = stream.write_all(drop.as_bytes()).await;
                }
            });
        }
    });
    addr
}

#[tokio::test]
async fn timeout_covers_every_part_of_a_reply() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    for (start, drop) in [
        ("", "H"),
        ("HTTP/1.1 200 OK\r\nX-Slow: ", "a"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{\"result\":\"", "A"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000000\r\n\r\n", "<"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD, "\r"),
    ] {
        let client =
            Client::builder().url(format!("http://{}", dripping(start, drop).await)).token("t");
        let client = client
            .timeout(Duration::from_millis(100))
            .deadline(Duration::from_millis(500))
            .build()
            .unwrap();
        let began = Instant::now();
        // The first ends with its only attempt, the second with the deadline.
        let (once, again) = tokio::join!(client.incr("n"), client.get::<String>("k"));
        let (once, again) = (once.unwrap_err(), again.unwrap_err());
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{start:?}{drop:?}: {:?}",
            began.elapsed()
        );
        // An invalid head is detected before the time is up.
        let kinds = [ErrorKind::Timeout, ErrorKind::Io];
        let wanted = if matches!(drop, "H" | "\r") { &kinds[..] } else { &kinds[..1] };
        assert!(
            wanted.contains(&once.kind()) && once.outcome() == Outcome::MaybeApplied,
            "{start:?}{drop:?}: {once:?}"
        );
        assert!(wanted.contains(&again.kind()), "{start:?}{drop:?}: {again:?}");
    }
}

#[tokio::test]
async fn subscription_without_a_response_is_retried_and_fails() {
    let client = Client::builder()
        .url(format!("http://{}", dripping("HTTP/1.1 200 OK\r\nX-Slow: ", "a").await))
        .token("t");
    let client = client.timeout(Duration::from_millis(1)).build().unwrap();
    let error = client.subscribe(["c"]).next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}
