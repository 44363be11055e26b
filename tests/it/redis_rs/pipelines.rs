//! Pipelines and atomic pipelines.

use redis::{AsyncCommands, ErrorKind, RedisResult, ServerErrorKind, Value};

pub async fn pipelines(mut con: impl AsyncCommands) {
    let mut pipe = redis::pipe();
    pipe.set("a", 1).ignore().incr("a", 41).get("a").get("none").cmd("ECHO").arg("hello");
    let (sum, text, none, echo): (i64, String, Option<i64>, String) =
        pipe.query_async(&mut con).await.unwrap();
    assert_eq!((sum, text.as_str(), none, echo.as_str()), (42, "42", None, "hello"));
    let (kind,): (redis::ValueType,) =
        redis::pipe().key_type("a").query_async(&mut con).await.unwrap();
    assert_eq!(kind, redis::ValueType::String);
    // The same again, with more commands than one request holds.
    let (sum, ..): (i64, String, Option<i64>, String) = pipe.query_async(&mut con).await.unwrap();
    assert_eq!(sum, 42);
    let mut pipe = redis::pipe();
    (0..2500).for_each(|n| {
        pipe.incr("n", n);
    });
    let sums: Vec<i64> = pipe.query_async(&mut con).await.unwrap();
    assert_eq!((sums.len(), sums[2499]), (2500, 2499 * 1250));
}

pub async fn pipelines_with_errors(mut con: impl AsyncCommands) {
    let mut pipe = redis::pipe();
    pipe.set("a", "x").incr("a", 1).set("b", 1);
    let error = pipe.query_async::<Value>(&mut con).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError));
    let errors = error.into_server_errors().unwrap();
    assert_eq!((errors.len(), errors[0].0), (1, 1), "the second one failed");
    assert_eq!(con.get::<_, i64>("b").await.unwrap(), 1, "the others ran");
    let results: Vec<RedisResult<Value>> =
        pipe.ignore_errors().query_async(&mut con).await.unwrap();
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

pub async fn atomic(mut con: impl AsyncCommands) {
    let mut pipe = redis::pipe();
    pipe.atomic().set("a", 1).ignore().incr("a", 41).rpush("l", "x").lrange("l", 0, -1);
    let (sum, length, list): (i64, i64, Vec<String>) = pipe.query_async(&mut con).await.unwrap();
    assert_eq!((sum, length, list), (42, 1, vec!["x".to_owned()]));
    let (sum, ..): (i64, i64, Vec<String>) = pipe.query_async(&mut con).await.unwrap();
    assert_eq!(sum, 42);
}

pub async fn atomic_with_errors(mut con: impl AsyncCommands) {
    let mut pipe = redis::pipe();
    pipe.atomic().set("a", "x").lpush("a", 1).set("b", 1);
    let error = pipe.query_async::<Value>(&mut con).await.unwrap_err();
    let errors = error.into_server_errors().unwrap();
    assert_eq!((errors.len(), errors[0].0, errors[0].1.code()), (1, 1, "WRONGTYPE"));
    assert_eq!(con.get::<_, i64>("b").await.unwrap(), 1, "no rollback");
}

pub async fn discarded(mut con: impl AsyncCommands) {
    let mut pipe = redis::pipe();
    pipe.atomic().set("a", 1).cmd("NOSUCHCOMMAND").arg("x").set("b", 1);
    let error = pipe.query_async::<Value>(&mut con).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Server(ServerErrorKind::ExecAbort), Some("EXECABORT"))
    );
    assert!(!con.exists::<_, bool>(&["a", "b"]).await.unwrap(), "nothing ran");
}
