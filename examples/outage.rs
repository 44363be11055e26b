//! Sessions through an outage of Redis, as a timeline.
//!
//! ```sh
//! cargo run --example outage
//! ```
//!
//! Starts a REST server with an embedded engine, stops it, works on, and restarts it with its data.

use redis_rest::session::{
    ManagerOptions, Recovery, RedisSessionStore, SessionError, SessionManager, SessionStoreExt as _,
};
use redis_rest::{BreakerPolicy, Client};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, RunningServer, Server, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let began = Instant::now();
    let say = |text: &str| println!("{:>6} ms  {text}", began.elapsed().as_millis());

    let engine = MemoryBackend::new();
    let server = start(&engine, ([127, 0, 0, 1], 0).into()).await?;
    let address = server.local_addr();
    say("a REST server runs, with an embedded engine behind it");

    // Short timeouts keep the example short. The documentation lists the defaults.
    let client = Client::builder()
        .url(server.url())
        .token(DEFAULT_TOKEN)
        .deadline(Duration::from_millis(300))
        .build()?;
    let soon = BreakerPolicy::default()
        .min_calls(1)
        .failure_ratio(0.0)
        .open_for(Duration::from_millis(200), Duration::from_secs(1));
    let options =
        ManagerOptions::default().max_staleness(Duration::ZERO).recovery(Recovery::Automatic(soon));
    let manager = SessionManager::with_options("", 100, options);
    manager
        .set_session_store(
            Arc::new(RedisSessionStore::new(client.clone(), Duration::from_secs(3600))),
            true,
        )
        .await?;

    let mut kept = manager.create_session("ada", "org").await?.session;
    let ended = manager.create_session("ada", "org").await?.session;
    say("two sessions are created and stored");

    server.shutdown().await;
    say("the server is gone");
    let new = manager.create_session("ada", "org").await?.session;
    say(&format!("a third is created; the store works: {}", manager.is_using_redis()));

    let calls = Instant::now();
    kept.system_prompt = "changed during the outage".into();
    manager.update_session(&kept).await?;
    manager.cleanup_session(&ended.id).await?;
    let list = manager.list_sessions("ada").await?;
    say(&format!(
        "an update, an end and a list of {} took {} µs together: nothing waits",
        list.sessions.len(),
        calls.elapsed().as_micros()
    ));
    match manager.get_session("somebody-elses").await {
        Err(SessionError::Unavailable(_)) => {
            say("a session that only Redis could know is unavailable, not \"not found\"")
        }
        other => say(&format!("unexpected: {other:?}")),
    }
    say(&format!("to be made up for: {:?}", manager.pending()));

    let server = start(&engine, address).await?;
    say("the server is back");
    // Any call will do: when a probe is due, a call sends it and writes the pending changes to the
    // store.
    while !manager.is_using_redis() {
        manager.get_session(&new.id).await?;
        tokio::task::yield_now().await;
    }
    say(&format!("taken up again by a call; to be made up for: {:?}", manager.pending()));

    let store = RedisSessionStore::new(client, Duration::from_secs(3600));
    let stored = store.list_sessions("ada").await?;
    say(&format!("Redis has {} sessions of the user", stored.sessions.len()));
    say(&format!(
        "the update arrived: {}",
        store.retrieve_session(&kept.id).await?.system_prompt == kept.system_prompt
    ));
    say(&format!("the ended one came back: {}", store.exists(&ended.id).await?));
    server.shutdown().await;
    Ok(())
}

async fn start(engine: &MemoryBackend, address: SocketAddr) -> Result<RunningServer, Failure> {
    Ok(Server::bind(Arc::new(engine.clone()), ServerConfig::new().listen(address)).await?.spawn())
}
