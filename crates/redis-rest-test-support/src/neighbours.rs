//! Callers who share one connection to Redis, and one of them who misbehaves.

use redis_rest::{Client, Error, Value, cmd};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

const INCREMENTS: usize = 2000;
const CALLERS: usize = 16;

/// A reply of 99 arrays within each other: as deep as a script can answer.
pub const DEEP: &str = "local t = {1} for i = 1, 200 do t = {t} end return t";

/// Runs `attack` over and over while others increment counters, and requires that every increment succeeds.
pub async fn are_undisturbed(client: &Client, attack: impl AsyncFn()) {
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
            // A refusal waits for nothing.
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

/// Asks for a reply that is too deep.
pub async fn ask_deep(client: &Client, key: &str) -> Error {
    let command = cmd("EVAL_RO").arg(DEEP).arg(1).arg(key);
    client.run::<Value>(command).await.unwrap_err()
}

/// Asks for a reply of so many bytes.
pub async fn ask_large(client: &Client, key: &str, bytes: usize) -> Error {
    let script = "return {'small', string.rep('x', ARGV[1])}";
    client.run::<Value>(cmd("EVAL_RO").arg(script).arg(1).arg(key).arg(bytes)).await.unwrap_err()
}

/// Commands after which Redis would close the connection, or turn it into another one.
pub const CONNECTION_ENDING: [&[&str]; 7] = [
    &["POST", "x"],
    &["post"],
    &["host:", "x"],
    &["Host:", "x"],
    &["pOsT\0behind", "x"],
    &["HOST:\0behind"],
    &["SCRIPT", "DEBUG", "YES"],
];
