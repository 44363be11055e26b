//! A process that was frozen and continues: its connections died meanwhile, unnoticed.
//!
//! The freeze is real for the client: its runtime has one thread, which stands still while the
//! connections end.

/// Servers whose connections die.
mod frozen;
/// A relay that swallows bytes.
mod relay;

use frozen::{End, Frozen};
use redis_rest::{Client, Config, ErrorKind, Outcome, RetryPolicy, Value};
use redis_rest_test_support::tls::{self, Tls};
use relay::Relay;
use std::time::Duration;
use tokio::time::Instant;

/// For calls that must reach it; the others end long before, even on a busy machine.
const TIMEOUT: Duration = Duration::from_millis(400);

fn config(server: &Frozen) -> Config {
    let policy = RetryPolicy::default().backoff(Duration::from_millis(1), Duration::from_millis(1));
    Client::builder().url(server.url()).token("t").no_auto_batch().retry(policy)
}

/// Starts a server, and a client with this many idle connections to it.
async fn connected(
    connections: usize,
    settings: impl FnOnce(Config) -> Config,
) -> (Frozen, Client) {
    let server = Frozen::start();
    let client = settings(config(&server)).build().unwrap();
    // Response times vary, so only overlapping calls need separate connections.
    while server.accepted() < connections {
        let calls: Vec<_> = (0..connections)
            .map(|_| client.clone())
            .map(|client| tokio::spawn(async move { client.get::<Value>("k").await }))
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
    }
    (server, client)
}

#[tokio::test]
async fn connection_closed_during_the_freeze_costs_nothing() {
    for end in [End::Close, End::Reset] {
        for connections in [1, 5] {
            let (server, client) = connected(connections, |config| config.no_retry()).await;
            let before = server.answered();
            server.freeze(end);
            assert_eq!(
                client.incr("n").await.unwrap(),
                1,
                "{end:?}: nothing was written, so any command goes again"
            );
            server.freeze(end);
            client.get::<Value>("k").await.unwrap();
            assert_eq!(server.answered() - before, 2, "{end:?}: each once");
        }
    }
}

#[tokio::test]
async fn reset_connection_costs_a_read_one_retry() {
    let (server, client) = connected(5, |config| config.no_retry()).await;
    server.freeze(End::ResetOnWrite);
    let error = client.get::<Value>("k").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Io, Outcome::NotApplied),
        "{error:?}: a read changes nothing"
    );
    // All five died. One failure reveals it, and the retry tries none of the other four.
    let (server, client) =
        connected(5, |config| config.retry(RetryPolicy::default().max_attempts(2))).await;
    server.freeze(End::ResetOnWrite);
    client.get::<Value>("k").await.unwrap();
    assert_eq!(server.lost(), 1);
}

/// The limit of detection: the request was written, and a peer that resets the connection may have
/// read it.
#[tokio::test]
async fn reset_connection_leaves_a_non_retry_safe_command_uncertain() {
    let (server, client) = connected(1, |config| config).await;
    server.freeze(End::ResetOnWrite);
    let error = client.incr("n").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::Io, Outcome::MaybeApplied, 1),
        "{error:?}"
    );
    assert_eq!(client.incr("n").await.unwrap(), 1, "the next call finds a new connection");
}

#[tokio::test]
async fn silent_connections_cost_a_read_one_timeout() {
    let (server, client) = connected(5, |config| {
        config.timeout(TIMEOUT).retry(RetryPolicy::default().max_attempts(2))
    })
    .await;
    let (before, connections) = (server.answered(), server.accepted());
    server.freeze(End::Silence);
    let began = Instant::now();
    client.get::<Value>("k").await.unwrap();
    assert!(began.elapsed() >= TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(server.lost(), 1);
    assert_eq!(server.answered() - before, 1);
    assert_eq!(server.accepted() - connections, 1);
    assert_eq!(client.incr("n").await.unwrap(), 1, "nobody else pays");
    assert_eq!(server.lost(), 1);
}

#[tokio::test]
async fn silent_connections_leave_only_one_command_uncertain() {
    let (server, client) = connected(5, |config| config.timeout(TIMEOUT)).await;
    server.freeze(End::Silence);
    let error = client.incr("n").await.unwrap_err();
    assert!(error.is_timeout() && error.maybe_applied(), "{error:?}");
    assert_eq!(client.incr("n").await.unwrap(), 1);
    assert_eq!(server.lost(), 1);
}

/// HTTP/2 has one connection for all requests, and cancelling a request does not close it: unless
/// the connection is suspected, every later call would use it until the kernel gives up after a
/// quarter of an hour.
#[tokio::test]
async fn silent_http2_connection_is_abandoned_after_one_timeout() {
    let server = Tls::start("h2").await;
    let relay = Relay::start(server.addr).await;
    let config = Client::builder()
        .url(tls::url(relay.addr))
        .token("t")
        .root_certificate_pem(server.authority.clone())
        .timeout(TIMEOUT);
    let client = config.retry(RetryPolicy::default().max_attempts(2)).build().unwrap();
    client.get::<Value>("k").await.unwrap();
    relay.swallow();
    client.get::<Value>("k").await.unwrap();
    assert_eq!((relay.accepted(), server.answered()), (2, 2));
}
