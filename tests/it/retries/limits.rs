//! Limits of retries: deadline, `Retry-After`, attempts, budget, the connect timeout, and
//! cancellation.

use redis_rest::{Error, ErrorKind, Idempotency, Outcome, RetryPolicy, Script, Value, cmd};
use redis_rest_test_support::scripted::{
    Scripted, ScriptedResponse, redis_error, respond, respond_retry_after,
};
use std::time::Duration;
use tokio::time::Instant;

fn fails(kind: ErrorKind, outcome: Outcome) -> ScriptedResponse {
    ScriptedResponse::Fail(Error::custom(kind, outcome, "scripted"))
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_hung_server_costs_the_deadline_exactly() {
    let transport = Scripted::sequence([ScriptedResponse::Never]);
    let client = transport.config().build().unwrap();
    for (deadline, timeout, attempts) in [(15, 5, 3), (15, 60, 1), (4, 5, 1)] {
        let started = Instant::now();
        let call = client.get::<Value>("k").deadline(deadline * SECOND).timeout(timeout * SECOND);
        let error = call.await.unwrap_err();
        // Exact except for the clock's millisecond.
        let took = started.elapsed();
        assert!(
            took >= deadline * SECOND - Duration::from_millis(1) - 2 * SECOND
                && took <= deadline * SECOND + Duration::from_millis(2),
            "{took:?}"
        );
        assert!(
            error.is_timeout() && error.attempts() >= 1 && error.attempts() <= attempts,
            "{error:?}"
        );
    }
    // Without backoff in between it is exactly the deadline.
    let client = transport
        .config()
        .retry(RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO))
        .build()
        .unwrap();
    let started = Instant::now();
    let error =
        client.get::<Value>("k").deadline(7 * SECOND).timeout(2 * SECOND).await.unwrap_err();
    assert!(
        started.elapsed().abs_diff(7 * SECOND) <= Duration::from_millis(10),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        (error.attempts(), error.is_timeout()),
        (4, true),
        "the last attempt got what was left"
    );
    // A non-retry-safe write costs one timeout.
    let started = Instant::now();
    let error = client.incr("k").timeout(2 * SECOND).await.unwrap_err();
    assert!(started.elapsed() <= 2 * SECOND + Duration::from_millis(2) && error.maybe_applied());
}

