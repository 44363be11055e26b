//! Texts of errors: they name the command, the field and the line, and contain nothing secret.

use redis_rest::{Client, Error, Fields, Json, Script, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_testing::FakeRedis;

const SECRET: &str = "s3cret";

#[derive(Debug, serde::Deserialize)]
struct User {
    #[allow(dead_code)]
    age: u8,
}

/// Causes the same failures over any client.
async fn failures(client: &Client) -> Vec<Error> {
    client.set("text", SECRET).await.unwrap();
    client.hset("user", ("age", SECRET)).await.unwrap();
    client.hset("other", ("name", SECRET)).await.unwrap();
    client.set("json", r#"{"age":"s3cret"}"#).await.unwrap();
    let script = Script::new("return 's3cret'\n= x");
    let mut pipe = client.pipeline();
    let wrong = pipe.add(cmd::lpush("text", "x"));
    let unread = pipe.add(cmd::get::<i64>("text"));
    let mut replies = pipe.send().await.unwrap();
    vec![
        client.lpush("text", "x").await.unwrap_err(),
        client.get::<i64>("text").await.unwrap_err(),
        client.hgetall::<Fields<User>>("user").await.unwrap_err(),
        client.hgetall::<Fields<User>>("other").await.unwrap_err(),
        client.get::<Json<User>>("json").await.unwrap_err(),
        script.prepare().call::<String>().on(client).await.unwrap_err(),
        replies.take(wrong).unwrap_err(),
        replies.take(unread).unwrap_err(),
        client.set("k", f64::NAN).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn errors_name_the_command_and_quote_nothing() {
    let client = Client::from_backend(MemoryBackend::new());
    let errors = failures(&client).await;
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value";
    let not_a_number = "the reply is a string, not an integer that fits i64";
    assert_eq!(
        texts,
        [
            format!("LPUSH: {wrong_type}"),
            format!("GET: {not_a_number}"),
            "HGETALL: field `age`: a string, not an integer that fits u8".to_owned(),
            "HGETALL: field `age`: missing".to_owned(),
            "GET: the reply is JSON of another type (line 1, column 15)".to_owned(),
            "EVALSHA: ERR Error compiling script, line 2".to_owned(),
            format!("LPUSH: {wrong_type}"),
            format!("GET: {not_a_number}"),
            "SET: a float argument is not a number".to_owned(),
        ]
    );
    for error in &errors {
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            assert!(!said.contains(&next.to_string()), "{said} twice");
            said = next.to_string();
            cause = next.source();
        }
    }
    assert_eq!(errors[0].command(), Some("LPUSH"));
}

#[tokio::test]
async fn verbose_errors_are_opt_in() {
    let redis = FakeRedis::start().await;
    let client = redis.config().verbose_errors(true).build().unwrap();
    let errors = failures(&client).await;
    assert!(errors[4].to_string().contains(SECRET), "{}", errors[4]);
    assert!(errors[5].to_string().contains("near '='"), "{}", errors[5]);
    let unknown = |client: Client| async move {
        client.run::<String>(cmd("NEVERHEARD").arg(SECRET)).await.unwrap_err()
    };
    let error = unknown(client.with_prefix("app:")).await;
    assert!(!error.to_string().contains(SECRET), "it was refused here: {error}");
    assert!(unknown(client).await.to_string().contains(SECRET));
    let quiet = unknown(redis.client()).await;
    assert_eq!(quiet.to_string(), "NEVERHEARD: ERR unknown command (HTTP 400)");
    assert!(quiet.verbose().to_string().contains(SECRET));
}
