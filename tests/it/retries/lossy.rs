use redis_rest::session::{RedisSessionStore, Session, SessionStoreExt as _};
use redis_rest::{Client, Error, Outcome, RetryPolicy, cmd};
use redis_rest_server::{DEFAULT_TOKEN, RunningServer};
use redis_rest_test_support::proxy::{Fault, Proxy};
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::time::Duration;

const TASKS: usize = 64;
const CALLS: usize = 1000;

/// A client whose replies get lost, a client that sees the stored data, and the servers that must
/// stay alive.
struct LossySetup {
    lossy: Client,
    clear: Client,
    proxy: Proxy,
    _server: RunningServer,
    _redis: Redis,
}

async fn setup(fault: Fault, per_mille: u64, timeout: Duration, batch: bool) -> Option<LossySetup> {
    let redis = Redis::start()?;
    let server = rest::serve(redis.backend().await).await;
    let proxy = Proxy::start(server.local_addr(), fault, per_mille).await;
    // The defaults, except for waits that would only prolong the test.
    let retry = RetryPolicy::default().backoff(Duration::from_millis(1), Duration::from_millis(5));
    let lossy =
        Client::builder().url(proxy.url()).token(DEFAULT_TOKEN).retry(retry).timeout(timeout);
    let lossy = if batch { lossy } else { lossy.no_auto_batch() }.build().unwrap();
    Some(LossySetup { lossy, clear: rest::client(&server), proxy, _server: server, _redis: redis })
}

/// Outcomes of calls.
#[derive(Default)]
struct Tally {
    ok: i64,
    maybe: i64,
    not: i64,
}

impl Tally {
    fn count(&mut self, result: Result<i64, Error>) {
        match result.map_err(|error| error.outcome()) {
            Ok(_) | Err(Outcome::Applied) => self.ok += 1,
            Err(Outcome::MaybeApplied) => self.maybe += 1,
            Err(Outcome::NotApplied) => self.not += 1,
        }
    }
}

/// Runs `calls` increments on `TASKS` tasks, `each` at a time.
async fn increments<F>(
    calls: usize,
    each: usize,
    call: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Tally
where
    F: Future<Output = Vec<Result<i64, Error>>> + Send + 'static,
{
    let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (next, call) = (next.clone(), call.clone());
            tokio::spawn(async move {
                let mut results = Vec::new();
                while next.fetch_add(each, std::sync::atomic::Ordering::Relaxed) < calls {
                    results.extend(call(each).await);
                }
                results
            })
        })
        .collect();
    let mut tally = Tally::default();
    for task in tasks {
        task.await.unwrap().into_iter().for_each(|result| tally.count(result));
    }
    tally
}

