//! A real server's decoded replies, through client, pipeline and transaction.

use super::cases::{self, Case, Reply};
use redis_rest::{Client, Command, Error, Value, cmd};
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;

/// Initial data of every case; parts are separated by spaces.
const SEED: &[&str] = &[
    "SET s hello",
    "SET n 10",
    "SET bits foobar",
    "SET lock v EX 1000",
    "HSET h a 1 b two",
    "RPUSH l a b c b",
    "SADD s1 a b c",
    "SADD s2 b c d",
    "ZADD z 1 a 2 b 3 c",
    "ZADD z2 10 b 20 d",
    "ZADD lex 0 a 0 b 0 c",
    "XADD x 1-1 f v",
    "XADD x 2-1 f w",
    "XGROUP CREATE x g 0",
    "XREADGROUP GROUP g c COUNT 1 STREAMS x >",
    "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "PFADD hll a b c",
    "SCRIPT LOAD return 1",
];

fn line(text: &str) -> Command {
    if let Some(script) = text.strip_prefix("SCRIPT LOAD ") {
        return cmd("SCRIPT LOAD").arg(script);
    }
    let mut parts = text.split(' ');
    parts.clone().skip(1).fold(cmd(parts.next().unwrap()), Command::arg)
}

async fn seed(client: &Client) {
    let mut pipe = client.pipeline();
    let _ = pipe.add_raw::<Value>(cmd("FLUSHALL"));
    for text in SEED {
        let _ = pipe.add_raw::<Value>(line(text));
    }
    let _ = pipe.add_raw::<Value>(cmd("FUNCTION LOAD").arg("REPLACE").arg(cases::LIBRARY));
    pipe.send().await.unwrap().all::<Value>().unwrap();
}

/// Returns a version as numbers, for comparison.
fn version(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

fn since(case: &Case) -> &'static str {
    case.since.unwrap_or(case.row().since)
}

/// Returns the results of the three ways to send a command.
async fn three_ways(client: &Client, case: &Case) -> [Result<Value, Error>; 3] {
    seed(client).await;
    let alone = client.run::<Value>(case.command.clone()).await;
    seed(client).await;
    let mut pipe = client.pipeline();
    let slot = pipe.add_raw::<Value>(case.command.clone());
    let piped = match pipe.send().await {
        Ok(mut replies) => replies.take(slot),
        Err(error) => Err(error),
    };
    seed(client).await;
    let mut transaction = client.transaction();
    let slot = transaction.add_raw::<Value>(case.command.clone());
    let in_transaction = match transaction.send().await {
        Ok(mut replies) => replies.take(slot),
        Err(error) => Err(error),
    };
    [alone, piped, in_transaction]
}

#[tokio::test]
async fn every_command_replies_through_client_pipeline_and_transaction() {
    let redis = redis_test!();
    let native = Client::from_backend(redis.backend().await);
    let server = rest::serve(redis.backend().await).await;
    let client = rest::client(&server);
    let info: String = client.info().section("server").await.unwrap();
    let running = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"))
        .and_then(version)
        .unwrap();
    let (mut ran, mut wrong) = (0, Vec::new());
    for case in cases::all() {
        // Modules, vendor extensions, and commands newer than the server.
        if version(since(&case)).is_none_or(|since| since > running) {
            continue;
        }
        ran += 1;
        // `serve` refuses administrative commands.
        let by = if case.admin { &native } else { &client };
        for (way, reply) in
            ["alone", "piped", "in a transaction"].into_iter().zip(three_ways(by, &case).await)
        {
            // Binary values are restored alone, or over the native protocol.
            if way != "alone" && case.binary {
                continue;
            }
            let got = match reply {
                Ok(value) => (case.read)(value),
                Err(error) => format!(
                    "! {}",
                    error.redis_code().map_or_else(|| error.to_string(), ToOwned::to_owned)
                ),
            };
            let right = match case.reply {
                Reply::Is(wanted) => got == wanted,
                Reply::Any => !got.starts_with('!'),
            };
            if !right {
                wrong.push(format!("{} {way}: {got}", case.wire));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran > 200, "{ran}");
}
