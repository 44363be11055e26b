//! Managers, through outages and a damaged journal.

use super::secrets::{SESSION, USER, VALUE};
use super::{failed, shown, shown_session};
use redis_rest::Client;
use redis_rest::session::{ManagerOptions, NewSession, SessionManager, redacted_id};
use redis_rest_test_support::gate::{GateState, Node, at_once};
use std::time::Duration;

pub async fn drive() {
    outage().await;
    directories().await;
}

/// Returns the id of the session whose write failed, and whose directory could not be removed
/// either.
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
        |name: &str| NewSession::new(USER, USER).id(format!("{SESSION}{name}")).with("name", VALUE);
    shown_session(&new(""));
    shown_session(&node.manager.create_session_with(new("")).await.unwrap());
    failed(node.manager.create_session_with(new("")).await);
    failed(node.manager.create_session_with(new("/")).await);
    failed(node.manager.get_session(&format!("{SESSION}-unknown")).await);
    failed(node.manager.get_session_for(&format!("{USER}x"), SESSION).await);
    for way in [GateState::Closed, GateState::RepliesLost] {
        node.gate.set(way);
        let name = if matches!(way, GateState::Closed) { "-cut" } else { "-deaf" };
        shown_session(&node.manager.create_session_with(new(name)).await.unwrap());
        let _ = node
            .manager
            .get_session(SESSION)
            .await
            .map(|session| shown_session(&session))
            .map_err(|error| failed::<(), _>(Err(error)));
        failed(node.manager.get_session(&format!("{SESSION}-elsewhere")).await);
        shown_session(&node.manager.list_sessions(USER).await.unwrap());
        shown(&node.manager.cleanup_session(&format!("{SESSION}{name}")).await.unwrap());
        shown(&node.manager.health());
    }
    node.manager.create_session_with(new("-unlucky")).await.unwrap();
    // A foreign value at the key.
    Client::from_backend(node.engine.clone())
        .set(format!("session:{}", unlucky()), VALUE)
        .await
        .unwrap();
    node.gate.set(GateState::Open);
    let _ = node.manager.get_session(SESSION).await.map_err(|error| failed::<(), _>(Err(error)));
    shown(&node.manager.health());
    shown(&node.manager);
    shown(&events);
    for _ in 0..3 {
        shown(&events.next().await.unwrap());
    }
    println!("log name {}", redacted_id(&unlucky()));
}

/// Workspaces that cannot be created or removed.
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
    shown_session(&session);
    // A file in place of the user's directory.
    let moved = directory.path().join("moved");
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        std::fs::rename(&path, &moved).unwrap();
        std::fs::write(&path, "").unwrap();
    }
    let _ = manager.delete_user_sessions(USER).await.map_err(|error| failed::<(), _>(Err(error)));
}
