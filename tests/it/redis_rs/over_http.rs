//! Differences over HTTP: refusals, lost replies, and additional features of the client.

use redis::{AsyncCommands, ErrorKind};
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use redis_rest_testing::{FakeRedis, command};
use wiremock::Mock;

#[tokio::test]
async fn commands_that_rest_cannot_carry_are_not_sent() {
    let redis = FakeRedis::start().await;
    let mut con = redis.client().redis_rs();
    let refused = [
        vec!["SUBSCRIBE", "news"],
        vec!["WATCH", "s3cret"],
        vec!["BLPOP", "s3cret", "0"],
        vec!["CLIENT", "SETNAME", "s3cret"],
        vec!["SELECT", "3"],
        vec!["MULTI"],
        vec!["XREAD", "BLOCK", "0", "STREAMS", "s3cret", "$"],
    ];
    for words in refused {
        let mut cmd = redis::cmd(words[0]);
        cmd.arg(&words[1..]);
        for error in [
            cmd.query_async::<redis::Value>(&mut con).await.unwrap_err(),
            redis::pipe()
                .set("a", 1)
                .add_command(cmd.clone())
                .query_async::<redis::Value>(&mut con)
                .await
                .unwrap_err(),
            redis::pipe()
                .atomic()
                .set("a", 1)
                .add_command(cmd.clone())
                .query_async::<redis::Value>(&mut con)
                .await
                .unwrap_err(),
        ] {
            let text = format!("{error} {error:?}");
            assert_eq!(error.kind(), ErrorKind::Client, "{}: {text}", words[0]);
            assert!(
                text.contains("would")
                    && !text.contains("s3cret")
                    && !text.contains("may have been applied"),
                "{text}"
            );
        }
    }
    assert_eq!(
        con.get::<_, Option<i64>>("a").await.unwrap(),
        None,
        "nothing of a refused pipeline was sent"
    );
}

#[tokio::test]
async fn lost_reply_is_an_io_error_that_may_have_run() {
    let redis = FakeRedis::start().await;
    Mock::given(command("INCR").with_key("visits"))
        .respond_with(redis.reply().lost())
        .up_to_n_times(1)
        .mount(redis.server())
        .await;
    let mut con = redis.client().redis_rs();
    let error = redis::cmd("INCR").arg("visits").query_async::<i64>(&mut con).await.unwrap_err();
    assert!(error.is_io_error(), "{error}");
    assert!(error.to_string().contains("may have been applied"), "{error}");
    assert_eq!(con.get::<_, i64>("visits").await.unwrap(), 1, "it had run");
}

#[tokio::test]
async fn wrong_tokens_and_unavailable_servers() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let client = rest::config(&server).token("s3cret").build().unwrap();
    let error = client.redis_rs().get::<_, String>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{error}");
    assert!(!error.to_string().contains("s3cret"));

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = redis_rest::Client::builder()
        .url(format!("http://{closed}"))
        .token("t")
        .retry(redis_rest::RetryPolicy::default().max_attempts(1));
    let error = away.build().unwrap().redis_rs().set::<_, _, ()>("k", "v").await.unwrap_err();
    assert!(error.is_io_error() && error.is_connection_refusal(), "{error}");
    assert!(!error.to_string().contains("may have been applied"), "{error}");
}

#[tokio::test]
async fn prefix_and_read_only_apply_to_redis_rs() {
    let redis = FakeRedis::start().await;
    let mut app = redis.client().with_prefix("app:").redis_rs();
    let _: () = app.set("name", "Ada").await.unwrap();
    assert_eq!(redis.client().redis_rs().get::<_, String>("app:name").await.unwrap(), "Ada");
    let mut scan = app.scan_match::<_, String>("n*").await.unwrap();
    assert_eq!(scan.next_item().await.unwrap().unwrap(), "name");
    let mut reader = redis.client().read_only().redis_rs();
    assert_eq!(reader.set::<_, _, ()>("name", "Eve").await.unwrap_err().kind(), ErrorKind::Client);
    assert_eq!(format!("{reader:?}"), "RedisRs");
}
