//! Stores and managers, through what is wrong in Redis, outages, and a damaged journal.

use super::secrets::{SESSION, TOKEN, USER, VALUE};
use super::{failed, shown};
use crate::sessions::gate::{HOUR, Node, Way, at_once};
use crate::support::rest;
use redis_rest::backend::memory::MemoryBackend;
use redis_rest::session::{
    InMemorySessionStore, ManagerOptions, NewSession, PendingPut, RedisSessionStore, Session,
    SessionManager, SessionStore, TtlRule, log_name,
};
use redis_rest::{Client, cmd};
use std::sync::Arc;
use std::time::Duration;

fn session(name: &str) -> Session {
    let mut session = Session::new(USER, USER);
    session.id = format!("{SESSION}{name}");
    session.system_prompt = VALUE.into();
    session.metadata.insert(VALUE, VALUE).unwrap();
    session
}

pub async fn drive() {
    let server = rest::serve_with(MemoryBackend::new(), |config| config.token(TOKEN)).await;
    let client = Client::builder().url(server.url()).token(TOKEN).no_retry().build().unwrap();
    let redis: Arc<dyn SessionStore> = Arc::new(RedisSessionStore::new(client.clone(), HOUR));
    stores(&redis).await;
    corrupt(&client, &redis).await;
    let memory: Arc<dyn SessionStore> = Arc::new(InMemorySessionStore::new(HOUR));
    stores(&memory).await;
    server.shutdown().await;
    failed(redis.store_session(&session("")).await);
    failed(redis.retrieve_session(SESSION).await);
    failed(redis.list_sessions(USER).await);
    failed(redis.health().await);
    outage().await;
    directories().await;
}

async fn stores(store: &Arc<dyn SessionStore>) {
    let one = session("");
    failed(store.retrieve_session(&one.id).await);
    failed(store.update_session(&one).await);
    failed(store.set_ttl(&one.id, HOUR).await);
    failed(store.retrieve_session(&format!("{SESSION}/../{SESSION}")).await);
    failed(store.store_session(&session("\n")).await);
    store.store_session(&one).await.unwrap();
    shown(&store.retrieve_session(&one.id).await.unwrap());
    shown(&store.list_sessions(USER).await.unwrap());
    let mut other = one.clone();
    other.user_id = format!("{USER}x");
    failed(store.update_session(&other).await);
    let puts = [
        PendingPut::new(session("2"), TtlRule::Keep),
        PendingPut::new(one.clone(), TtlRule::Keep).exclusive(true),
    ];
    shown(&puts);
    for result in store.reconcile(&puts).await {
        match result {
            Ok(done) => shown(&done),
            Err(error) => drop(failed::<(), _>(Err(error))),
        }
    }
    shown(&store.batch_store_sessions(&[session("3"), session("/")]).await);
    shown(&store.batch_delete_sessions(&[one.id.clone(), format!("{SESSION}/")]).await);
    failed(store.store_session(&one).await);
}

/// What others left where records and indexes should be.
async fn corrupt(client: &Client, store: &Arc<dyn SessionStore>) {
    let id = format!("{SESSION}-corrupt");
    for text in [
        VALUE.to_owned(),
        format!("{{\"id\":\"{id}\",\"user_id\":7,\"{VALUE}\":1}}"),
        format!("{{\"id\":\"{id}\",\"user_id\":\"{USER}\",\"created_at\":\"{VALUE}\"}}"),
        format!("[\"{VALUE}\"]"),
    ] {
        client.set(format!("session:{id}"), &text).await.unwrap();
        failed(store.retrieve_session(&id).await);
        let _ = store.delete_session(&id).await.map_err(|error| failed::<(), _>(Err(error)));
        client.set(format!("user_sessions:{USER}"), &text).await.unwrap();
        let _ = store.list_sessions(USER).await.map_err(|error| failed::<(), _>(Err(error)));
        let _ =
            store.store_session(&session("4")).await.map_err(|error| failed::<(), _>(Err(error)));
    }
    for key in [format!("session:{id}"), format!("user_sessions:{USER}")] {
        client.del([&key]).await.unwrap();
        client.run::<i64>(cmd("LPUSH").arg(&key).arg(VALUE)).await.unwrap();
    }
    failed(store.retrieve_session(&id).await);
    failed(store.list_sessions(USER).await);
}

/// The id of the session that could not be written, whose directory could not be removed either.
fn unlucky() -> String {
    format!("{SESSION}-unlucky")
}

async fn outage() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("journal");
    std::fs::write(&file, format!("{VALUE} {SESSION}\n{{\"{SESSION}\":\"{USER}\"}}\n")).unwrap();
    let options = ManagerOptions::default().max_staleness(Duration::ZERO).recovery(at_once());
    let manager = SessionManager::with_journal("", 0, options.clone(), &file).unwrap();
    failed(SessionManager::with_journal("", 0, options, &file));
    let node = Node::with(manager).await;
    let mut events = node.manager.events();
    let new =
        |name: &str| NewSession::new(USER, USER).id(format!("{SESSION}{name}")).with(VALUE, VALUE);
    shown(&new(""));
    shown(&node.manager.create_session_with(new("")).await.unwrap());
    failed(node.manager.create_session_with(new("")).await);
    failed(node.manager.create_session_with(new("/")).await);
    failed(node.manager.get_session(&format!("{SESSION}-unknown")).await);
    failed(node.manager.get_session_for(&format!("{USER}x"), SESSION).await);
    for way in [Way::Cut, Way::Deaf] {
        node.gate.set(way);
        let name = if matches!(way, Way::Cut) { "-cut" } else { "-deaf" };
        shown(&node.manager.create_session_with(new(name)).await.unwrap());
        let _ = node
            .manager
            .get_session(SESSION)
            .await
            .map(|session| shown(&session))
            .map_err(|error| failed::<(), _>(Err(error)));
        failed(node.manager.get_session(&format!("{SESSION}-elsewhere")).await);
        shown(&node.manager.list_sessions(USER).await.unwrap());
        shown(&node.manager.cleanup_session(&format!("{SESSION}{name}")).await.unwrap());
        shown(&node.manager.health());
    }
    node.manager.create_session_with(new("-unlucky")).await.unwrap();
    // Somebody left something else there.
    Client::from_backend(node.engine.clone())
        .set(format!("session:{}", unlucky()), VALUE)
        .await
        .unwrap();
    node.gate.set(Way::Open);
    let _ = node.manager.get_session(SESSION).await.map_err(|error| failed::<(), _>(Err(error)));
    shown(&node.manager.health());
    shown(&node.manager);
    shown(&events);
    for _ in 0..3 {
        shown(&events.next().await.unwrap());
    }
    println!("log name {}", log_name(&unlucky()));
}

/// Workspaces that cannot be made and removed.
async fn directories() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(format!("{USER}-file"));
    std::fs::write(&file, "").unwrap();
    let manager = SessionManager::new(&file, 0);
    failed(manager.create_session(USER, USER).await);
    let root = directory.path().join("root");
    let manager = SessionManager::new(&root, 0);
    let session =
        manager.create_session_with(NewSession::new(USER, USER).id(unlucky())).await.unwrap();
    shown(&session);
    // A file in the place of the user's directory.
    let moved = directory.path().join("moved");
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        std::fs::rename(&path, &moved).unwrap();
        std::fs::write(&path, "").unwrap();
    }
    let _ = manager.delete_user_sessions(USER).await.map_err(|error| failed::<(), _>(Err(error)));
}
