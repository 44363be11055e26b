use super::{HOUR, Setup, record};
use redis_rest::session::{ManagerOptions, Pending, SessionManager, SessionStoreExt as _};
use redis_rest_test_support::gate::{GateState, Node, at_once};
use redis_rest_tower::{LOG_OUTS, TowerStore};
use serde_json::json;
use tower_sessions::SessionStore as _;
use tower_sessions::session::{Id, Record};

async fn log_in(store: &TowerStore) -> Record {
    let mut session = record(&[("user_id", json!("ada"))], HOUR);
    store.create(&mut session).await.unwrap();
    session
}

/// Does the same as `cycle_id()` and the save at the end of a request.
async fn renew(store: &TowerStore, session: &mut Record) {
    store.delete(&session.id).await.unwrap();
    session.id = Id::default();
    store.create(session).await.unwrap();
}

async fn is_logged_in(store: &TowerStore, session: &Record) -> bool {
    store.load(&session.id).await.unwrap().is_some()
}

async fn derived_sessions_inherit_known_log_outs(setup: Setup) {
    let store = &setup.store;
    let created = log_in(store).await;
    let mut loaded = store.load(&created.id).await.unwrap().unwrap();
    renew(store, &mut loaded).await;
    assert!(is_logged_in(store, &loaded).await, "nobody was logged out");

    setup.behind.delete_user_sessions("ada").await.unwrap();
    let fresh = log_in(store).await;
    for mut session in [loaded, created] {
        renew(store, &mut session).await;
        assert!(!is_logged_in(store, &session).await);
    }
    let mut fresh = store.load(&fresh.id).await.unwrap().unwrap();
    renew(store, &mut fresh).await;
    assert!(is_logged_in(store, &fresh).await, "it comes from after the log-out");

    // Another user has logged in with this device: a new log-in, which learns of all log-outs.
    setup.behind.delete_user_sessions("bob").await.unwrap();
    fresh.data.insert("user_id".into(), json!("bob"));
    renew(store, &mut fresh).await;
    assert!(is_logged_in(store, &fresh).await);
    assert_eq!(setup.behind.list_sessions("bob").await.unwrap().sessions.len(), 1);
}

async fn log_outs_are_never_stored(setup: Setup) {
    let store = &setup.store;
    setup.behind.delete_user_sessions("ada").await.unwrap();
    let mut session = log_in(store).await;
    assert!(session.data.contains_key(LOG_OUTS));
    session.data.insert("n".into(), json!(1));
    store.save(&session).await.unwrap();
    let stored = setup.behind.retrieve_session(&session.id.to_string()).await.unwrap();
    assert!(!stored.to_json().unwrap().contains(LOG_OUTS));
    let mut anonymous = record(&[], HOUR);
    store.create(&mut anonymous).await.unwrap();
    let loaded = store.load(&anonymous.id).await.unwrap().unwrap();
    assert!(anonymous.data.is_empty() && loaded.data.is_empty(), "empty records stay empty");
}

macro_rules! everywhere {
    ($($place:ident)*) => {$(
        mod $place {
            #[tokio::test]
            async fn derived_sessions_inherit_known_log_outs() {
                let setup = redis_rest_test_support::redis_test!(crate::$place().await);
                super::derived_sessions_inherit_known_log_outs(setup).await;
            }

            #[tokio::test]
            async fn log_outs_are_never_stored() {
                let setup = redis_rest_test_support::redis_test!(crate::$place().await);
                super::log_outs_are_never_stored(setup).await;
            }
        }
    )*};
}
everywhere!(in_memory rest_over_redis rest_over_memory manager);

#[tokio::test]
async fn managers_without_a_store_keep_users_logged_out() {
    let manager = SessionManager::new("", 0);
    let store = TowerStore::over_manager(manager.clone());
    let created = log_in(&store).await;
    let mut loaded = store.load(&created.id).await.unwrap().unwrap();
    renew(&store, &mut loaded).await;
    assert!(is_logged_in(&store, &loaded).await);
    manager.delete_user_sessions("ada").await.unwrap();
    for mut session in [loaded, created] {
        renew(&store, &mut session).await;
        assert!(!is_logged_in(&store, &session).await);
    }
    let mut fresh = log_in(&store).await;
    renew(&store, &mut fresh).await;
    assert!(is_logged_in(&store, &fresh).await, "it comes from after the log-out");
    assert_eq!(manager.list_sessions("ada").await.unwrap().sessions.len(), 1);
}

/// The log-out is executed before the outage, within it, or elsewhere.
#[tokio::test]
async fn users_stay_logged_out_through_an_outage() {
    // A session that is not cached cannot be read during an outage.
    async fn is_served(store: &TowerStore, session: &Record) -> bool {
        store.load(&session.id).await.is_ok_and(|loaded| loaded.is_some())
    }
    for moment in 0..3 {
        let node = Node::with_options(ManagerOptions::default().recovery(at_once())).await;
        let store = TowerStore::over_manager(node.manager.clone());
        let mut session = log_in(&store).await;
        if moment == 0 {
            node.manager.delete_user_sessions("ada").await.unwrap();
        }
        node.gate.set(GateState::Closed);
        match moment {
            1 => drop(node.manager.delete_user_sessions("ada").await.unwrap()),
            2 => drop(node.elsewhere.delete_user_sessions("ada").await.unwrap()),
            _ => {}
        }
        renew(&store, &mut session).await;
        let fresh = log_in(&store).await;
        // This manager cannot know of a log-out elsewhere.
        assert_eq!(is_served(&store, &session).await, moment == 2);
        node.gate.set(GateState::Open);
        let _ = node.manager.flush().await;
        assert!(!is_logged_in(&store, &session).await, "{moment}");
        assert_eq!(node.manager.pending(), Pending::default());
        let kept = node.elsewhere.list_sessions("ada").await.unwrap().sessions.len();
        // A session created while a log-out elsewhere was unknown ends with that log-out.
        assert_eq!(kept, usize::from(moment != 2), "{moment}");
        assert_eq!(is_logged_in(&store, &fresh).await, moment != 2, "{moment}");
    }
}
