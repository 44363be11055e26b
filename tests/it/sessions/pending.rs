use super::scripted::{self, Scripted};
use redis_rest::session::{
    Durability, Environment, InMemorySessionStore, JournalFile, NewSession, Pending, Session,
    SessionError, SessionManager, SessionStoreExt as _,
};
use redis_rest::{BoxFuture, BreakerState, Outcome};
use redis_rest_test_support::gate::{HOUR, checked};
use std::io;
use std::sync::Arc;
use std::time::Duration;

async fn create(manager: &SessionManager, user_id: &str, prompt: usize) -> Session {
    let new = NewSession::new(user_id, "org").system_prompt("x".repeat(prompt));
    manager.create_session_with(new).await.unwrap().session
}

#[tokio::test]
async fn batches_are_bounded_by_bytes_and_by_number() {
    let (manager, store) = scripted::manager(checked(), true).await;
    store.limit(600_000);
    store.fail(true);
    for n in 0..120 {
        create(&manager, &format!("user-{}", n % 20), if n < 100 { 150_000 } else { 10 }).await;
    }
    create(&manager, "large", 550_000).await;
    store.fail(false);
    let flushed = manager.flush().await.unwrap();
    assert_eq!((flushed.written, flushed.failed), (121, 0));
    assert!(store.largest() > 450_000);
    assert_eq!(manager.pending(), Pending::default());
}

#[tokio::test(start_paused = true)]
async fn failing_batch_is_bisected_until_only_failures_wait() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let ended = create(&manager, "user", 0).await;
    store.fail(true);
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(create(&manager, "user", 0).await.id);
    }
    manager.cleanup_session(&ended.id).await.unwrap();
    manager.delete_user_sessions("other").await.unwrap();
    store.fail(false);
    store.spoil(Some(&ids[17]));
    let flushed = manager.flush().await.unwrap();
    assert_eq!(flushed.written, 49);
    assert_eq!(flushed.deleted, 1);
    assert_eq!(flushed.failed, 1);
    assert_eq!(manager.store_state().unwrap().0, BreakerState::Closed, "a ping succeeds");
    for pause in [1, 2, 4] {
        let before = store.puts();
        assert_eq!(manager.flush().await.unwrap().failed, 1);
        assert_eq!(store.puts(), before, "its next attempt is not due");
        tokio::time::advance(Duration::from_secs(pause)).await;
        assert_eq!(manager.flush().await.unwrap().failed, 1);
        assert_eq!(store.puts(), before + 1);
    }
    store.spoil(None);
    tokio::time::advance(Duration::from_secs(8)).await;
    assert_eq!(manager.flush().await.unwrap().written, 1);
    assert_eq!(manager.pending(), Pending::default());
}

#[tokio::test(start_paused = true)]
async fn failing_log_out_of_a_user_blocks_no_other() {
    let (manager, store) = scripted::manager(checked(), true).await;
    create(&manager, "large", 0).await;
    store.fail(true);
    manager.delete_user_sessions("large").await.unwrap();
    for n in 0..20 {
        create(&manager, &format!("user-{n}"), 0).await;
    }
    store.fail(false);
    store.spoil(Some("large"));
    let flushed = manager.flush().await.unwrap();
    assert_eq!((flushed.written, flushed.failed), (20, 1));
    // A call continues too, and does not retry at once.
    create(&manager, "another", 0).await;
    store.spoil(None);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(manager.flush().await.unwrap().deleted, 1);
    assert_eq!(manager.pending(), Pending::default());
}

#[tokio::test]
async fn list_timeout_opens_the_breaker_only_if_ping_fails_too() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let session = create(&manager, "large", 0).await;
    store.spoil(Some("large"));
    assert!(manager.list_sessions("large").await.unwrap().partial);
    assert!(manager.is_using_redis());
    manager.get_session(&session.id).await.unwrap();
    store.fail(true);
    assert!(manager.list_sessions("large").await.unwrap().partial);
    assert!(!manager.is_using_redis());
}

