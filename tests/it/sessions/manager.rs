use super::scripted::{Scripted, waits};
use redis_rest::session::{
    EventKind, InMemorySessionStore, ManagerOptions, NewSession, RedisSessionStore, Session,
    SessionError, SessionManager, SessionStoreExt as _,
};
use redis_rest_server::MemoryBackend;
use redis_rest_server::RunningServer;
use redis_rest_test_support::rest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Checks copies again at once, and touches at once.
fn eager() -> ManagerOptions {
    ManagerOptions::default().max_staleness(Duration::ZERO).touch_interval(Duration::ZERO)
}

async fn managers(
    count: usize,
    options: &ManagerOptions,
) -> (Vec<SessionManager>, RedisSessionStore, RunningServer) {
    let server = rest::serve(MemoryBackend::new()).await;
    let store = RedisSessionStore::new(rest::client(&server), HOUR);
    let mut managers = Vec::new();
    for _ in 0..count {
        let manager = SessionManager::with_options("", 0, options.clone());
        manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
        managers.push(manager);
    }
    (managers, store, server)
}

async fn with_scripted(options: ManagerOptions, sync: bool) -> (SessionManager, Scripted) {
    let store = Scripted::new(InMemorySessionStore::new(HOUR));
    let manager = SessionManager::with_options("", 0, options);
    manager.set_session_store(Arc::new(store.clone()), sync).await.unwrap();
    (manager, store)
}

async fn listed(manager: &SessionManager) -> BTreeSet<String> {
    let list = manager.list_sessions("user").await.unwrap().sessions;
    let ids: BTreeSet<_> = list.iter().map(|session| session.id.clone()).collect();
    assert_eq!(ids.len(), list.len(), "no session twice");
    ids
}

#[tokio::test]
async fn without_a_store_everything_works_in_memory() {
    let manager = SessionManager::new("", 2);
    let new = NewSession::new("user", "org")
        .system_prompt("Be brief")
        .mcp_clients(["c1", "c2"])
        .with("plan", "pro");
    let unwritable = new.clone().with("seats", BTreeMap::from([((1, 'A'), "taken")]));
    assert!(matches!(
        manager.create_session_with(unwritable).await,
        Err(SessionError::Unwritable { field: "metadata" })
    ));
    let session = manager.create_session_with(new).await.unwrap().session;
    let found = manager.get_session(&session.id).await.unwrap();
    assert_eq!((found.system_prompt.as_str(), found.mcp_client_ids.len()), ("Be brief", 2));
    assert_eq!(found.metadata.get::<String>("plan").unwrap().as_deref(), Some("pro"));
    assert!(!manager.is_using_redis() && manager.session_store().is_none());
    assert!(matches!(manager.get_session("none").await, Err(SessionError::NotFound)));
    assert!(matches!(manager.get_session("../x").await, Err(SessionError::InvalidId)));
    assert!(manager.cleanup_session(&session.id).await.unwrap().existed);
    assert!(!manager.cleanup_session(&session.id).await.unwrap().existed);
    assert!(matches!(manager.get_session(&session.id).await, Err(SessionError::NotFound)));
    assert_eq!(manager.cached(), 0);
}

/// The original allowed more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_creates_respect_the_limit() {
    let manager = SessionManager::new("", 10);
    manager.set_session_store(Arc::new(InMemorySessionStore::new(HOUR)), true).await.unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let manager = manager.clone();
            tokio::spawn(async move { manager.create_session("user", "org").await })
        })
        .collect();
    let mut made = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(created) => made.push(created.session),
            Err(SessionError::LimitReached { limit: 10 }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(made.len(), 10);
    manager.cleanup_session(&made[0].id).await.unwrap();
    manager.create_session("user", "org").await.unwrap();
    assert!(matches!(
        manager.create_session("user", "org").await,
        Err(SessionError::LimitReached { .. })
    ));
}

