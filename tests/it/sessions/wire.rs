use redis_rest::session::{
    ChangeId, Check, Delete, IndexLayout, RedisSessionStore, Session, SessionStore as _,
    SessionStoreExt as _, When,
};
use redis_rest::{Client, Value, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest::{self, Counting};
use std::collections::BTreeMap;
use std::time::Duration;

/// Returns the number of requests that `call` sends.
async fn requests<T, E: std::fmt::Debug>(
    sent: &Counting,
    call: impl Future<Output = Result<T, E>>,
) -> usize {
    let before = sent.sent();
    call.await.unwrap();
    sent.sent() - before
}

/// Deletes a session whose user is known.
async fn delete_of_user(store: &RedisSessionStore, session: &Session) -> Result<(), ()> {
    let delete = Delete {
        id: ChangeId::new(),
        session: &session.id,
        user_id: Some(&session.user_id),
        mark_for: Duration::ZERO,
        when: When::Always,
    };
    assert!(store.delete(&[delete]).await.remove(0).unwrap());
    Ok(())
}

async fn counts(layout: IndexLayout) {
    let server = rest::serve(MemoryBackend::new()).await;
    let (client, sent) = rest::counted(&server);
    // The first reply with a text: the encoding of texts is probed once.
    assert_eq!(requests(&sent, client.ping().into_future()).await, 2);
    let store =
        || RedisSessionStore::new(client.clone(), Duration::from_secs(3600)).index_layout(layout);
    // A store that has seen no version.
    let (stranger, store) = (store, store());
    let new = || Session::new("user").org_id("org");
    let (session, minute) = (new(), Duration::from_secs(60));
    assert_eq!(
        requests(&sent, store.store_session(&session)).await,
        2,
        "the server does not know the script yet, once"
    );
    assert_eq!(requests(&sent, store.store_session(&session)).await, 1, "its version is known");
    assert_eq!(requests(&sent, stranger().store_session(&session)).await, 2, "and here it is not");
    assert_eq!(requests(&sent, store.store_session(&session)).await, 2, "and here it is outdated");
    let created = new();
    assert_eq!(requests(&sent, store.create_session(&created)).await, 1, "the same script");
    assert_eq!(requests(&sent, store.store_session(&new())).await, 1, "one that is not there");
    let read = store.retrieve_stored(&session.id).await.unwrap();
    assert_eq!(requests(&sent, store.retrieve_session(&session.id)).await, 1);
    assert_eq!(requests(&sent, store.compare_and_update(&session, &read.version)).await, 1);
    assert_eq!(requests(&sent, store.update_session(&session)).await, 1, "its version is known");
    assert_eq!(requests(&sent, stranger().update_session(&session)).await, 2);
    assert_eq!(requests(&sent, store.update_session(&session)).await, 2, "it is outdated");
    assert_eq!(requests(&sent, store.exists(&session.id)).await, 1);
    assert_eq!(requests(&sent, store.set_ttl(&session.id, minute)).await, 2);
    assert_eq!(requests(&sent, store.touch(&session.id)).await, 2);
    assert_eq!(requests(&sent, delete_of_user(&store, &created)).await, 2, "another script");
    assert_eq!(requests(&sent, store.delete_session(&session.id)).await, 2);

    let many: Vec<_> = (0..250).map(|_| new()).collect();
    // At most one for each 100: calls of one user may be batched.
    let stored = requests(&sent, async { store.batch_store_sessions(&many).await.ok() }).await;
    assert!((2..=3).contains(&stored), "{stored}");
    let listed = requests(&sent, store.list_sessions("user")).await;
    assert!((2..=4).contains(&listed), "{listed}: the index, and at most one for each 100");
    let ids: Vec<_> = many.iter().map(|session| session.id.clone()).collect();
    let deleted = requests(&sent, async { store.batch_delete_sessions(&ids).await.ok() }).await;
    assert!((4..=6).contains(&deleted), "{deleted}: half of them find the users");
    assert_eq!(
        requests(&sent, store.list_sessions("nobody")).await,
        1,
        "an empty index needs no second request"
    );
    store.store_session(&new()).await.unwrap();
    assert_eq!(requests(&sent, store.delete_user_sessions("user")).await, 3, "another script");
    assert_eq!(requests(&sent, store.store_session(&new())).await, 2, "log-outs are learnt");
    assert_eq!(requests(&sent, store.delete_user_sessions("user")).await, 2);
    assert_eq!(requests(&sent, store.health(Check::Ping)).await, 1);
    assert_eq!(requests(&sent, store.health(Check::ReadWrite)).await, 1);
}

#[tokio::test]
async fn requests_of_each_operation_with_a_json_index() {
    counts(IndexLayout::JsonArray).await;
}

#[tokio::test]
async fn requests_of_each_operation_with_a_sorted_set() {
    counts(IndexLayout::SortedSet).await;
}

/// Changes of the index take one more request, as on a cluster.
#[tokio::test]
async fn requests_of_each_operation_in_two_steps() {
    let server = rest::serve(MemoryBackend::new()).await;
    let (client, sent) = rest::counted(&server);
    client.ping().await.unwrap();
    let store = RedisSessionStore::new(client, Duration::from_secs(3600)).cluster();
    let new = || Session::new("user").org_id("org");
    let session = new();
    let created = new();
    let known = new();
    let minute = Duration::from_secs(60);
    // Loads the scripts into the server's cache.
    store.store_session(&session).await.unwrap();
    store.store_session(&known).await.unwrap();
    delete_of_user(&store, &known).await.unwrap();
    assert_eq!(requests(&sent, store.create_session(&created)).await, 2);
    assert_eq!(requests(&sent, store.retrieve_session(&session.id)).await, 1);
    assert_eq!(requests(&sent, store.update_session(&session)).await, 2);
    let read = store.retrieve_stored(&session.id).await.unwrap();
    assert_eq!(requests(&sent, store.compare_and_update(&session, &read.version)).await, 2);
    assert_eq!(requests(&sent, store.exists(&session.id)).await, 1);
    assert_eq!(requests(&sent, store.set_ttl(&session.id, minute)).await, 3);
    assert_eq!(requests(&sent, store.touch(&session.id)).await, 3);
    assert_eq!(requests(&sent, delete_of_user(&store, &created)).await, 2);
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
    assert_eq!(requests(&sent, store.delete_user_sessions("user")).await, 4, "another script");
    assert_eq!(requests(&sent, store.health(Check::Ping)).await, 1);
}

/// Returns every key with its value and its deadline.
async fn everything(client: &Client) -> BTreeMap<String, (Value, Value)> {
    let keys: Vec<String> = client.keys("*").await.unwrap();
    let mut all = BTreeMap::new();
    for key in keys {
        let (dump, deadline) = (cmd("DUMP").arg(&key), cmd("PEXPIRETIME").arg(&key));
        all.insert(key, (client.run(dump).await.unwrap(), client.run(deadline).await.unwrap()));
    }
    all
}

/// Reads and lists are plain commands.
#[tokio::test]
async fn read_only_client_lists_sessions() {
    let client = Client::from_backend(MemoryBackend::new());
    let store = RedisSessionStore::new(client.clone(), Duration::from_secs(3600));
    let session = Session::new("user").org_id("org");
    store.store_session(&session).await.unwrap();
    let reader = RedisSessionStore::new(client.read_only(), Duration::from_secs(3600));
    assert_eq!(reader.retrieve_session(&session.id).await.unwrap(), session);
    assert_eq!(reader.list_sessions("user").await.unwrap().sessions, [session]);
}

#[tokio::test]
async fn reads_change_nothing() {
    let redis = redis_test!();
    let client = Client::from_backend(redis.backend().await);
    for layout in [IndexLayout::JsonArray, IndexLayout::SortedSet] {
        let store =
            RedisSessionStore::new(client.clone(), Duration::from_secs(3600)).index_layout(layout);
        let user = format!("{layout:?}");
        let session = Session::new(&user).org_id("org");
        store.store_session(&session).await.unwrap();
        let gone = Session::new(&user).org_id("org");
        store.store_session(&gone).await.unwrap();
        // An index entry without a session, as expiry leaves it.
        client.del([format!("session:{}", gone.id)]).await.unwrap();
        let before = everything(&client).await;
        store.retrieve_session(&session.id).await.unwrap();
        assert_eq!(store.list_sessions(&user).await.unwrap().sessions.len(), 1);
        assert!(store.exists(&session.id).await.unwrap() && !store.exists(&gone.id).await.unwrap());
        store.health(Check::Ping).await.unwrap();
        assert!(everything(&client).await == before);
    }
}