/// Restarts with an old copy of the file, as if it could no longer be written.
#[tokio::test]
async fn an_old_journal_undoes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (file, old) = (directory.path().join("journal"), directory.path().join("old"));
    let store = Scripted::new(InMemorySessionStore::new(24 * HOUR));
    let open = async |file: &std::path::Path| {
        let manager = SessionManager::with_journal("", 0, checked(), file).unwrap();
        manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
        manager
    };
    let manager = open(&file).await;
    let stored = create(&manager, "user", 0).await;
    store.fail(true);
    let (mut updated, deleted) =
        (create(&manager, "user", 0).await, create(&manager, "user", 0).await);
    manager.set_ttl(&stored.id, HOUR).await.unwrap();
    let logged_out = create(&manager, "other", 0).await;
    std::fs::copy(&file, &old).unwrap();
    store.fail(false);
    assert_eq!(manager.flush().await.unwrap().written, 4);
    updated.system_prompt = "durable".into();
    assert_eq!(manager.update_session(&updated).await.unwrap(), Durability::Durable);
    assert_eq!(manager.set_ttl(&stored.id, 2 * HOUR).await.unwrap(), Durability::Durable);
    assert!(manager.cleanup_session(&deleted.id).await.unwrap().existed);
    assert_eq!(manager.delete_user_sessions("other").await.unwrap().sessions, 1);
    drop(manager);
    store.inner().advance(Duration::from_secs(61));
    let manager = open(&old).await;
    manager.flush().await.unwrap();
    assert_eq!(manager.pending(), Pending::default());
    let now = store.inner().retrieve_session(&updated.id).await.unwrap();
    assert_eq!(now.system_prompt, "durable");
    let ttl = store.inner().retrieve_stored(&stored.id).await.unwrap().ttl.unwrap();
    assert!(ttl > HOUR + HOUR / 2, "{ttl:?}");
    for id in [&deleted.id, &logged_out.id] {
        assert!(!store.inner().exists(id).await.unwrap());
        assert!(manager.get_session(id).await.unwrap_err().is_not_found());
    }
}

/// A full disk.
struct Full;

impl JournalFile for Full {
    fn append(&self, _: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { Err(io::ErrorKind::StorageFull.into()) })
    }

    fn rewrite(&self, _: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { Err(io::ErrorKind::StorageFull.into()) })
    }
}

#[tokio::test]
async fn disk_failures_report_their_outcome() {
    let environment = Environment {
        journal: Some((Box::new(Full), Box::new(io::empty()))),
        ..Environment::default()
    };
    let manager = SessionManager::with_environment("", 0, checked(), environment).unwrap();
    let store = Scripted::new(InMemorySessionStore::new(24 * HOUR));
    manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
    let mut session = create(&manager, "user", 0).await;
    store.fail(true);
    let created = manager.create_session_with(NewSession::new("user", "org").id("new")).await;
    let error = created.unwrap_err();
    assert!(matches!(error, SessionError::Journal { kind: io::ErrorKind::StorageFull, .. }));
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
    assert!(manager.get_session("new").await.is_err());
    session.system_prompt = "changed".into();
    let updated = manager.update_session(&session).await.unwrap_err();
    assert_eq!(updated.outcome(), Outcome::MaybeApplied);
    assert_eq!(manager.get_session(&session.id).await.unwrap().system_prompt, "");
    let ended = manager.cleanup_session(&session.id).await.unwrap_err();
    assert_eq!(ended.outcome(), Outcome::MaybeApplied);
    assert!(manager.get_session(&session.id).await.is_ok(), "undone here");
    assert_eq!(manager.pending(), Pending::default());
}

#[tokio::test]
async fn delete_with_a_remaining_directory_is_applied() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let manager = SessionManager::new(directory.path().join("root"), 0);
    let session = create(&manager, "user", 0).await;
    let user = directory.path().join("root/user");
    std::fs::rename(&user, directory.path().join("elsewhere")).unwrap();
    symlink(directory.path().join("elsewhere"), &user).unwrap();
    let error = manager.cleanup_session(&session.id).await.unwrap_err();
    assert!(matches!(error, SessionError::Workspace { applied: true, .. }));
    assert_eq!(error.outcome(), Outcome::Applied);
    assert!(manager.get_session(&session.id).await.unwrap_err().is_not_found());
    let refused = manager.create_session("user", "org").await.unwrap_err();
    assert_eq!(refused.outcome(), Outcome::NotApplied);
}
