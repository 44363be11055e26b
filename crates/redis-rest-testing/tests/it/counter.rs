//! An example application function, and its tests with the kit.

use redis_rest::{Client, Error, Outcome};
use redis_rest_testing::{FakeRedis, command, html_502, rate_limited};
use std::time::Duration;
use wiremock::Mock;

/// Counts a visit. A visit that may have been counted is neither repeated nor reported as a
/// failure.
async fn count_visit(client: &Client) -> Result<Option<i64>, Error> {
    match client.incr("visits").await {
        Ok(visits) => Ok(Some(visits)),
        Err(error) => match error.outcome() {
            Outcome::Applied | Outcome::MaybeApplied => Ok(None),
            Outcome::NotApplied => Err(error),
        },
    }
}

#[tokio::test]
async fn visit_is_counted() {
    let redis = FakeRedis::start().await;
    assert_eq!(count_visit(&redis.client()).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_lost_reply_counts_no_visit_twice() {
    let redis = FakeRedis::start().await;
    let lost = Mock::given(command("INCR")).respond_with(redis.reply().lost()).up_to_n_times(1);
    redis.mount(lost).await;
    let client = redis.client();
    assert_eq!(count_visit(&client).await.unwrap(), None);
    assert_eq!(client.get::<i64>("visits").await.unwrap(), 1);
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    let redis = FakeRedis::start().await;
    let limited =
        Mock::given(command("INCR")).respond_with(rate_limited(Duration::ZERO)).up_to_n_times(2);
    redis.mount(limited).await;
    assert_eq!(count_visit(&redis.client()).await.unwrap(), Some(1));
    assert_eq!(redis.count("INCR").await, 3);
}

#[tokio::test]
async fn outage_is_not_a_count() {
    let redis = FakeRedis::start().await;
    let client = redis.client();
    redis.go_down(html_502());
    // A proxy's error page does not say whether the command ran.
    assert_eq!(count_visit(&client).await.unwrap(), None);
    redis.come_back();
    assert_eq!(count_visit(&client).await.unwrap(), Some(1));
    let away = redis_rest::Client::new("http://127.0.0.1:1", "token").unwrap();
    let error = away.incr("visits").no_retry().await.unwrap_err();
    assert!(error.is_unavailable() && error.is_transient(), "{error}");
}

/// Replaces Redis by a function: suitable if the calls are known and HTTP is of no interest.
#[tokio::test]
async fn function_replaces_redis() {
    let client = Client::from_fn(|command| {
        assert_eq!(command.name(), b"INCR");
        Ok(redis_rest::Value::Int(7))
    });
    assert_eq!(count_visit(&client).await.unwrap(), Some(7));
}
