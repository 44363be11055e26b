//! Stores and managers, with corrupt data in Redis, outages, and a damaged journal.

use super::secrets::{SESSION, TOKEN, USER, VALUE};
use super::{failed, shown, shown_session};
use redis_rest::session::{
    ChangeId, Check, InMemorySessionStore, Marks, Mode, RedisSessionStore, Session, SessionStore,
    SessionStoreExt as _, TtlRule, Write,
};
use redis_rest::{Client, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::rest;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn session(name: &str) -> Session {
    let mut session = Session::new(USER).org_id(USER);
    session.id = format!("{SESSION}{name}");
    session.system_prompt = VALUE.into();
    session.metadata.insert("name", VALUE).unwrap();
    session
}

pub async fn drive() {
    let server = rest::serve_with(MemoryBackend::new(), |config| config.token(TOKEN)).await;
    let client = Client::builder().url(server.url()).token(TOKEN).no_retry().build().unwrap();
    let redis: Arc<dyn SessionStore> = Arc::new(RedisSessionStore::new(client.clone(), HOUR));
    stores(&redis).await;
    corrupt(&client, &redis).await;
    let memory: Arc<dyn SessionStore> = Arc::new(InMemorySessionStore::new(HOUR));
    stores(&memory).await;
    server.shutdown().await;
    failed(redis.store_session(&session("")).await);
    failed(redis.retrieve_session(SESSION).await);
    failed(redis.list_sessions(USER).await);
    failed(redis.health(Check::ReadWrite).await);
}

async fn stores(store: &Arc<dyn SessionStore>) {
    let one = session("");
    failed(store.retrieve_session(&one.id).await);
    failed(store.update_session(&one).await);
    failed(store.set_ttl(&one.id, HOUR).await);
    failed(store.retrieve_session(&format!("{SESSION}/../{SESSION}")).await);
    failed(store.store_session(&session("\n")).await);
    store.store_session(&one).await.unwrap();
    shown_session(&store.retrieve_session(&one.id).await.unwrap());
    shown_session(&store.list_sessions(USER).await.unwrap());
    let mut other = one.clone();
    other.user_id = format!("{USER}x");
    failed(store.update_session(&other).await);
    shown_session(&store.retrieve_stored(&one.id).await.unwrap());
    shown_session(&store.list(USER).await.unwrap());
    let (two, marks) = (session("2"), Marks::default());
    let write = |session| {
        let mode = Mode::Create { marks: &marks, reuse: false };
        Write { id: ChangeId::new(), session, mode, content: true, ttl: TtlRule::Keep }
    };
    let writes = [write(&two), write(&one)];
    shown_session(&writes);
    shown_session(&store.write(&writes).await);
    shown(&store.batch_store_sessions(&[session("3"), session("/")]).await);
    shown(&store.batch_delete_sessions(&[one.id.clone(), format!("{SESSION}/")]).await);
    failed(store.store_session(&one).await);
}

/// Foreign values in place of records and indexes.
async fn corrupt(client: &Client, store: &Arc<dyn SessionStore>) {
    let id = format!("{SESSION}-corrupt");
    for text in [
        VALUE.to_owned(),
        format!("{{\"id\":\"{id}\",\"user_id\":7,\"{VALUE}\":1}}"),
        format!("{{\"id\":\"{id}\",\"user_id\":\"{USER}\",\"created_at\":\"{VALUE}\"}}"),
        format!("[\"{VALUE}\"]"),
    ] {
        client.set(format!("session:{id}"), &text).await.unwrap();
        failed(store.retrieve_session(&id).await);
        let _ = store.delete_session(&id).await.map_err(|error| failed::<(), _>(Err(error)));
        client.set(format!("user_sessions:{USER}"), &text).await.unwrap();
        let _ = store.list_sessions(USER).await.map_err(|error| failed::<(), _>(Err(error)));
        let _ =
            store.store_session(&session("4")).await.map_err(|error| failed::<(), _>(Err(error)));
    }
    for key in [format!("session:{id}"), format!("user_sessions:{USER}")] {
        client.del([&key]).await.unwrap();
        client.run::<i64>(cmd("LPUSH").arg(&key).arg(VALUE)).await.unwrap();
    }
    failed(store.retrieve_session(&id).await);
    failed(store.list_sessions(USER).await);
}
