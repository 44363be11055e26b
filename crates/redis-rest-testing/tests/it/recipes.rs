//! The recipes of the documentation.

use redis_rest::UnixTime;
use redis_rest::session::{RedisSessionStore, Session, SessionError, SessionStoreExt as _};
use redis_rest_testing::{FakeRedis, command, config_for, html_502, rate_limited, result};
use std::time::Duration;
use wiremock::{Mock, MockServer};

#[tokio::test]
async fn my_code_stores_a_session() {
    let redis = FakeRedis::start().await;
    let store = RedisSessionStore::new(redis.client(), Duration::from_secs(3600));
    let session = Session::new("user-1").org_id("org-1");
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
    redis.mount(limited.up_to_n_times(1)).await;
    redis.client().set("name", "Ada").await.unwrap();
    assert_eq!(redis.commands().await, [["SET", "name", "Ada"]; 2]);
}

#[tokio::test]
async fn the_reply_is_lost_and_the_caller_sees_maybe_applied() {
    let redis = FakeRedis::start().await;
    let lost = Mock::given(command("INCR")).respond_with(redis.reply().lost());
    redis.mount(lost.up_to_n_times(1)).await;
    let client = redis.client();
    let error = client.incr("visits").await.unwrap_err();
    assert!(error.maybe_applied());
    assert_eq!(redis.count("incr").await, 1);
    assert_eq!(client.get::<i64>("visits").await.unwrap(), 1);
}

#[tokio::test]
async fn redis_is_unavailable_for_a_while() {
    let redis = FakeRedis::start().await;
    let client = redis.client();
    redis.go_down(html_502());
    let began = std::time::Instant::now();
    let error = client.get::<String>("k").await.unwrap_err();
    assert!(error.is_transient() && error.attempts() == 10, "{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "retries wait a millisecond or two");
    redis.come_back();
    assert_eq!(client.get::<Option<String>>("k").await.unwrap(), None);
}

#[tokio::test]
async fn mocks_match_the_commands_of_methods() {
    let redis = FakeRedis::start().await;
    for name in ["EXPIRE", "TTL", "INCR", "SETEX", "EXPIREAT"] {
        redis.mount(Mock::given(command(name)).respond_with(result(7))).await;
    }
    let client = redis.client();
    assert_eq!(client.expire("k", Duration::from_secs(1)).reading::<i64>().await.unwrap(), 7);
    assert_eq!(client.ttl("k").reading::<i64>().await.unwrap(), 7);
    assert_eq!(client.incr("k").exactly_once().await.unwrap(), 7);
    let far = UnixTime::from_secs(4_102_444_800);
    assert_eq!(client.expire_at("k", far).reading::<i64>().await.unwrap(), 7);
    let set = client.setex("k", Duration::from_secs(1), "v").reading::<i64>();
    assert_eq!(set.await.unwrap(), 7);
    assert_eq!((redis.count("EXPIRE").await, redis.count("pexpire").await), (1, 1));
}

#[tokio::test]
async fn every_call_of_a_join_meets_the_mock() {
    let redis = FakeRedis::start().await;
    redis.mount(Mock::given(command("GET")).respond_with(result("Ada"))).await;
    let client = redis.client();
    let keys = ["a", "b", "c", "d"];
    let names = futures_util::future::try_join_all(keys.map(|key| client.get::<String>(key)));
    assert_eq!(names.await.unwrap(), ["Ada"; 4]);
}

#[tokio::test]
#[should_panic(expected = "Verifications failed")]
async fn a_mock_that_never_matches_fails_the_test() {
    let redis = FakeRedis::start().await;
    redis.mount(Mock::given(command("GET")).respond_with(result("Ada"))).await;
    redis.client().set("name", "Ada").await.unwrap();
}

#[tokio::test]
async fn unmatched_command_is_named() {
    let server = MockServer::start().await;
    let client = config_for(&server).build().unwrap();
    let error = client.lpush("list", "x").await.unwrap_err();
    assert!(error.to_string().starts_with("LPUSH: "), "{error}");
}
