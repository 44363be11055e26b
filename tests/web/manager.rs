use crate::support::{Gate, Way, client, config, pass, unique};
use redis_rest::session::{
    Durability, ManagerOptions, NewSession, Pending, Recovery, RedisSessionStore, Session,
    SessionError, SessionManager, SessionStoreExt as _,
};
use redis_rest::{BreakerPolicy, RetryPolicy};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use wasm_bindgen_test::wasm_bindgen_test;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns a manager whose store is behind a gate, and the same store without one.
async fn behind_a_gate() -> (SessionManager, Gate, RedisSessionStore) {
    let gate = Gate::new();
    let retry = RetryPolicy::default().max_attempts(1);
    let client_behind = config().transport(gate.clone()).retry(retry).build().unwrap();
    let policy = BreakerPolicy::default()
        .min_calls(1)
        .failure_ratio(0.0)
        .open_for(Duration::ZERO, Duration::ZERO);
    let options = ManagerOptions::default().recovery(Recovery::Automatic(policy));
    let manager = SessionManager::with_options("", 100, options);
    manager
        .set_session_store(Arc::new(RedisSessionStore::new(client_behind, HOUR)), true)
        .await
        .unwrap();
    (manager, gate, RedisSessionStore::new(client(), HOUR))
}

#[wasm_bindgen_test]
async fn an_outage_is_made_up_for() {
    let (manager, gate, elsewhere) = behind_a_gate().await;
    let user = unique("user");
    let mut changed = manager.create_session(&user, "org").await.unwrap().session;
    let deleted = manager.create_session(&user, "org").await.unwrap().session;
    gate.set(Way::Cut);
    let new = manager.create_session(&user, "org").await.unwrap().session;
    changed.system_prompt = "changed in the outage".into();
    manager.update_session(&changed).await.unwrap();
    manager.cleanup_session(&deleted.id).await.unwrap();
    assert!(!manager.is_using_redis());
    assert!(matches!(manager.get_session("unknown").await, Err(SessionError::Unavailable(_))));
    gate.set(Way::Open);
    manager.flush().await.unwrap();
    assert_eq!(manager.pending(), Pending::default());
    let mut there: Vec<_> = elsewhere
        .list_sessions(&user)
        .await
        .unwrap()
        .sessions
        .iter()
        .map(|session| session.id.clone())
        .collect();
    let mut wanted = vec![changed.id.clone(), new.id.clone()];
    there.sort();
    wanted.sort();
    assert_eq!(there, wanted);
    assert_eq!(
        elsewhere.retrieve_session(&changed.id).await.unwrap().system_prompt,
        changed.system_prompt
    );
}

#[wasm_bindgen_test]
async fn the_first_call_after_an_outage_is_the_last_writer() {
    let (manager, gate, elsewhere) = behind_a_gate().await;
    let mut session = manager.create_session(&unique("user"), "org").await.unwrap().session;
    gate.set(Way::Cut);
    session.system_prompt = "pending".into();
    assert_eq!(manager.update_session(&session).await.unwrap(), Durability::Pending);
    let mut theirs = elsewhere.retrieve_session(&session.id).await.unwrap();
    theirs.system_prompt = "theirs".into();
    elsewhere.update_session(&theirs).await.unwrap();
    gate.set(Way::Open);
    session.system_prompt = "in progress".into();
    assert_eq!(manager.update_session(&session).await.unwrap(), Durability::Durable);
    let stored = elsewhere.retrieve_session(&session.id).await.unwrap();
    assert_eq!(stored.system_prompt, "in progress");
}

#[wasm_bindgen_test]
async fn a_create_whose_reply_was_lost_does_not_undo_a_later_delete() {
    let (manager, gate, elsewhere) = behind_a_gate().await;
    gate.set(Way::Lost);
    let created = manager.create_session(&unique("user"), "org").await.unwrap();
    assert_eq!(created.durability, Durability::MaybeApplied);
    assert!(elsewhere.delete_session(&created.session.id).await.unwrap());
    gate.set(Way::Open);
    manager.flush().await.unwrap();
    assert!(!elsewhere.exists(&created.session.id).await.unwrap());
    assert!(manager.get_session(&created.session.id).await.unwrap_err().is_not_found());
}

