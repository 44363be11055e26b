use super::scripted::{self, Scripted, waits};
use redis_rest::session::{
    Conflict, Durability, EventKind, NewSession, Pending, Session, SessionError, SessionManager,
    SessionStoreExt as _,
};
use redis_rest_test_support::gate::{HOUR, checked};
use std::sync::Arc;
use std::time::Duration;

async fn create(manager: &SessionManager) -> Session {
    manager.create_session("user", "org").await.unwrap().session
}

/// Polls a call until the store has executed its change and holds the reply, and drops it.
async fn cancel(store: &Scripted, call: impl Future) {
    store.hold_puts(true);
    let before = store.puts();
    {
        let mut call = std::pin::pin!(call);
        while store.puts() == before {
            assert!(waits(call.as_mut()).await);
        }
    }
    store.hold_puts(false);
}

#[tokio::test(start_paused = true)]
async fn expired_sessions_are_not_served() {
    for sync in [true, false] {
        let (manager, store) = scripted::manager(checked().max_staleness(HOUR), sync).await;
        let new = NewSession::new("user", "org");
        let ends_at = chrono::Utc::now() + Duration::from_millis(500);
        let short = manager.create_session_with(new.expires_at(ends_at)).await.unwrap().session;
        let zero = create(&manager).await;
        manager.set_ttl(&zero.id, Duration::ZERO).await.unwrap();
        let in_outage = create(&manager).await;
        store.fail(true);
        manager.set_ttl(&in_outage.id, Duration::from_millis(300)).await.unwrap();
        manager.get_session(&in_outage.id).await.unwrap();
        tokio::time::advance(Duration::from_millis(600)).await;
        for session in [&short, &zero, &in_outage] {
            assert!(manager.get_session(&session.id).await.unwrap_err().is_not_found());
            assert!(manager.update_session(session).await.unwrap_err().is_not_found());
        }
        assert!(manager.list_sessions("user").await.unwrap().sessions.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_that_are_over_do_not_count_towards_the_limit() {
    let manager = SessionManager::new("", 3);
    let new = || {
        let ends_at = chrono::Utc::now() + Duration::from_secs(1);
        manager.create_session_with(NewSession::new("user", "org").expires_at(ends_at))
    };
    for _ in 0..3 {
        new().await.unwrap();
    }
    assert!(matches!(new().await, Err(SessionError::LimitReached { limit: 3 })));
    tokio::time::advance(Duration::from_secs(2)).await;
    for _ in 0..3 {
        new().await.unwrap();
    }
    assert!(matches!(new().await, Err(SessionError::LimitReached { limit: 3 })));
}

#[tokio::test]
async fn session_is_found_if_its_copy_is_dropped_during_a_refresh() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let session = create(&manager).await;
    store.hold_reads(true);
    let mut read = Box::pin(manager.get_session(&session.id));
    assert!(waits(read.as_mut()).await);
    assert_eq!(manager.cleanup_inactive_sessions(Duration::ZERO), 1);
    store.hold_reads(false);
    assert_eq!(read.await.unwrap().id, session.id);
}

#[tokio::test]
async fn the_first_call_after_an_outage_is_the_last_writer() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let mut ours = create(&manager).await;
    let mut events = manager.events();
    let update_theirs = async |prompt: &str| {
        let mut theirs = store.inner().retrieve_session(&ours.id).await.unwrap();
        theirs.system_prompt = prompt.into();
        store.inner().update_session(&theirs).await.unwrap();
    };
    store.fail(true);
    assert!(manager.get_session(&ours.id).await.is_ok());
    update_theirs("theirs").await;
    store.fail(false);
    ours.system_prompt = "in progress".into();
    assert_eq!(manager.update_session(&ours).await.unwrap(), Durability::Durable);
    let stored = store.inner().retrieve_session(&ours.id).await.unwrap();
    assert_eq!(stored.system_prompt, "in progress");

    store.fail(true);
    ours.system_prompt = "pending".into();
    assert_eq!(manager.update_session(&ours).await.unwrap(), Durability::Pending);
    let mut theirs = store.inner().retrieve_session(&ours.id).await.unwrap();
    theirs.system_prompt = "later than its base".into();
    store.inner().update_session(&theirs).await.unwrap();
    store.fail(false);
    manager.flush().await.unwrap();
    let stored = store.inner().retrieve_session(&ours.id).await.unwrap();
    assert_eq!(stored.system_prompt, theirs.system_prompt);
    assert_eq!(manager.get_session(&ours.id).await.unwrap().system_prompt, theirs.system_prompt);
    let kinds = std::iter::from_fn(|| events.try_next()).map(|event| event.kind);
    assert_eq!(kinds.filter(|kind| *kind == EventKind::Superseded).count(), 1);
}

#[tokio::test]
async fn a_log_out_ends_sessions_of_clocks_that_are_ahead() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let mut ahead = Session::new("user").org_id("org");
    ahead.created_at += HOUR;
    store.inner().store_session(&ahead).await.unwrap();
    let held = create(&manager).await;
    let ended = manager.delete_user_sessions("user").await.unwrap();
    assert_eq!((ended.sessions, ended.durability), (2, Durability::Durable));
    for id in [&ahead.id, &held.id] {
        assert!(!store.inner().exists(id).await.unwrap());
    }
    let new = create(&manager).await;
    manager.flush().await.unwrap();
    assert!(store.inner().exists(&new.id).await.unwrap(), "created after it");
}

