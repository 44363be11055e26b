use crate::support::{Gate, Way, client, config, pass, unique};
use redis_rest::session::{
    ManagerOptions, Pending, Recovery, RedisSessionStore, SessionError, SessionManager,
    SessionStoreExt as _,
};
use redis_rest::{BreakerPolicy, RetryPolicy};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen_test::wasm_bindgen_test;

const HOUR: Duration = Duration::from_secs(3600);

/// A manager whose store is behind a gate, and that store without one.
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

/// Workspaces are paths without directories, and a journal has no file to be in.
#[wasm_bindgen_test]
async fn without_a_file_system() {
    let manager = SessionManager::new("/workspaces", 10);
    let session = manager.create_session("user", "org").await.unwrap().session;
    assert_eq!(session.workspace_path, format!("/workspaces/user/{}", session.id));
    let journal = SessionManager::with_journal("", 10, ManagerOptions::default(), "/journal");
    assert!(matches!(journal, Err(SessionError::Journal { .. })));
}
