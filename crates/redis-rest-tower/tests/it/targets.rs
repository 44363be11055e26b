use super::{HOUR, record};
use redis_rest::session::{
    InMemorySessionStore, ManagerOptions, Pending, RedisSessionStore, Session, SessionManager,
    SessionStoreExt as _,
};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::gate::{GateState, Node, at_once};
use redis_rest_test_support::rest;
use redis_rest_tower::TowerStore;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use time::OffsetDateTime;
use tower_sessions::SessionStore as _;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::Error;

/// Another client takes each id right before it is created here.
#[tokio::test]
async fn creation_fails_if_every_id_is_taken() {
    for managed in [false, true] {
        let (memory, tries) = (InMemorySessionStore::new(HOUR), Arc::new(AtomicUsize::new(0)));
        let (taken, counted) = (memory.clone(), Arc::clone(&tries));
        let manager = SessionManager::new("", 0);
        manager.set_session_store(Arc::new(memory.clone()), true).await.unwrap();
        let store = if managed {
            TowerStore::over_manager(manager.clone())
        } else {
            TowerStore::new(Arc::new(memory.clone()))
        };
        let store = store.user_of(move |record| {
            counted.fetch_add(1, Ordering::Relaxed);
            let theirs = Session::new("ada").id(record.id.to_string());
            let created = taken
                .create_session(&theirs)
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(created, Poll::Ready(Ok(()))));
            Some("ada".into())
        });
        match store.create(&mut record(&[], HOUR)).await {
            Err(Error::Backend(text)) => assert!(text.contains("taken"), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(tries.load(Ordering::Relaxed), 5);
        assert_eq!(memory.list_sessions("ada").await.unwrap().sessions.len(), 5, "theirs stay");
        assert!(
            memory
                .list_sessions("ada")
                .await
                .unwrap()
                .sessions
                .iter()
                .all(|session| session.metadata.is_empty())
        );
        assert_eq!((manager.cached(), manager.pending()), (0, Pending::default()));
    }
}

#[tokio::test]
async fn two_processes_never_share_an_id() {
    let engine = MemoryBackend::new();
    let server = rest::serve(engine).await;
    let mut stores = Vec::new();
    for _ in 0..2 {
        let manager = SessionManager::new("", 0);
        let redis = RedisSessionStore::new(rest::client(&server), HOUR);
        manager.set_session_store(Arc::new(redis), true).await.unwrap();
        stores.push(TowerStore::over_manager(manager));
    }
    let id = Id::default();
    let [mut one, mut other] = [1, 2]
        .map(|n| Record { id, ..record(&[("user_id", json!("ada")), ("n", json!(n))], HOUR) });
    let (first, second) = tokio::join!(stores[0].create(&mut one), stores[1].create(&mut other));
    first.and(second).unwrap();
    assert_eq!([one.id, other.id].iter().filter(|has| **has == id).count(), 1);
    for store in &stores {
        assert_eq!(store.load(&one.id).await.unwrap().as_ref(), Some(&one));
        assert_eq!(store.load(&other.id).await.unwrap().as_ref(), Some(&other));
    }
}

#[tokio::test]
async fn requests_of_each_operation() {
    let server = rest::serve(MemoryBackend::new()).await;
    for managed in [false, true] {
        let (client, counting) = rest::counted(&server);
        let redis = Arc::new(RedisSessionStore::new(client, HOUR));
        let manager = SessionManager::new("", 0);
        manager.set_session_store(redis.clone(), true).await.unwrap();
        let store =
            if managed { TowerStore::over_manager(manager) } else { TowerStore::new(redis) };
        // Loads the scripts into the server's cache.
        let mut first = record(&[], HOUR);
        store.create(&mut first).await.unwrap();
        store.delete(&first.id).await.unwrap();
        let mut session = record(&[("user_id", json!("ada"))], HOUR);
        let mut sent = Vec::new();
        let mut last = counting.sent();
        let mut count =
            || sent.push(counting.sent() - std::mem::replace(&mut last, counting.sent()));
        store.create(&mut session).await.unwrap();
        count();
        store.load(&session.id).await.unwrap();
        count();
        store.save(&session).await.unwrap();
        count();
        store.delete(&session.id).await.unwrap();
        count();
        assert_eq!(
            sent,
            if managed { [1, 0, 1, 1] } else { [1, 1, 2, 2] },
            "create, load, save, delete"
        );
    }
}

#[tokio::test]
async fn logins_survive_an_outage() {
    let node = Node::with_options(ManagerOptions::default().recovery(at_once())).await;
    let store = TowerStore::over_manager(node.manager.clone());
    let session = |n: i32| record(&[("user_id", json!("user")), ("n", json!(n))], HOUR);
    let mut kept = session(1);
    let mut saved = session(2);
    let mut deleted = session(3);
    for session in [&mut kept, &mut saved, &mut deleted] {
        store.create(session).await.unwrap();
    }
    let mut unknown = session(4);
    TowerStore::new(Arc::new(node.elsewhere.clone())).create(&mut unknown).await.unwrap();

    node.gate.set(GateState::Closed);
    assert_eq!(store.load(&kept.id).await.unwrap(), Some(kept.clone()));
    saved.data.insert("n".into(), json!("saved in the outage"));
    saved.expiry_date += Duration::from_secs(1800);
    store.save(&saved).await.unwrap();
    assert_eq!(store.load(&saved.id).await.unwrap(), Some(saved.clone()));
    store.delete(&deleted.id).await.unwrap();
    assert_eq!(store.load(&deleted.id).await.unwrap(), None);
    store.save(&deleted).await.unwrap();
    let mut new = session(5);
    store.create(&mut new).await.unwrap();
    let mut twice = Record { id: new.id, ..session(6) };
    store.create(&mut twice).await.unwrap();
    assert_ne!(twice.id, new.id, "an id that the manager knows is taken in an outage too");
    let mut over = session(7);
    store.create(&mut over).await.unwrap();
    over.expiry_date = OffsetDateTime::now_utc();
    store.save(&over).await.unwrap();
    match store.load(&unknown.id).await {
        Err(Error::Backend(text)) => {
            assert!(text.starts_with("Redis is unavailable"), "never taken for logged out: {text}")
        }
        other => panic!("{other:?}"),
    }

    node.gate.set(GateState::Open);
    assert_eq!(store.load(&unknown.id).await.unwrap().as_ref(), Some(&unknown));
    assert_eq!(node.manager.pending(), Pending::default());
    let direct = TowerStore::new(Arc::new(node.elsewhere.clone()));
    for there in [&kept, &saved, &unknown, &new, &twice] {
        assert_eq!(direct.load(&there.id).await.unwrap().as_ref(), Some(there));
    }
    for gone in [&deleted, &over] {
        assert_eq!(direct.load(&gone.id).await.unwrap(), None);
    }
    node.engine.advance(HOUR + Duration::from_secs(60));
    assert!(
        node.elsewhere.exists(&saved.id.to_string()).await.unwrap(),
        "the date of the outage counts"
    );
    assert!(!node.elsewhere.exists(&new.id.to_string()).await.unwrap());
}

#[tokio::test]
async fn create_with_a_lost_reply_is_recognised() {
    let node = Node::with_options(ManagerOptions::default().recovery(at_once())).await;
    let store = TowerStore::over_manager(node.manager.clone());
    node.gate.set(GateState::RepliesLost);
    let mut session = record(&[("user_id", json!("user"))], HOUR);
    let id = session.id;
    store.create(&mut session).await.unwrap();
    session.data.insert("n".into(), json!(1));
    store.save(&session).await.unwrap();
    node.gate.set(GateState::Open);
    assert_eq!(store.load(&id).await.unwrap(), Some(session.clone()));
    assert_eq!(node.ids().await, [id.to_string()]);
}