#[tokio::test]
async fn slots_are_released_and_synced_sessions_count_once_used() {
    let store = Scripted::new(InMemorySessionStore::new(HOUR));
    let foreign = Session::new("user").org_id("org");
    store.store_session(&foreign).await.unwrap();
    let manager = SessionManager::new("", 1);
    manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
    assert_eq!(listed(&manager).await.len(), 1);
    store.refuse_writes(true);
    assert!(manager.create_session("user", "org").await.is_err());
    store.refuse_writes(false);
    let own = manager.create_session("user", "org").await.unwrap().session;
    manager.cleanup_session(&own.id).await.unwrap();
    manager.get_session(&foreign.id).await.unwrap();
    assert!(
        matches!(
            manager.create_session("user", "org").await,
            Err(SessionError::LimitReached { .. })
        ),
        "now it is used here"
    );
}

#[tokio::test]
async fn a_store_that_is_not_healthy_is_not_used() {
    let store = Scripted::new(InMemorySessionStore::new(HOUR));
    store.fail(true);
    let manager = SessionManager::new("", 0);
    assert!(matches!(
        manager.set_session_store(Arc::new(store), true).await,
        Err(SessionError::Unavailable(_))
    ));
    assert!(!manager.is_using_redis());
    let session = manager.create_session("user", "org").await.unwrap().session;
    manager.get_session(&session.id).await.unwrap();
}

#[tokio::test]
async fn sessions_from_before_the_store_stay_and_are_written_on_access_or_by_flush() {
    let manager = SessionManager::new("", 0);
    let (accessed, flushed) = (
        manager.create_session("user", "org").await.unwrap().session,
        manager.create_session("user", "org").await.unwrap().session,
    );
    let store = InMemorySessionStore::new(HOUR);
    manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
    assert!(store.is_empty());
    manager.get_session(&accessed.id).await.unwrap();
    assert!(store.exists(&accessed.id).await.unwrap());
    assert!(store.exists(&flushed.id).await.unwrap(), "a call sends a batch of what is pending");
    assert_eq!(manager.flush().await.unwrap().written, 0);
}

#[tokio::test]
async fn without_sync_the_store_is_a_backup() {
    let (manager, store) = with_scripted(eager(), false).await;
    let foreign = Session::new("user").org_id("org");
    store.store_session(&foreign).await.unwrap();
    let own = manager.create_session("user", "org").await.unwrap().session;
    assert!(store.exists(&own.id).await.unwrap(), "it is written");
    let reads = store.reads();
    assert!(matches!(manager.get_session(&foreign.id).await, Err(SessionError::NotFound)));
    assert_eq!(listed(&manager).await, BTreeSet::from([own.id.clone()]));
    assert_eq!(store.reads(), reads, "nothing is read");
}

#[tokio::test]
async fn changes_are_visible_to_other_managers() {
    let (managers, _, _server) =
        managers(2, &ManagerOptions::default().max_staleness(Duration::ZERO)).await;
    let [here, there] = managers.as_slice() else { unreachable!() };
    let session = here.create_session("user", "org").await.unwrap().session;
    assert_eq!(there.get_session(&session.id).await.unwrap().id, session.id);
    assert_eq!(listed(there).await.len(), 1);
    let mut changed = there.get_session(&session.id).await.unwrap();
    changed.system_prompt = "changed there".into();
    there.update_session(&changed).await.unwrap();
    assert_eq!(here.get_session(&session.id).await.unwrap().system_prompt, "changed there");
    assert!(there.cleanup_session(&session.id).await.unwrap().existed);
    assert!(matches!(here.get_session(&session.id).await, Err(SessionError::NotFound)));
    assert!(listed(here).await.is_empty());
    assert!(
        matches!(here.update_session(&changed).await, Err(SessionError::NotFound)),
        "and an update does not bring it back"
    );
}