async fn incr(client: &Client, once: bool, each: usize) -> Vec<Result<i64, Error>> {
    if each == 1 {
        let call = client.incr("n");
        return vec![if once { call.exactly_once().await } else { call.await }];
    }
    let mut pipe = client.pipeline();
    let slots: Vec<_> = (0..each).map(|_| pipe.add(cmd::incr("n"))).collect();
    let pipe = if once { pipe.exactly_once() } else { pipe };
    match pipe.send().await {
        Ok(mut replies) => slots.into_iter().map(|slot| replies.take(slot)).collect(),
        Err(error) => slots.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// Every acknowledged increment counts once; uncertain ones are reported.
async fn add_up(fault: Fault, each: usize, timeout: Duration, batch: bool) {
    let setup = redis_test!(setup(fault, 200, timeout, batch).await);
    // Batches are few requests: enough of them that faults meet some.
    let calls = if batch { 5 * CALLS } else { CALLS };
    let client = setup.lossy.clone();
    let tally = increments(calls, each, move |each| {
        let client = client.clone();
        async move { incr(&client, false, each).await }
    })
    .await;
    let counter: i64 = setup.clear.get("n").await.unwrap();
    let told = format!(
        "{fault:?}: counter {counter}, ok {}, maybe {}, not {}",
        tally.ok, tally.maybe, tally.not
    );
    println!("{told}");
    assert_eq!(tally.ok + tally.maybe + tally.not, calls as i64, "{told}");
    assert!(counter >= tally.ok && counter <= tally.ok + tally.maybe, "{told}");
    assert!(setup.proxy.faults() > if batch { 0 } else { 10 }, "{told}");
    let executed_first = !matches!(fault, Fault::Limited429 | Fault::Refuse);
    assert!(
        !executed_first || tally.maybe > 0,
        "a lost reply of INCR is told, not papered over; {told}"
    );
    assert!(
        fault != Fault::Limited429 || tally.ok == calls as i64,
        "429 did not run it, so it goes again; {told}"
    );

    if batch {
        // The rest is not batched.
        return;
    }
    // With an id each counts exactly once, however often it is sent.
    setup.clear.del(["n"]).await.unwrap();
    let client = setup.lossy.clone();
    let tally = increments(CALLS, each, move |each| {
        let client = client.clone();
        async move { incr(&client, true, each).await }
    })
    .await;
    let counter: i64 = setup.clear.get("n").await.unwrap();
    assert_eq!((tally.ok, counter), (CALLS as i64, CALLS as i64), "{fault:?}");
}

macro_rules! faults {
    ($($name:ident: $fault:ident, $each:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for batch in [true, false] {
                add_up(Fault::$fault, $each, Duration::from_secs(5), batch).await;
            }
        }
    )*};
}
faults! {
    increments_add_up_when_connections_close: Drop, 1;
    increments_add_up_when_connections_are_reset: Reset, 1;
    increments_add_up_when_replies_are_cut: Half, 1;
    increments_add_up_when_proxies_answer_500: Empty500, 1;
    increments_add_up_when_503_comes_after_the_execution: Busy503, 1;
    increments_add_up_when_rate_limited: Limited429, 1;
    increments_add_up_when_requests_are_dropped: Refuse, 1;
    pipelines_add_up_when_connections_close: Drop, 10;
    pipelines_add_up_when_replies_are_cut: Half, 10;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_add_up_when_replies_are_held() {
    for batch in [true, false] {
        add_up(Fault::Hold, 1, Duration::from_millis(400), batch).await;
    }
}

/// Stores, updates and deletes may all run twice, so with default settings they all succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sessions_end_exactly_right() {
    // With batches, and without.
    for fault in [Fault::Drop, Fault::Half] {
        let batch = fault == Fault::Drop;
        let setup = redis_test!(setup(fault, 200, Duration::from_secs(5), batch).await);
        let lossy = RedisSessionStore::new(setup.lossy.clone(), Duration::from_secs(3600));
        let tasks: Vec<_> = (0..20)
            .map(|task| {
                let store = lossy.clone();
                tokio::spawn(async move {
                    let mut kept = Vec::new();
                    for n in 0..50 {
                        let mut session = Session::new(format!("user-{}", task % 4)).org_id("org");
                        store.store_session(&session).await.unwrap();
                        session.system_prompt = "updated".into();
                        store.update_session(&session).await.unwrap();
                        if n % 2 == 0 {
                            store.delete_session(&session.id).await.unwrap();
                        } else {
                            kept.push(session.id);
                        }
                    }
                    kept
                })
            })
            .collect();
        let mut wanted = std::collections::BTreeSet::new();
        for task in tasks {
            wanted.extend(task.await.unwrap());
        }
        let clear = RedisSessionStore::new(setup.clear.clone(), Duration::from_secs(3600));
        let mut found = std::collections::BTreeSet::new();
        for user in 0..4 {
            let list = clear.list_sessions(&format!("user-{user}")).await.unwrap();
            assert!(
                list.corrupt == 0
                    && list.sessions.iter().all(|session| session.system_prompt == "updated")
            );
            assert_eq!(
                clear.cleanup_expired_sessions(&format!("user-{user}")).await.unwrap(),
                0,
                "no entry without a session"
            );
            found.extend(list.into_iter().map(|session| session.id));
        }
        assert!(found == wanted, "{fault:?}");
        assert!(setup.proxy.faults() > if fault == Fault::Drop { 3 } else { 400 });
    }
}
