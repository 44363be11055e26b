//! A server that encodes the status `OK` like any other string.

use super::{client, server};
use redis_rest::session::{ManagerOptions, RedisSessionStore, SessionManager, SessionStore as _};
use redis_rest::{Outcome, cmd, session::Check};
use redis_rest_test_support::scripted::{Scripted, respond};
use std::sync::Arc;
use std::time::Duration;

fn okay() -> Scripted {
    server(|_, _| respond(200, r#"{"result":"T0s="}"#))
}

#[tokio::test]
async fn encoded_ok_is_success() {
    let client = client(&okay());
    client.set("k", "v").await.unwrap();
    assert!(client.set("k", "v").nx().await.unwrap());
    client.mset([("a", "1")]).await.unwrap();
    client.rename("a", "b").await.unwrap();
    assert_eq!(client.get::<String>("k").await.unwrap(), "OK", "a value may be that too");
}

/// The probe of a store writes a value and reads it.
#[tokio::test]
async fn manager_recovers_with_encoded_ok() {
    let server = server(|_, body| match body {
        _ if body.contains("\"SET\"") => respond(200, r#"[{"result":"T0s="},{"result":"MQ=="}]"#),
        _ => respond(200, r#"[{"result":"UE9ORw=="},{"result":""}]"#),
    });
    let store = RedisSessionStore::new(client(&server), Duration::from_secs(60));
    store.health(Check::ReadWrite).await.unwrap();
    let manager = SessionManager::with_options("", 0, ManagerOptions::default());
    manager.set_session_store(Arc::new(store), true).await.unwrap();
    assert!(manager.is_using_redis());
}

#[tokio::test]
async fn failed_transaction_without_a_body_may_have_run() {
    let client = client(&server(|_, _| respond(500, "")));
    let mut transaction = client.transaction();
    let _ = transaction.add(cmd::incr("n"));
    let error = transaction.send().await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
}
