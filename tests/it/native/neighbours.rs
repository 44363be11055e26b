//! A misbehaving caller of a native backend does not affect others on its connection.

use super::sentinel::Group;
use redis_rest::backend::native::{NativeCluster, NativeConfig};
use redis_rest::{Client, Error, ErrorKind, Outcome, Value, cmd};
use redis_rest_test_support::cluster::Cluster;
use redis_rest_test_support::neighbours::{
    CONNECTION_ENDING, are_undisturbed, ask_deep, ask_large,
};
use redis_rest_test_support::redis::Redis;
use std::time::Duration;

const LIMIT: usize = 100_000;

fn limited(config: NativeConfig) -> NativeConfig {
    config.timeout(Duration::from_secs(20)).max_reply_bytes(LIMIT)
}

/// Each key is on a separate connection.
async fn bad_replies_disturb_nobody(client: &Client, keys: &[String]) {
    let dropped = |error: &Error, why: &str| {
        let what = (error.kind(), error.outcome());
        assert_eq!(what, (ErrorKind::ReplyTooLarge, Outcome::Applied), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    are_undisturbed(client, async || {
        for key in keys {
            dropped(&ask_deep(client, key).await, "reply too deep: 64 arrays");
            dropped(&ask_large(client, key, LIMIT).await, "max_reply_bytes");
        }
    })
    .await;
}

async fn bad_commands_disturb_nobody(client: &Client) {
    are_undisturbed(client, async || {
        for parts in CONNECTION_ENDING {
            let command = parts[1..].iter().fold(cmd(parts[0]), |command, part| command.arg(*part));
            let error = client.run::<Value>(command).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{parts:?}: {error}");
        }
        let large = "x".repeat(2 * LIMIT);
        let error = client.set("k", &large).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCommand, "{error}");
        // Redis would close the connection at the second command: together they are too large.
        let mut transaction = client.transaction();
        for _ in 0..2 {
            let _ = transaction.add(cmd::set("k", &large[..LIMIT - 10]));
        }
        let error = transaction.send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCommand, "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_are_dropped_disturb_no_other_caller() {
    let Some(redis) = Redis::start() else { return };
    let backend = limited(NativeConfig::new(redis.url())).connect().await.unwrap();
    bad_replies_disturb_nobody(&Client::from_backend(backend), &["k".to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_end_a_connection_disturb_no_other_caller() {
    let Some(redis) = Redis::start() else { return };
    let config = limited(NativeConfig::new(redis.url())).max_request_bytes(LIMIT);
    bad_commands_disturb_nobody(&Client::from_backend(config.connect().await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_caller_of_a_cluster_affects_no_other() {
    let Some(cluster) = Cluster::start(0) else { return };
    let config = limited(NativeConfig::new(cluster.nodes[0].url())).max_request_bytes(LIMIT);
    let client = Client::from_backend(NativeCluster::connect([config]).await.unwrap());
    let keys: Vec<String> = (0..3).map(|node| cluster.key_on(node, 0)).collect();
    bad_replies_disturb_nobody(&client, &keys).await;
    for n in 0..16 {
        client.del([format!("counter:{n}")]).await.unwrap();
    }
    bad_commands_disturb_nobody(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_caller_behind_sentinels_affects_no_other() {
    let Some(group) = Group::start() else { return };
    let config = NativeConfig::sentinel([group.sentinel.url()], "the-master").login("", "s3cret");
    let client = Client::from_backend(limited(config).connect().await.unwrap());
    bad_replies_disturb_nobody(&client, &["k".to_owned()]).await;
}
