//! The recipes of the documentation.

use redis_rest::session::{RedisSessionStore, Session, SessionError, SessionStoreExt as _};
use redis_rest::testing::{FakeRedis, command, rate_limited};
use std::time::Duration;
use wiremock::Mock;

#[tokio::test]
async fn my_code_stores_a_session() {
    let redis = FakeRedis::start().await;
    let store = RedisSessionStore::new(redis.client(), Duration::from_secs(3600));
    let session = Session::new("user-1", "org-1");
    store.store_session(&session).await.unwrap();
    assert_eq!(store.list_sessions("user-1").await.unwrap().sessions.len(), 1);
    redis.engine().advance(Duration::from_secs(3601));
    assert!(matches!(store.retrieve_session(&session.id).await, Err(SessionError::NotFound)));
}

#[tokio::test]
async fn redis_is_rate_limited_once() {
    let redis = FakeRedis::start().await;
    let limited =
        Mock::given(command("SET").with_key("name")).respond_with(rate_limited(Duration::ZERO));
    limited.up_to_n_times(1).expect(1).mount(redis.server()).await;
    redis.client().set("name", "Ada").await.unwrap();
    assert_eq!(redis.commands().await, [["SET", "name", "Ada"]; 2]);
}

#[tokio::test]
async fn the_reply_is_lost_and_the_caller_sees_maybe_applied() {
    let redis = FakeRedis::start().await;
    let lost = Mock::given(command("INCR")).respond_with(redis.reply().lost());
    lost.up_to_n_times(1).mount(redis.server()).await;
    let client = redis.client();
    let error = client.incr("visits").await.unwrap_err();
    assert!(error.maybe_applied());
    assert_eq!(redis.count("incr").await, 1);
    assert_eq!(client.get::<i64>("visits").await.unwrap(), 1);
}
