use super::{Counts, counted, plain, server};
use redis_rest_test_support::haproxy::Haproxy;
use redis_rest_test_support::redis_test;
use std::time::Duration;

/// Pauses of every length around the time after which the front closes.
#[tokio::test]
async fn connections_are_given_up_before_haproxy_closes_them() {
    const CALLERS: usize = 8;
    const CALLS: usize = 20;
    let (server, direct) = server().await;
    let settings = "timeout http-keep-alive 300ms";
    let haproxy = redis_test!(Haproxy::start(server.local_addr(), None, settings));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let config = plain(haproxy.addr()).no_auto_batch();
        let client = config.pool_idle_timeout(Duration::from_millis(150)).build().unwrap();
        callers.spawn(async move {
            let mut counts = Counts::default();
            for call in 0..CALLS {
                counts.add(&client.incr("n").await);
                let pause = 100 + 13 * ((call + caller) as u64 % 20);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            counts
        });
    }
    let counts = Counts::sum(callers.join_all().await);
    assert_eq!(counts, Counts { ok: CALLERS * CALLS, ..Counts::default() });
    assert_eq!(counted(&direct).await, CALLERS * CALLS);
}
