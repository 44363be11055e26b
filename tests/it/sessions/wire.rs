use crate::support::redis::Redis;
use crate::support::rest::{self, Counting};
use redis_rest::backend::memory::MemoryBackend;
use redis_rest::session::{IndexLayout, RedisSessionStore, Session, SessionStore};
use redis_rest::{Client, Value, cmd};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many requests `call` sends.
async fn requests<T, E: std::fmt::Debug>(
    sent: &Counting,
    call: impl Future<Output = Result<T, E>>,
) -> usize {
    let before = sent.sent();
    call.await.unwrap();
    sent.sent() - before
}

async fn counts(layout: IndexLayout) {
    let server = rest::serve(MemoryBackend::new()).await;
    let (client, sent) = rest::counted(&server);
    let store = RedisSessionStore::new(client, Duration::from_secs(3600)).index_layout(layout);
    let new = || Session::new("user", "org");
    let session = new();
    assert_eq!(
        requests(&sent, store.store_session(&session)).await,
        2,
        "the server does not know the script yet, once"
    );
    assert_eq!(requests(&sent, store.store_session(&session)).await, 1);
    let created = new();
    assert_eq!(requests(&sent, store.create_session(&created)).await, 1, "the same script");
    let read = store.retrieve_session(&session.id).await.unwrap();
    assert_eq!(requests(&sent, store.retrieve_session(&session.id)).await, 1);
    assert_eq!(requests(&sent, store.update_session(&read)).await, 2);
    assert_eq!(requests(&sent, store.update_session(&read)).await, 1);
    assert_eq!(requests(&sent, store.compare_and_update(&read)).await, 1);
    assert_eq!(requests(&sent, store.exists(&session.id)).await, 1);
    assert_eq!(requests(&sent, store.set_ttl_loaded(&session, Duration::from_secs(60))).await, 2);
    assert_eq!(requests(&sent, store.set_ttl_loaded(&session, Duration::from_secs(60))).await, 1);
    assert_eq!(requests(&sent, store.set_ttl(&session.id, Duration::from_secs(60))).await, 2);
    assert_eq!(requests(&sent, store.touch_loaded(&session, true)).await, 1);
    assert_eq!(requests(&sent, store.touch(&session.id)).await, 2);
    assert_eq!(requests(&sent, store.delete_loaded(&created)).await, 2);
    assert_eq!(requests(&sent, store.delete_loaded(&created)).await, 1);
    assert_eq!(requests(&sent, store.delete_session(&session.id)).await, 2);

    let many: Vec<_> = (0..250).map(|_| new()).collect();
    assert_eq!(requests(&sent, async { store.batch_store_sessions(&many).await.ok() }).await, 3);
    assert_eq!(requests(&sent, store.list_sessions("user")).await, 2);
    let ids: Vec<_> = many.iter().map(|session| session.id.clone()).collect();
    assert_eq!(
        requests(&sent, async { store.batch_delete_sessions(&ids).await.ok() }).await,
        4,
        "one finds the users"
    );
    assert_eq!(
        requests(&sent, store.list_sessions("nobody")).await,
        1,
        "an empty index needs no second request"
    );
}

#[tokio::test]
async fn requests_of_each_operation_with_a_json_index() {
    counts(IndexLayout::JsonArray).await;
}

#[tokio::test]
async fn requests_of_each_operation_with_a_sorted_set() {
    counts(IndexLayout::SortedSet).await;
}

/// As on a cluster: what changes the index too is one request more.
#[tokio::test]
async fn requests_of_each_operation_in_two_steps() {
    let server = rest::serve(MemoryBackend::new()).await;
    let (client, sent) = rest::counted(&server);
    let store = RedisSessionStore::new(client, Duration::from_secs(3600)).cluster();
    let new = || Session::new("user", "org");
    let (session, created) = (new(), new());
    let half_hour = Duration::from_secs(1800);
    // So that the server knows the scripts.
    store.store_session(&session).await.unwrap();
    store.set_ttl_loaded(&session, half_hour).await.unwrap();
    store.update_session(&session).await.unwrap();
    store.delete_session("none").await.unwrap();
    store.delete_loaded(&new()).await.unwrap();
    assert_eq!(requests(&sent, store.store_session(&session)).await, 2);
    assert_eq!(requests(&sent, store.create_session(&created)).await, 2);
    assert_eq!(requests(&sent, store.retrieve_session(&session.id)).await, 1);
    assert_eq!(requests(&sent, store.update_session(&session)).await, 1);
    assert_eq!(requests(&sent, store.exists(&session.id)).await, 1);
    assert_eq!(requests(&sent, store.set_ttl_loaded(&session, half_hour)).await, 2);
    assert_eq!(requests(&sent, store.set_ttl(&session.id, half_hour)).await, 3);
    assert_eq!(requests(&sent, store.touch_loaded(&session, true)).await, 2);
    assert_eq!(requests(&sent, store.delete_loaded(&created)).await, 2);
    assert_eq!(requests(&sent, store.delete_session(&session.id)).await, 2);
    assert_eq!(requests(&sent, store.delete_session("none")).await, 1, "nobody's");

    let many: Vec<_> = (0..100).map(|_| new()).collect();
    assert_eq!(requests(&sent, async { store.batch_store_sessions(&many).await.ok() }).await, 2);
    assert_eq!(requests(&sent, store.list_sessions("user")).await, 2);
    let ids: Vec<_> = many.iter().map(|session| session.id.clone()).collect();
    assert_eq!(
        requests(&sent, async { store.batch_delete_sessions(&ids[..50]).await.ok() }).await,
        2
    );
    assert_eq!(requests(&sent, store.delete_user_sessions("user")).await, 3);
}

/// Every key with its value and its deadline.
async fn everything(client: &Client) -> BTreeMap<String, (Value, Value)> {
    let keys: Vec<String> = client.keys("*").await.unwrap();
    let mut all = BTreeMap::new();
    for key in keys {
        let (dump, deadline) = (cmd("DUMP").arg(&key), cmd("PEXPIRETIME").arg(&key));
        all.insert(key, (client.run(dump).await.unwrap(), client.run(deadline).await.unwrap()));
    }
    all
}

#[tokio::test]
async fn reads_change_nothing() {
    let Some(redis) = Redis::start() else { return };
    let client = Client::from_backend(redis.backend().await);
    for layout in [IndexLayout::JsonArray, IndexLayout::SortedSet] {
        let store =
            RedisSessionStore::new(client.clone(), Duration::from_secs(3600)).index_layout(layout);
        let user = format!("{layout:?}");
        let session = Session::new(&user, "org");
        store.store_session(&session).await.unwrap();
        let gone = Session::new(&user, "org");
        store.store_session(&gone).await.unwrap();
        // An index entry without a session, as expiry leaves it.
        client.del([format!("session:{}", gone.id)]).await.unwrap();
        let before = everything(&client).await;
        store.retrieve_session(&session.id).await.unwrap();
        assert_eq!(store.list_sessions(&user).await.unwrap().len(), 1);
        assert!(store.exists(&session.id).await.unwrap() && !store.exists(&gone.id).await.unwrap());
        store.health().await.unwrap();
        assert!(everything(&client).await == before);
    }
}
