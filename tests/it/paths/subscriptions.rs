use redis_rest::{Client, ErrorKind, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Longest wait for something that should come at once.
const LONG: Duration = Duration::from_secs(20);

/// Starts a server that sends `answer` to every request and keeps its connections. Returns its
/// address and the number of requests.
async fn answering(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            counted.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer.as_bytes()).await.unwrap();
            held.push(stream);
        }
    });
    (url, count)
}

async fn ends_at_once(answer: String, says: &str) {
    for pattern in [false, true] {
        let (url, count) = answering(answer.clone()).await;
        let client = Client::new(url, "t").unwrap();
        let mut events = if pattern { client.psubscribe(["a"]) } else { client.subscribe(["a"]) };
        let error = timeout(LONG, events.next()).await.expect("it ends").unwrap();
        let error = error.expect_err(&answer);
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Unsupported, Outcome::NotApplied),
            "{answer}: {error}"
        );
        assert!(error.to_string().contains(says), "{error}");
        assert!(events.next().await.is_none(), "it has ended");
        assert_eq!(count.load(Ordering::SeqCst), 1, "{answer}: it is not tried again");
    }
}

#[tokio::test]
async fn acknowledgement_of_another_name_ends_a_subscription() {
    for data in ["subscribe,b,1", "psubscribe,a/b,1", "subscribe,a,b,1", "psubscribe,a,b,1"] {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        ends_at_once(format!("{head}data: {data}\n\n"), "proxy_pass").await;
    }
}

/// A command ran instead, and would run again at each attempt.
#[tokio::test]
async fn response_that_is_no_event_stream_ends_a_subscription() {
    for body in ["{\"result\":\"OK\"}", "{\"result\":1}", "{\"result\":\"T0s=\"}", "<html>", ""] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        ends_at_once(head + body, "event streams").await;
    }
}
