//! Handles, pushed entries, and errors that `send` does not hide.

use redis_rest::cmd::Ttl;
use redis_rest::{Client, ErrorKind, Outcome, Value, cmd};
use redis_rest_server::MemoryBackend;
use std::time::Duration;

#[tokio::test]
async fn replies_are_taken_as_tuples_arrays_and_lists() {
    let client = Client::from_backend(MemoryBackend::new());
    let mut pipe = client.pipeline();
    pipe.push(cmd::set("k", 1));
    pipe.push(cmd("SET").arg("l").arg("x"));
    let (a, b) = (pipe.add(cmd::incr("k")), pipe.add(cmd::get::<String>("l")));
    let [c, d] = [(); 2].map(|()| pipe.add(cmd::incr("k")));
    let rest: Vec<_> = (0..3).map(|_| pipe.add(cmd::incr("k"))).collect();
    let mut replies = pipe.send().await.unwrap();
    assert_eq!(replies.take((a, b)).unwrap(), (2, "x".to_owned()));
    assert_eq!(replies.take([c, d]).unwrap(), [3, 4]);
    assert_eq!(replies.take(rest).unwrap(), [5, 6, 7]);
}

#[tokio::test]
async fn failed_entry_without_a_handle_fails_the_pipeline() {
    let client = Client::from_backend(MemoryBackend::new());
    client.set("text", "x").await.unwrap();
    let mut pipe = client.pipeline();
    pipe.push(cmd::set("k", 1));
    pipe.push(cmd::incr("text"));
    let error = pipe.send().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Redis, Outcome::MaybeApplied));
    assert!(error.to_string().starts_with("INCR: ERR value is not an integer"), "{error}");
    assert!(error.to_string().contains("entry 1"), "{error}");
    assert_eq!(client.get::<i64>("k").await.unwrap(), 1, "the other was executed");
    let mut transaction = client.transaction();
    transaction.push(cmd::set("k", 2));
    transaction.push(cmd::incr("text"));
    assert!(transaction.send().await.unwrap_err().maybe_applied());
    let mut alone = client.pipeline();
    alone.push(cmd::incr("text"));
    assert_eq!(alone.send().await.unwrap_err().outcome(), Outcome::NotApplied);
}

#[tokio::test]
async fn check_fails_on_the_first_failed_entry() {
    let client = Client::from_backend(MemoryBackend::new());
    client.set("text", "x").await.unwrap();
    let mut pipe = client.pipeline();
    let fine = pipe.add(cmd::incr("n"));
    let wrong = pipe.add(cmd::incr("text"));
    let mut replies = pipe.send().await.unwrap();
    let error = replies.check().unwrap_err();
    assert!(error.to_string().contains("entry 1"), "{error}");
    assert_eq!(replies.take(fine).unwrap(), 1);
    assert!(replies.take(wrong).is_err());
    assert_eq!(replies.check().unwrap().len(), 2, "what was taken was seen");
}

#[tokio::test]
async fn function_replies_to_every_command() {
    let client = Client::from_fn(|command| match command.name() {
        b"INCR" => Ok(Value::Int(5)),
        _ => Ok(Value::bytes(command.get(0).unwrap_or_default().to_vec())),
    });
    assert_eq!(client.incr("n").await.unwrap(), 5);
    assert_eq!(client.with_prefix("app:").get::<String>("k").await.unwrap(), "app:k");
    let mut pipe = client.pipeline();
    let both = (pipe.add(cmd::incr("n")), pipe.add(cmd::get::<String>("k")));
    assert_eq!(pipe.send().await.unwrap().take(both).unwrap(), (5, "k".to_owned()));
    let mut transaction = client.transaction();
    let one = transaction.add(cmd::incr("n"));
    assert_eq!(transaction.send().await.unwrap().take(one).unwrap(), 5);
}

#[test]
fn a_time_to_live_is_a_duration_if_there_is_one() {
    let left = Duration::from_secs(1);
    assert_eq!(Ttl::Expires(left).as_duration(), Some(left));
    assert_eq!([Ttl::Missing, Ttl::Persistent].map(Ttl::as_duration), [None, None]);
}

/// The prelude's names do not conflict with those of other crates, all imported by `*`.
mod names {
    #[allow(unused_imports)]
    use redis_rest::prelude::*;
    #[allow(unused_imports)]
    use tower_sessions_core::*;

    #[test]
    fn prelude_names_do_not_collide() {
        fn result() -> Result<Session, std::fmt::Error> {
            Err(std::fmt::Error)
        }
        assert!(result().is_err());
        let _ = cmd("GET");
        let _: fn(&str, &str) -> redis_rest::Result<Client> = |url, token| Client::new(url, token);
    }
}
