use redis_rest::{Client, Config};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Starts a server that replies 1 with this header, and counts connections.
async fn server(header: &'static str) -> (Config, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream, header));
        }
    });
    (Client::builder().url(url).token("t").no_auto_batch(), accepted)
}

async fn serve(mut stream: TcpStream, header: &'static str) {
    let mut received = Vec::new();
    while stream.read_buf(&mut received).await.is_ok_and(|count| count > 0) {
        // Every request is the same command.
        if received.ends_with(br#"["INCR","n"]"#) {
            received.clear();
            let reply =
                format!("HTTP/1.1 200 OK\r\n{header}content-length: 12\r\n\r\n{{\"result\":1}}");
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    }
}

async fn connections_of_three_calls(
    header: &'static str,
    settings: impl Fn(Config) -> Config,
    pause: Duration,
) -> usize {
    let (config, accepted) = server(header).await;
    let client = settings(config).build().unwrap();
    for _ in 0..3 {
        assert_eq!(client.incr("n").await.unwrap(), 1);
        // The connection is idle meanwhile.
        tokio::time::sleep(pause).await;
    }
    accepted.load(Ordering::Relaxed)
}

#[tokio::test]
async fn idle_connections_respect_client_and_server_limits() {
    let as_it_is = |config: Config| config;
    let soon = Duration::from_millis(2);
    for (header, connections) in [
        ("", 1),
        ("Keep-Alive: timeout=60, max=1000\r\n", 1),
        ("Keep-Alive: max=1000\r\n", 1),
        ("Keep-Alive: timeout=soon\r\n", 1),
        ("Keep-Alive: timeout=1\r\n", 3),
        ("keep-alive: max=5, Timeout=0\r\n", 3),
    ] {
        let found = connections_of_three_calls(header, as_it_is, soon).await;
        assert_eq!(found, connections, "{header:?}");
    }
    let at_once = |config: Config| config.pool_idle_timeout(Duration::ZERO);
    assert_eq!(connections_of_three_calls("", at_once, soon).await, 3);
    let short = |config: Config| config.pool_idle_timeout(Duration::from_millis(50));
    let pause = Duration::from_millis(200);
    assert_eq!(connections_of_three_calls("", short, pause).await, 3);
}
