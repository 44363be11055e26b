//! Callers that share one connection to Redis while one of them misbehaves.

use redis_rest::{Client, Error, Value, cmd};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

const INCREMENTS: usize = 2000;
const CALLERS: usize = 16;

/// A script that returns 99 nested arrays, the deepest reply that a script can return.
pub const DEEP: &str = "local t = {1} for i = 1, 200 do t = {t} end return t";

/// Runs `attack` repeatedly while others increment counters, and requires every increment to
/// succeed.
pub async fn assert_unaffected(client: &Client, attack: impl AsyncFn()) {
    let done = AtomicBool::new(false);
    let increments = async {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let client = client.clone();
            callers.spawn(async move {
                let mut failed = 0;
                for n in 0..INCREMENTS / CALLERS {
                    let key = format!("counter:{}", (caller + n) % CALLERS);
                    failed += usize::from(client.incr(key).await.is_err());
                }
                failed
            });
        }
        let failed: usize = callers.join_all().await.into_iter().sum();
        done.store(true, Ordering::Relaxed);
        failed
    };
    let attacks = async {
        let mut attacks = 0;
        while !done.load(Ordering::Relaxed) {
            attack().await;
            attacks += 1;
            // A refusal returns without waiting.
            tokio::task::yield_now().await;
        }
        attacks
    };
    let (failed, attacks) = tokio::join!(increments, attacks);
    assert!(attacks >= 10, "{attacks} attacks met the others");
    let mut sum = 0;
    for counter in 0..CALLERS {
        sum += client.get::<usize>(format!("counter:{counter}")).await.unwrap();
    }
    assert_eq!((failed, sum), (0, INCREMENTS), "failed, counted; {attacks} attacks");
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