#[tokio::test]
async fn a_log_out_in_an_outage_ends_what_others_create_until_it_is_executed_and_spares_its_own() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let other = SessionManager::with_options("", 0, checked());
    other.set_session_store(Arc::new(store.inner().clone()), true).await.unwrap();
    store.fail(true);
    let before = create(&manager).await;
    let ended = manager.delete_user_sessions("user").await.unwrap();
    assert_eq!((ended.sessions, ended.durability), (1, Durability::Pending));
    let (own, theirs) = (create(&manager).await, create(&other).await);
    assert!(manager.get_session(&before.id).await.unwrap_err().is_not_found());
    store.fail(false);
    manager.flush().await.unwrap();
    assert_eq!(manager.pending(), Pending::default());
    let left = store.inner().list_sessions("user").await.unwrap().sessions;
    assert_eq!(left.iter().map(|session| &session.id).collect::<Vec<_>>(), [&own.id]);
    assert!(other.get_session(&theirs.id).await.unwrap_err().is_not_found());
    // Its next create learns of the log-out, and succeeds.
    assert_eq!(other.create_session("user", "org").await.unwrap().durability, Durability::Durable);
}

/// On a cluster a create is two steps, and a log-out would end sessions that it meets between them.
#[tokio::test(start_paused = true)]
async fn pending_creates_wait_for_the_log_out_that_they_know_of() {
    let (manager, store) = scripted::manager(checked(), true).await;
    store.fail(true);
    manager.delete_user_sessions("user").await.unwrap();
    let session = create(&manager).await;
    store.fail(false);
    store.hold_puts(true);
    let before = store.puts();
    let mut flush = std::pin::pin!(manager.flush());
    while store.puts() == before {
        assert!(waits(flush.as_mut()).await);
    }
    let mut read = std::pin::pin!(manager.get_session(&session.id));
    for _ in 0..10 {
        assert!(waits(read.as_mut()).await);
    }
    assert_eq!(store.puts(), before + 1, "the create was not sent");
    store.hold_puts(false);
    let (flushed, read) = tokio::join!(flush, read);
    flushed.unwrap();
    assert_eq!(read.unwrap().id, session.id);
    assert!(store.inner().exists(&session.id).await.unwrap());
    assert_eq!(manager.pending(), Pending::default());
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_reply_was_lost_does_not_undo_a_later_delete() {
    let (manager, store) = scripted::manager(checked(), true).await;
    store.lose_replies(true);
    let created = manager.create_session("user", "org").await.unwrap();
    assert_eq!(created.durability, Durability::MaybeApplied);
    store.fail(true);
    assert!(store.inner().delete_session(&created.session.id).await.unwrap());
    tokio::time::advance(Duration::from_secs(61)).await;
    store.inner().advance(Duration::from_secs(61));
    store.lose_replies(false);
    store.fail(false);
    assert_eq!(manager.flush().await.unwrap().dropped, 1);
    assert!(!store.inner().exists(&created.session.id).await.unwrap());
    assert!(manager.get_session(&created.session.id).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn ends_that_are_cancelled_are_finished_by_the_next_call() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let (one, two) = (create(&manager).await, create(&manager).await);
    // Nothing gets through.
    store.fail(true);
    cancel(&store, manager.cleanup_session(&one.id)).await;
    store.fail(false);
    assert_eq!(manager.pending().deleted, 1);
    assert!(manager.get_session("another").await.unwrap_err().is_not_found());
    assert!(!store.inner().exists(&one.id).await.unwrap());
    store.fail(true);
    cancel(&store, manager.delete_user_sessions("user")).await;
    store.fail(false);
    assert!(manager.get_session("another").await.unwrap_err().is_not_found());
    assert!(!store.inner().exists(&two.id).await.unwrap());
    assert_eq!(manager.pending(), Pending::default());
}

#[tokio::test(start_paused = true)]
async fn maintenance_finishes_cancelled_work_within_a_second() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let task = tokio::spawn(manager.maintenance(HOUR, 24 * HOUR));
    let session = create(&manager).await;
    store.fail(true);
    cancel(&store, manager.cleanup_session(&session.id)).await;
    store.fail(false);
    let began = tokio::time::Instant::now();
    while store.inner().exists(&session.id).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() <= Duration::from_secs(1));
    drop(manager);
    task.await.unwrap();
}

