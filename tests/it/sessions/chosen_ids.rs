use redis_rest::session::{
    Conflict, Created, InMemorySessionStore, NewSession, SessionError, SessionManager,
    SessionStoreExt as _,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

async fn manager(root: &Path, store: &InMemorySessionStore) -> SessionManager {
    let manager = SessionManager::new(root, 0);
    manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
    manager
}

fn conflict(created: Result<Created, SessionError>) -> Option<Conflict> {
    match created {
        Err(SessionError::Conflict(conflict)) => Some(conflict),
        _ => None,
    }
}

#[tokio::test]
async fn an_id_that_is_taken_is_a_conflict_and_its_session_stays() {
    let (dir, store) = (tempfile::tempdir().unwrap(), InMemorySessionStore::new(HOUR));
    // Two processes with one directory; the second knows the session only from the store.
    let (one, other) = (manager(dir.path(), &store).await, manager(dir.path(), &store).await);
    let new = || NewSession::new("user", "org").id("chosen");
    let session = one.create_session_with(new()).await.unwrap().session;
    let file = Path::new(&session.workspace_path).join("file");
    std::fs::write(&file, "mine").unwrap();
    for manager in [&one, &other] {
        assert_eq!(conflict(manager.create_session_with(new()).await), Some(Conflict::Exists));
        assert_eq!(
            conflict(manager.create_session_with(new().system_prompt("another")).await),
            Some(Conflict::Exists)
        );
        assert_eq!(manager.get_session("chosen").await.unwrap(), session);
        assert!(file.exists());
    }
    assert!(matches!(
        one.create_session_with(new().id("no/id")).await,
        Err(SessionError::InvalidId)
    ));
    assert!(one.cleanup_session("chosen").await.unwrap().existed);
    assert!(one.create_session_with(new()).await.is_err(), "its id is remembered");
    assert!(one.get_session("chosen").await.is_err() && !file.exists());
}

#[tokio::test]
async fn a_chosen_end_is_an_explicit_time_to_live() {
    let store = InMemorySessionStore::new(HOUR * 24);
    let manager = manager(Path::new(""), &store).await;
    let ends_in = |time: Duration| chrono::Utc::now() + time;
    let create = async |time| {
        manager
            .create_session_with(NewSession::new("user", "org").expires_at(ends_in(time)))
            .await
            .unwrap()
            .session
    };
    let (short, mut long) = (create(HOUR).await, create(HOUR).await);
    long.system_prompt = "longer".into();
    manager.update_session_until(&long, ends_in(HOUR * 3)).await.unwrap();
    for session in [&short, &long] {
        let stored = store.retrieve_stored(&session.id).await.unwrap();
        assert!(stored.version.has_explicit_ttl());
    }
    store.advance(HOUR * 2);
    assert!(!store.exists(&short.id).await.unwrap());
    assert_eq!(store.retrieve_session(&long.id).await.unwrap().system_prompt, "longer");
    store.advance(HOUR);
    assert!(!store.exists(&long.id).await.unwrap());
    assert!(
        matches!(
            manager.update_session_until(&long, ends_in(HOUR)).await,
            Err(SessionError::NotFound)
        ),
        "it stays gone"
    );
}