#[tokio::test]
async fn fresh_copies_are_not_rechecked_and_callers_share_one_read() {
    let (manager, store) = with_scripted(ManagerOptions::default().max_staleness(HOUR), true).await;
    let foreign = Session::new("user").org_id("org");
    store.store_session(&foreign).await.unwrap();
    store.hold_reads(true);
    let before = store.reads();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (manager, id) = (manager.clone(), foreign.id.clone());
            tokio::spawn(async move { manager.get_session(&id).await })
        })
        .collect();
    // On one thread: every task has reached the read after one turn.
    while store.reads() == before {
        tokio::task::yield_now().await;
    }
    store.hold_reads(false);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    manager.get_session(&foreign.id).await.unwrap();
    assert_eq!(store.reads(), before + 1);
}

/// Found by chaos: a read shared a request sent before a change, and treated its reply as newer.
#[tokio::test]
async fn read_sent_before_a_change_does_not_undo_it() {
    for (lists, once_more) in [(false, false), (false, true), (true, false)] {
        let (manager, store) = with_scripted(eager().touch_interval(HOUR), true).await;
        let mut session = manager.create_session("user", "org").await.unwrap().session;
        store.hold_reads(true);
        let read = |manager: SessionManager, id: String| async move {
            if lists {
                drop(manager.list_sessions("user").await.unwrap())
            } else {
                drop(manager.get_session(&id).await.unwrap())
            }
        };
        let before = store.reads();
        let first = tokio::spawn(read(manager.clone(), session.id.clone()));
        while store.reads() == before {
            tokio::task::yield_now().await;
        }
        session.system_prompt = "changed meanwhile".into();
        manager.update_session(&session).await.unwrap();
        let mut second = Box::pin(read(manager.clone(), session.id.clone()));
        assert!(!once_more || waits(second.as_mut()).await);
        store.hold_reads(false);
        first.await.unwrap();
        if once_more {
            second.await;
        }
        store.fail(true);
        assert_eq!(
            manager.get_session(&session.id).await.unwrap().system_prompt,
            session.system_prompt,
            "{lists} {once_more}"
        );
    }
}

#[tokio::test]
async fn another_users_session_is_not_found_and_not_touched() {
    let (manager, store) = with_scripted(eager(), true).await;
    let session = manager.create_session("user", "org").await.unwrap().session;
    let before = store.retrieve_session(&session.id).await.unwrap().last_active_at;
    assert!(matches!(
        manager.get_session_for("other", &session.id).await,
        Err(SessionError::NotFound)
    ));
    assert_eq!(store.retrieve_session(&session.id).await.unwrap().last_active_at, before);
    assert!(manager.get_session_for("user", &session.id).await.unwrap().last_active_at > before);
    assert!(store.retrieve_session(&session.id).await.unwrap().last_active_at > before);
}

#[tokio::test]
async fn a_touch_never_overwrites_another_instances_update() {
    let options = ManagerOptions::default().max_staleness(HOUR).touch_interval(Duration::ZERO);
    let (managers, store, _server) = managers(1, &options).await;
    let session = managers[0].create_session("user", "org").await.unwrap().session;
    let mut theirs = store.retrieve_session(&session.id).await.unwrap();
    theirs.system_prompt = "theirs".into();
    store.update_session(&theirs).await.unwrap();
    // The copy here is fresh enough not to be checked, and old enough to be touched.
    assert_eq!(
        managers[0].get_session(&session.id).await.unwrap().system_prompt,
        "theirs",
        "the copy is refreshed on the way"
    );
    assert_eq!(store.retrieve_session(&session.id).await.unwrap().system_prompt, "theirs");
    let moved = managers[0].get_session(&session.id).await.unwrap();
    assert_eq!(
        store.retrieve_session(&session.id).await.unwrap().last_active_at,
        moved.last_active_at
    );
}

/// The original's renewal reset it.
#[tokio::test]
async fn an_explicit_time_to_live_is_kept() {
    let (manager, store) = with_scripted(eager(), true).await;
    let session = manager.create_session("user", "org").await.unwrap().session;
    store.set_ttl(&session.id, Duration::from_secs(60)).await.unwrap();
    manager.get_session(&session.id).await.unwrap();
    assert!(store.retrieve_stored(&session.id).await.unwrap().version.has_explicit_ttl());
    store.inner().advance(Duration::from_secs(61));
    assert!(matches!(manager.get_session(&session.id).await, Err(SessionError::NotFound)));
}