#[tokio::test]
async fn cancelled_create_ends_only_its_own_session() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let theirs = Session::new("another").id("taken").org_id("org");
    store.inner().store_session(&theirs).await.unwrap();
    let new = |id: &str| manager.create_session_with(NewSession::new("user", "org").id(id));
    assert!(matches!(new("taken").await, Err(SessionError::Conflict(Conflict::Exists))));
    for id in ["taken", "free"] {
        cancel(&store, new(id)).await;
        assert!(manager.flush().await.is_ok());
        assert_eq!(manager.pending(), Pending::default());
    }
    assert_eq!(store.inner().retrieve_session("taken").await.unwrap(), theirs);
    assert!(!store.inner().exists("free").await.unwrap());
}

#[tokio::test]
async fn changes_that_cannot_be_written_are_refused_at_once_in_an_outage_too() {
    let (manager, store) = scripted::manager(checked(), true).await;
    let session = create(&manager).await;
    let mut unwritable = session.clone();
    unwritable.created_at = chrono::DateTime::<chrono::Utc>::MAX_UTC;
    for down in [false, true] {
        store.fail(down);
        assert!(matches!(
            manager.update_session(&unwritable).await,
            Err(SessionError::Unwritable { field: "created_at" })
        ));
    }
    assert_eq!(manager.pending(), Pending::default());
}

#[tokio::test]
async fn unknown_id_deletes_are_bounded_and_sent_in_one_batch() {
    let (manager, store) = scripted::manager(checked().max_pending(250), true).await;
    let held = create(&manager).await;
    store.fail(true);
    for n in 0..250 {
        manager.cleanup_session(&format!("made-up-{n}")).await.unwrap();
    }
    let refused = manager.cleanup_session("one-more").await;
    assert!(matches!(refused, Err(SessionError::JournalFull { limit: 250 })));
    manager.cleanup_session("made-up-0").await.unwrap();
    assert!(manager.cleanup_session(&held.id).await.unwrap().existed, "sessions can always end");
    store.fail(false);
    let before = store.puts();
    create(&manager).await;
    assert_eq!((store.puts() - before, manager.pending().deleted), (2, 151));
    create(&manager).await;
    create(&manager).await;
    assert_eq!(manager.pending(), Pending::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directories_are_created_while_others_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let manager = SessionManager::new(directory.path(), 0);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let manager = manager.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    let session = create(&manager).await;
                    manager.cleanup_session(&session.id).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
