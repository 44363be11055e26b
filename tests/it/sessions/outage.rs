use super::scripted::{Scripted, waits};
use redis_rest::session::{
    InMemorySessionStore, IndexLayout, ManagerOptions, Pending, Recovery, RedisSessionStore,
    Session, SessionError, SessionManager, SessionStoreExt as _,
};
use redis_rest::{BreakerPolicy, BreakerState, Client};
use redis_rest_test_support::gate::{GateState, HOUR, Node, at_once};
use redis_rest_test_support::redis_test;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn calls_during_an_outage_succeed_without_the_store() {
    let node = Node::new(Recovery::default()).await;
    let mut known = node.create().await;
    node.gate.set(GateState::Closed);
    let new = node.create().await;
    assert_eq!(node.manager.store_state().unwrap().0, BreakerState::Open);
    let tried = node.gate.attempts();
    known.system_prompt = "changed in the outage".into();
    node.manager.update_session(&known).await.unwrap();
    assert_eq!(
        node.manager.get_session(&known.id).await.unwrap().system_prompt,
        known.system_prompt
    );
    assert_eq!(node.manager.get_session(&new.id).await.unwrap().id, new.id);
    let list = node.manager.list_sessions("user").await.unwrap();
    assert!(list.sessions.len() == 2 && list.partial);
    assert!(
        matches!(node.manager.get_session("unknown").await, Err(SessionError::Unavailable(_))),
        "never NotFound"
    );
    // The store never knew it, and needs no delete.
    let third = node.create().await;
    assert!(node.manager.cleanup_session(&third.id).await.unwrap().existed);
    assert_eq!(node.gate.attempts(), tried);
    let pending = node.manager.pending();
    assert_eq!(pending.new, 1);
    assert_eq!(pending.changed, 1);
    assert_eq!(pending.touched, 0);
    assert_eq!(pending.deleted, 0);
}

#[tokio::test]
async fn first_call_after_an_outage_sends_pending_changes() {
    let node = Node::new(at_once()).await;
    let (mut changed, deleted) = (node.create().await, node.create().await);
    node.gate.set(GateState::Closed);
    let new = node.create().await;
    changed.system_prompt = "changed in the outage".into();
    node.manager.update_session(&changed).await.unwrap();
    assert!(node.manager.cleanup_session(&deleted.id).await.unwrap().existed);
    assert!(!node.manager.is_using_redis());
    node.gate.set(GateState::Open);
    node.manager.get_session(&new.id).await.unwrap();
    assert!(node.manager.is_using_redis());
    assert_eq!(node.manager.pending(), Pending::default());
    assert_eq!(node.ids().await, [changed.id.clone(), new.id.clone()]);
    assert_eq!(
        node.elsewhere.retrieve_session(&changed.id).await.unwrap().system_prompt,
        changed.system_prompt
    );
    assert!(matches!(node.manager.get_session(&deleted.id).await, Err(SessionError::NotFound)));
}

#[tokio::test]
async fn interrupted_recovery_is_continued_by_the_next_call() {
    // A single failure does not open the second one's breaker.
    for (recovery, given_up) in
        [(at_once(), true), (Recovery::Automatic(BreakerPolicy::default()), false)]
    {
        let store = Scripted::new(InMemorySessionStore::new(HOUR));
        let manager =
            SessionManager::with_options("", 0, ManagerOptions::default().recovery(recovery));
        manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
        let mut session = manager.create_session("user", "org").await.unwrap().session;
        store.fail(true);
        session.system_prompt = "changed in the outage".into();
        manager.update_session(&session).await.unwrap();
        if given_up {
            store.fail(false);
            store.hold_puts(true);
            let (before, mut call) = (store.puts(), Box::pin(manager.get_session("another")));
            while store.puts() == before {
                assert!(waits(call.as_mut()).await);
            }
            drop(call);
            store.hold_puts(false);
        } else {
            assert!(
                manager.get_session("another").await.is_err_and(|error| error.is_unavailable())
            );
            store.fail(false);
        }
        assert_eq!(manager.pending().changed, 1);
        assert!(matches!(manager.get_session("another").await, Err(SessionError::NotFound)));
        assert_eq!(manager.pending(), Pending::default(), "given up: {given_up}");
    }
}

#[tokio::test]
async fn pending_change_that_fails_does_not_stop_the_others() {
    let node = Node::new(at_once()).await;
    let ended = node.create().await;
    let other = node.elsewhere.clone().index_layout(IndexLayout::SortedSet);
    other.store_session(&Session::new("moved").org_id("org")).await.unwrap();
    node.gate.set(GateState::Closed);
    node.manager.delete_user_sessions("moved").await.unwrap();
    node.manager.cleanup_session(&ended.id).await.unwrap();
    let new = node.create().await;
    node.gate.set(GateState::Open);
    let flushed = node.manager.flush().await.unwrap();
    assert_eq!(flushed.written, 1);
    assert_eq!(flushed.deleted, 1);
    assert_eq!(flushed.failed, 1);
    assert_eq!(node.ids().await, [new.id]);
    assert_eq!(node.manager.pending().revoked, 1, "what was refused stays");
}

#[tokio::test]
async fn second_outage_is_reported_separately() {
    let node = Node::new(at_once()).await;
    let (kept, deleted) = (node.create().await, node.create().await);
    node.gate.set(GateState::Closed);
    node.manager.cleanup_session(&deleted.id).await.unwrap();
    let mut old = kept.clone();
    old.system_prompt = "from the first outage".into();
    node.manager.update_session(&old).await.unwrap();
    node.gate.set(GateState::Open);
    node.manager.flush().await.unwrap();
    let mut new = node.elsewhere.retrieve_session(&kept.id).await.unwrap();
    new.system_prompt = "changed elsewhere after it".into();
    node.elsewhere.update_session(&new).await.unwrap();
    assert_eq!(node.manager.get_session(&kept.id).await.unwrap().system_prompt, new.system_prompt);
    node.gate.set(GateState::Closed);
    assert_eq!(node.manager.get_session(&kept.id).await.unwrap().system_prompt, new.system_prompt);
    assert!(node.manager.get_session(&deleted.id).await.is_err());
    assert_eq!((node.manager.pending().deleted, node.manager.pending().changed), (0, 0));
}

