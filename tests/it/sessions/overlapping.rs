use super::scripted::{Scripted, waits};
use redis_rest::session::{
    Durability, InMemorySessionStore, ManagerOptions, NewSession, Pending, Session, SessionError,
    SessionManager, SessionStoreExt as _, WritePolicy,
};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Copies are fresh for an hour, and touched whenever they are read.
async fn setup(options: ManagerOptions) -> (SessionManager, Scripted, Session) {
    let store = Scripted::new(InMemorySessionStore::new(HOUR));
    let manager = SessionManager::with_options(
        "",
        0,
        options.max_staleness(HOUR).touch_interval(Duration::ZERO),
    );
    manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
    let session = manager.create_session("user", "org").await.unwrap().session;
    (manager, store, session)
}

fn with_prompt(session: &Session, prompt: &str) -> Session {
    let mut session = session.clone();
    session.system_prompt = prompt.into();
    session
}

/// Runs `first` until the store has it and holds its reply back, then `meanwhile`, then `second`
/// until it waits; then both continue.
async fn overlap<A, B>(
    store: &Scripted,
    first: impl Future<Output = A>,
    meanwhile: impl AsyncFnOnce(),
    second: impl Future<Output = B>,
) -> (A, B) {
    let (mut first, mut second) = (std::pin::pin!(first), std::pin::pin!(second));
    store.hold_puts(true);
    let before = store.puts();
    while store.puts() == before {
        assert!(waits(first.as_mut()).await);
    }
    meanwhile().await;
    assert!(waits(second.as_mut()).await, "for its turn");
    store.hold_puts(false);
    tokio::join!(first, second)
}

#[tokio::test]
async fn use_of_a_session_does_not_undo_other_changes() {
    for updates in [false, true] {
        let (manager, store, session) = setup(ManagerOptions::default()).await;
        let write_theirs = async || {
            let stored = store.inner().retrieve_session(&session.id).await.unwrap();
            store.inner().update_session(&with_prompt(&stored, "theirs")).await.unwrap();
        };
        if !updates {
            write_theirs().await;
        }
        let first = async {
            if updates {
                manager.update_session(&with_prompt(&session, "ours")).await.unwrap();
            } else {
                manager.get_session(&session.id).await.unwrap();
            }
        };
        let meanwhile = async || {
            if updates {
                write_theirs().await;
            }
        };
        let (_, second) =
            overlap(&store, first, meanwhile, manager.set_ttl(&session.id, HOUR / 2)).await;
        second.unwrap();
        assert_eq!(
            store.inner().retrieve_session(&session.id).await.unwrap().system_prompt,
            "theirs",
            "{updates}"
        );
        assert_eq!(
            manager.get_session(&session.id).await.unwrap().system_prompt,
            "theirs",
            "{updates}"
        );
    }
}

#[tokio::test]
async fn refused_change_is_not_made_by_the_next() {
    let (manager, store, session) = setup(ManagerOptions::default()).await;
    store.refuse_writes(true);
    let refused = with_prompt(&session, "refused");
    let accept = async || store.refuse_writes(false);
    let (first, second) = overlap(
        &store,
        manager.update_session(&refused),
        accept,
        manager.set_ttl(&session.id, HOUR / 2),
    )
    .await;
    assert!(matches!(first, Err(SessionError::Refused(_))));
    second.unwrap();
    assert_eq!(store.inner().retrieve_session(&session.id).await.unwrap().system_prompt, "");
    assert_eq!(manager.get_session(&session.id).await.unwrap().system_prompt, "");

    let (manager, store, session) = setup(ManagerOptions::default()).await;
    let (stored, refused) = (with_prompt(&session, "stored"), with_prompt(&session, "refused"));
    let refuse = async || store.refuse_writes(true);
    let (first, second) =
        overlap(&store, manager.update_session(&stored), refuse, manager.update_session(&refused))
            .await;
    first.unwrap();
    assert!(matches!(second, Err(SessionError::Refused(_))));
    assert_eq!(manager.pending(), Pending::default(), "what was stored is not owed again");
    assert_eq!(manager.get_session(&session.id).await.unwrap().system_prompt, "stored");

    let (manager, store, session) =
        setup(ManagerOptions::default().writes(WritePolicy::FailClosed)).await;
    store.fail(true);
    let (one, other) = (with_prompt(&session, "one"), with_prompt(&session, "the other"));
    let (first, second) =
        overlap(&store, manager.update_session(&one), async || {}, manager.update_session(&other))
            .await;
    assert!(
        first.is_err_and(|error| error.is_unavailable())
            && second.is_err_and(|error| error.is_unavailable())
    );
    assert_eq!(manager.pending(), Pending::default());
    assert_eq!(manager.get_session(&session.id).await.unwrap().system_prompt, "");
}

