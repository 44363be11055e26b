//! A worker: jobs from a stream, a leaderboard, hashes and JSON from structs, a lock, a pipeline, a
//! transaction, a script.
//!
//! `cargo run --example worker` runs in memory, without streams; with `REDIS_REST_URL` and
//! `REDIS_REST_TOKEN` it uses that server, and runs everything.

use redis_rest::prelude::*;
use redis_rest::{Json, Result};
use redis_rest_server::MemoryBackend;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Player {
    name: String,
    level: u32,
    email: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let server = Client::from_env().ok();
    let has_streams = server.is_some();
    let client = server.unwrap_or_else(|| Client::from_backend(MemoryBackend::new()));
    let client = client.with_prefix("worker-example:");
    if has_streams {
        jobs(&client).await?;
    }
    players(&client).await?;
    together(&client).await?;
    with_lock(&client, "nightly", async {
        println!("the lock is ours");
        Ok(())
    })
    .await
}

/// Jobs wait in a stream. Each goes to one worker of the group, and stays pending until that worker
/// has acknowledged it.
async fn jobs(client: &Client) -> Result<()> {
    client.del("jobs").await?;
    client.xgroup_create("jobs", "workers", "0").mkstream().await?;
    for (points, name) in [(120, "ada"), (90, "grace"), (30, "ada")] {
        client.xadd("jobs", "*", (("name", name), ("points", points))).await?;
    }
    let batch = client
        .xreadgroup::<HashMap<String, String>>("workers", "worker-1", &[("jobs", ">")])
        .count(10)
        .await?
        .unwrap_or_default();
    for (_, entries) in batch {
        for job in entries {
            let points = job.fields["points"].parse().unwrap_or(0.0);
            client.zincrby("board", points, &job.fields["name"]).await?;
            client.xack("jobs", "workers", &job.id).await?;
        }
    }
    let best = client.zrange::<String>("board").rev().with_scores().await?;
    println!("best: {best:?}");
    client.del(["jobs", "board"]).await?;
    Ok(())
}

/// A hash has one field per struct field, and can be changed in part; JSON is a single value.
async fn players(client: &Client) -> Result<()> {
    let ada = Player { name: "Ada".into(), level: 3, email: None };
    client.hset("player:1", Fields(&ada)).await?;
    client.hincrby("player:1", "level", 1).await?;
    let read = client.hgetall::<Option<Fields<Player>>>("player:1").await?;
    println!("hash: {:?}", read.map(|Fields(player)| player.level));
    let missing = client.hgetall::<Option<Fields<Player>>>("player:2").await?;
    println!("no hash: {}", missing.is_none());
    client.set("player:1:json", Json(&ada)).ex(Duration::from_secs(60)).await?;
    let Json(read) = client.get::<Json<Player>>("player:1:json").await?;
    println!("JSON: {}", read == ada);
    client.del(["player:1", "player:1:json"]).await?;
    Ok(())
}

async fn together(client: &Client) -> Result<()> {
    let mut pipe = client.pipeline();
    pipe.push(cmd::set("from", 10)); // nobody reads this reply; `send` fails if the command does
    let missing = pipe.add(cmd::get::<Option<String>>("missing"));
    let members = pipe.add(cmd::sadd("tags", ["rust", "http"]));
    let (missing, members) = pipe.send().await?.take((missing, members))?;
    println!("pipeline: {missing:?}, {members}");

    let mut tx = client.transaction();
    let moved = (tx.add(cmd::decrby("from", 3)), tx.add(cmd::incrby("to", 3)));
    println!("transaction: {:?}", tx.send().await?.take(moved)?);

    let take = Script::new(
        "local left = tonumber(redis.call('GET', KEYS[1]) or '0')
         if left < tonumber(ARGV[1]) then return -1 end
         return redis.call('DECRBY', KEYS[1], ARGV[1])",
    );
    let left: i64 = take.keys(["from"]).args([5]).call().on(client).await?;
    println!("script: {left}");
    client.del(["from", "to", "tags"]).await?;
    Ok(())
}

/// Runs `work` unless another worker has the lock. Only the worker that set the value may delete
/// it: the lock may have expired, and belong to another worker, when the work is done.
async fn with_lock(
    client: &Client,
    name: &str,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    let (key, token) = (format!("lock:{name}"), uuid::Uuid::new_v4());
    if !client.set_if_absent(&key, token, Duration::from_secs(30)).await? {
        println!("another worker has the lock");
        return Ok(());
    }
    let result = work.await;
    let release = Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
         return 0",
    );
    let released: bool = release.key(&key).arg(token).call().on(client).await?;
    println!("released: {released}");
    result
}