#[wasm_bindgen_test]
async fn calls_that_are_given_up_are_finished_by_the_next() {
    let (manager, _gate, elsewhere) = behind_a_gate().await;
    let user = unique("user");
    let ended = manager.create_session(&user, "org").await.unwrap().session;
    poll_once(manager.cleanup_session(&ended.id)).await;
    manager.flush().await.unwrap();
    assert!(!elsewhere.exists(&ended.id).await.unwrap());
    // A cancelled create ends the session it made, and no other.
    let taken = Session::new(&user).org_id("org");
    elsewhere.create_session(&taken).await.unwrap();
    poll_once(manager.create_session_with(NewSession::new(&user, "org").id(&taken.id))).await;
    manager.flush().await.unwrap();
    assert!(elsewhere.exists(&taken.id).await.unwrap());
    assert_eq!(manager.pending(), Pending::default());
}

#[wasm_bindgen_test]
async fn logged_out_everywhere_in_an_outage_is_logged_out_after_it() {
    let (manager, gate, elsewhere) = behind_a_gate().await;
    let user = unique("user");
    let before = Session::new(&user).org_id("org");
    elsewhere.create_session(&before).await.unwrap();
    gate.set(Way::Cut);
    let ended = manager.delete_user_sessions(&user).await.unwrap();
    assert_eq!(ended.durability, Durability::Pending);
    let since = manager.create_session(&user, "org").await.unwrap().session;
    gate.set(Way::Open);
    manager.flush().await.unwrap();
    assert!(!elsewhere.exists(&before.id).await.unwrap());
    assert!(elsewhere.exists(&since.id).await.unwrap(), "it knew of the log-out");
}

#[wasm_bindgen_test]
async fn expired_sessions_are_not_served() {
    let (manager, _gate, _) = behind_a_gate().await;
    let session = manager.create_session(&unique("user"), "org").await.unwrap().session;
    manager.set_ttl(&session.id, Duration::ZERO).await.unwrap();
    assert!(manager.get_session(&session.id).await.unwrap_err().is_not_found());
    assert!(manager.list_sessions(&session.user_id).await.unwrap().sessions.is_empty());
}

/// Drops a call after its first poll.
async fn poll_once(call: impl Future) {
    let mut call = std::pin::pin!(call);
    std::future::poll_fn(|context| Poll::Ready(drop(call.as_mut().poll(context)))).await;
}

#[wasm_bindgen_test]
async fn maintenance_runs_beside_and_ends_with_the_manager() {
    let (manager, gate, elsewhere) = behind_a_gate().await;
    let ended = Rc::new(Cell::new(false));
    let (task, told) = (manager.maintenance(Duration::from_millis(20), HOUR), Rc::clone(&ended));
    wasm_bindgen_futures::spawn_local(async move {
        task.await;
        told.set(true);
    });
    gate.set(Way::Cut);
    let new = manager.create_session(&unique("user"), "org").await.unwrap().session;
    gate.set(Way::Open);
    while !elsewhere.exists(&new.id).await.unwrap() {
        pass(Duration::from_millis(5)).await;
    }
    drop(manager);
    while !ended.get() {
        pass(Duration::from_millis(5)).await;
    }
}

/// Workspaces are paths without directories, and a journal has no file.
#[wasm_bindgen_test]
async fn without_a_file_system() {
    let manager = SessionManager::new("/workspaces", 10);
    let session = manager.create_session("user", "org").await.unwrap().session;
    assert_eq!(session.workspace_path, format!("/workspaces/user/{}", session.id));
    let journal = SessionManager::with_journal("", 10, ManagerOptions::default(), "/journal");
    assert!(matches!(journal, Err(SessionError::Journal { .. })));
}