#[tokio::test]
async fn list_does_not_restore_an_expired_session() {
    let (manager, store, session) = setup(ManagerOptions::default()).await;
    store.hold_reads(true);
    let before = store.reads();
    let listing = tokio::spawn({
        let manager = manager.clone();
        async move { manager.list_sessions("user").await }
    });
    while store.reads() == before {
        tokio::task::yield_now().await;
    }
    store.hold_reads(false);
    // On one thread, and nothing here waits: the list continues after it.
    assert_eq!(manager.delete_inactive_sessions(Duration::ZERO).await.unwrap(), 1);
    assert!(listing.await.unwrap().unwrap().sessions.is_empty());
    assert!(matches!(manager.get_session(&session.id).await, Err(SessionError::NotFound)));
}

#[tokio::test]
async fn concurrent_empty_read_does_not_undo_a_create() {
    let (manager, store, _) = setup(ManagerOptions::default()).await;
    store.hold_reads(true);
    store.hold_puts(true);
    let mut read = Box::pin(manager.get_session("new"));
    assert!(waits(read.as_mut()).await, "for the answer that there is none");
    let new = NewSession::new("user", "org").id("new");
    let mut create = Box::pin(manager.create_session_with(new));
    assert!(waits(create.as_mut()).await);
    store.hold_reads(false);
    assert!(read.await.unwrap_err().is_not_found());
    store.hold_puts(false);
    assert_eq!(create.await.unwrap().durability, Durability::Durable);
    assert!(manager.get_session("new").await.is_ok());
}

#[tokio::test]
async fn create_of_a_taken_id_never_hides_the_session() {
    let (manager, store, _) = setup(ManagerOptions::default()).await;
    let theirs = Session::new("another").id("taken").org_id("org");
    store.inner().store_session(&theirs).await.unwrap();
    let new = NewSession::new("user", "org").id("taken");
    store.hold_puts(true);
    let mut create = Box::pin(manager.create_session_with(new));
    assert!(waits(create.as_mut()).await);
    store.hold_puts(false);
    assert_eq!(manager.get_session("taken").await.unwrap().user_id, "another");
    drop(create);
    assert_eq!(manager.pending().deleted, 1);
    assert_eq!(manager.set_ttl("taken", HOUR).await.unwrap(), Durability::Durable);
    assert_eq!(manager.get_session("taken").await.unwrap().user_id, "another");
    assert_eq!(manager.pending(), Pending::default());
}

#[tokio::test]
async fn session_with_a_dropped_copy_and_a_failed_read_is_unavailable() {
    let (_, store, session) = setup(ManagerOptions::default()).await;
    let options = ManagerOptions::default().max_staleness(Duration::ZERO);
    let manager = SessionManager::with_options("", 0, options);
    manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
    manager.get_session(&session.id).await.unwrap();
    store.hold_reads(true);
    let mut read = Box::pin(manager.get_session(&session.id));
    assert!(waits(read.as_mut()).await);
    assert_eq!(manager.cleanup_inactive_sessions(Duration::ZERO), 1);
    store.fail(true);
    store.hold_reads(false);
    assert!(matches!(read.await, Err(SessionError::Unavailable(_))));
}