/// In the original a renewal could write the session back.
#[tokio::test]
async fn a_delete_that_races_a_read_stays_deleted() {
    let (manager, store) = with_scripted(eager(), true).await;
    let foreign = Session::new("user").org_id("org");
    store.store_session(&foreign).await.unwrap();
    store.hold_reads(true);
    let before = store.reads();
    let reading = tokio::spawn({
        let (manager, id) = (manager.clone(), foreign.id.clone());
        async move { manager.get_session(&id).await }
    });
    while store.reads() == before {
        tokio::task::yield_now().await;
    }
    let ending = tokio::spawn({
        let (manager, id) = (manager.clone(), foreign.id.clone());
        async move { manager.cleanup_session(&id).await }
    });
    while store.puts() == 0 {
        tokio::task::yield_now().await;
    }
    store.hold_reads(false);
    assert!(ending.await.unwrap().unwrap().existed);
    let _ = reading.await.unwrap();
    assert!(matches!(manager.get_session(&foreign.id).await, Err(SessionError::NotFound)));
    assert!(!store.exists(&foreign.id).await.unwrap());
}

/// A session whose `last_active_at` goes back seems older than another instance's copy, and is then
/// replaced.
#[tokio::test]
async fn slow_clock_does_not_move_the_last_use_back() {
    let (managers, store, _server) =
        managers(2, &ManagerOptions::default().touch_interval(Duration::ZERO)).await;
    let [here, there] = managers.as_slice() else { unreachable!() };
    let mut session = Session::new("user").org_id("org");
    session.last_active_at += HOUR;
    store.store_session(&session).await.unwrap();
    assert_eq!(here.list_sessions("user").await.unwrap().sessions.len(), 1);
    let mut theirs = there.get_session(&session.id).await.unwrap();
    assert_eq!(theirs.last_active_at, session.last_active_at);
    theirs.system_prompt = "theirs".into();
    there.update_session(&theirs).await.unwrap();
    here.set_ttl(&session.id, HOUR).await.unwrap();
    assert_eq!(store.retrieve_session(&session.id).await.unwrap().system_prompt, "theirs");
}

#[tokio::test]
async fn idle_copies_are_dropped_and_unused_sessions_end() {
    let (managers, store, _server) = managers(2, &ManagerOptions::default()).await;
    let [here, there] = managers.as_slice() else { unreachable!() };
    let (idle, active) = (
        here.create_session("user", "org").await.unwrap().session,
        here.create_session("user", "org").await.unwrap().session,
    );
    for session in [&idle, &active] {
        let mut old = here.get_session(&session.id).await.unwrap();
        old.last_active_at -= 2 * HOUR;
        here.update_session(&old).await.unwrap();
    }
    // Used elsewhere meanwhile: the copy here is still idle.
    there.get_session(&active.id).await.unwrap();
    assert_eq!(here.delete_inactive_sessions(HOUR).await.unwrap(), 1);
    assert!(!store.exists(&idle.id).await.unwrap() && store.exists(&active.id).await.unwrap());
    assert_eq!(here.cleanup_inactive_sessions(HOUR), 1);
    assert!(store.exists(&active.id).await.unwrap(), "only the copy is dropped");
    let memory_only = SessionManager::new("", 0);
    memory_only.create_session("user", "org").await.unwrap();
    assert_eq!(
        memory_only.cleanup_inactive_sessions(Duration::ZERO),
        0,
        "what Redis does not have stays"
    );
    assert_eq!(memory_only.delete_inactive_sessions(Duration::ZERO).await.unwrap(), 1);
}

/// The original removed any path that the record named.
#[tokio::test]
async fn workspaces_stay_inside_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let outside = root.join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    let manager = SessionManager::new(root.join("root"), 0);
    let mut session = manager.create_session("../../escape", "org").await.unwrap().session;
    let path = PathBuf::from(&session.workspace_path);
    assert!(path.is_dir() && path.starts_with(root.join("root")) && path.ends_with(&session.id));
    session.workspace_path = outside.to_string_lossy().into_owned();
    manager.update_session(&session).await.unwrap();
    assert!(manager.cleanup_session(&session.id).await.unwrap().existed);
    assert!(outside.is_dir() && !path.exists());
}

