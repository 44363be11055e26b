//! Values of metrics.

use super::Recorded;
use redis_rest::backend::Failover;
use redis_rest::session::{InMemorySessionStore, Session, SessionStoreExt as _};
use redis_rest::{BreakerPolicy, Client, Error, ErrorKind, Outcome, RetryPolicy, Value, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::rest;
use redis_rest_test_support::scripted::{Scripted, ScriptedResponse, redis_error, respond};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const CALLS: &str = "redis_rest_client_calls_total";
const DURATION: &str = "db_client_operation_duration_seconds_count";
const ATTEMPTS: &str = "redis_rest_client_attempt_duration_seconds_count";
const RETRIES: &str = "redis_rest_client_retries_total";
const IN_FLIGHT: &str = "redis_rest_client_requests_in_flight";

fn lost() -> ScriptedResponse {
    ScriptedResponse::Fail(Error::custom(
        ErrorKind::Io,
        Outcome::MaybeApplied,
        "the connection broke",
    ))
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_and_a_retry() {
    let recorded = Recorded::here();
    let client = Scripted::sequence([lost()]).config().build().unwrap();
    client.incr("n").await.unwrap_err();
    let incr = r#"db_operation_name="INCR""#;
    assert_eq!(recorded.value(CALLS, &[incr, r#"outcome="maybe_applied""#]), 1.0);
    assert_eq!(
        recorded.value(DURATION, &[incr, r#"error_type="io""#, r#"db_system_name="redis""#]),
        1.0
    );
    assert_eq!(
        (recorded.value(ATTEMPTS, &[]), recorded.value(RETRIES, &[])),
        (1.0, 0.0),
        "it may have run"
    );

    let client =
        Scripted::sequence([respond(502, "<html>"), lost(), respond(200, r#"{"result":"x"}"#)])
            .config()
            .build()
            .unwrap();
    let _: String = client.get("k").await.unwrap();
    assert_eq!(recorded.value(CALLS, &[r#"db_operation_name="GET""#, r#"outcome="ok""#]), 1.0);
    assert_eq!(recorded.value(RETRIES, &[r#"error_type="http""#]), 1.0);
    assert_eq!(recorded.value(RETRIES, &[r#"error_type="io""#]), 1.0);
    assert_eq!(recorded.value(ATTEMPTS, &[]), 4.0);
    assert_eq!(recorded.value(ATTEMPTS, &["error_type"]), 3.0);

    let client = Scripted::sequence([redis_error(400, "WRONGTYPE x")]).config().build().unwrap();
    client.get::<String>("k").await.unwrap_err();
    assert_eq!(
        recorded.value(CALLS, &[r#"db_operation_name="GET""#, r#"outcome="not_applied""#]),
        1.0
    );
    assert_eq!(recorded.value(IN_FLIGHT, &[]), 0.0);
    // Waits between attempts are part of a call, by the runtime's clock.
    assert!(
        recorded.value("db_client_operation_duration_seconds_sum", &[]) < 0.2,
        "{}",
        recorded.text()
    );
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_retries_and_connection_failures() {
    let recorded = Recorded::here();
    let refused =
        ScriptedResponse::Fail(Error::custom(ErrorKind::Connect, Outcome::NotApplied, "refused"));
    let policy =
        RetryPolicy::default().max_attempts(u32::MAX).backoff(Duration::ZERO, Duration::ZERO);
    let client = Scripted::sequence([refused]).config().retry(policy).build().unwrap();
    client.get::<String>("k").await.unwrap_err();
    assert_eq!(recorded.value(RETRIES, &[r#"error_type="connect""#]), 500.0);
    assert_eq!(recorded.value("redis_rest_client_retries_refused_total", &[]), 1.0);
    assert_eq!(recorded.value("redis_rest_client_connection_failures_total", &[]), 501.0);
}

#[tokio::test(start_paused = true)]
async fn request_is_in_flight_until_it_ends_or_is_cancelled() {
    let recorded = Recorded::here();
    let client = Scripted::sequence([ScriptedResponse::Never]).config().build().unwrap();
    let mut call = Box::pin(async { client.get::<String>("k").await });
    assert!(tokio::time::timeout(Duration::from_millis(1), call.as_mut()).await.is_err());
    assert_eq!(recorded.value(IN_FLIGHT, &[]), 1.0);
    drop(call);
    assert_eq!(recorded.value(IN_FLIGHT, &[]), 0.0);
    assert_eq!(recorded.value(CALLS, &[]), 0.0);
    assert_eq!(recorded.value(ATTEMPTS, &[]), 0.0);
}

#[tokio::test]
async fn batches_of_every_kind() {
    let recorded = Recorded::here();
    let server = rest::serve(MemoryBackend::new()).await;
    let client = rest::client(&server);
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.incr("n").await.unwrap() })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let size = |part: &str, kind: &str| {
        recorded
            .value(&format!("redis_rest_client_batch_size_{part}"), &[&format!("kind={kind:?}")])
    };
    // The first goes alone, the others together.
    assert_eq!((size("count", "auto"), size("sum", "auto")), (1.0, 4.0), "{}", recorded.text());
    assert_eq!(recorded.value(CALLS, &[r#"db_operation_name="INCR""#]), 5.0);
    assert_eq!(recorded.value(ATTEMPTS, &[]), 2.0);

    let mut pipe = client.pipeline();
    let _ = (0..3).map(|_| pipe.add(cmd::incr("n"))).collect::<Vec<_>>();
    pipe.send().await.unwrap().all::<Value>().unwrap();
    let mut transaction = client.transaction();
    let _ = (transaction.add(cmd::incr("n")), transaction.add(cmd::get::<Value>("n")));
    transaction.send().await.unwrap().all::<Value>().unwrap();
    assert_eq!((size("count", "pipeline"), size("sum", "pipeline")), (1.0, 3.0));
    assert_eq!((size("count", "transaction"), size("sum", "transaction")), (1.0, 2.0));
    assert_eq!(recorded.value(CALLS, &[r#"db_operation_name="PIPELINE""#]), 1.0);
    assert_eq!(recorded.value(CALLS, &[r#"db_operation_name="MULTI""#]), 1.0);
    let mut pipe = client.pipeline();
    let _ = pipe.add(cmd::get::<Value>("n"));
    pipe.send().await.unwrap().all::<Value>().unwrap();
    assert_eq!(
        recorded.value(CALLS, &[r#"db_operation_name="GET""#]),
        1.0,
        "a batch of one is its command"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failover() {
    let recorded = Recorded::here();
    let down = Scripted::sequence([lost()]).config().no_retry().build().unwrap();
    let policy = BreakerPolicy::default()
        .min_calls(1)
        .open_for(Duration::from_secs(1), Duration::from_secs(1));
    let failover =
        Failover::with_policy(down.backend().clone(), Arc::new(MemoryBackend::new()), policy);
    let client = Client::from_backend(failover);
    let _: Option<String> = client.get("k").await.unwrap();
    let opened = &[r#"breaker="failover""#, r#"state="open""#];
    assert_eq!(recorded.value("redis_rest_breaker_transitions_total", opened), 1.0);
    assert_eq!(recorded.value("redis_rest_breaker_instances", opened), 1.0);
}

#[tokio::test]
async fn the_memory_of_in_memory_stores() {
    let recorded = Recorded::here();
    let entries = || recorded.value("redis_rest_session_memory_entries", &[]) as usize;
    let bytes = || recorded.value("redis_rest_session_memory_usage_bytes", &[]) as usize;
    let (store, other) =
        (InMemorySessionStore::with_limits(HOUR, 3, 1 << 20), InMemorySessionStore::new(HOUR));
    let sessions: Vec<_> = (0..5).map(|_| Session::new("user").org_id("org")).collect();
    for session in &sessions {
        store.store_session(session).await.unwrap();
    }
    other.store_session(&sessions[0]).await.unwrap();
    assert_eq!(
        (entries(), bytes()),
        (4, store.bytes() + other.bytes()),
        "the two add up, and two were evicted"
    );
    let mut longer = sessions[4].clone();
    longer.system_prompt = "x".repeat(1000);
    store.update_session(&longer).await.unwrap();
    assert!(store.delete_session(&sessions[3].id).await.unwrap());
    assert_eq!((entries(), bytes()), (3, store.bytes() + other.bytes()));
    store.advance(HOUR + HOUR);
    assert_eq!(store.cleanup_expired_sessions("user").await.unwrap(), 2);
    assert_eq!(recorded.value("redis_rest_session_expired_total", &[r#"place="memory""#]), 2.0);
    assert_eq!((entries(), bytes()), (1, other.bytes()));
    drop((store, other));
    assert_eq!((entries(), bytes()), (0, 0));
}
