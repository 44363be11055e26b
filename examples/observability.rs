//! Spans and metrics of a program: prints spans as they end, then the metrics as Prometheus would
//! read them.
//!
//! ```sh
//! cargo run --features metrics --example observability
//! ```
//!
//! Starts a REST server with an embedded engine, uses it, stops it, restarts it, and prints the
//! recorded data. `examples/grafana-dashboard.json` shows these metrics.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use redis_rest::session::{
    InMemorySessionStore, ManagerOptions, Recovery, RedisSessionStore, Session, SessionManager,
    SessionStoreExt as _,
};
use redis_rest::{BreakerPolicy, Client, RetryPolicy, Value, cmd, observe};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, RunningServer, Server, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;

type Failure = Box<dyn std::error::Error>;

// A single thread, so that its subscriber sees all spans.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    // Before the first client: gauges report changes only.
    let prometheus = install()?;
    let engine = MemoryBackend::new();
    let server = start(&engine, ([127, 0, 0, 1], 0).into()).await?;
    let address = server.local_addr();
    let client = Client::new(server.url(), DEFAULT_TOKEN)?;
    let soon = BreakerPolicy::default()
        .min_calls(1)
        .failure_ratio(0.0)
        .open_for(Duration::from_millis(50), Duration::from_secs(1));
    let options =
        ManagerOptions::default().max_staleness(Duration::ZERO).recovery(Recovery::Automatic(soon));
    let manager = SessionManager::with_options("", 100, options);
    // No retries: the first failure is the outage.
    let store_client =
        Client::builder().url(server.url()).token(DEFAULT_TOKEN).no_retry().build()?;
    let store = RedisSessionStore::new(store_client, Duration::from_secs(3600));
    manager.set_session_store(Arc::new(store.clone()), true).await?;

    println!("spans, as they end:");
    let seen = tracing::subscriber::set_default(spans());
    let session = manager.create_session("ada", "org").await?.session;
    manager.get_session(&session.id).await?;
    at_once(&client).await?;
    // Not in the table of commands: labelled `other` in the metrics.
    fails(client.run::<Value>(cmd("MADE-UP")).await);
    drop(seen);

    in_memory().await?;
    expire(&client, &store, &manager).await?;

    server.shutdown().await;
    manager.create_session("ada", "org").await?;
    // Retries until the retry budget is spent: 500 retries, unless the connect timeout passes
    // before.
    let eager =
        RetryPolicy::default().max_attempts(u32::MAX).backoff(Duration::ZERO, Duration::ZERO);
    let eager = Client::builder()
        .url(format!("http://{address}"))
        .token(DEFAULT_TOKEN)
        .retry(eager)
        .build()?;
    fails(eager.get::<Value>("name").await);

    let server = start(&engine, address).await?;
    while !manager.is_using_redis() {
        manager.get_session(&session.id).await?;
        tokio::task::yield_now().await;
    }
    println!("\nmetrics:\n{}", prometheus.render());
    server.shutdown().await;
    Ok(())
}

fn install() -> Result<PrometheusHandle, Failure> {
    let mut builder = PrometheusBuilder::new().with_recommended_naming(true);
    for metric in observe::METRICS.iter().filter(|metric| !metric.buckets.is_empty()) {
        builder =
            builder.set_buckets_for_metric(Matcher::Full(metric.name.into()), metric.buckets)?;
    }
    let handle = builder.install_recorder()?;
    observe::describe();
    Ok(handle)
}

/// Returns a subscriber that prints the spans of this crate when they end.
fn spans() -> impl tracing::Subscriber {
    let print = tracing_subscriber::fmt::layer()
        .with_span_events(FmtSpan::CLOSE)
        .with_target(false)
        .without_time()
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(print)
        .with(Targets::new().with_target("redis_rest", LevelFilter::DEBUG))
}

/// Sends calls together, batched automatically and as a pipeline.
async fn at_once(client: &Client) -> Result<(), Failure> {
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.incr("visits").await })
        })
        .collect();
    for call in calls {
        call.await??;
    }
    let mut pipe = client.pipeline();
    let _ = (pipe.add(cmd::get::<Option<String>>("a")), pipe.add(cmd::get::<Option<String>>("b")));
    pipe.send().await?.all::<Value>()?;
    let mut transaction = client.transaction();
    let _ = (transaction.add(cmd::incr("visits")), transaction.add(cmd::get::<i64>("visits")));
    transaction.send().await?.all::<Value>()?;
    Ok(())
}

/// Creates sessions in this process, one of which expires.
async fn in_memory() -> Result<(), Failure> {
    let store = InMemorySessionStore::new(Duration::from_secs(60));
    store.store_session(&Session::new("ada").org_id("org")).await?;
    store.advance(Duration::from_secs(61));
    store.cleanup_expired_sessions("ada").await?;
    Ok(())
}

/// Loads a session that the manager caches and that is gone from Redis.
async fn expire(
    client: &Client,
    store: &RedisSessionStore,
    manager: &SessionManager,
) -> Result<(), Failure> {
    let session = manager.create_session("ada", "org").await?.session;
    client.del([format!("session:{}", session.id)]).await?;
    fails(manager.get_session(&session.id).await);
    store.cleanup_expired_sessions("ada").await?;
    Ok(())
}

/// Prints an expected error.
fn fails<T, E: std::fmt::Display>(result: Result<T, E>) {
    match result {
        Ok(_) => println!("unexpected: it went well"),
        Err(error) => println!("as expected: {error}"),
    }
}

async fn start(engine: &MemoryBackend, address: SocketAddr) -> Result<RunningServer, Failure> {
    Ok(Server::bind(Arc::new(engine.clone()), ServerConfig::new().listen(address)).await?.spawn())
}