#[tokio::test]
async fn failed_create_rolls_back_only_its_own_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Scripted::new(InMemorySessionStore::new(HOUR));
    let manager = SessionManager::new(dir.path(), 0);
    manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
    store.refuse_writes(true);
    let theirs = dir.path().join("user/theirs");
    std::fs::create_dir_all(&theirs).unwrap();
    std::fs::write(theirs.join("file"), "").unwrap();
    for id in ["theirs", "ours"] {
        assert!(manager.create_session_with(NewSession::new("user", "org").id(id)).await.is_err());
    }
    assert!(theirs.join("file").exists() && !dir.path().join("user/ours").exists());
}

#[test]
fn files_are_removed_off_the_runtime() {
    let dir = tempfile::tempdir().unwrap();
    let runtime =
        tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let manager = SessionManager::new(dir.path(), 0);
        let session = manager.create_session("user", "org").await.unwrap().session;
        let path = PathBuf::from(&session.workspace_path);
        std::fs::write(path.join("file"), "").unwrap();
        // The only thread for blocking work is busy, as with many files.
        let (let_go, busy) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || busy.recv());
        let mut events = manager.events();
        let ending = tokio::spawn({
            let (manager, id) = (manager.clone(), session.id.clone());
            async move { manager.cleanup_session(&id).await }
        });
        assert_eq!(events.next().await.unwrap().kind, EventKind::Deleted);
        assert!(path.exists(), "others run while it is removed");
        assert!(matches!(manager.get_session(&session.id).await, Err(SessionError::NotFound)));
        drop(let_go);
        assert!(ending.await.unwrap().unwrap().existed);
        assert!(!path.exists());
    });
}

#[tokio::test]
async fn events_never_hold_up_the_manager() {
    let (manager, store) =
        with_scripted(ManagerOptions::default().max_staleness(Duration::ZERO), true).await;
    let mut events = manager.events();
    let session = manager.create_session("user", "org").await.unwrap().session;
    manager.get_session(&session.id).await.unwrap();
    store.delete_session(&session.id).await.unwrap();
    assert!(manager.get_session(&session.id).await.is_err());
    let second = manager.create_session("user", "org").await.unwrap().session;
    manager.cleanup_session(&second.id).await.unwrap();
    let mut kinds = Vec::new();
    while let Some(event) = events.try_next() {
        if event.kind != EventKind::Synced {
            kinds.push(event.kind);
        }
    }
    use EventKind::{Created, Deleted, Expired, Retrieved};
    assert_eq!(kinds, [Created, Retrieved, Expired, Created, Deleted]);
    for _ in 0..500 {
        manager.create_session("user", "org").await.unwrap();
    }
    assert!(matches!(events.try_next().unwrap().kind, EventKind::Missed(count) if count > 100));
}

#[tokio::test(start_paused = true)]
async fn maintenance_ends_with_the_manager_and_shutdown_in_time() {
    let (manager, store) = with_scripted(ManagerOptions::default(), true).await;
    let task = tokio::spawn(manager.maintenance(Duration::from_secs(30), HOUR));
    store.fail(true);
    let session = manager.create_session("user", "org").await.unwrap().session;
    store.fail(false);
    while !store.inner().exists(&session.id).await.unwrap() {
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    drop(manager);
    task.await.unwrap();

    let (manager, store) = with_scripted(ManagerOptions::default(), true).await;
    store.fail(true);
    manager.create_session("user", "org").await.unwrap();
    store.fail(false);
    store.hold_reads(true);
    let began = tokio::time::Instant::now();
    assert!(matches!(
        manager.shutdown(Duration::from_secs(2)).await,
        Err(SessionError::Unavailable(_))
    ));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}
