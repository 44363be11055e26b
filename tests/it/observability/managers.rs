//! Metrics of managers.

use super::Recorded;
use redis_rest::Client;
use redis_rest::session::{InMemorySessionStore, Session, SessionManager, SessionStoreExt as _};
use redis_rest_test_support::gate::{GateState, HOUR, Node, at_once};
use std::sync::Arc;

#[tokio::test]
async fn an_outage_of_the_session_store() {
    let recorded = Recorded::here();
    let breakers = |state: &str| {
        let labels = [r#"breaker="session_store""#.to_owned(), format!("state={state:?}")];
        let value = |name| recorded.value(name, &labels.each_ref().map(String::as_str));
        (value("redis_rest_breaker_instances"), value("redis_rest_breaker_transitions_total"))
    };
    let created = |how: &str| {
        recorded.value("redis_rest_session_created_total", &[&format!("durability={how:?}")])
    };
    let pending =
        |kind: &str| recorded.value("redis_rest_session_pending", &[&format!("kind={kind:?}")]);
    let node = Node::new(at_once()).await;
    let (kept, ended) = (node.create().await, node.create().await);
    assert_eq!(created("durable"), 2.0);
    assert_eq!(pending("session"), 0.0);
    assert_eq!(breakers("closed"), (1.0, 0.0));
    assert_eq!(breakers("open"), (0.0, 0.0));
    assert_eq!(recorded.value("redis_rest_session_held", &[]), 2.0);

    node.gate.set(GateState::Closed);
    node.create().await;
    // This breaker probes the store at once, so a failed probe ends the outage attempt.
    node.manager.cleanup_session(&ended.id).await.unwrap();
    assert_eq!(created("pending"), 1.0);
    assert_eq!(pending("session"), 1.0);
    assert_eq!(pending("deletion"), 1.0);
    assert_eq!(breakers("closed"), (0.0, 0.0));
    assert_eq!(breakers("open"), (1.0, 2.0));
    assert_eq!(breakers("half_open"), (0.0, 1.0));

    node.gate.set(GateState::Open);
    node.manager.get_session(&kept.id).await.unwrap();
    assert_eq!((pending("session"), pending("deletion")), (0.0, 0.0));
    assert_eq!(breakers("closed"), (1.0, 1.0));
    assert_eq!(breakers("open"), (0.0, 2.0));
    assert_eq!(breakers("half_open"), (0.0, 2.0));

    node.gate.set(GateState::RepliesLost);
    node.create().await;
    assert_eq!(created("maybe_applied"), 1.0);
    drop(node);
    assert_eq!(
        recorded.value("redis_rest_breaker_instances", &[]),
        0.0,
        "with the manager its breaker is gone"
    );
    assert_eq!(
        (
            recorded.value("redis_rest_session_held", &[]),
            recorded.value("redis_rest_session_pending", &[])
        ),
        (0.0, 0.0)
    );
}

#[tokio::test]
async fn retrievals_and_what_expires() {
    let recorded = Recorded::here();
    let node = Node::new(at_once()).await;
    let retrieved = |place: &str, outcome: &str| {
        let labels = [format!("place={place:?}"), format!("outcome={outcome:?}")];
        recorded.value(
            "redis_rest_session_retrieval_duration_seconds_count",
            &labels.each_ref().map(String::as_str),
        )
    };
    let expired = |place: &str| {
        recorded.value("redis_rest_session_expired_total", &[&format!("place={place:?}")])
    };
    let session = node.create().await;
    node.manager.get_session(&session.id).await.unwrap();
    node.manager.get_session("unknown").await.unwrap_err();
    assert_eq!((retrieved("manager", "found"), retrieved("manager", "not_found")), (1.0, 1.0));
    assert_eq!((retrieved("redis", "found"), retrieved("redis", "not_found")), (1.0, 1.0));
    Client::from_backend(node.engine.clone())
        .del([format!("session:{}", session.id)])
        .await
        .unwrap();
    node.manager.get_session(&session.id).await.unwrap_err();
    assert_eq!(expired("manager"), 1.0);
    assert_eq!(node.elsewhere.cleanup_expired_sessions("user").await.unwrap(), 1);
    assert_eq!(expired("redis"), 1.0);
    node.gate.set(GateState::Closed);
    node.manager.get_session("unknown").await.unwrap_err();
    assert_eq!(retrieved("manager", "failed"), 1.0);
}

#[tokio::test]
async fn memory_of_redis_as_in_the_health_report() {
    let recorded = Recorded::here();
    let manager = SessionManager::new("", 0);
    let store = InMemorySessionStore::new(HOUR);
    store.store_session(&Session::new("user").org_id("org")).await.unwrap();
    manager.set_session_store(Arc::new(store), true).await.unwrap();
    let memory = recorded.value("redis_rest_session_redis_memory_bytes", &[]);
    assert_eq!(Some(memory as u64), manager.health().redis_memory);
    assert!(memory > 0.0);
}
