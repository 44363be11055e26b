//! Faults by a seeded schedule: between each manager and its server, and in Redis itself.

use redis_rest_test_support::proxy::{Fault, Proxy};
use redis_rest_test_support::redis::Redis;
use std::time::Duration;

/// Longest time for which a request is delayed. Deadlines may move by as much: Redis counts a time
/// to live from its arrival.
const LATEST: u64 = 600;

/// Injects faults until the time is over, and then repairs everything. Returns the number of
/// faults.
pub async fn run(
    mut rng: fastrand::Rng,
    proxies: &[Proxy],
    redis: &mut Redis,
    time: Duration,
) -> u64 {
    let end = tokio::time::Instant::now() + time;
    let mut count = 0;
    while tokio::time::Instant::now() < end {
        count += 1;
        let lasts = Duration::from_millis(rng.u64(20..LATEST));
        match rng.u8(0..20) {
            0 => {
                redis.stop();
                tokio::time::sleep(lasts).await;
                redis.restart();
            }
            1 => {
                redis.hold(true);
                tokio::time::sleep(lasts).await;
                redis.hold(false);
            }
            2 => during(redis, "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", lasts).await,
            3 => during(redis, "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", lasts).await,
            4 => {
                // All at once: no server is reachable.
                proxies.iter().for_each(|proxy| proxy.listen(false));
                tokio::time::sleep(lasts).await;
                proxies.iter().for_each(|proxy| proxy.listen(true));
            }
            5..8 => {
                let proxy = &proxies[rng.usize(..proxies.len())];
                proxy.listen(false);
                tokio::time::sleep(lasts).await;
                proxy.listen(true);
            }
            _ => {
                let proxy = &proxies[rng.usize(..proxies.len())];
                let faults = [
                    Fault::Drop,
                    Fault::Reset,
                    Fault::Half,
                    Fault::Empty500,
                    Fault::Busy503,
                    Fault::Hold,
                    Fault::Limited429,
                    Fault::Refuse,
                    Fault::Html502,
                    Fault::Late(rng.u64(10..LATEST)),
                ];
                proxy.set(faults[rng.usize(..faults.len())], [50, 300, 1000][rng.usize(..3)]);
                tokio::time::sleep(lasts).await;
                if rng.bool() {
                    proxy.set(Fault::Drop, 0);
                }
            }
        }
        if rng.u8(0..4) == 0 {
            // A while without faults, so that missed changes are sent.
            proxies.iter().for_each(|proxy| proxy.set(Fault::Drop, 0));
            tokio::time::sleep(Duration::from_millis(rng.u64(50..300))).await;
        }
    }
    proxies.iter().for_each(|proxy| proxy.set(Fault::Drop, 0));
    count
}

async fn during(redis: &Redis, begin: &str, end: &str, time: Duration) {
    redis.control(begin);
    tokio::time::sleep(time).await;
    redis.control(end);
}