#[tokio::test]
async fn changes_elsewhere_during_an_outage_stand() {
    let node = Node::new(at_once()).await;
    let (mut ours, mut gone) = (node.create().await, node.create().await);
    node.gate.set(GateState::Closed);
    (ours.system_prompt, gone.system_prompt) = ("ours".into(), "ours".into());
    node.manager.update_session(&ours).await.unwrap();
    node.manager.update_session(&gone).await.unwrap();
    let mut theirs = node.elsewhere.retrieve_session(&ours.id).await.unwrap();
    (theirs.system_prompt, theirs.last_active_at) = ("theirs".into(), theirs.last_active_at + HOUR);
    node.elsewhere.update_session(&theirs).await.unwrap();
    node.elsewhere.delete_session(&gone.id).await.unwrap();
    node.gate.set(GateState::Open);
    assert_eq!(node.manager.flush().await.unwrap().dropped, 2);
    assert_eq!(node.manager.get_session(&ours.id).await.unwrap().system_prompt, "theirs");
    assert!(matches!(node.manager.get_session(&gone.id).await, Err(SessionError::NotFound)));
    assert_eq!(node.ids().await, [ours.id]);
}

#[tokio::test]
async fn logged_out_everywhere_in_an_outage_is_logged_out_after_it() {
    let node = Node::new(at_once()).await;
    let held = node.create().await;
    let unknown = Session::new("user").org_id("org");
    node.elsewhere.store_session(&unknown).await.unwrap();
    node.gate.set(GateState::Closed);
    assert_eq!(
        node.manager.delete_user_sessions("user").await.unwrap().sessions,
        1,
        "the one it knows of"
    );
    let new = node.create().await;
    assert!(matches!(node.manager.get_session(&held.id).await, Err(SessionError::NotFound)));
    node.gate.set(GateState::Open);
    assert!(matches!(node.manager.get_session(&unknown.id).await, Err(SessionError::NotFound)));
    assert_eq!(node.ids().await, std::slice::from_ref(&new.id));
    assert_eq!(node.manager.pending(), Pending::default());
    assert_eq!(node.manager.delete_user_sessions("user").await.unwrap().sessions, 1);
    assert!(node.ids().await.is_empty());
}

#[tokio::test]
async fn deadlines_are_unchanged_by_an_outage() {
    let node = Node::new(at_once()).await;
    node.gate.set(GateState::Closed);
    let new = node.create().await;
    // The server's clock continues during the outage; a session written afterwards must not live
    // longer.
    node.gate.set(GateState::Open);
    node.manager.flush().await.unwrap();
    node.engine.advance(HOUR - Duration::from_secs(60));
    assert!(node.elsewhere.exists(&new.id).await.unwrap());
    node.engine.advance(Duration::from_secs(120));
    assert!(!node.elsewhere.exists(&new.id).await.unwrap());
}

#[tokio::test]
async fn write_with_a_lost_reply_is_recognised() {
    let node = Node::new(at_once()).await;
    let mut session = node.create().await;
    node.gate.set(GateState::RepliesLost);
    session.system_prompt = "stored, but nobody told us".into();
    node.manager.update_session(&session).await.unwrap();
    session.system_prompt = "changed once more".into();
    node.manager.update_session(&session).await.unwrap();
    let new = node.create().await;
    node.gate.set(GateState::Open);
    node.manager.flush().await.unwrap();
    assert_eq!(
        node.elsewhere.retrieve_session(&session.id).await.unwrap().system_prompt,
        "changed once more"
    );
    assert_eq!(node.ids().await, [session.id, new.id]);
}

#[tokio::test]
async fn manual_recovery_waits_for_the_call() {
    let node = Node::new(Recovery::Manual).await;
    node.gate.set(GateState::Closed);
    let new = node.create().await;
    node.gate.set(GateState::Open);
    node.manager.get_session(&new.id).await.unwrap();
    assert!(!node.manager.is_using_redis() && node.ids().await.is_empty());
    node.manager.flush().await.unwrap();
    assert!(node.manager.is_using_redis());
    assert_eq!(node.ids().await, [new.id]);
}

#[tokio::test]
async fn unwritable_server_counts_as_down_despite_ping() {
    let redis = redis_test!();
    let client = Client::from_backend(redis.backend().await);
    let options = ManagerOptions::default().recovery(at_once());
    let manager = SessionManager::with_options("", 0, options);
    manager
        .set_session_store(Arc::new(RedisSessionStore::new(client.clone(), HOUR)), true)
        .await
        .unwrap();
    let replicas = |count: u8| {
        client.run::<()>(redis_rest::cmd("CONFIG SET").arg("min-replicas-to-write").arg(count))
    };
    replicas(1).await.unwrap();
    let new = manager.create_session("user", "org").await.unwrap().session;
    assert!(client.ping().await.is_ok());
    manager.get_session(&new.id).await.unwrap();
    assert!(!manager.is_using_redis());
    replicas(0).await.unwrap();
    manager.get_session(&new.id).await.unwrap();
    assert!(
        manager.is_using_redis()
            && client.exists([format!("session:{}", new.id)]).await.unwrap() == 1
    );
}
