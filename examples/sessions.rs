//! Everything a session store does, in the order of the original's documentation.
//!
//! ```sh
//! cargo run --example sessions
//! ```
//!
//! Uses the server of `REDIS_REST_URL` and its token if they are set, and otherwise starts one with
//! an embedded engine.

use redis_rest::session::{
    Check, NewSession, RedisSessionStore, Session, SessionError, SessionManager, SessionStore as _,
    SessionStoreExt as _, SyncMode,
};
use redis_rest::{Client, Config};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, RunningServer, Server, ServerConfig};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (client, server) = connect().await?;
    let store = RedisSessionStore::new(client, 24 * HOUR);

    basic_set_up(&store).await?;
    direct_use(&store).await?;
    batches(&store).await?;
    fallback_and_migration(&store).await?;
    times_to_live(&store).await?;
    sync_modes(&store).await?;
    errors(&store).await?;
    monitoring(&store).await?;
    several_instances(&store).await?;

    store.delete_user_sessions("user-123").await?;
    if let Some(server) = server {
        server.shutdown().await;
    }
    Ok(())
}

async fn basic_set_up(store: &RedisSessionStore) -> Result<(), SessionError> {
    let workspaces = std::env::temp_dir().join("redis-rest-example");
    let manager = SessionManager::new(&workspaces, 100);
    if let Err(error) = manager.set_session_store(Arc::new(store.clone()), true).await {
        println!("Redis is unavailable, going on in memory: {error}");
    }
    let new = NewSession::new("user-123", "org-456").system_prompt("You are a helpful assistant");
    let session = manager.create_session_with(new).await?.session;
    println!("basic set-up: created, persisted: {}", manager.is_using_redis());
    manager.cleanup_session(&session.id).await?;
    Ok(())
}

async fn direct_use(store: &RedisSessionStore) -> Result<(), Box<dyn std::error::Error>> {
    let mut session = Session::new("user-123").org_id("org-456");
    store.store_session(&session).await?;
    session = store.retrieve_session(&session.id).await?;
    session.metadata.insert("plan", "pro")?;
    store.update_session(&session).await?;
    store.modify(&session.id, |session| session.system_prompt.push_str("Be brief.")).await?;
    let listed = store.list_sessions("user-123").await?.sessions.len();
    store.set_ttl(&session.id, 2 * HOUR).await?;
    store.delete_session(&session.id).await?;
    println!(
        "direct use: {listed} listed; exists after the delete: {}",
        store.exists(&session.id).await?
    );
    Ok(())
}

async fn batches(store: &RedisSessionStore) -> Result<(), SessionError> {
    let sessions: Vec<_> = (0..3).map(|_| Session::new("user-123").org_id("org-456")).collect();
    for (id, error) in store.batch_store_sessions(&sessions).await.failed() {
        println!("{id} was not stored: {error}");
    }
    let ids: Vec<_> = sessions.into_iter().map(|session| session.id).collect();
    let outcome = store.batch_delete_sessions(&ids).await;
    println!("batches: three stored and deleted, all well: {}", outcome.is_ok());
    Ok(())
}

async fn fallback_and_migration(store: &RedisSessionStore) -> Result<(), SessionError> {
    let manager = SessionManager::new("", 100);
    let session = manager.create_session("user-123", "org-456").await?.session;
    manager.set_session_store(Arc::new(store.clone()), true).await?;
    let before = store.exists(&session.id).await?;
    manager.get_session(&session.id).await?;
    println!(
        "migration: in Redis before it was asked for: {before}, after: {}",
        store.exists(&session.id).await?
    );
    Ok(())
}

async fn times_to_live(store: &RedisSessionStore) -> Result<(), SessionError> {
    store.set_default_ttl(12 * HOUR);
    let session = Session::new("user-123").org_id("org-456");
    store.store_session(&session).await?;
    store.set_ttl(&session.id, 24 * HOUR).await?;
    let touched = store.touch(&session.id).await?;
    println!("times to live: default {:?}, and a touch finds it {touched:?}", store.default_ttl());
    Ok(())
}

async fn sync_modes(store: &RedisSessionStore) -> Result<(), SessionError> {
    let elsewhere = Session::new("user-123").org_id("org-456");
    store.store_session(&elsewhere).await?;
    for mode in [SyncMode::Off, SyncMode::OnAccess] {
        let manager = SessionManager::new("", 100);
        manager.set_session_store(Arc::new(store.clone()), mode).await?;
        println!(
            "sync {mode:?}: a session of another instance is found: {}",
            manager.get_session(&elsewhere.id).await.is_ok()
        );
    }
    Ok(())
}

async fn errors(store: &RedisSessionStore) -> Result<(), SessionError> {
    match store.retrieve_session("no-such-session").await {
        Err(error @ SessionError::NotFound) => println!("errors: {error}"),
        other => println!("errors: unexpected {other:?}"),
    }
    // No server listens at this port: the manager works nevertheless.
    let nobody = Client::builder()
        .url("http://127.0.0.1:9")
        .token("t")
        .deadline(Duration::from_millis(200))
        .build()?;
    let manager = SessionManager::new("", 100);
    if let Err(error) =
        manager.set_session_store(Arc::new(RedisSessionStore::new(nobody, HOUR)), true).await
    {
        println!("errors: {error}");
    }
    manager.create_session("user-123", "org-456").await?;
    println!("errors: created in memory; persisted: {}", manager.is_using_redis());
    Ok(())
}

async fn monitoring(store: &RedisSessionStore) -> Result<(), SessionError> {
    let manager = SessionManager::new("", 100);
    manager.set_session_store(Arc::new(store.clone()), true).await?;
    let mut events = manager.events();
    manager.create_session("user-123", "org-456").await?;
    let first = events.next().await.map(|event| event.kind);
    println!(
        "monitoring: healthy: {}, {:?}, first event {first:?}",
        store.health(Check::Ping).await.is_ok(),
        manager.pending()
    );
    Ok(())
}

async fn several_instances(store: &RedisSessionStore) -> Result<(), SessionError> {
    let (here, there) = (SessionManager::new("", 100), SessionManager::new("", 100));
    for manager in [&here, &there] {
        manager.set_session_store(Arc::new(store.clone()), true).await?;
    }
    let session = here.create_session("user-123", "org-456").await?.session;
    println!(
        "several instances: created here, found there: {}",
        there.get_session(&session.id).await.is_ok()
    );
    println!(
        "several instances: logged out everywhere: {} sessions ended",
        there.delete_user_sessions("user-123").await?.sessions
    );
    Ok(())
}

async fn connect() -> Result<(Client, Option<RunningServer>), Box<dyn std::error::Error>> {
    if let Ok(config) = Config::from_env() {
        return Ok((config.build()?, None));
    }
    let server = Server::bind(
        Arc::new(MemoryBackend::new()),
        ServerConfig::new().listen(([127, 0, 0, 1], 0).into()),
    )
    .await?
    .spawn();
    println!("started a server with an embedded engine at {}", server.url());
    Ok((Client::new(server.url(), DEFAULT_TOKEN)?, Some(server)))
}
