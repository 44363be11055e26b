use super::{Counts, counted, increments, secure, server};
use redis_rest_test_support::certificates::Certificates;
use redis_rest_test_support::nginx::Nginx;
use redis_rest_test_support::redis_test;

const CALLERS: usize = 300;

/// Closes the connection after `requests`, and allows at most `streams` concurrent streams on it.
async fn every_increment_succeeds(streams: usize, requests: usize, batched: bool, calls: usize) {
    let (server, direct) = server().await;
    let certificates = Certificates::new();
    let settings = format!(
        "http2_max_concurrent_streams {streams}; keepalive_requests {requests};
        location / {{ proxy_pass http://{}; proxy_http_version 1.1; }}",
        server.local_addr()
    );
    let nginx = redis_test!(Nginx::start_tls(&certificates, &settings));
    let config = secure(nginx.addr(), &certificates);
    let config = if batched { config } else { config.no_auto_batch() };
    let client = config.build().unwrap();
    if requests < 1000 {
        // All callers find the connection open. In the other cases each starts by opening one.
        client.ping().await.unwrap();
    }
    let began = std::time::Instant::now();
    let counts = increments(&client, CALLERS, calls).await;
    println!(
        "{streams} streams, {requests} requests, batched {batched}: {counts:?} in {:?}",
        began.elapsed()
    );
    let all = CALLERS * calls;
    assert_eq!(counts, Counts { ok: all, ..Counts::default() }, "{streams}, {requests}, {batched}");
    assert_eq!(counted(&direct).await, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_of_many_callers_survive_renewed_http2_connections() {
    for streams in [1, 128] {
        for requests in [3, 20, 100, 1000] {
            every_increment_succeeds(streams, requests, false, 1).await;
            every_increment_succeeds(streams, requests, true, 10).await;
        }
    }
}
