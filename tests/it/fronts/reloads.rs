use super::{Counts, counted, plain, secure, server};
use redis_rest::Config;
use redis_rest_test_support::certificates::Certificates;
use redis_rest_test_support::haproxy::Haproxy;
use redis_rest_test_support::nginx::Nginx;
use redis_rest_test_support::process::until;
use redis_rest_test_support::redis_test;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const CALLERS: usize = 32;
const RELOADS: usize = 3;

/// Makes increments while the front is reloaded, and returns their outcomes.
async fn under_reloads(config: Config, reload: impl Fn()) -> Counts {
    let client = config.build().unwrap();
    let (over, succeeded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (client, over) = (client.clone(), Arc::clone(&over));
        let succeeded = Arc::clone(&succeeded);
        callers.spawn(async move {
            let mut counts = Counts::default();
            while !over.load(Ordering::Relaxed) {
                let result = client.incr("n").await;
                match &result {
                    Ok(_) => drop(succeeded.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => println!("{error:?}"),
                }
                counts.add(&result);
            }
            counts
        });
    }
    // Each reload finds calls in flight, and so does the worker after it.
    let goes_on = || {
        let before = succeeded.load(Ordering::Relaxed);
        until("calls go on", || succeeded.load(Ordering::Relaxed) >= before + CALLERS);
    };
    tokio::task::block_in_place(|| {
        goes_on();
        for _ in 0..RELOADS {
            reload();
            goes_on();
        }
    });
    over.store(true, Ordering::Relaxed);
    Counts::sum(callers.join_all().await)
}

/// Asserts that the counter includes every successful increment, and of the others only those that
/// may have been applied.
async fn adds_up(direct: &redis_rest::Client, counts: Counts, case: &str) {
    let held = counted(direct).await;
    println!("{case}: {counts:?}, the counter holds {held}");
    assert!(
        held >= counts.ok && held <= counts.ok + counts.maybe_applied,
        "{case}: {held}, {counts:?}"
    );
    assert_eq!(counts.not_applied, 0, "{case}: what was not applied goes again");
    direct.del(["n"]).await.unwrap();
}

fn cases(addr: SocketAddr, certificates: Option<&Certificates>) -> [(bool, Config); 2] {
    let config = || match certificates {
        Some(certificates) => secure(addr, certificates),
        None => plain(addr),
    };
    [(true, config()), (false, config().no_auto_batch())]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn reloads_of_nginx_under_load_lose_and_repeat_nothing() {
    let (server, direct) = server().await;
    let certificates = Certificates::new();
    let locations = format!(
        "location / {{ proxy_pass http://{}; proxy_http_version 1.1; }}",
        server.local_addr()
    );
    for tls in [Some(&certificates), None] {
        let started = match tls {
            Some(certificates) => Nginx::start_tls(certificates, &locations),
            None => Nginx::start(&locations),
        };
        let nginx = redis_test!(started);
        for (batched, config) in cases(nginx.addr(), tls) {
            let counts = under_reloads(config, || nginx.reload()).await;
            let case = format!("nginx, HTTP/2 {}, batched {batched}", tls.is_some());
            adds_up(&direct, counts, &case).await;
            // On HTTP/2 the old worker completes open requests before it ends.
            assert!(tls.is_none() || counts.maybe_applied == 0, "{case}: {counts:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn reloads_of_haproxy_under_load_lose_and_repeat_nothing() {
    let (server, direct) = server().await;
    let certificates = Certificates::new();
    for tls in [Some(&certificates), None] {
        let started = Haproxy::start(server.local_addr(), tls, "");
        let haproxy = redis_test!(started);
        for (batched, config) in cases(haproxy.addr(), tls) {
            let counts = under_reloads(config, || haproxy.reload()).await;
            let case = format!("haproxy, HTTP/2 {}, batched {batched}", tls.is_some());
            adds_up(&direct, counts, &case).await;
            assert!(tls.is_none() || counts.maybe_applied == 0, "{case}: {counts:?}");
        }
    }
}