#[tokio::test(start_paused = true)]
async fn retry_after_sets_the_wait_within_the_deadline() {
    let transport = Scripted::sequence([
        respond_retry_after(429, "3", ""),
        respond_retry_after(503, "4", ""),
        respond(200, r#"{"result":"v"}"#),
    ]);
    let client = transport.config().build().unwrap();
    let started = Instant::now();
    assert_eq!(client.get::<String>("k").await.unwrap(), "v");
    assert!(
        started.elapsed().abs_diff(7 * SECOND) <= Duration::from_millis(4),
        "{:?}",
        started.elapsed()
    );
    // Beyond the deadline there is nothing to wait for.
    for (answer, wait) in [
        (respond_retry_after(429, "15", ""), 15),
        (respond_retry_after(503, "3600", ""), 3600),
        (respond_retry_after(429, "18446744073709551615", ""), u64::MAX),
    ] {
        let transport = Scripted::sequence([answer]);
        let started = Instant::now();
        let error = transport.config().build().unwrap().get::<Value>("k").await.unwrap_err();
        assert_eq!((error.attempts(), error.retry_after()), (1, Some(Duration::from_secs(wait))));
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
    // A date or nonsense is no wait.
    for text in ["Wed, 21 Oct 2015 07:28:00 GMT", "-1", "soon", "1.5"] {
        let transport = Scripted::sequence([
            respond_retry_after(429, text, ""),
            respond(200, r#"{"result":1}"#),
        ]);
        assert_eq!(transport.config().build().unwrap().incr("k").await.unwrap(), 1, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_ten_attempts() {
    let transport = Scripted::sequence([respond(503, "")]);
    let policy = RetryPolicy::default().backoff(Duration::from_millis(1), Duration::from_millis(1));
    let error =
        transport.config().retry(policy).build().unwrap().get::<Value>("k").await.unwrap_err();
    assert_eq!((error.attempts(), transport.count()), (10, 10));
}

/// The figure in docs/retries.md.
#[tokio::test(start_paused = true)]
async fn an_outage_gets_a_fifth_more_load_at_most() {
    const CALLS: usize = 20_000;
    let transport = Scripted::sequence([respond(503, "")]);
    // Each call is a request.
    let client = transport.config().no_auto_batch().build().unwrap();
    let mut warm_up = 0;
    while client.get::<Value>("k").await.unwrap_err().attempts() > 1 {
        warm_up += 1;
    }
    println!("the 500 retries to start with lasted for {warm_up} calls");
    let before = transport.count();
    let mut tasks = tokio::task::JoinSet::new();
    // A client's clones share the budget.
    for client in vec![client; 64] {
        tasks.spawn(async move {
            for _ in 0..CALLS / 64 {
                client.get::<Value>("k").await.unwrap_err();
            }
        });
    }
    tasks.join_all().await;
    let (calls, requests) = (CALLS / 64 * 64, transport.count() - before);
    println!(
        "{requests} requests for {calls} calls: {:.4} times the load",
        requests as f64 / calls as f64
    );
    // The rest of the budget was less than one retry.
    assert!(requests <= calls * 12 / 10 + 1, "{requests} requests for {calls} calls");
    assert!(requests > calls, "and yet some were tried again");
}

#[tokio::test(start_paused = true)]
async fn clients_have_separate_retry_budgets() {
    let down = Scripted::sequence([respond(503, "")]);
    let config = down.config();
    let client = config.clone().build().unwrap();
    while client.get::<Value>("k").await.unwrap_err().attempts() > 1 {}
    let hiccup = Scripted::sequence([respond(503, ""), respond(200, r#"{"result":7}"#)]);
    let other = config.transport(hiccup.clone()).build().unwrap();
    assert_eq!(other.get::<i64>("k").await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn unsent_requests_are_tried_until_the_connect_timeout() {
    let refused = fails(ErrorKind::Connect, Outcome::NotApplied);
    let transport = Scripted::sequence([
        refused.clone(),
        refused.clone(),
        refused.clone(),
        respond(200, r#"{"result":7}"#),
    ]);
    assert_eq!(transport.config().build().unwrap().incr("k").await.unwrap(), 7, "any command");
    let transport = Scripted::sequence([refused]);
    for limit in [SECOND, 3 * SECOND] {
        for _ in 0..50 {
            let started = Instant::now();
            let client = transport.config().connect_timeout(limit).build().unwrap();
            let error = client.incr("k").await.unwrap_err();
            assert!(started.elapsed() <= limit, "{:?}", started.elapsed());
            assert!(
                error.is_connect()
                    && error.attempts() > 1
                    && error.outcome() == Outcome::NotApplied,
                "{error:?}"
            );
        }
    }
}

/// Uses real sockets and a real clock.
#[tokio::test]
async fn a_cold_call_to_a_dead_port_fails_within_the_connect_timeout() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let limit = Duration::from_millis(300);
    let client = redis_rest::Client::builder()
        .url(format!("http://127.0.0.1:{port}"))
        .token("t")
        .connect_timeout(limit)
        .build()
        .unwrap();
    let started = Instant::now();
    let error = client.incr("k").await.unwrap_err();
    assert!(error.is_connect() && error.outcome() == Outcome::NotApplied, "{error:?}");
    // Far below the deadline of 15 s; the slack is for a busy machine.
    assert!(started.elapsed() < limit + SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn cancelled_call_cancels_its_request() {
    let transport = Scripted::sequence([ScriptedResponse::Never]);
    let client = transport.config().build().unwrap();
    let (mut pipe, mut tx) = (client.pipeline(), client.transaction());
    let _ = (pipe.add(cmd::get::<Value>("k")), tx.add(cmd::get::<Value>("k")));
    // Dropped while the request is in flight.
    assert!(tokio::time::timeout(SECOND, client.get::<Value>("k")).await.is_err());
    assert_eq!((transport.count(), transport.dropped()), (1, 1));
    assert!(tokio::time::timeout(SECOND, pipe.send()).await.is_err());
    assert!(tokio::time::timeout(SECOND, tx.send()).await.is_err());
    assert_eq!((transport.count(), transport.dropped()), (3, 3));
    // Dropped in the wait between two attempts: no other follows.
    let transport = Scripted::sequence([respond_retry_after(429, "5", "")]);
    let client = transport.config().build().unwrap();
    assert!(tokio::time::timeout(SECOND, client.get::<Value>("k")).await.is_err());
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(transport.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_that_of_all_attempts() {
    let refused = fails(ErrorKind::Connect, Outcome::NotApplied);
    let broke = fails(ErrorKind::Io, Outcome::MaybeApplied);
    // A command that may have run still may have, whatever the later attempts return.
    for later in [
        refused.clone(),
        respond(429, ""),
        redis_error(200, "LOADING Redis is loading"),
        redis_error(400, "BUSYGROUP exists"),
    ] {
        let transport = Scripted::sequence([broke.clone(), later]);
        let client = transport.config().build().unwrap();
        let error = client.del(["k"]).await.unwrap_err();
        assert!(error.maybe_applied() && error.attempts() > 1, "{error:?}");
        let transport = Scripted::sequence([broke.clone(), refused.clone()]);
        let error = transport.config().build().unwrap().get::<Value>("k").await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotApplied, "read-only: {error:?}");
    }
    // A first refusal allows a retry of any command; an attempt that may have run then stops it.
    let transport = Scripted::sequence([respond(429, ""), broke.clone(), refused]);
    let error = transport.config().build().unwrap().incr("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
    assert_eq!(error.attempts(), 2);
    // A read-only script was not applied, whichever part of it failed.
    let script =
        Script::new("return redis.call('GET', KEYS[1])").idempotency(Idempotency::ReadOnly);
    for answer in [
        redis_error(200, "WRONGTYPE Operation script: 1a2b, on @user_script:1."),
        redis_error(200, "WRONGTYPE Operation"),
        broke,
    ] {
        let transport = Scripted::sequence([answer]);
        let error = script
            .key("k")
            .call::<Value>()
            .on(&transport.config().build().unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error:?}");
    }
}

/// Some servers respond 500 to a request that is too large for them.
#[tokio::test(start_paused = true)]
async fn large_requests_are_sent_twice_at_most_after_500() {
    let transport = Scripted::sequence([respond(500, "")]);
    let policy = RetryPolicy::default().max_attempts(5);
    let client = transport.config().retry(policy).build().unwrap();
    for (bytes, attempts) in [(10, 5), (1_100_000, 2)] {
        let error = client.set("k", vec![b'x'; bytes]).await.unwrap_err();
        assert_eq!(error.attempts(), attempts, "{bytes} bytes");
    }
}
