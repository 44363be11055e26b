//! Callers that share one connection to Redis while one of them misbehaves.

use redis_rest::{Client, Error, Value, cmd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

const INCREMENTS: usize = 2000;
const CALLERS: usize = 16;
/// The attacks that the increments must have met at least.
const ATTACKS: usize = 10;

/// A script that returns 99 nested arrays, the deepest reply that a script can return.
pub const DEEP: &str = "local t = {1} for i = 1, 200 do t = {t} end return t";

/// Runs `attack` repeatedly while others increment counters, and requires every increment to
/// succeed. The others go on until a number of attacks has met them.
pub async fn assert_unaffected(client: &Client, attack: impl AsyncFn()) {
    let done = AtomicBool::new(false);
    let attacks = Arc::new(AtomicUsize::new(0));
    let increments = async {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let client = client.clone();
            let attacks = Arc::clone(&attacks);
            callers.spawn(async move {
                let mut made = 0;
                let mut failed = 0;
                while made < INCREMENTS / CALLERS || attacks.load(Ordering::Relaxed) < ATTACKS {
                    let key = format!("counter:{}", (caller + made) % CALLERS);
                    failed += usize::from(client.incr(key).await.is_err());
                    made += 1;
                }
                (made, failed)
            });
        }
        let results = callers.join_all().await;
        done.store(true, Ordering::Relaxed);
        results.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    };
    let attacking = async {
        while !done.load(Ordering::Relaxed) {
            attack().await;
            attacks.fetch_add(1, Ordering::Relaxed);
            // A refusal returns without waiting.
            tokio::task::yield_now().await;
        }
    };
    let ((made, failed), ()) = tokio::join!(increments, attacking);
    let mut sum = 0;
    for counter in 0..CALLERS {
        sum += client.get::<usize>(format!("counter:{counter}")).await.unwrap();
    }
    assert_eq!((failed, sum), (0, made), "failed, counted");
}

/// Requests a reply that is nested too deeply.
pub async fn request_deep_reply(client: &Client, key: &str) -> Error {
    let command = cmd("EVAL_RO").arg(DEEP).arg(1).arg(key);
    client.run::<Value>(command).await.unwrap_err()
}

/// Requests a reply of `bytes` bytes.
pub async fn request_large_reply(client: &Client, key: &str, bytes: usize) -> Error {
    let script = "return {'small', string.rep('x', ARGV[1])}";
    client.run::<Value>(cmd("EVAL_RO").arg(script).arg(1).arg(key).arg(bytes)).await.unwrap_err()
}

/// Commands after which Redis would close the connection or change its state.
pub const CONNECTION_ENDING: [&[&str]; 7] = [
    &["POST", "x"],
    &["post"],
    &["host:", "x"],
    &["Host:", "x"],
    &["pOsT\0behind", "x"],
    &["HOST:\0behind"],
    &["SCRIPT", "DEBUG", "YES"],
];
